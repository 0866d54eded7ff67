"""Many configurations as one batched program."""
