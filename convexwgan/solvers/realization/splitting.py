"""Equality at sizes where no dense Newton system fits: columns by local ascent, weights by operator splitting.

    min Σ_j ‖v_j‖  s.t.  ΦV = G        alternating direction method of multipliers, scaled dual S:

    X ← Y − S − Φᵀ(ΦΦᵀ)⁻¹(Φ(Y − S) − G),   Y ← shrink(X + S, 1/ρ),   S ← S + X − Y

One Cholesky factor of ΦΦᵀ (n, n) serves all iterations. X meets ΦX = G at each of them, so that every answer is a
feasible network; ρS = ΦᵀR at a solution names the multiplier, whose local maxima are the next neurons. With more
neurons than rows equality leaves freedom; with fewer, as in the 2k neurons of a target in the range of Z, it is rigid.

Reference: Boyd et al., "Distributed optimization and statistical learning via ADMM" (2011), basis pursuit.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from convexwgan.arrays import Float64
from convexwgan.geometry.ascent import gains
from convexwgan.solvers.realization.limits import Watch
from convexwgan.solvers.realization.multipliers import Incumbent, note
from convexwgan.solvers.realization.oracle import Oracle, apart, unit_rows

_ROUNDS = 15
_ITERATIONS = 1500
_CHECK = 25
_OVER = 1.6
_RIDGE = 1e-13
_ENOUGH = 1e-4
_SUPPORT = (1e-3, 1e-4, 1e-6)
_PATIENCE = 4
_MOST_NEW, _APART = 1000, 0.9999
"""Neurons a round; ascents from neurons of the incumbent end beside them, and would double them every round."""


def basis_pursuit(Phi: Float64, G: Float64, V: Float64, *, tol: float = 1e-6) -> tuple[Float64, Float64]:
    """Weights V (k, d) with ΦV = G of nearly least Σ‖v_j‖, and the multiplier R (n, d).

    Args:
        Phi: features (n, k) of full row rank, k > n for any freedom.
        G: target (n, d).
        V: where to start (k, d); 0 for the weights of least norm.
        tol: stop when the change of a step is below tol relative to the iterate.
    """
    scale = np.linalg.norm(Phi, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    gram = Phi @ Phi.T
    gram[np.diag_indices_from(gram)] += _RIDGE * float(np.trace(gram))
    factor = scipy.linalg.cho_factor(gram, lower=True, check_finite=False)

    def solve(B: Float64) -> Float64:
        return np.asarray(scipy.linalg.cho_solve(factor, B, check_finite=False))

    Y = V.copy() if V.any() else Phi.T @ solve(G)  # ρ is read off the size of the start
    S = np.zeros_like(V)
    rho = 10.0 * len(Y) / max(float(np.linalg.norm(Y, axis=1).sum()), 1e-300) / Y.shape[1] ** 0.5
    for iteration in range(_ITERATIONS):
        A = Y - S
        X = A - Phi.T @ solve(Phi @ A - G)
        mixed = _OVER * X + (1.0 - _OVER) * Y
        before, Y = Y, _shrunk(mixed + S, 1.0 / rho)
        S = S + mixed - Y
        if iteration % _CHECK == _CHECK - 1:
            primal, dual = float(np.linalg.norm(X - Y)), float(np.linalg.norm(Y - before))
            if max(primal, dual) <= tol * float(np.linalg.norm(X)):
                break
            factor_rho = 2.0 if primal < 0.1 * dual else 0.5 if dual < 0.1 * primal else 1.0
            rho, S = rho / factor_rho, S * factor_rho
    return X, solve(Phi @ (rho * S))


def corrective_rounds(
    Z: Float64, G: Float64, slid: Float64, oracle: Oracle, watch: Watch, incumbent: Incumbent, tol: float, unit: float
) -> None:
    """Rounds of basis pursuit and local ascent, neurons only added; improves the incumbent in place.

    Args:
        Z: latents (n, r).
        G: target (n, d).
        slid: directions found by sliding (k, r); the first columns beside the incumbent's and the rows of ±Z.
        oracle: local ascent.
        watch: limits and history.
        incumbent: improved in place; its network, if any, is where basis pursuit starts.
        tol: relative gap to reach.
        unit: scaled cost in the user's units, for the history.
    """
    n, r = Z.shape
    random = unit_rows(oracle.rng.standard_normal((n, r)))
    U = np.vstack([incumbent.U, slid, unit_rows(Z), unit_rows(-Z), random])
    V = np.zeros((len(U), G.shape[1]))
    V[: len(incumbent.U)] = incumbent.V
    vain = 0
    for _ in range(_ROUNDS):
        before = incumbent.upper
        V, R = basis_pursuit(np.maximum(Z @ U.T, 0.0), G, V)
        _offer_supports(Z, G, U, V, incumbent)
        found = oracle.ascended(R, 4 * oracle.starts, incumbent.U)
        values = gains(Z, R, found)
        price = float(values.max())
        incumbent.offer_multiplier(G, R, price, False)
        note(watch, incumbent, unit, price, len(incumbent.U), "splitting")
        vain = vain + 1 if before - incumbent.upper <= _ENOUGH * incumbent.upper else 0
        if incumbent.is_done(tol) or watch.is_over or vain == _PATIENCE:
            return
        new = apart(found, values, _MOST_NEW, 1.0, _APART)
        U, V = np.vstack([U, new]), np.vstack([V, np.zeros((len(new), G.shape[1]))])


def _offer_supports(Z: Float64, G: Float64, U: Float64, V: Float64, incumbent: Incumbent) -> None:
    """The whole network, and the ones left when small neurons are dropped and the rest repaired."""
    size = np.linalg.norm(V, axis=1)
    incumbent.offer_network(Z, G, U, V)
    for share in _SUPPORT:
        used = size > share * size.max()
        incumbent.offer_network(Z, G, U[used], V[used])


def _shrunk(A: Float64, threshold: float) -> Float64:
    """Group soft threshold: (1 − threshold/‖a_j‖)₊ a_j."""
    size = np.linalg.norm(A, axis=1, keepdims=True)
    return A * np.maximum(0.0, 1.0 - threshold / np.where(size > 0, size, np.inf))
