"""What is compared of responses over time. `gram` and `gaussian` summarize a style and measure a distance to the
summary; `rhythm` has what goes beside."""
