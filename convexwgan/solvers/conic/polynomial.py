"""Polynomial discriminators: both moments matched through the S-lemma (MATH 1.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.solvers.conic.model import ConicModel, Values, dual, load_cvxpy, positive_or_one, primal


@dataclass(frozen=True)
class _Units:
    """S = u S', s = v s' with v² = ρu (the Schur block keeps its shape), dist = k dist', value = q value'."""

    u: float
    v: float
    k: float
    q: float


@dataclass(frozen=True)
class _Data:
    M: Float64
    m: Float64
    coefficients: tuple[float, float, float]
    mass_gap: float
    rho: float


def polynomial_program(
    M: Float64,
    m: Float64,
    *,
    coefficients: tuple[float, float, float],
    mass_gap: float,
    rho: float,
    beta: float | None,
    strength: float,
    natural: bool = False,
) -> ConicModel:
    """Match (S, s) to (M, m) against every neuron σ(t) = at² + bt + c, at the least trace.

    Problem (norm bound, beta None: t in place of β, and + t in the objective):
        min (β_g/2) tr S   s.t.   [[S, s], [sᵀ, ρ]] ⪰ 0   and for both signs ε = ±1 some λ_ε ≥ 0 with
        [[λ I − εa(M − S), −εb(m − s)/2], [·, β − λ − εc·mass_gap]] ⪰ 0        (S-lemma)

    The multiplier Y_ε = [[U, w], [wᵀ, τ]] ⪰ 0 of the block ε, tr U ≤ τ, is a sum of neurons:
    Y_ε = Σ_j |v_j| [u_j; 1][u_j; 1]ᵀ with ‖u_j‖ ≤ 1 and sign(v_j) = ε. With R = aΣv uuᵀ, y = bΣv u,
    κ = cΣv and N = (β_g/2) I − R ⪰ 0 the bound is
        ⟨R, M⟩ + yᵀm + κ·mass_gap − βΣ|v| − (ρ/4) yᵀN⁺y      (norm bound: Σ|v| ≤ 1, no β).

    Args:
        M, m: moments of the real data, shapes (d, d) and (d,).
        coefficients: (a, b, c) of the activation.
        mass_gap: n_r − n_f (0 for means).
        rho: ρ of the generator; 0 forces s = 0.
        beta: β_d, or None for the norm bound.
        strength: β_g.
        natural: keep the user's units (for export).

    Returns:
        ConicModel: values "S", "s" (norm bound: "t"); multipliers "Y_plus", "Y_minus" ((d+1, d+1)).

    Reference: MATH 1.4 (S-lemma, Yakubovich 1971). Beta below |c·mass_gap| is infeasible.

    >>> import numpy as np
    >>> from convexwgan.solvers.conic import run
    >>> model = polynomial_program(
    ...     np.diag([3.0, 1.0]),
    ...     np.zeros(2),
    ...     coefficients=(1.0, 0.0, 0.0),
    ...     mass_gap=0.0,
    ...     rho=5.0,
    ...     beta=2.0,
    ...     strength=1.0,
    ... )
    >>> print(round(run(model).objective, 6))
    0.5
    """
    data = _Data((M + M.T) / 2, m, coefficients, mass_gap, rho)
    units = _units(data, beta, strength, natural)
    return _build("polynomial", data, beta, strength, units)


def phase_one(
    M: Float64,
    m: Float64,
    *,
    coefficients: tuple[float, float, float],
    mass_gap: float,
    rho: float,
    natural: bool = False,
) -> ConicModel:
    """The smallest dist that any moments (S, s) attain: above β_d, the program is infeasible.

    Problem: min t over (S, s) as in ``polynomial_program`` without its cost. The multipliers, scaled to
    infinity, are the evidence: with N = −R ⪰ 0, ⟨R, M⟩ + yᵀm + κ·mass_gap − (ρ/4) yᵀN⁺y = t*, Σ|v| = 1.

    Args, Returns: as ``polynomial_program``, with "t" among the values.

    >>> import numpy as np
    >>> from convexwgan.solvers.conic import run
    >>> model = phase_one(np.eye(2), np.ones(2), coefficients=(0.0, 1.0, 0.0), mass_gap=0.0, rho=0.0)
    >>> print(round(run(model).objective, 6))
    1.414214
    """
    data = _Data((M + M.T) / 2, m, coefficients, mass_gap, rho)
    return _build("phase_one", data, None, 0.0, _units(data, None, 0.0, natural))


def _units(data: _Data, beta: float | None, strength: float, natural: bool) -> _Units:
    if natural:
        return _Units(1.0, 1.0, 1.0, 1.0)
    a, b, c = data.coefficients
    size = float(np.linalg.norm(data.m))
    second = float(np.linalg.norm(data.M, 2)) if a else 0.0
    first = size**2 / data.rho if b and data.rho > 0 else 0.0  # S ⪰ ssᵀ/ρ where s = m, but |a|‖M − S‖ ≤ 2 dist
    reach = (abs(b) * size if beta is None else beta) / abs(a) if a else math.inf
    u = positive_or_one(max(second, min(first, reach)))
    v = math.sqrt(data.rho * u) if data.rho > 0 else positive_or_one(size)
    k = positive_or_one(max(abs(a) * u, abs(b) * max(v, size), abs(c * data.mass_gap), beta or 0.0))
    costs = [strength * u] * (strength > 0) + [k] * (beta is None)
    return _Units(u, v, k, min(costs))


def _build(name: str, data: _Data, beta: float | None, strength: float, units: _Units) -> ConicModel:
    cp = load_cvxpy()

    d, (a, b, _) = len(data.m), data.coefficients
    has_cost, u, v, k, q = strength > 0, units.u, units.v, units.k, units.q
    # Without cost and without a, S is in no constraint but its own: S = ssᵀ/ρ will do.
    has_second, has_first = has_cost or a != 0, data.rho > 0 and (has_cost or a != 0 or b != 0)
    S = cp.Variable((d, d), symmetric=True, name="S") if has_second else np.zeros((d, d))
    s = cp.Variable(d, name="s") if has_first else np.zeros(d)
    t = cp.Variable(name="t") if beta is None else beta / k
    lambdas = [cp.Variable(nonneg=True, name=f"lambda_{sign}") for sign in ("plus", "minus")]
    blocks = [_s_lemma(data, units, S, s, t, lam, sign) for lam, sign in zip(lambdas, (1, -1), strict=True)]
    cost = strength * u / (2 * q) * cp.trace(S) + (k / q * t if beta is None else 0.0)
    realizable = [_schur(S, s, data.rho * u / v**2)] if has_second else []
    problem = cp.Problem(cp.Minimize(cost), [*blocks, *realizable])

    def unpack() -> Values:
        first = primal(s, v) if has_first else np.zeros(d)
        least = np.outer(first, first) / data.rho if data.rho > 0 else np.zeros((d, d))
        values = {"S": primal(S, u) if has_second else least, "s": first}
        return values | ({"t": primal(t, k)} if beta is None else {})

    def multipliers() -> Values:
        return {"Y_plus": _moment_matrix(dual(blocks[0], q / k)), "Y_minus": _moment_matrix(dual(blocks[1], q / k))}

    named = {entry.name(): entry for entry in (S, s, t, *lambdas) if isinstance(entry, cp.Variable)}
    return ConicModel(name, problem, named, unpack, multipliers, q)


def _moment_matrix(Y: Float64) -> Float64:
    """A nearby matrix that is one of moments on the unit ball: Y ⪰ 0 and tr U ≤ τ, up to rounding.

    The solver's noise would otherwise spoil the decomposition of a Y that should be zero.
    """
    if np.max(np.abs(Y)) < 1e-140:  # its products would leave float64
        return np.zeros_like(Y)
    values, vectors = np.linalg.eigh(Y)
    repaired: Float64 = (vectors * np.maximum(values, 0.0)) @ vectors.T
    repaired[-1, -1] = max(repaired[-1, -1], np.trace(repaired[:-1, :-1]))
    return repaired


def _s_lemma(data: _Data, units: _Units, S: Any, s: Any, t: Any, lam: Any, sign: int) -> Any:
    """[[λ I − εa(M − S), −εb(m − s)/2], [·, β − λ − εc·mass_gap]] ⪰ 0, all divided by k."""
    cp = load_cvxpy()

    a, b, c = data.coefficients
    A = (sign * a * units.u / units.k) * (data.M / units.u - S)
    g = cp.reshape((sign * b * units.v / units.k) * (data.m / units.v - s), (len(data.m), 1), order="F")
    corner = cp.reshape(t - lam - sign * c * data.mass_gap / units.k, (1, 1), order="F")
    return cp.bmat([[lam * np.eye(len(data.m)) - A, -g / 2], [-g.T / 2, corner]]) >> 0


def _schur(S: Any, s: Any, corner: float) -> Any:
    """[[S, s], [sᵀ, ρ]] ⪰ 0; where ρ = 0 (then s = 0), S ⪰ 0."""
    cp = load_cvxpy()

    if not isinstance(s, cp.Variable):
        return S >> 0
    column = cp.reshape(s, (s.size, 1), order="F")
    return cp.bmat([[S, column], [column.T, np.full((1, 1), corner)]]) >> 0
