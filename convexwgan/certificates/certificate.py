"""The verdict: bounds, violation and checks, and the one status that follows from them (DESIGN §4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Literal

Scope = Literal["exhaustive", "priced", "randomised", "sampled"]
_PROVEN_SCOPES = ("exhaustive", "priced", "randomised")
LARGEST_FAILURE_PROBABILITY = 1e-9


class Status(Enum):
    """What a solution has earned.

    CERTIFIED: both bounds verified, relative gap and violation ≤ tol. BRACKETED: both verified, gap > tol.
    INFEASIBLE: proven from the data. UNVERIFIED: no valid bound on one side, or a check failed.
    FAILED: no candidate.
    """

    CERTIFIED = "certified"
    BRACKETED = "bracketed"
    INFEASIBLE = "infeasible"
    UNVERIFIED = "unverified"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One named thing that was looked at; a check that does not hold forbids CERTIFIED."""

    name: str
    holds: bool
    detail: str = ""

    def __str__(self) -> str:
        return f"{'✓' if self.holds else '✗'} {self.name}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class Infeasibility:
    """A proof from the data alone that no generator has dist ≤ β_d.

    Attributes:
        kind: "weyl", "indefinite", "zero_mean", "mass_gap", "rank", "ray" or "tree".
        text: the violated inequality with its numbers, and the tolerance of any rank or zero decision.
        margin: by how much the inequality is violated, > tolerance.
        tolerance: the rounding error that the margin was compared with.
    """

    kind: str
    text: str
    margin: float
    tolerance: float


@dataclass(frozen=True)
class Certificate:
    """Bounds on the optimal value with everything that was checked; ``status`` follows from them.

    lower ≤ optimal value ≤ upper, upper attained by the stored generator up to ``violation``.

    Attributes:
        lower: what no generator can beat; −inf when unknown, +inf when proven infeasible.
        upper: what the generator attains; +inf when unknown.
        violation: max(0, dist − β_d) / max(β_d, 1e-8·‖M‖₂ or 1e-8·‖m‖₂), and the skip's equality residual.
        scope: how the inner maximum over neurons was closed.
        checks: at least one; any that fails forbids CERTIFIED.
        tol: the tolerance that the status is about.
        scale: the size of the value as β_d → 0 (``costs.value_scale``), the yardstick of ``relative_gap``.
        has_candidate: whether there was a generator to judge.

    >>> Certificate(1.0, 1.0, 0.0, "exhaustive", (Check("bounds recomputed", True),)).status.name
    'CERTIFIED'
    >>> Certificate(float("nan"), 1.0, 0.0, "exhaustive", (Check("bounds recomputed", True),)).status.name
    'UNVERIFIED'
    """

    lower: float
    upper: float
    violation: float
    scope: Scope
    checks: tuple[Check, ...]
    failure_probability: float = 0.0
    infeasibility: Infeasibility | None = None
    tol: float = 1e-6
    scale: float = 0.0
    has_candidate: bool = True

    @property
    def gap(self) -> float:
        """upper − lower; 0 when both are +inf (nothing is attained, nothing is attainable)."""
        return 0.0 if self.lower == self.upper else self.upper - self.lower

    @property
    def relative_gap(self) -> float:
        """(upper − lower) / max(|upper|, |lower|, 1e-6·scale): invariant under X → cX with matching β_d."""
        if self.gap == 0.0:
            return 0.0
        reference = max(abs(self.upper), abs(self.lower), 1e-6 * self.scale)
        return self.gap / reference if math.isfinite(reference) else math.inf

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if check.holds is not True)

    @property
    def status(self) -> Status:
        """The status that bounds, violation, scope and checks have earned."""
        if self.infeasibility is not None:
            sound = not self.failed_checks and self.infeasibility.margin > self.infeasibility.tolerance >= 0
            return Status.INFEASIBLE if sound else Status.UNVERIFIED
        if not self.has_candidate:
            return Status.UNVERIFIED if self.failed_checks else Status.FAILED
        if not self._is_verified():
            return Status.UNVERIFIED
        return Status.CERTIFIED if self.relative_gap <= self.tol else Status.BRACKETED

    def _is_verified(self) -> bool:
        """Both bounds hold: written so that any nan makes it False."""
        finite = all(math.isfinite(number) for number in (self.lower, self.upper, self.violation, self.scale))
        if not finite or not self.checks or self.failed_checks or not 0.0 < self.tol < 1.0:
            return False
        if self.scope not in _PROVEN_SCOPES or not self.failure_probability <= LARGEST_FAILURE_PROBABILITY:
            return False
        # A lower bound above the attained value means that the point is feasible only up to its violation.
        return 0.0 <= self.violation <= self.tol and self.relative_gap >= -self.tol

    def __str__(self) -> str:
        head = f"{self.status.name}: {self.lower:.9g} ≤ value ≤ {self.upper:.9g}, violation {self.violation:.1e}"
        lines = [head, f"scope {self.scope}, relative gap {self.relative_gap:.1e}, tolerance {self.tol:.0e}"]
        if self.infeasibility is not None:
            lines = [f"{self.status.name}: {self.infeasibility.text}"]
        return "\n".join(lines + [str(check) for check in self.checks])
