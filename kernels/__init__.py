"""Numerics only: arrays in, arrays out, safe under jit, vmap and grad. Imports nothing of jaxst above it."""
