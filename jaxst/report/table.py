"""A table of numbers, for terminals and for pages: what stands in it is text already."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MISSING = "-"


class TableRow(NamedTuple):
    """One line.

    Attributes:
        name: what the numbers are.
        better: "low", "high", or empty.
        meaning: how to read them, shown on pages only.
        cells: a text for each column.
    """

    name: str
    better: str
    meaning: str
    cells: Sequence[str]


class TableGroup(NamedTuple):
    """Rows under a title, which may be empty."""

    title: str
    rows: Sequence[TableRow]


@dataclass(frozen=True)
class Table:
    """Rows of numbers.

    Attributes:
        heading: of the whole.
        columns: headings of the numbers.
        groups: the rows.
        lead: lines that say the most important, before the table on pages, after it on terminals.
        notes: lines that explain marks and gaps.
    """

    heading: str
    columns: Sequence[str]
    groups: Sequence[TableGroup]
    lead: Sequence[str] = ()
    notes: Sequence[str] = ()


def number_text(value: float | None) -> str:
    """Three decimals, fewer of large numbers; a dash for none."""
    if value is None:
        return MISSING
    size = abs(value)
    if size >= 1e6:
        return f"{value:.3g}"
    digits = 3 if size < 10 else 1 if size < 1000 else 0
    return f"{round(value, digits) + 0.0:.{digits}f}"  # no minus before a zero


def as_text(table: Table) -> str:
    """Aligned columns for a terminal: names to the left, numbers to the right."""
    rows = [row for group in table.groups for row in group.rows]
    marked = any(row.better for row in rows)
    lines = [("", *(["better"] if marked else []), *table.columns)]
    titles = {}
    for group in table.groups:
        titles[len(lines)] = group.title
        lines += [(row.name, *([row.better] if marked else []), *row.cells) for row in group.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [table.heading]
    for index, (name, *cells) in enumerate(lines):
        if titles.get(index):
            text += ["", titles[index]]
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        text.append("  ".join([name.ljust(widths[0]), *aligned]).rstrip())
    for more in (table.notes, table.lead):
        text += ["", *more] if more else []
    return "\n".join(text)
