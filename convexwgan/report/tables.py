"""Tables for the terminal: plain data in, a rich Table out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from convexwgan.report.results import Result

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 170
"""Characters from which on a row fits on one line with the instance's name."""

COLOURS = {
    "certified": "green",
    "bracketed": "yellow",
    "unverified": "yellow",
    "infeasible": "cyan",
    "refused": "cyan",
    "failed": "red",
    "error": "red",
}


def results_table(results: Iterable[Result], width: int = WIDE) -> Table:
    """One row an instance: pair, route, status, value, bound, gap, seconds, and whether the file expected it.

    Args:
        results: the rows.
        width: of the terminal; the instance's name is shown only where there is room for it.
    """
    is_wide = width >= WIDE
    columns = ("pair", "route", "status", "value", "bound", "gap", "s", "expected")
    table = plain_table("", ("instance", *columns) if is_wide else columns)
    for column in table.columns[-6:]:
        column.no_wrap = True
        column.justify = "left" if column.header in ("status", "expected") else "right"
    for row in results:
        numbers = (number_text(row.value), number_text(row.bound), gap_text(row.relative_gap), f"{row.seconds:.2f}")
        cells = (row.pair, row.route, status_markup(row.status), *numbers, expected_text(row))
        table.add_row(*((row.name, *cells) if is_wide else cells))
    return table


def plain_table(title: str, columns: Sequence[str]) -> Table:
    """A table in the style of all of ours, without rows."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title) or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def summary(results: Sequence[Result]) -> str:
    """How many of each status, and whether all of them were expected.

    >>> summary([])
    '0 instances, all as expected.'
    """
    counts: dict[str, int] = {}
    for row in results:
        counts[row.status] = counts.get(row.status, 0) + 1
    parts = [f"{len(results)} instances", *(f"{count} {status}" for status, count in sorted(counts.items()))]
    wrong = [row.name for row in results if not row.is_as_expected]
    verdict = "all as expected" if not wrong else f"{len(wrong)} NOT as expected: {', '.join(wrong)}"
    return ", ".join([*parts, verdict]) + "."


def status_markup(status: str) -> str:
    """The status in its colour, for rich."""
    return f"[{COLOURS.get(status, 'default')}]{status.upper()}[/]"


def expected_text(row: Result) -> str:
    """✓ or ✗ with what was compared; empty where the file expects nothing."""
    compared = {"value": row.matches_value, "status": row.matches_status}
    wrong = [name for name, holds in compared.items() if holds is False]
    if wrong:
        return f"✗ {' '.join(wrong)}"
    return next((f"✓ {name}" for name, holds in compared.items() if holds), "")


def number_text(value: Any, digits: int = 7) -> str:
    """A number for a table: – where there is none.

    >>> number_text(4.5), number_text(float("nan")), number_text(float("inf"))
    ('4.5', '–', '∞')
    """
    if not isinstance(value, float) or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}g}"


def gap_text(gap: float) -> str:
    """A relative gap, two digits.

    >>> gap_text(1.234e-12), gap_text(0.0)
    ('1.2e-12', '0')
    """
    return number_text(gap, 2) if not math.isfinite(gap) or gap == 0 else f"{gap:.1e}"
