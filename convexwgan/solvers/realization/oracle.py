"""Where could a new neuron help? Directions u of large ‖Rᵀ(Zu)₊‖₂, many at once, and the exact maximum at rank ≤ 4.

    max ‖Rᵀ(Zu)₊‖₂  s.t.  ‖u‖₂ ≤ 1

Candidates come from the rays of the arrangement where it is enumerated, else from local ascent on many starts (all
at once, on the library and device of Z). They need not be exact: the sliding step moves them to the right face.
Only the closing question, "is there none left?", goes to exhaustive pricing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from convexwgan.arrays import Array, Float64, device_of, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import Arrangement, cell_count_formula, enumerate_cells
from convexwgan.geometry.ascent import ascend, gains
from convexwgan.geometry.cones import MAX_RANK
from convexwgan.geometry.pricing import PricingResult, price
from convexwgan.solvers.realization.scaling import Scaled

_MAX_CELLS = 400_000
_FEWEST = 32
_APART = 0.995
"""Candidates closer than this cosine to a better one are left out: sliding would merge them again."""


@dataclass
class Oracle:
    """Pricing for one Z (n, r) of full column rank: heuristic candidates, exact closing where possible."""

    Z: Float64
    rng: np.random.Generator
    pricing: str = "auto"
    device_rows: Array | None = None
    starts: int = 256
    _arrangement: Arrangement | None = field(default=None, repr=False)

    @property
    def is_exact(self) -> bool:
        """Whether ``maximum`` is exhaustive: asked for, or rank ≤ 4 with an affordable number of cells."""
        n, r = self.Z.shape
        if self.pricing == "auto":
            return r <= MAX_RANK and cell_count_formula(n, r) <= _MAX_CELLS
        return self.pricing == "exact"

    @property
    def arrangement(self) -> Arrangement:
        """The cells of Z, enumerated once, when first needed."""
        if self._arrangement is None:
            self._arrangement = enumerate_cells(self.Z)
        return self._arrangement

    def candidates(self, R: Float64, limit: int, above: float = 1.0) -> Float64:
        """Up to ``limit`` unit directions, best first and apart from each other, with ‖Rᵀ(Zu)₊‖ > above."""
        U = self.ascended(R)
        values = gains(self.Z, R, U)
        return apart(U, values, limit, above, _APART)

    def maximum(self, R: Float64) -> PricingResult:
        """The exact pricing maximum, or the best of many ascents (``is_exact`` False)."""
        if self.is_exact:
            return price(self.arrangement, self.Z, R)
        U = self.ascended(R, 4 * self.starts)
        values = gains(self.Z, R, U)
        best = int(values.argmax())
        return PricingResult(float(values[best]), U[best], np.inf, False)

    def _starts(self, count: int) -> Float64:
        """Random directions, and directions of random rows with both signs."""
        n, r = self.Z.shape
        drawn = self.rng.standard_normal((count, r))
        rows = self.Z[self.rng.choice(n, min(n, count // 4), replace=False)]
        return unit_rows(np.vstack([drawn, rows, -rows]))

    def ascended(self, R: Float64, count: int | None = None, more: Float64 | None = None) -> Float64:
        """Ends of local ascent from the best quarter of ``count`` random starts and from ``more``, (k, r)."""
        drawn = self._starts(count or self.starts)
        best = np.argsort(-gains(self.Z, R, drawn))[: max(len(drawn) // 4, _FEWEST)]
        starts = drawn[best] if more is None else np.vstack([drawn[best], more])
        return to_numpy64(ascend(self.Z if self.device_rows is None else self.device_rows, R, starts))


def oracle_for(problem: Scaled, Z: Array, rng: int | np.random.Generator, pricing: str) -> Oracle:
    """The oracle of a scaled problem; local ascent runs on the library and device of the user's Z.

    Raises:
        InputError: an unknown ``pricing``, or "exact" above rank 4.
    """
    if pricing not in ("auto", "exact", "heuristic"):
        remedy = "leave it out for the automatic choice"
        raise InputError("pricing", pricing, 'be "auto", "exact" or "heuristic"', remedy)
    rank = problem.Z.shape[1]
    if pricing == "exact" and rank > MAX_RANK:
        raise InputError(
            "rank of Z", rank, f"be <= {MAX_RANK} for exact pricing", 'use pricing="heuristic"; the bound is then open'
        )
    rows = None
    if (not isinstance(Z, np.ndarray) and hasattr(Z, "__array_namespace__")) or hasattr(Z, "detach"):
        rows = namespace(Z).asarray(problem.Z, dtype=Z.dtype, device=device_of(Z))
    return Oracle(problem.Z, np.random.default_rng(rng), pricing, rows)


def unit_rows(U: Float64) -> Float64:
    """Rows scaled to length 1; rows of length 0 are dropped."""
    lengths = np.linalg.norm(U, axis=1)
    scaled: Float64 = U[lengths > 0] / lengths[lengths > 0, None]
    return scaled


def apart(U: Float64, values: Float64, limit: int, above: float, cosine: float) -> Float64:
    """Up to ``limit`` rows of U of values > above, best first, none within ``cosine`` of a better one."""
    order = np.argsort(-values)
    order = order[values[order] > above]
    chosen: list[int] = []
    while len(order) and len(chosen) < limit:
        best = int(order[0])
        chosen.append(best)
        order = order[U[order] @ U[best] < cosine]
    return U[chosen]
