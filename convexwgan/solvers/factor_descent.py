"""``factor="optimised"``: of all outputs with the same moments, one that needs small weights (MATH 3.8).

    min ½(‖W₁‖_F² + ‖W₂‖_F²)   s.t.   GᵀG = S,  (1ᵀG = sᵀ),   G = (NW₁)₊W₂

Not convex: an augmented Lagrangian with L-BFGS from several starts, among them the best network of the given output.
With S = QD²Qᵀ the network is written (NW₁)₊W·DQᵀ, so that the constraint is LᵀL = I for L = (NW₁)₊W. How far the
result may be from the optimum is told by the bracket of ``certificates.weights``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from convexwgan.arrays import Float64
from convexwgan.geometry.reachability import reachable_outputs
from convexwgan.solvers.realization.types import ReluNeurons

_STARTS = 4
_PENALTIES = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
_STEPS = 150
_GAIN = 1e-6
_RANK = 1e-10


@dataclass(frozen=True, eq=False)
class FactorCandidate:
    """Another output with the moments of the given one, shape (n, d_r), and a network near it."""

    G: Float64
    neurons: ReluNeurons


@dataclass(frozen=True, eq=False)
class _Scaled:
    """N' = N/‖N‖₂, the singular values D of G/‖G‖_F, and what L must sum to (None: free)."""

    N: Float64
    D: Float64
    sums: Float64 | None


def optimised_factor(
    N: Float64,
    G: Float64,
    neurons: ReluNeurons,
    *,
    keeps_mean: bool = False,
    time_limit: float | None = None,
    warm_start: ReluNeurons | None = None,
    rng: int | np.random.Generator = 0,
) -> FactorCandidate | None:
    """An output with the same GᵀG (and sums) whose network is cheaper than ``neurons``; None where none was found.

    Args:
        N: network input, shape (n, p). G: an output, shape (n, d_r), not 0.
        neurons: the best network known for G.
        keeps_mean: whether 1ᵀG must stay too.
        time_limit: seconds.
        warm_start: further neurons to start from.
        rng: seed or Generator of the random starts.

    Reference: MATH 3.8.

    >>> N, G = np.eye(2), np.array([[1.0], [1.0]])
    >>> found = optimised_factor(np.diag([1.0, 3.0]), G, ReluNeurons(np.eye(2), np.array([[1.0], [1 / 3]])))
    >>> np.abs(found.G).round(6).ravel().tolist()
    [0.0, 1.414214]
    """
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    P, d, Qt = np.linalg.svd(G, full_matrices=False)
    q = int((d > _RANK * d[0]).sum())
    L0, d, Qt = P[:, :q], d[:q], Qt[:q]
    zeta, gamma = float(np.linalg.norm(N, 2)), float(np.linalg.norm(d))
    problem = _Scaled(N / zeta, d / gamma, L0.sum(axis=0) if keeps_mean else None)
    best: FactorCandidate | None = None
    cost = neurons.cost * (1.0 - _GAIN)
    for W1, W in _starts(problem, [neurons, warm_start], Qt, np.random.default_rng(rng)):
        if deadline is not None and time.perf_counter() > deadline:
            break
        found = _candidate(N, problem, *_descended(problem, W1, W, deadline), gamma, Qt)
        if found is not None and found.neurons.cost < cost:
            best, cost = found, found.neurons.cost
    return best


def _starts(
    problem: _Scaled, known: list[ReluNeurons | None], Qt: Float64, rng: np.random.Generator
) -> list[tuple[Float64, Float64]]:
    """(W₁, W) of the known networks, and of random directions with W making L orthonormal."""
    starts = []
    for neurons in known:
        if neurons is not None and len(neurons.u) and neurons.u.shape[1] == problem.N.shape[1]:
            starts.append(_orthonormal_start(problem, neurons.u, neurons.v @ Qt.T / problem.D))
    q, p = len(problem.D), problem.N.shape[1]
    for _ in range(_STARTS):
        u = rng.standard_normal((2 * q + 2, p))
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        starts.append(_orthonormal_start(problem, u, rng.standard_normal((len(u), q))))
    return [start for start in starts if start is not None]


def _orthonormal_start(problem: _Scaled, u: Float64, W: Float64) -> tuple[Float64, Float64] | None:
    """Balanced (W₁, W) with W turned so that LᵀL = I; None where the directions are too few."""
    L = np.maximum(problem.N @ u.T, 0.0) @ W
    values, vectors = np.linalg.eigh(L.T @ L)
    if not values[0] > 1e-12 * values[-1]:
        return None
    W = W @ (vectors / np.sqrt(values)) @ vectors.T
    size = np.sqrt(np.linalg.norm(W * problem.D, axis=1))
    return u.T * size, W / np.where(size > 0, size, 1.0)[:, None]


def _descended(problem: _Scaled, W1: Float64, W: Float64, deadline: float | None) -> tuple[Float64, Float64]:
    """The augmented Lagrangian's rounds: multipliers Λ, λ updated, penalty ×4."""
    q, shape, m = len(problem.D), W1.shape, W.shape[0]
    Lambda, lam = np.zeros((q, q)), np.zeros(q)
    cost = 0.5 * float(np.sum(W1**2) + np.sum((W * problem.D) ** 2))
    for penalty in _PENALTIES:
        mu = penalty * cost / q

        def value(x: Float64, mu: float = mu, Lambda: Float64 = Lambda, lam: Float64 = lam) -> tuple[float, Float64]:
            return _lagrangian(problem, x[: W1.size].reshape(shape), x[W1.size :].reshape(m, q), mu, Lambda, lam)

        x = np.concatenate([W1.ravel(), W.ravel()])
        x = minimize(value, x, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "maxcor": 20}).x
        W1, W = x[: W1.size].reshape(shape), x[W1.size :].reshape(m, q)
        E, e = _residuals(problem, np.maximum(problem.N @ W1, 0.0) @ W)
        Lambda, lam = Lambda + mu * E, lam + mu * e
        if deadline is not None and time.perf_counter() > deadline:
            break
    return W1, W


def _lagrangian(
    problem: _Scaled, W1: Float64, W: Float64, mu: float, Lambda: Float64, lam: Float64
) -> tuple[float, Float64]:
    """½(‖W₁‖² + ‖WD‖²) + ⟨Λ, E⟩ + ⟨λ, e⟩ + (μ/2)(‖E‖² + ‖e‖²), E = LᵀL − I, e = Lᵀ1 − sums; and its gradient."""
    D = problem.D
    active = problem.N @ W1
    Phi = np.maximum(active, 0.0)
    L = Phi @ W
    E, e = _residuals(problem, L)
    value = 0.5 * float(np.sum(W1**2) + np.sum((W * D) ** 2))
    value += float(np.sum(Lambda * E) + lam @ e) + 0.5 * mu * float(np.sum(E**2) + e @ e)
    slope = 2.0 * L @ (Lambda + mu * E)
    if problem.sums is not None:
        slope = slope + (lam + mu * e)[None, :]
    first = problem.N.T @ ((slope @ W.T) * (active > 0.0)) + W1
    second = Phi.T @ slope + W * D**2
    return value, np.concatenate([first.ravel(), second.ravel()])


def _residuals(problem: _Scaled, L: Float64) -> tuple[Float64, Float64]:
    E = L.T @ L - np.eye(len(problem.D))
    return E, np.zeros(len(problem.D)) if problem.sums is None else L.sum(axis=0) - problem.sums


def _candidate(
    N: Float64, problem: _Scaled, W1: Float64, W: Float64, gamma: float, Qt: Float64
) -> FactorCandidate | None:
    """The output with LᵀL = I and the sums exactly, and the network moved along; None where that is far away."""
    lengths = np.linalg.norm(W1, axis=0)
    alive = lengths > 1e-9 * lengths.max(initial=1e-300)
    u, Phi = (W1[:, alive] / lengths[alive]).T, np.maximum(problem.N @ W1[:, alive], 0.0)
    L = Phi @ W[alive]
    target = _corrected(N, problem, L)
    if target is None:
        return None
    step, *_ = np.linalg.lstsq(Phi, target - L, rcond=1e-10)
    W = W[alive] + step
    scale = gamma / float(np.linalg.norm(N, 2))
    v = scale * lengths[alive, None] * (W * problem.D) @ Qt
    return FactorCandidate(gamma * (target * problem.D) @ Qt, ReluNeurons(u, v))


def _corrected(N: Float64, problem: _Scaled, L: Float64) -> Float64 | None:
    """The nearest LT with orthonormal columns; with fixed sums e sumsᵀ/ρ + (L − e 1ᵀL/ρ)T, e the projection of 1."""
    wanted = np.eye(len(problem.D))
    if problem.sums is None:
        return _transported(L, wanted)
    e = np.asarray(reachable_outputs(N).project(np.ones((len(N), 1))))[:, 0]
    rho = float(e.sum())
    if rho <= 1e-12 * len(N):
        return None
    moved = _transported(L - np.outer(e, L.sum(axis=0)) / rho, wanted - np.outer(problem.sums, problem.sums) / rho)
    return None if moved is None else moved + np.outer(e, problem.sums) / rho


def _transported(L: Float64, wanted: Float64) -> Float64 | None:
    """LT with (LT)ᵀLT = wanted ⪰ 0 and T symmetric: T = C^{−½}(C^½ wanted C^½)^½C^{−½}, C = LᵀL."""
    values, vectors = np.linalg.eigh(L.T @ L)
    kept = values > 1e-10 * values[-1]
    if int(kept.sum()) < np.linalg.matrix_rank(wanted, tol=1e-8, hermitian=True):
        return None
    root = (vectors[:, kept] * np.sqrt(values[kept])) @ vectors[:, kept].T
    inverse = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    inner, frame = np.linalg.eigh(root @ wanted @ root)
    return L @ (inverse @ ((frame * np.sqrt(np.clip(inner, 0.0, None))) @ frame.T) @ inverse)
