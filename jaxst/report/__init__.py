"""Pages: the report of one run and the gallery of a sweep, each a single HTML file."""

from jaxst.report.figures import Tracks
from jaxst.report.gallery import Column, Entry, Reference, render_gallery
from jaxst.report.page import Clip, Measure, render_page
from jaxst.report.table import Table

__all__ = [
    "Clip",
    "Column",
    "Entry",
    "Measure",
    "Reference",
    "Table",
    "Tracks",
    "render_gallery",
    "render_page",
]
