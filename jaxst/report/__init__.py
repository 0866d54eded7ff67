"""The report of one run: a single HTML file that plays, shows and explains what was made."""

from jaxst.report.figures import Tracks
from jaxst.report.page import Clip, Measure, render_page
from jaxst.report.table import Table

__all__ = ["Clip", "Measure", "Table", "Tracks", "render_page"]
