"""Tables for the terminal: plain data in, a rich Table out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from convexwgan.report.results import Result

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {
    "certified": "green",
    "bracketed": "yellow",
    "unverified": "yellow",
    "infeasible": "cyan",
    "refused": "cyan",
    "failed": "red",
    "error": "red",
}


def results_table(results: Iterable[Result], title: str = "") -> Table:
    """One row an instance: pair, route, status, value, bound, gap, seconds, and whether the file expected it."""
    table = plain_table(title, ("instance", "pair", "route", "status", "value", "bound", "gap", "s", "expected"))
    for name in ("value", "bound", "gap", "s"):
        column = next(column for column in table.columns if column.header == name)
        column.justify, column.no_wrap = "right", True
    for row in results:
        numbers = (number_text(row.value), number_text(row.bound), gap_text(row.relative_gap), f"{row.seconds:.2f}")
        table.add_row(row.name, row.pair, row.route, status_markup(row.status), *numbers, expected_text(row))
    return table


def plain_table(title: str, columns: Sequence[str]) -> Table:
    """A table in the style of all of ours, without rows."""
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
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
    """✓ or ✗ with what was checked; empty where the file expects nothing."""
    parts = [("status", row.matches_status), ("value", row.matches_value)]
    return " ".join(f"{'✓' if holds else '✗'} {name}" for name, holds in parts if holds is not None)


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
