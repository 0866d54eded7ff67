"""The report of one run: a single HTML file that plays, shows and explains what was made."""

from jaxst.report.figures import Tracks
from jaxst.report.page import Clip, Measure, render_page

__all__ = ["Clip", "Measure", "Tracks", "render_page"]
