"""The fully corrective master: the best weights on given neurons, with its multiplier, by a primal–dual method.

    min Σ_j ‖v_j‖ + ⟨C, G − ΦV⟩ + (1/2β)‖G − ΦV‖_F²        Φ (n, k) the features (Zu_j)₊
    max ⟨R, G⟩ − (β/2)‖R − C‖_F²   s.t.  ‖Rᵀφ_j‖₂ ≤ 1 for every j

β with C = 0 is the soft form divided by β; β → 0 is the equality ΦV = G; with C the last multiplier it is one step of
the method of multipliers, which reaches equality at any β.

Each pair x_j = (t_j, v_j) ≥ 0, s_j = (1, −Rᵀφ_j) ≥ 0 lies in a second-order cone of side d + 1. Newton's equations
with Nesterov–Todd scaling W_j leave one system in R, (βI + Σ_j φ_jφ_jᵀ ⊗ M_j) ΔR = …, M_j the lower block of W_j².
R stays feasible for the columns, so ⟨R, G⟩ over the pricing maximum is a lower bound at every iteration.

Reference: Nesterov and Todd (1997); Mehrotra's predictor–corrector; Vandenberghe, "The CVXOPT linear and quadratic cone
program solvers" (2010) for the scalings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from convexwgan.arrays import Float64

_BACK = 0.99
_REFINEMENTS = 3
EQUAL = 1e-10
"""No smaller residual, relative to ‖G‖, is asked for: far below what counts as equality."""
_RESIDUAL = 1e-2


@dataclass(frozen=True)
class MasterResult:
    """Weights V (k, d), multiplier R (n, d), complementarity gap Σ⟨x_j, s_j⟩, ‖residual‖_F, iterations."""

    V: Float64
    R: Float64
    gap: float
    residual: float
    iterations: int


def solve_master(
    Phi: Float64,
    G: Float64,
    beta: float,
    center: Float64,
    start: Float64,
    *,
    mu: float,
    tol: float = 1e-8,
    max_iter: int = 60,
) -> MasterResult:
    """Optimal (V, R) of the master for the features Φ.

    Args:
        Phi: features (n, k).
        G: target (n, d).
        beta: β ≥ 0; 0 needs features of full row rank.
        center: C (n, d).
        start: strictly feasible R: ‖Rᵀφ_j‖ < 1 for all j.
        mu: where on the central path to begin; about the expected gap over k.
        tol: stop when the gap is below tol·cost, and the residual below max(tol/100, EQUAL)·‖G‖.
        max_iter: Newton steps.
    """
    R = start.copy()
    s = _dual_cone(Phi, R)
    x = mu * _inverse(s)
    done = 0
    for done in range(max_iter + 1):
        residual = G - Phi @ x[:, 1:] - beta * (R - center)
        gap = float(np.vdot(x, s))
        size = float(np.linalg.norm(residual))
        cost = float(np.linalg.norm(x[:, 1:], axis=1).sum())
        is_feasible = size <= max(_RESIDUAL * tol, EQUAL) * float(np.linalg.norm(G))
        if done == max_iter or (gap <= tol * max(cost, tol) and is_feasible):
            break
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # near the boundary; checked below
            step = _newton(Phi, beta, residual, x, s, gap)
        if step is None:
            break
        dx, dR, ds = step
        alpha = min(1.0, _BACK * _longest(x, dx)), min(1.0, _BACK * _longest(s, ds))
        if beta > 0:
            alpha = (min(alpha),) * 2
        next_x, next_R = x + alpha[0] * dx, R + alpha[1] * dR
        next_s = _dual_cone(Phi, next_R)
        if max(alpha) < 1e-8 or not (_is_inside(next_x) and _is_inside(next_s)):
            break
        x, R, s = next_x, next_R, next_s
    return MasterResult(x[:, 1:], R, gap, size, done)


def _newton(
    Phi: Float64, beta: float, residual: Float64, x: Float64, s: Float64, gap: float
) -> tuple[Float64, Float64, Float64] | None:
    """Mehrotra's direction (Δx, ΔR, Δs): affine step, then centring by its success with second-order correction."""
    k, d1 = x.shape
    w, eta = _scaling(x, s)
    lam = _apply(w, eta, s)
    factor = _schur(Phi, beta, w, eta)
    if factor is None:
        return None
    mu = gap / k

    def direction(target: Float64) -> tuple[Float64, Float64, Float64]:
        q = _apply(w, eta, _divide(lam, target))
        dR, dx = np.zeros_like(residual), q
        for _ in range(_REFINEMENTS):  # the system is ill-conditioned near the boundary
            dR = dR + _solve(factor, residual - Phi @ dx[:, 1:] - beta * dR)
            ds = np.hstack([np.zeros((k, 1)), -(Phi.T @ dR)])
            dx = q - _apply(w, eta, _apply(w, eta, ds))
        return dx, dR, ds

    squared = _product(lam, lam)
    dx, _, ds = direction(-squared)
    alpha = min(1.0, _longest(x, dx), _longest(s, ds))
    sigma = max((1.0 - alpha) ** 3, 1e-6)
    identity = np.zeros(d1)
    identity[0] = 1.0
    if not (np.isfinite(dx).all() and np.isfinite(ds).all()):
        return None
    correction = _product(_apply(_flipped(w), 1.0 / eta, dx), _apply(w, eta, ds))
    final = direction(sigma * mu * identity - squared - correction)
    return final if all(np.isfinite(part).all() for part in final) else None


def _schur(Phi: Float64, beta: float, w: Float64, eta: Float64) -> Float64 | None:
    """Cholesky factor of βI + Σ_j φ_jφ_jᵀ ⊗ M_j, M_j = η_j²(I + 2w₁w₁ᵀ), ordered by output then row."""
    n, d = Phi.shape[0], w.shape[1] - 1
    S = np.empty((d, n, d, n))
    for a in range(d):
        for b in range(a + 1):
            weight = 2.0 * w[:, 1 + a] * w[:, 1 + b] + (1.0 if a == b else 0.0)
            block = (Phi * (eta**2 * weight)) @ Phi.T
            S[a, :, b, :] = block
            S[b, :, a, :] = block
    S = S.reshape(n * d, n * d)
    diagonal = S.diagonal().copy()
    shift = beta
    for _ in range(8):
        S[np.diag_indices_from(S)] = diagonal + shift
        factor, info = lapack.dpotrf(S, lower=1, clean=0)
        if info == 0:
            return np.asarray(factor)
        shift = max(100.0 * shift, 1e-15 * float(diagonal.max()))
    return None


def _solve(factor: Float64, rhs: Float64) -> Float64:
    n, d = rhs.shape
    solution, _ = lapack.dpotrs(factor, np.ascontiguousarray(rhs.T).ravel(), lower=1)
    return np.asarray(solution).reshape(d, n).T


def _dual_cone(Phi: Float64, R: Float64) -> Float64:
    """s_j = (1, −Rᵀφ_j), shape (k, d + 1)."""
    return np.hstack([np.ones((Phi.shape[1], 1)), -(Phi.T @ R)])


# ------------------------------------------------------ second-order cones, one a row: (y₀, y₁), ‖y₁‖ ≤ y₀


def _det(y: Float64) -> Float64:
    size = np.sqrt((y[:, 1:] ** 2).sum(axis=1))
    determinant: Float64 = (y[:, 0] - size) * (y[:, 0] + size)
    return np.maximum(determinant, 1e-300)


def _is_inside(y: Float64) -> bool:
    """Whether every row is finite and strictly inside its cone, as far as rounding tells."""
    return bool(np.isfinite(y).all() and (y[:, 0] - np.sqrt((y[:, 1:] ** 2).sum(axis=1)) > 0).all())


def _flipped(y: Float64) -> Float64:
    return np.hstack([y[:, :1], -y[:, 1:]])


def _inverse(y: Float64) -> Float64:
    return _flipped(y) / _det(y)[:, None]


def _product(y: Float64, z: Float64) -> Float64:
    return np.hstack([(y * z).sum(axis=1, keepdims=True), y[:, :1] * z[:, 1:] + z[:, :1] * y[:, 1:]])


def _divide(y: Float64, z: Float64) -> Float64:
    """The u with y∘u = z."""
    u0 = (y * _flipped(z)).sum(axis=1) / _det(y)
    return np.hstack([u0[:, None], (z[:, 1:] - u0[:, None] * y[:, 1:]) / y[:, :1]])


def _scaling(x: Float64, s: Float64) -> tuple[Float64, Float64]:
    """Nesterov–Todd: w (k, d + 1) of determinant 1 and η (k,) with W⁻¹x = Ws."""
    dx, ds = np.sqrt(_det(x)), np.sqrt(_det(s))
    x, s = x / dx[:, None], s / ds[:, None]
    gamma = np.sqrt((1.0 + (x * s).sum(axis=1)) / 2.0)
    return (x + _flipped(s)) / (2.0 * gamma)[:, None], np.sqrt(dx / ds)


def _apply(w: Float64, eta: Float64, y: Float64) -> Float64:
    """Wy = η (wᵀy, y₀w₁ + y₁ + (w₁ᵀy₁)/(1 + w₀) w₁)."""
    inner = (w[:, 1:] * y[:, 1:]).sum(axis=1)
    first = w[:, 0] * y[:, 0] + inner
    rest = y[:, 1:] + (y[:, 0] + inner / (1.0 + w[:, 0]))[:, None] * w[:, 1:]
    scaled: Float64 = np.asarray(eta)[:, None] * np.hstack([first[:, None], rest])
    return scaled


def _longest(y: Float64, dy: Float64) -> float:
    """The largest α with y + α dy in every cone; dy in units of its largest entry, whose square may overflow."""
    size = np.abs(dy).max(axis=1)
    size = np.where(size > 0.0, size, 1.0)
    dy = dy / size[:, None]
    a = dy[:, 0] ** 2 - (dy[:, 1:] ** 2).sum(axis=1)
    b = y[:, 0] * dy[:, 0] - (y[:, 1:] * dy[:, 1:]).sum(axis=1)
    c = _det(y)
    root = np.sqrt(np.maximum(b**2 - a * c, 0.0))
    # the smallest positive root of aα² + 2bα + c, in the form without cancellation
    q = -(b + np.where(b >= 0, 1.0, -1.0) * root)
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack([q / a, c / q, np.where(dy[:, 0] < 0, -y[:, 0] / dy[:, 0], np.inf)]) / size
    real = np.stack([b**2 >= a * c] * 2 + [np.ones(len(a), dtype=bool)])
    return float(np.where(np.isfinite(roots) & (roots > 0) & real, roots, np.inf).min(initial=np.inf))
