"""Explanations: the route printed theorem by theorem, each condition evaluated on the data."""

from __future__ import annotations

from dataclasses import dataclass

from convexwgan.theory.data import GameData
from convexwgan.theory.forms import NOT_CONVEX
from convexwgan.theory.reduction import Condition
from convexwgan.theory.routes import Route


@dataclass(frozen=True)
class ExplainedStep:
    """One theorem of the route: what it says, where it stands, and its conditions on this data."""

    name: str
    claim: str
    citation: str
    exactness: str
    formula: str
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Why a problem is tractable and how it will be solved; ``print`` it.

    Attributes:
        game: the formula that the user wrote.
        steps: the theorems in order.
        is_convex: whether the chain ends in a convex program or a closed form with the same optimum.
        method: closed_form, conic or saddle.
        last: the last form in words.
        predicted_memory: bytes that the solve will need beyond the data.
    """

    game: str
    steps: tuple[ExplainedStep, ...]
    is_convex: bool
    method: str
    last: str
    predicted_memory: int

    @property
    def holds(self) -> bool:
        """Whether every condition evaluated on the data holds."""
        return all(condition.holds for step in self.steps for condition in step.conditions)

    def __str__(self) -> str:
        lines = [self.game, ""]
        for number, step in enumerate(self.steps, start=1):
            lines += [f"{number}. {step.name}  [{step.citation}; {step.exactness}]", f"   {step.claim}"]
            lines += [f"   {condition}" for condition in step.conditions]
            lines += [f"   → {step.formula}"]
        memory = f"about {_bytes_text(self.predicted_memory)} beyond the data"
        lines += ["", f"Solved by {self.method} ({self.last}); {memory}."]
        return "\n".join(lines)


def explain_route(route: Route, data: GameData | None, predicted_memory: int) -> Explanation:
    """The route in words; with ``data`` each theorem's conditions are evaluated on it."""
    forms = [step.form for step in route.steps] + [route.last]
    steps = tuple(
        ExplainedStep(
            step.theorem.name,
            step.theorem.claim,
            step.theorem.citation,
            step.theorem.exactness,
            after.formula,
            () if data is None else step.theorem.conditions(step.form, data),
        )
        for step, after in zip(route.steps, forms[1:], strict=True)
    )
    convex = all(step.exactness == "exact" for step in steps) and route.last.stage not in NOT_CONVEX
    return Explanation(forms[0].formula, steps, convex, route.method, route.last.stage.value, predicted_memory)


def _bytes_text(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TiB"
