"""Sines and noise: spectral peaks, their partials over time, additive synthesis, and the residual."""
