"""Resynthesis: a recording in, and out comes what a model keeps of it."""

from jaxst.resynthesis.run import Resynthesis, resynthesize

__all__ = ["Resynthesis", "resynthesize"]
