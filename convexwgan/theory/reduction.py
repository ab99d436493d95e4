"""The Reduction interface: one theorem says whether it applies, what it turns a form into, and how to come back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from convexwgan.spec.wgan import WGAN
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form

Exactness = Literal["exact", "upper", "lower"]


@dataclass(frozen=True)
class Acceptance:
    """Whether a theorem applies to a form.

    ``is_about`` is False when the theorem speaks of another kind of form altogether: then its refusal
    explains nothing and is not reported. ``remedy`` is a pair that the theorem would accept.
    """

    holds: bool
    reason: str = ""
    is_about: bool = True
    remedy: WGAN | None = None

    def __bool__(self) -> bool:
        return self.holds


YES = Acceptance(True)
ELSEWHERE = Acceptance(False, is_about=False)


def no(reason: str, remedy: WGAN | None = None) -> Acceptance:
    """A refusal that is worth telling the user."""
    return Acceptance(False, reason, remedy=remedy)


@dataclass(frozen=True)
class Condition:
    """A condition of a theorem, evaluated on the data: text and whether it holds."""

    text: str
    holds: bool

    def __str__(self) -> str:
        return f"{self.text} {'✓' if self.holds else '✗'}"


class Reduction(ABC):
    """One theorem as an edge of the graph of forms."""

    name: ClassVar[str]
    """Short name, the file's name in words."""
    citation: ClassVar[str]
    """Where the theorem stands: the paper's number, or MATH's with "ours"."""
    exactness: ClassVar[Exactness] = "exact"
    """exact: same optimum; upper / lower: the reduced optimum bounds it from that side."""
    cost: ClassVar[float] = 1.0
    """Price of the edge; the cheapest path is the route. Closed forms 1, semidefinite programs 100."""
    claim: ClassVar[str]
    """The theorem in one sentence."""

    @abstractmethod
    def accepts(self, form: Form) -> Acceptance:
        """Whether the theorem applies to ``form``, with the reason when it does not."""

    @abstractmethod
    def apply(self, form: Form) -> Form:
        """The form that the theorem turns ``form`` into."""

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        """The theorem's conditions evaluated on the data; may factor once, cached in ``data``."""
        return ()

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        """The candidate of the reduced form carried back to ``form``."""
        return candidate
