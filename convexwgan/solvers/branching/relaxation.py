"""One node of the search: k_c samples in each sector, relaxed to a measure of mass k_c, solved by columns and cuts.

    min Σ_c μ_c(S)²/(2k_c)   s.t.  |h_X(u) − Σ_c∫(θᵀu)₊dμ_c| ≤ β for ‖u‖ ≤ 1,   μ_c ≥ 0 on the rays of sector c
  = max ⟨v,h_X⟩ − β‖v‖₁ − ½Σ_c k_c a_c(v)₊²,   a_c(v) = max over the rays θ of sector c of Σ_k v_k(θᵀu_k)₊

k_c samples of one sector are such a measure, and by Jensen its cheapest form has equal norms. Any v gives a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.geometry.circles import TURN
from convexwgan.geometry.relu_sums import relu_sum, sphere_maxima
from convexwgan.geometry.sectors import Sectors, ray_sums, rays, sector_arcs, sector_table

DEPTH = 12
"""Sectors are not cut below 2π/2^DEPTH."""
_ROUNDS = 12
_PER_ROUND = 8
_PATIENCE = 3.0
_CLOSE = 1e-3
"""When the bound of a node is good enough, relative to the relaxation's own value."""
_TINY = 1e-5
_MERGED = 1e-8


@dataclass(frozen=True, eq=False)
class PlanarGame:
    """min ½‖G‖_F² s.t. |h_X(u) − h_G(u)| ≤ β for ‖u‖ ≤ 1, X (n_r, 2) with Σ‖x_i‖ = 1, n rows of G."""

    X: Float64
    n: int
    beta: float

    @property
    def most(self) -> float:
        """What a feasible G can cost: Σ‖g_i‖ ≤ Σ‖x_i‖ + πβ, by the mean of h(u) + h(−u) over the circle."""
        return 0.5 * (float(np.linalg.norm(self.X, axis=1).sum()) + np.pi * self.beta) ** 2

    def h(self, neurons: Float64) -> Float64:
        """h_X at the neurons of the given angles."""
        return relu_sum(self.X, np.ones(len(self.X)), rays(neurons))


@dataclass(frozen=True, eq=False)
class Dual:
    """A discriminator: neurons of angles φ (k,) with weights v, slope ⟨v,h_X⟩ − β‖v‖₁ > 0, a_c(v)₊ of every sector."""

    neurons: Float64
    v: Float64
    slope: float
    table: npt.NDArray[np.float32]

    def bound(self, sectors: Sectors, counts: Float64) -> float:
        """max_s s·slope − ½s²Σ_c k_c a_c² = slope²/(2Σ_c k_c a_c²)."""
        spent = float(counts @ self.table[sectors].astype(np.float64) ** 2)
        return self.slope**2 / (2.0 * spent) if spent > 0.0 else np.inf


@dataclass(frozen=True, eq=False)
class Parts:
    """What one node hands to the next: cuts (angle, side) and the angles of atoms."""

    cuts: Float64
    sides: Float64
    atoms: Float64

    @classmethod
    def first(cls) -> Parts:
        """Sixteen neurons on both sides; the data are added by the columns."""
        angles = TURN * np.arange(16) / 16
        return cls(np.concatenate([angles, angles]), np.repeat([1.0, -1.0], 16), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Relaxed:
    """The best bound with its discriminator, the measure (angle, mass, index of its sector), and what to start from."""

    bound: float
    dual: Dual | None
    angles: Float64
    masses: Float64
    owner: Sectors
    parts: Parts
    programs: int


def relaxed(game: PlanarGame, sectors: Sectors, counts: Float64, parts: Parts, enough: float) -> Relaxed:
    """The relaxation of one node, closed by the exact oracles of both sides.

    Args:
        sectors, counts: distinct sectors (C,) with the number of samples in each, k_c ≥ 1.
        parts: where to start. enough: a bound at which the node needs no better one.
    """
    best, dual = 0.0, None
    atoms, cuts = _Kept.of(parts.atoms), _Kept.of(parts.cuts, parts.sides)
    angles, masses, owner = np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)
    programs = 0
    for _ in range(_ROUNDS):
        columns, of = _columns(atoms.angles, sectors)
        found = _program(game, columns, of, counts, cuts.angles, cuts.sides)
        programs += 1
        new = None if found is None else discriminator(game, cuts.angles, found[0] * cuts.sides)
        if found is None or new is None:
            break
        multipliers, mu, value = found
        steep = _CLOSE * value / max(float(multipliers.sum()), 1e-300)  # an excess that costs no more than that
        bound = new[0].bound(sectors, counts)
        if bound > best:
            best, dual = bound, new[0]
        if best >= enough:
            break
        cuts = cuts.aged(multipliers)
        if mu is None:  # the finite program is unbounded: columns are missing, or the node is infeasible
            atoms = _Kept.of(columns).having(new[1][new[2] > 0.0])
            continue
        used = mu > _TINY * mu.max(initial=0.0)
        angles, masses, owner = columns[used], mu[used], of[used]
        atoms = atoms.refreshed(angles).having(_paying(new, columns, of, sectors))
        more, side = _violated(game, angles, masses, 0.3 * steep)
        if best >= value * (1.0 - _CLOSE) and len(more) == 0:
            break
        cuts = cuts.having(more, side)
    return Relaxed(best, dual, angles, masses, owner, Parts(cuts.angles, cuts.sides, angles), programs)


@dataclass(frozen=True, eq=False)
class _Kept:
    """Angles of cuts (with sides) or atoms, and for how many rounds each was of no use."""

    angles: Float64
    sides: Float64
    idle: Float64

    @classmethod
    def of(cls, angles: Float64, sides: Float64 | None = None) -> _Kept:
        return cls(angles, np.ones(len(angles)) if sides is None else sides, np.zeros(len(angles)))

    def having(self, angles: Float64, sides: Float64 | None = None) -> _Kept:
        new = _Kept.of(angles, sides)
        pairs = zip((self.angles, self.sides, self.idle), (new.angles, new.sides, new.idle), strict=True)
        return _Kept(*(np.concatenate(pair) for pair in pairs))

    def aged(self, multipliers: Float64) -> _Kept:
        """Without what no program has needed for ``_PATIENCE`` rounds."""
        used = multipliers > _TINY * multipliers.max(initial=0.0)
        idle = np.where(used, 0.0, self.idle + 1.0)
        kept = idle < _PATIENCE
        return _Kept(self.angles[kept], self.sides[kept], idle[kept])

    def refreshed(self, used: Float64) -> _Kept:
        """One round later: the used angles are new again."""
        kept = self.idle + 1.0 < _PATIENCE
        return _Kept(self.angles[kept], self.sides[kept], self.idle[kept] + 1.0).having(used)


def _columns(atoms: Float64, sectors: Sectors) -> tuple[Float64, Sectors]:
    """Angles of the atoms in each sector, with its borders and middle: the angle and the index of its sector."""
    first, width = sector_arcs(sectors)
    atoms = np.concatenate([atoms, first, first + 0.5 * width, first + width])
    atoms = np.unique(np.round(np.mod(atoms, TURN), 8))
    inside = np.mod(atoms[:, None] - first[None, :] + _MERGED, TURN) <= width[None, :] + 2.0 * _MERGED
    which, owner = np.nonzero(inside)
    return atoms[which], owner


def discriminator(game: PlanarGame, neurons: Float64, v: Float64) -> tuple[Dual, Float64, Float64] | None:
    """The discriminator with its table, and its local maxima (angle, value); None where it proves nothing."""
    kept = np.abs(v) > 1e-2 * _TINY * float(np.abs(v).max(initial=0.0))
    neurons, v = neurons[kept], v[kept]
    slope = float(v @ game.h(neurons)) - game.beta * float(np.abs(v).sum())
    if not slope > 0.0:
        return None
    table, peaks, values = sector_table(neurons, v, DEPTH)
    upwards = np.nextafter(table.astype(np.float32), np.float32(np.inf))
    return Dual(neurons, v, slope, upwards), peaks, values


def _paying(new: tuple[Dual, Float64, Float64], columns: Float64, owner: Sectors, sectors: Sectors) -> Float64:
    """Local maxima of a(θ) that exceed what the columns of their sector say by more than half of ``_CLOSE``."""
    dual, peaks, values = new
    known = np.zeros(len(sectors))
    np.maximum.at(known, owner, ray_sums(columns, dual.neurons, dual.v))
    first, width = sector_arcs(sectors)
    inside = np.mod(peaks[:, None] - first[None, :], TURN) <= width[None, :]
    return peaks[(inside & (values[:, None] > known[None, :] * (1.0 + 0.5 * _CLOSE) + 1e-300)).any(axis=1)]


def _violated(game: PlanarGame, angles: Float64, masses: Float64, slack: float) -> tuple[Float64, Float64]:
    """Neurons that tell the measure from X by more than β + slack: angles and sides."""
    rows = np.concatenate([game.X, masses[:, None] * rays(angles)])
    weights = np.concatenate([np.ones(len(game.X)), -np.ones(len(masses))])
    cuts, sides = [], []
    for side in (1.0, -1.0):
        found = sphere_maxima(rows, side * weights)
        beyond = found.points[found.values > game.beta + slack][:_PER_ROUND]
        cuts.append(np.arctan2(beyond[:, 1], beyond[:, 0]))
        sides.append(np.full(len(beyond), side))
    return np.concatenate(cuts), np.concatenate(sides)


def _program(
    game: PlanarGame, columns: Float64, owner: Sectors, counts: Float64, cuts: Float64, sides: Float64
) -> tuple[Float64, Float64 | None, float] | None:
    """min ½Σk_ct_c² − ⟨sh_X − β, λ⟩ s.t. t_c ≥ Σ_kλ_ks_k(θ_jᵀu_k)₊ for the columns j of sector c; t, λ ≥ 0.

    Returns:
        λ, the multipliers μ of the columns and the value; an unbounded ray λ with None and ∞; None on failure.
    """
    import clarabel
    from scipy import sparse

    C, K, J = len(counts), len(cuts), len(columns)
    A = np.zeros((J + C + K, C + K))
    A[np.arange(J), owner] = -1.0
    A[:J, C:] = np.maximum(np.cos(columns[:, None] - cuts[None, :]), 0.0) * sides
    A[J:] = -np.eye(C + K)
    P = sparse.csc_matrix((counts, (np.arange(C), np.arange(C))), shape=(C + K, C + K))
    q = np.concatenate([np.zeros(C), game.beta - sides * game.h(cuts)])
    cone = [clarabel.NonnegativeConeT(J + C + K)]
    found = clarabel.DefaultSolver(P, q, sparse.csc_matrix(A), np.zeros(J + C + K), cone, _settings()).solve()
    z, multipliers = np.array(found.x), np.array(found.z)
    if not np.isfinite(z).all():
        return None
    lam = np.maximum(z[C:], 0.0)
    status = found.status
    unbounded = (clarabel.SolverStatus.DualInfeasible, clarabel.SolverStatus.AlmostDualInfeasible)
    if status in unbounded:
        return lam, None, np.inf
    return lam, np.maximum(multipliers[:J], 0.0), -float(found.obj_val)


def _settings() -> Any:
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads, settings.max_iter = False, 1, 60
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-9
    return settings
