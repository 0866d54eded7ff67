"""Many runs at once, as lanes of one compiled program over all devices."""
