"""Evaluation: whether an output took the style, kept the content and is no copy, in numbers that have a scale."""

from jaxst.evaluation.measures import GROUPS, MEASURES, Measure, optimized_measures
from jaxst.evaluation.run import Comparison, Evaluation, References, Value, compare_with, evaluate

__all__ = [
    "GROUPS",
    "MEASURES",
    "Comparison",
    "Evaluation",
    "Measure",
    "References",
    "Value",
    "compare_with",
    "evaluate",
    "optimized_measures",
]
