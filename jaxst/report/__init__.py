"""Pages: the report of one run (`page`) and the gallery of a sweep (`gallery`), each a single HTML file.

Here is what they are made of; the pages themselves are imported where they are made, for they load matplotlib.
"""

from jaxst.report.parts import Clip, Measure, Tracks
from jaxst.report.table import Table

__all__ = ["Clip", "Measure", "Table", "Tracks"]
