"""Evaluation: whether an output took the style, kept the content and is no copy, in numbers that have a scale."""

from jaxst.evaluation.measures import GROUPS, MEASURES, Measure, optimized_measures
from jaxst.evaluation.run import Evaluation, Value, evaluate

__all__ = ["GROUPS", "MEASURES", "Evaluation", "Measure", "Value", "evaluate", "optimized_measures"]
