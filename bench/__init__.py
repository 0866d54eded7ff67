"""Benchmarks: medians of warmed, blocked runs, both sides of a ratio interleaved in one process."""
