"""The report of one run: a single HTML file that plays, shows and explains what was made."""

from jaxst.report.page import Clip, render_page

__all__ = ["Clip", "render_page"]
