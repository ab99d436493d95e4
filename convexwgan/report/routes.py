"""The graph of forms drawn: theorems as arrows, the route that was chosen highlighted."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from convexwgan.problem import Problem
from convexwgan.report.style import CHOSEN, CUT, axes_or_new
from convexwgan.theory.forms import Form
from convexwgan.theory.routes import reduction_graph

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _COLUMN = 1.25, 2.9
"""Inches from one form to the next, downwards and sideways."""


@dataclass(frozen=True)
class Placed:
    """Where forms stand: (column, row) with the chosen route in column 0, and the arrows between them."""

    places: dict[Form, tuple[int, int]]
    arrows: tuple[tuple[Form, Form, Any, bool], ...]

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows)."""
        columns, rows = zip(*self.places.values(), strict=True)
        return max(columns) + 1, max(rows) + 1


def route(problem: Problem, ax: Axes | None = None) -> Axes:
    """The chain of theorems from the game to what is solved, beside the ways that were not taken.

    Args:
        problem: its graph of reductions is drawn; nothing is computed on its data.
        ax: where to draw; fresh axes of fitting size when None.

    Raises:
        NotCoveredError: no theorem covers the pair.
        MissingExtraError: matplotlib is not installed.
    """
    placed = place(problem)
    columns, rows = placed.size
    ax = axes_or_new(ax, _COLUMN * (columns + 0.35), _ROW * rows + 0.3)
    for here, there, theorem, is_chosen in placed.arrows:
        _arrow(ax, placed.places[here], placed.places[there], theorem, is_chosen)
    on_route = _forms_of(problem)
    for form, where in placed.places.items():
        _box(ax, form, where, form in on_route)
    ax.set_xlim(-0.75 * _COLUMN, (columns - 0.4) * _COLUMN)
    ax.set_ylim(-(rows - 0.5) * _ROW, 0.45 * _ROW)
    ax.set_axis_off()
    ax.set_title("Route: each arrow is a theorem, green is the cheapest way", loc="left", fontsize=11)
    return ax


def place(problem: Problem) -> Placed:
    """The layout: rows by distance from the game, the chosen route in the first column."""
    graph = reduction_graph(problem.root)
    chosen = _forms_of(problem)
    places = {form: (0, row) for row, form in enumerate(chosen)}
    taken: dict[int, int] = {}
    for form in graph:  # breadth first from the game, so that a predecessor has its place already
        if form not in places:
            row = 1 + max(places[before][1] for before in graph.predecessors(form) if before in places)
            taken[row] = taken.get(row, 0) + 1
            places[form] = (taken[row], row)
    steps = set(pairwise(chosen))
    arrows = tuple((a, b, data["theorem"], (a, b) in steps) for a, b, data in graph.edges(data=True))
    return Placed(places, arrows)


def _forms_of(problem: Problem) -> list[Form]:
    found = problem.route()
    return [*(step.form for step in found.steps), found.last]


def _point(where: tuple[int, int]) -> tuple[float, float]:
    return where[0] * _COLUMN, -where[1] * _ROW


def _box(ax: Axes, form: Form, where: tuple[int, int], is_chosen: bool) -> None:
    ends = f"\n({form.method})" if form.method in ("conic", "saddle") else ""
    colour, width, weight = (CHOSEN, 2.2, "bold") if is_chosen else (CUT, 1.0, "normal")
    box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": colour, "linewidth": width}
    text = textwrap.fill(form.stage.value, 28) + ends
    ax.annotate(text, _point(where), ha="center", va="center", fontsize=10, fontweight=weight, bbox=box)


def _arrow(ax: Axes, start: tuple[int, int], end: tuple[int, int], theorem: Any, is_chosen: bool) -> None:
    (x0, y0), (x1, y1) = _point(start), _point(end)
    colour = CHOSEN if is_chosen else CUT
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 2.4 if is_chosen else 1.0, "shrinkA": 16, "shrinkB": 17}
    if not is_chosen:
        style["linestyle"] = "--"
    ax.annotate("", (x1, y1), (x0, y0), arrowprops=style)
    # Beside the chosen route on its free side, so that the arrows that leave it cross no text.
    side, align = (-0.12, "right") if x1 == 0 else (0.3, "left")
    text = textwrap.fill(theorem.name, 32) + "\n" + textwrap.fill(short_citation(theorem.citation), 34)
    middle = x0 + 0.5 * (x1 - x0) + side, 0.5 * (y0 + y1)
    ax.text(*middle, text, ha=align, va="center", fontsize=8.5, color="#333333", linespacing=1.15)


def short_citation(citation: str) -> str:
    """The theorem alone: without the paper's authors, who are the same on every arrow, and without remarks.

    >>> short_citation("Sahiner et al. 2022, Theorem 4.1 and eq 15; infeasibility by Weyl MATH 3.3 (ours)")
    'Theorem 4.1 and eq 15'
    """
    return citation.replace("Sahiner et al. 2022, ", "").partition(";")[0].partition(" (norm bound")[0]
