"""Linear generator, Gaussian noise, ReLU neurons: the semidefinite program on finitely many neurons (MATH 4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.normal_distances import NORMAL_MEAN
from convexwgan.solvers.conic.model import ConicModel, Values, dual, load_cvxpy, positive_or_one, primal


def normal_noise_program(U: Float64, h: Float64, *, beta: float, strength: float, natural: bool = False) -> ConicModel:
    """The least second moment of a Gaussian whose piecewise means are within β of the data's, on given neurons.

    Problem, over S = WᵀW (d, d), c = 1/√(2π):
        min (β_g/2) tr S   s.t.   (h_k − β)₊² ≤ c² u_kᵀSu_k ≤ (h_k + β)²,   S ⪰ 0

    Finitely many neurons make it a lower bound of the game. Dual: λ, μ ≥ 0 of the left and right sides with
    (β_g/2)I − c²Σ(λ_k − μ_k)u_ku_kᵀ ⪰ 0, value Σλ_k(h_k − β)₊² − Σμ_k(h_k + β)².

    Args:
        U: neurons, unit rows (k, d). h: h_X(u_k) ≥ 0, shape (k,). beta: β_d. strength: β_g.
        natural: keep the user's units.

    Returns:
        ConicModel; values S, multipliers below λ and above μ, both (k,), in the user's units.
    """
    cp = load_cvxpy()
    unit = 1.0 if natural else positive_or_one(float(h.max(initial=0.0)))
    value_unit = 1.0 if natural else positive_or_one(0.5 * strength * unit**2 / NORMAL_MEAN**2)
    cost = 0.5 * strength * unit**2 / NORMAL_MEAN**2 / value_unit
    T, seen, low, high, binding = _program_parts(U, h / unit, beta / unit)
    below, above = seen[binding] >= low[binding], seen <= high
    problem = cp.Problem(cp.Minimize(cost * cp.trace(T)), [below, above])

    def multipliers() -> Values:
        lam = np.zeros(len(h))
        lam[binding] = dual(below, value_unit / unit**2) if binding.any() else 0.0
        return {"below": np.maximum(lam, 0.0), "above": np.maximum(dual(above, value_unit / unit**2), 0.0)}

    return ConicModel(
        "Gaussian noise",
        problem,
        {"S": T},
        lambda: {"S": primal(T, (unit / NORMAL_MEAN) ** 2)},
        multipliers,
        value_unit,
    )


def normal_noise_phase_one(U: Float64, h: Float64, *, beta: float) -> ConicModel:
    """By how much the constraints have to give way: a Farkas ray where no Gaussian is within β.

    min t   s.t.   c² u_kᵀSu_k ≥ (h_k − β)₊² − t,   c² u_kᵀSu_k ≤ (h_k + β)² + t,   S ⪰ 0

    The multipliers have Σ(λ_k + μ_k) = 1 and Σ(λ_k − μ_k)u_ku_kᵀ ⪯ 0; for t > 0 they prove infeasibility.

    Args:
        U, h, beta: as for ``normal_noise_program``.
    """
    cp = load_cvxpy()
    unit = positive_or_one(float(h.max(initial=0.0)))
    T, seen, low, high, binding = _program_parts(U, h / unit, beta / unit)
    t = cp.Variable(name="t")
    below, above = seen[binding] >= low[binding] - t, seen <= high + t
    problem = cp.Problem(cp.Minimize(t), [below, above, t >= -1.0])

    def multipliers() -> Values:
        lam = np.zeros(len(h))
        lam[binding] = dual(below) if binding.any() else 0.0
        return {"below": np.maximum(lam, 0.0), "above": np.maximum(dual(above), 0.0)}

    return ConicModel(
        "Gaussian noise, phase one",
        problem,
        {"S": T, "t": t},
        lambda: {"S": primal(T, (unit / NORMAL_MEAN) ** 2), "t": primal(t, unit**2)},
        multipliers,
        unit**2,
    )


def _program_parts(U: Float64, h: Float64, beta: float) -> tuple[Any, Any, Float64, Float64, Any]:
    """T ⪰ 0, u_kᵀTu_k, both bounds on it, and where the lower one is above 0."""
    cp = load_cvxpy()
    T = cp.Variable((U.shape[1], U.shape[1]), PSD=True, name="S")
    seen = cp.sum(cp.multiply(U @ T, U), axis=1)
    low, high = np.maximum(h - beta, 0.0) ** 2, (h + beta) ** 2
    return T, seen, low, high, low > 0.0


def thin_noise_program(U: Float64, h: Float64, *, beta: float, W0: Float64, penalty: float) -> ConicModel:
    """Noise of few dimensions: the left constraints linearised at W₀, with a penalty on what is missed.

    Problem, over W (p, d), y_k = W₀u_k/‖W₀u_k‖, in units where the data have size 1:
        min ‖W‖_F² + ρΣt_k   s.t.   c‖Wu_k‖ ≤ h_k + β,   c y_kᵀWu_k ≥ h_k − β − t_k,   t ≥ 0

    Always feasible, at W = 0. A W with t = 0 satisfies both constraints at every u_k.

    Args:
        U, h, beta: as for ``normal_noise_program``. W0: where to linearise. penalty: ρ.
    """
    cp = load_cvxpy()
    binding = h > beta
    W, t = cp.Variable(W0.shape, name="W"), cp.Variable(int(binding.sum()), nonneg=True, name="t")
    image = U @ W0.T
    length = np.linalg.norm(image, axis=1)
    still = length <= 1e-9 * float(length.max(initial=1e-300))
    y = np.where(still[:, None], np.eye(len(W0))[0], image / np.where(still, 1.0, length)[:, None])
    below = NORMAL_MEAN * cp.sum(cp.multiply(y[binding], U[binding] @ W.T), axis=1) >= h[binding] - beta - t
    above = NORMAL_MEAN * cp.norm(U @ W.T, 2, axis=1) <= h + beta
    problem = cp.Problem(cp.Minimize(cp.sum_squares(W) + penalty * cp.sum(t)), [below, above])
    return ConicModel(
        "thin Gaussian noise",
        problem,
        {"W": W, "t": t},
        lambda: {"W": primal(W), "t": primal(t)},
        lambda: {"below": dual(below), "above": dual(above)},
    )
