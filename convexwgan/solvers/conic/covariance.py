"""Quadratic discriminators: match second moments in the spectral norm (Corollaries 3.2, 3.3; MATH 3.2–3.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.solvers.conic.model import ConicModel, Values, dual, load_cvxpy, positive_or_one, primal

_LARGEST_PRIMAL = 40


@dataclass(frozen=True)
class _Units:
    """T = u T', value = q · value': then the problem's numbers are of size one."""

    u: float
    q: float


def covariance_program(
    M: Float64,
    *,
    beta: float | None,
    strength: float,
    skip: tuple[Float64, float] | None = None,
    dualize: bool | None = None,
    natural: bool = False,
) -> ConicModel:
    """Match the second moment S to M in the spectral norm, at the least trace.

    Problem, weight decay and (beta None) norm bound:
        min (β_g/2) tr S        s.t.  S ⪰ 0,  −β I ⪯ M − S ⪯ β I
        min (β_g/2) tr S + t    s.t.  S ⪰ 0,  −t I ⪯ M − S ⪯ t I
    with skip = (m, ρ): S = mmᵀ/ρ + T, T ⪰ 0 and C = M − mmᵀ/ρ in place of S and M (then s = m).
    Two d×d blocks; a spectral-norm atom would make one of side 2d.

    Dual: max ⟨R, C⟩ − β‖R‖_* (+ (β_g/2)‖m‖²/ρ)  s.t.  R ⪯ (β_g/2) I   (norm bound: ‖R‖_* ≤ 1, no β).

    Args:
        M: second moment of the real data, shape (d, d).
        beta: β_d, or None for the norm bound.
        strength: β_g.
        skip: (m, ρ), the first moment (d,) and ρ > 0, for the linear skip connection.
        dualize: hand the solver the dual program; None decides by size. Measured with Clarabel, primal and
            dual in seconds: 0.06 and 0.06 at d = 20, 0.33 and 0.31 at 30, 1.4 and 1.2 at 40, 9.9 and 5.6 at
            60; the primal is more accurate (1e-12 against 1e-10). So: the dual above d = 40, unless
            ``natural``.
        natural: keep the user's units (for export).

    Returns:
        ConicModel: values "S" (d, d) (skip: also "T"; norm bound: also "t"); multipliers "R" (d, d).

    Raises:
        InputError: skip with ρ = 0 and m ≠ 0 (no generator has s = m).

    Reference: Corollaries 3.2 and 3.3; Appendix C.2, eq. 36.

    >>> import numpy as np
    >>> from convexwgan.solvers.conic import run
    >>> result = run(covariance_program(np.diag([3.0, 1.0]), beta=2.0, strength=1.0))
    >>> print(round(result.objective, 6))
    0.5
    """
    shift, offset = _skip_shift(M, skip, strength)
    C = (M - shift + (M - shift).T) / 2
    units = _units(C, beta, strength, natural)
    is_dual = len(C) > _LARGEST_PRIMAL and not natural if dualize is None else dualize
    builder = _dual_form if is_dual else _primal_form
    return builder(C, shift, offset, beta, strength, units, skip is not None)


def _skip_shift(M: Float64, skip: tuple[Float64, float] | None, strength: float) -> tuple[Float64, float]:
    """mmᵀ/ρ and its cost (β_g/2)‖m‖²/ρ."""
    if skip is None or not np.any(skip[0]):
        return np.zeros_like(M), 0.0
    m, rho = skip
    if not rho > 0:
        remedy = "every generated sum is then 0 and s = m has no solution: give Z a constant column"
        raise InputError("rho of the skip program", rho, "be > 0 unless m = 0", remedy)
    return np.outer(m, m) / rho, strength / 2 * float(m @ m) / rho


def _units(C: Float64, beta: float | None, strength: float, natural: bool) -> _Units:
    if natural:
        return _Units(1.0, 1.0)
    u = positive_or_one(max(float(np.linalg.norm(C, 2)), beta or 0.0))
    return _Units(u, strength * u if beta is not None else min(strength, 1.0) * u)


def _primal_form(
    C: Float64, shift: Float64, offset: float, beta: float | None, strength: float, units: _Units, skip: bool
) -> ConicModel:
    cp = load_cvxpy()

    d, u, q = len(C), units.u, units.q
    T = cp.Variable((d, d), symmetric=True, name="T" if skip else "S")
    t = cp.Variable(name="t") if beta is None else beta / u
    cost = strength * u / (2 * q) * cp.trace(T) + (u / q * t if beta is None else 0.0)
    ball = t * cp.Constant(np.eye(d))
    above, below = ball - (C / u - T) >> 0, ball + (C / u - T) >> 0
    problem = cp.Problem(cp.Minimize(cost + offset / q), [T >> 0, above, below])

    def unpack() -> Values:
        values = {"S": shift + primal(T, u)}
        return values | ({"T": primal(T, u)} if skip else {}) | ({"t": primal(t, u)} if beta is None else {})

    def multipliers() -> Values:  # R = P − Q
        return {"R": dual(above, q / u) - dual(below, q / u)}

    return ConicModel("covariance", problem, _named(T, t), unpack, multipliers, q)


def _dual_form(
    C: Float64, shift: Float64, offset: float, beta: float | None, strength: float, units: _Units, skip: bool
) -> ConicModel:
    """max ⟨P − Q, C⟩ − β tr(P + Q) s.t. P, Q ⪰ 0, (β_g/2) I − P + Q ⪰ 0 (norm bound: tr(P + Q) ≤ 1)."""
    cp = load_cvxpy()

    d, u, q = len(C), units.u, units.q
    P, Q = (cp.Variable((d, d), symmetric=True, name=name) for name in "PQ")
    N = cp.Constant(strength * u / (2 * q) * np.eye(d)) - P + Q >> 0
    gain = cp.trace((P - Q) @ (C / u)) - (0.0 if beta is None else beta / u * cp.trace(P + Q))
    budget = [cp.trace(P + Q) <= u / q] if beta is None else []
    problem = cp.Problem(cp.Maximize(gain + offset / q), [P >> 0, Q >> 0, N, *budget])

    def unpack() -> Values:  # S is the multiplier of N ⪰ 0, t that of the budget
        T = dual(N, u)
        values = {"S": shift + T}
        return values | ({"T": T} if skip else {}) | ({"t": dual(budget[0], u)} if budget else {})

    def multipliers() -> Values:
        return {"R": primal(P, q / u) - primal(Q, q / u)}

    return ConicModel("covariance", problem, _named(P, Q), unpack, multipliers, q)


def _named(*candidates: Any) -> dict[str, Any]:
    return {entry.name(): entry for entry in candidates if hasattr(entry, "name")}
