import pytest

from jaxst.report.table import Table, TableGroup, TableRow, as_text, number_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "-"), (0.0, "0.000"), (-0.0, "0.000"), (-0.0001, "0.000"), (0.12345, "0.123"), (-9.9, "-9.900")),
        *((12.34, "12.3"), (-123.45, "-123.5"), (1234.5, "1234"), (2e6, "2e+06")),
    ],
)
def test_numbers_have_three_decimals_or_fewer(value, text):
    assert number_text(value) == text


def test_a_table_is_aligned():
    first = TableGroup("", [TableRow("seconds", "", "unseen", ["1", "22.5"])])
    second = TableGroup(
        "Title", [TableRow("a", "low", "", ["0.1", "-"]), TableRow("long name", "high", "", ["3", "4"])]
    )
    table = Table("Heading", ["one", "two"], [first, second], lead=["most important"], notes=["- nothing"])
    assert as_text(table) == (
        "Heading\n"
        "           better  one   two\n"
        "seconds              1  22.5\n"
        "\n"
        "Title\n"
        "a             low  0.1     -\n"
        "long name    high    3     4\n"
        "\n"
        "- nothing\n"
        "\n"
        "most important"
    )


def test_directions_take_no_room_where_there_are_none():
    group = TableGroup("", [TableRow("a", "", "", ["1"])])
    assert as_text(Table("Heading", ["one"], [group])) == "Heading\n   one\na    1"
