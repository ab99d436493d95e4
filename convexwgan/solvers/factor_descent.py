"""``factor="optimised"``: of all outputs with the same moments, one that needs small weights (MATH 3.8).

    min ½(‖W₁‖_F² + ‖W₂‖_F²)   s.t.   GᵀG = S,  (1ᵀG = sᵀ),   G = (NW₁)₊W₂

Not convex: an augmented Lagrangian with L-BFGS from several starts, among them the best network of the given output.
With S = QD²Qᵀ the network is written (NW₁)₊W·DQᵀ, so that the constraint is LᵀL = I for L = (NW₁)₊W, and Lᵀ1 = c.
Where ‖c‖² = ‖P1‖², P the projection on what networks reach, L must contain P1 itself: Lc = P1, n linear equations.
How far the result may be from the optimum is told by the bracket of ``certificates.weights``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from convexwgan.arrays import Float64
from convexwgan.geometry.reachability import reachable_outputs
from convexwgan.solvers.realization.types import ReluNeurons

DEFAULT_SECONDS = 30.0
_STARTS = 4
_PENALTIES = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
_STEPS = 150
_GAIN = 1e-6
_EXACT = 1e-9
_DIRECTIONS, _ASCENTS = 64, 60
_RIGID = 1e-9
_CORRECTIONS = 6
_MOST_WORK = 2e10
_RANK = 1e-10


@dataclass(frozen=True, eq=False)
class FactorCandidate:
    """Another output with the moments of the given one, shape (n, d_r), and a network near it."""

    G: Float64
    neurons: ReluNeurons


@dataclass(frozen=True, eq=False)
class _Scaled:
    """N' = N/‖N‖₂, the singular values D of G/‖G‖_F, and what L must satisfy beside LᵀL = I: left·L·right = value.

    Nothing; its sums, left = 1ᵀ and right = I; or that it contains P1, left = I and right = c.
    """

    N: Float64
    D: Float64
    left: Float64
    right: Float64
    value: Float64

    def linear(self, L: Float64) -> Float64:
        """left·L·right − value."""
        found: Float64 = self.left @ L @ self.right - self.value
        return found


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
        time_limit: seconds, 30 where none are given.
        warm_start: further neurons to start from.
        rng: seed or Generator of the random starts.

    Reference: MATH 3.8.

    >>> N, G = np.eye(2), np.array([[1.0], [1.0]])
    >>> found = optimised_factor(np.diag([1.0, 3.0]), G, ReluNeurons(np.eye(2), np.array([[1.0], [1 / 3]])))
    >>> np.abs(found.G).round(6).ravel().tolist()
    [0.0, 1.414214]
    """
    deadline = time.perf_counter() + (DEFAULT_SECONDS if time_limit is None else time_limit)
    P, d, Qt = np.linalg.svd(G, full_matrices=False)
    q = int((d > _RANK * d[0]).sum())
    L0, d, Qt = P[:, :q], d[:q], Qt[:q]
    zeta, gamma = float(np.linalg.norm(N, 2)), float(np.linalg.norm(d))
    problem = _Scaled(N / zeta, d / gamma, *_mean_constraint(N, L0, keeps_mean))
    best: FactorCandidate | None = None
    cost = neurons.cost * (1.0 - _GAIN)
    for W1, W in _starts(problem, [neurons, warm_start], Qt, np.random.default_rng(rng)):
        if time.perf_counter() > deadline:
            break
        found = _candidate(N, problem, *_descended(problem, W1, W, deadline), gamma, Qt)
        if found is not None and found.neurons.cost < cost:
            best, cost = found, found.neurons.cost
    return best


def _mean_constraint(N: Float64, L0: Float64, keeps_mean: bool) -> tuple[Float64, Float64, Float64]:
    """(left, right, value) of the linear constraint on L; no rows where the mean is free."""
    n, q = L0.shape
    if not keeps_mean:
        return np.zeros((0, n)), np.eye(q), np.zeros((0, q))
    c = L0.sum(axis=0)
    ones = np.asarray(reachable_outputs(N).project(np.ones((n, 1))))
    if float(c @ c) < (1.0 - _RIGID) * float(ones.sum()):
        return np.ones((1, n)), np.eye(q), c[None, :]
    return np.eye(n), c[:, None], ones


def _starts(
    problem: _Scaled, known: list[ReluNeurons | None], Qt: Float64, rng: np.random.Generator
) -> list[tuple[Float64, Float64]]:
    """(W₁, W) of the known networks, of long features that differ, and of random ones; W makes L orthonormal."""
    starts = []
    for neurons in known:
        if neurons is not None and len(neurons.u) and neurons.u.shape[1] == problem.N.shape[1]:
            starts.append(_orthonormal_start(problem, neurons.u, neurons.v @ Qt.T / problem.D))
    q, p = len(problem.D), problem.N.shape[1]
    if not len(problem.value):
        starts.append(_orthonormal_start(problem, _long_features(problem.N, q, rng), np.eye(q)))
    count = 2 * q + 2 + len(problem.value) * (problem.right.shape[1] == 1)
    constant = np.linalg.pinv(problem.N) @ np.ones(len(problem.N))
    for _ in range(_STARTS):
        u = rng.standard_normal((count, p))
        if len(problem.value) and constant.any():  # a bias has the constant output in one neuron
            u[:2] = [constant, -constant]
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        starts.append(_orthonormal_start(problem, u, rng.standard_normal((len(u), q))))
    return [start for start in starts if start is not None]


def _long_features(N: Float64, count: int, rng: np.random.Generator) -> Float64:
    """Unit directions (count, p): each maximises ‖(Nu)₊‖ off the span of the features before it, locally.

    With one component the first is all that is needed: its cost is the lower end of the bracket.
    """
    chosen, Q = np.zeros((0, N.shape[1])), np.zeros((len(N), 0))
    for _ in range(count):
        U = np.vstack([rng.standard_normal((_DIRECTIONS, N.shape[1])), N, -N])
        for _ in range(_ASCENTS):  # the power method of a convex function, monotone while Q is empty
            U = U / np.maximum(np.linalg.norm(U, axis=1, keepdims=True), 1e-300)
            Phi = np.maximum(U @ N.T, 0.0)
            rest = Phi - (Phi @ Q) @ Q.T
            best = int(np.linalg.norm(rest, axis=1).argmax())
            u, phi = U[best], rest[best]
            U = (rest * (Phi > 0.0)) @ N
        chosen = np.vstack([chosen, u])
        Q = np.hstack([Q, phi[:, None] / max(float(np.linalg.norm(phi)), 1e-300)])
    return chosen


def _orthonormal_start(problem: _Scaled, u: Float64, W: Float64) -> tuple[Float64, Float64] | None:
    """Balanced (W₁, W) with W turned so that LᵀL = I; None where the directions are too few."""
    L = np.maximum(problem.N @ u.T, 0.0) @ W
    values, vectors = np.linalg.eigh(L.T @ L)
    if not values[0] > 1e-12 * values[-1]:
        return None
    W = W @ (vectors / np.sqrt(values)) @ vectors.T
    size = np.sqrt(np.linalg.norm(W * problem.D, axis=1))
    return u.T * size, W / np.where(size > 0, size, 1.0)[:, None]


def _descended(problem: _Scaled, W1: Float64, W: Float64, deadline: float) -> tuple[Float64, Float64]:
    """The augmented Lagrangian's rounds: multipliers Λ, λ updated, penalty ×4."""
    q, shape, size = len(problem.D), W1.shape, W1.size
    Lambda, lam = np.zeros((q, q)), np.zeros(problem.value.shape)
    cost = 0.5 * float(np.sum(W1**2) + np.sum((W * problem.D) ** 2))

    def value(x: Float64, mu: float, Lambda: Float64, lam: Float64) -> tuple[float, Float64]:
        return _lagrangian(problem, x[:size].reshape(shape), x[size:].reshape(-1, q), mu, Lambda, lam)

    x = np.concatenate([W1.ravel(), W.ravel()])
    options: Any = {"maxiter": _STEPS, "maxcor": 20}
    for penalty in _PENALTIES:
        mu = penalty * cost / q
        x = minimize(value, x, args=(mu, Lambda, lam), jac=True, method="L-BFGS-B", options=options).x
        W1, W = x[:size].reshape(shape), x[size:].reshape(-1, q)
        E, e = _residuals(problem, np.maximum(problem.N @ W1, 0.0) @ W)
        Lambda, lam = Lambda + mu * E, lam + mu * e
        if time.perf_counter() > deadline:
            break
    return W1, W


def _lagrangian(
    problem: _Scaled, W1: Float64, W: Float64, mu: float, Lambda: Float64, lam: Float64
) -> tuple[float, Float64]:
    """½(‖W₁‖² + ‖WD‖²) + ⟨Λ, E⟩ + ⟨λ, e⟩ + (μ/2)(‖E‖² + ‖e‖²), E = LᵀL − I, e the linear one; and its gradient."""
    D = problem.D
    active = problem.N @ W1
    Phi = np.maximum(active, 0.0)
    L = Phi @ W
    E, e = _residuals(problem, L)
    value = 0.5 * float(np.sum(W1**2) + np.sum((W * D) ** 2))
    value += float(np.sum(Lambda * E) + np.sum(lam * e)) + 0.5 * mu * float(np.sum(E**2) + np.sum(e**2))
    slope = 2.0 * L @ (Lambda + mu * E) + problem.left.T @ (lam + mu * e) @ problem.right.T
    first = problem.N.T @ ((slope @ W.T) * (active > 0.0)) + W1
    second = Phi.T @ slope + W * D**2
    return value, np.concatenate([first.ravel(), second.ravel()])


def _residuals(problem: _Scaled, L: Float64) -> tuple[Float64, Float64]:
    return L.T @ L - np.eye(len(problem.D)), problem.linear(L)


def _candidate(
    N: Float64, problem: _Scaled, W1: Float64, W: Float64, gamma: float, Qt: Float64
) -> FactorCandidate | None:
    """The network with the constraints met exactly, by moving W alone, and its output; None where that is far away.

    A target beside the span of the features would be no help: what is left over may cost any amount of weights.
    """
    lengths = np.linalg.norm(W1, axis=0)
    alive = lengths > 1e-9 * lengths.max(initial=1e-300)
    u, Phi = (W1[:, alive] / lengths[alive]).T, np.maximum(problem.N @ W1[:, alive], 0.0)
    exact = _turned(Phi, W[alive]) if len(problem.value) == 0 else _corrected(problem, Phi, W[alive])
    if exact is None:
        return None
    L = Phi @ exact
    E, e = _residuals(problem, L)
    if not max(float(np.abs(E).max()), float(np.abs(e).max(initial=0.0))) <= _EXACT:
        return None
    scale = gamma / float(np.linalg.norm(N, 2))
    v = scale * lengths[alive, None] * (exact * problem.D) @ Qt
    return FactorCandidate(gamma * (L * problem.D) @ Qt, ReluNeurons(u, v))


def _turned(Phi: Float64, W: Float64) -> Float64 | None:
    """W(LᵀL)^{−½}, L = ΦW: the nearest orthonormal columns."""
    L = Phi @ W
    values, vectors = np.linalg.eigh(L.T @ L)
    if not values[0] > 1e-8 * values[-1]:
        return None
    turned: Float64 = W @ ((vectors / np.sqrt(values)) @ vectors.T)
    return turned


def _corrected(problem: _Scaled, Phi: Float64, W: Float64) -> Float64 | None:
    """Least changes Δ of W, repeated: LᵀΦΔ + (ΦΔ)ᵀL = −E and left·ΦΔ·right = −e (Gauss–Newton)."""
    q, k = len(problem.D), Phi.shape[1]
    upper = np.triu_indices(q)
    if (len(upper[0]) + problem.value.size) ** 2 * k * q > _MOST_WORK:
        return None
    linear = np.kron(problem.left @ Phi, problem.right.T)  # of Δ, row by row
    for _ in range(_CORRECTIONS):
        L = Phi @ W
        E, e = _residuals(problem, L)
        cross = np.einsum("jb,ac->jabc", Phi.T @ L, np.eye(q))  # (ΦΔ)ᵀL, entry (a, b), from Δ_jc
        both = np.moveaxis(cross + np.swapaxes(cross, 1, 2), 0, 2)
        rows = np.vstack([both[upper].reshape(len(upper[0]), k * q), linear])
        step, *_ = np.linalg.lstsq(rows, -np.concatenate([E[upper], e.ravel()]), rcond=1e-10)
        W = W + step.reshape(k, q)
    return W
