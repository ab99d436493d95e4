"""GAN training in function space: (sub)gradient methods on the Lagrangian of the finite game (MATH §6)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.spec import validation
from convexwgan.spec.divergence import Divergence

Method = Literal["dual", "primal-dual"]
Schedule = Literal["constant", "diminishing"]
LARGEST_RATIO = {"dual": 10.0, "primal-dual": 4.0}
MOST_RECORDS = 1000


class StabilityWarning(UserWarning):
    """A constant step beyond the bound under which the iteration contracts near its saddle."""


@dataclass(frozen=True, eq=False)
class FunctionSpaceRun:
    """The iterates of a function-space method.

    Attributes:
        generated: the last p_g, shape (n,); its mass is not forced to one.
        averaged: the average of all p_g weighted by their steps, shape (n,).
        discriminator: the last D, shape (n,).
        trajectory: p_g at the iterations ``recorded``, shape (k, n); the first is the start.
        total_variation: ½‖p_g − p_d‖₁ at the same iterations, shape (k,).
        iterations: how many were made; ``converged`` whether the last change per unit step was ≤ tol.
        step, primal_step: α and η; ``stability_bound`` the α (at this η, if any) below which it contracts.
    """

    generated: Float64
    averaged: Float64
    discriminator: Float64
    trajectory: Float64 = field(repr=False)
    recorded: Float64 = field(repr=False)
    total_variation: Float64 = field(repr=False)
    iterations: int
    converged: bool
    step: float
    primal_step: float | None
    stability_bound: float


@dataclass(frozen=True)
class _Plan:
    p: Float64
    divergence: Divergence
    step: float
    primal_step: float | None
    shrink: Callable[[int], float]
    clip: tuple[float, float]


def function_space(
    p_data: Float64,
    divergence: Divergence,
    *,
    method: Method = "dual",
    step: float | None = None,
    primal_step: float | None = None,
    schedule: Schedule = "constant",
    n_iter: int = 10_000,
    start: Float64 | None = None,
    clip: tuple[float, float] | None = None,
    tol: float = 1e-10,
) -> FunctionSpaceRun:
    """Descend the generated distribution along −f₁(D), at every point of the support.

    dual:         D ← argmax_D L(D, p_g)                                  p_g ← (p_g − α_k f₁(D))₊
    primal-dual:  D ← clip(D + η_k (p_d f₀'(D) + p_g f₁'(D)))             p_g ← (p_g − α_k f₁(D))₊
    α_k = α, or α/√(k+1) with the diminishing schedule (η_k likewise).

    Near the saddle a constant step contracts iff [ours, by linearisation]
        dual:         α < 2 min p_d · c/f₁'²,   c = −(f₀''+f₁''), at D*, over p_d > 0
        primal-dual:  η (2 c max p_d + α f₁'²) < 4

    Args:
        p_data: p_d, shape (n,).
        step: α; half the bound of the dual method when left out.
        primal_step: η of "primal-dual"; when left out 2/(2 c max p_d + α f₁'²) with the largest c and f₁'² in ``clip``.
        n_iter: the most iterations.
        start: p_g at the beginning, shape (n,), ≥ 0; uniform when left out.
        clip: the interval that D is kept in: by default the best responses to ratios p_d/p_g of 1/10 to 10 (1/4 to 4
            for "primal-dual"), so that f₁ = −∞ (at p_g = 0 < p_d) moves p_g up by a finite step.
        tol: stop when ‖p_g change‖₁ ≤ tol·α_k (and ‖D change‖₁ ≤ tol·η_k).

    Raises:
        InputError: a bad setting; Wasserstein with ε = 0, whose best responses are infinite.

    >>> run = function_space(np.array([0.5, 0.3, 0.2, 0.0]), Divergence.named("jensen-shannon"))
    >>> run.converged, run.generated.round(6)
    (True, array([0.5, 0.3, 0.2, 0. ]))
    """
    p = np.asarray(p_data, dtype=np.float64)
    _check(p, divergence, method, schedule, start)
    tol = validation.positive("tol", tol, "it is the change per unit step at which to stop")
    n_iter = validation.count("n_iter", n_iter, "it is the largest number of iterations")
    interval = _default_clip(divergence, method) if clip is None else _clip(clip, divergence)
    step, primal_step, bound = _steps(p, divergence, method, step, primal_step, interval)
    if schedule == "constant" and step >= bound:
        text = f"step {step:.4g} is not below {bound:.4g}: a constant step this long does not contract at p_g = p_d"
        warnings.warn(text, StabilityWarning, stacklevel=2)
    shrink = (lambda k: 1.0) if schedule == "constant" else (lambda k: 1 / np.sqrt(k + 1))
    plan = _Plan(p, divergence, step, primal_step, shrink, interval)
    begin = np.full(len(p), 1 / len(p)) if start is None else np.asarray(start, dtype=np.float64)
    return _iterate(plan, begin, n_iter, tol, bound)


def _iterate(plan: _Plan, start: Float64, n_iter: int, tol: float, bound: float) -> FunctionSpaceRun:
    p_g, D = start.copy(), np.full(len(start), float(np.clip(plan.divergence.optimum, *plan.clip)))
    total, weight = np.zeros(len(start)), 0.0
    every = max(1, -(-n_iter // MOST_RECORDS))
    kept, numbers, converged, k = [p_g], [0], False, 0
    while k < n_iter and not converged:
        before, D = D, _respond(plan, D, p_g, k)
        alpha = plan.step * plan.shrink(k)
        new = np.maximum(p_g - alpha * plan.divergence.f1(D), 0.0)
        settled = plan.primal_step is None or np.abs(D - before).sum() <= tol * plan.primal_step * plan.shrink(k)
        converged = bool(settled and np.abs(new - p_g).sum() <= tol * alpha)
        p_g, k = new, k + 1
        total, weight = total + alpha * p_g, weight + alpha
        if k % every == 0 or converged or k == n_iter:
            kept.append(p_g)
            numbers.append(k)
    path = np.array(kept)
    distance = np.abs(path - plan.p).sum(axis=1) / 2
    recorded = np.array(numbers, dtype=np.float64)
    return FunctionSpaceRun(
        p_g, total / weight, D, path, recorded, distance, k, converged, plan.step, plan.primal_step, bound
    )


def _respond(plan: _Plan, D: Float64, p_g: Float64, k: int) -> Float64:
    if plan.primal_step is None:
        D = plan.divergence.best_response(plan.p, p_g)
    else:
        gradient = plan.p * plan.divergence.df0(D) + p_g * plan.divergence.df1(D)
        D = D + plan.primal_step * plan.shrink(k) * gradient
    return np.clip(D, *plan.clip)


def _default_clip(divergence: Divergence, method: Method) -> tuple[float, float]:
    """Best responses to p_d/p_g = 1/ρ and ρ, in order."""
    one, rho = np.array([1.0, LARGEST_RATIO[method]]), np.array([LARGEST_RATIO[method], 1.0])
    ends = np.sort(divergence.best_response(one, rho))
    return float(ends[0]), float(ends[1])


def _clip(clip: Any, divergence: Divergence) -> tuple[float, float]:
    low, high = divergence.domain
    pair = isinstance(clip, (tuple, list)) and len(clip) == 2
    if not pair or not low < clip[0] <= divergence.optimum <= clip[1] < high:
        remedy = f"D* = {divergence.optimum:g} has to be inside"
        raise InputError("clip", clip, f"be an interval inside the domain {divergence.domain}", remedy)
    return float(clip[0]), float(clip[1])


def _steps(
    p: Float64,
    divergence: Divergence,
    method: Method,
    step: float | None,
    primal_step: float | None,
    clip: tuple[float, float],
) -> tuple[float, float | None, float]:
    """(α, η or None, the bound on α)."""
    bound = divergence.stability_bound(p)
    remedy = "it is α in p_g ← (p_g − α f₁(D))₊"
    alpha = bound / 2 if step is None else validation.strength("step", step, remedy)
    if method == "dual":
        if primal_step is not None:
            raise InputError("primal_step", primal_step, "not be given", 'it belongs to method="primal-dual"')
        return alpha, None, bound
    D = np.linspace(*clip, 101)
    bend = float(np.max(-(divergence.d2f0(D) + divergence.d2f1(D)))) * float(p.max())
    eta = 2 / (2 * bend + alpha * float(np.max(divergence.df1(D) ** 2)))
    if primal_step is not None:
        eta = validation.strength("primal_step", primal_step, "it is η in D ← D + η ∂L/∂D")
    return alpha, eta, primal_dual_bound(p, divergence, eta)


def primal_dual_bound(p_data: Float64, divergence: Divergence, primal_step: float) -> float:
    """The α below which η (2 c max p_d + α f₁'²) < 4: constant primal–dual steps contract near the saddle [ours].

    Proof: at one point the map of (D, p_g) has determinant 1 − ηc p_d and trace 2 − ηc p_d − αη f₁'²; its eigenvalues
    lie in the unit disk iff |det| < 1 and |trace| < 1 + det (Jury), and this is the condition that binds.

    >>> round(primal_dual_bound(np.array([0.5, 0.5]), Divergence.named("kullback-leibler"), 1.0), 9)  # c = f₁'² = 1
    3.0
    """
    slope = float(divergence.df1(np.array([divergence.optimum]))[0]) ** 2
    bend = divergence.stability_factor * slope / 2 * float(np.max(p_data))
    return max(0.0, (4 / primal_step - 2 * bend) / slope)


def _check(p: Float64, divergence: Divergence, method: str, schedule: str, start: Float64 | None) -> None:
    if method not in LARGEST_RATIO:
        raise InputError("method", method, 'be "dual" or "primal-dual"', "they differ in how D follows p_g")
    if schedule not in ("constant", "diminishing"):
        raise InputError("schedule", schedule, 'be "constant" or "diminishing"', "diminishing is α/√(k+1)")
    if divergence.stability_factor <= 0:
        remedy = "the function-space method needs f₀'' + f₁'' < 0 at D*: take wasserstein with ε > 0"
        raise InputError("divergence", str(divergence), "be curved", remedy)
    if start is not None:
        q = np.asarray(start, dtype=np.float64)
        if q.shape != p.shape or not np.all(np.isfinite(q)) or np.any(q < 0):
            raise InputError("start", start, f"be {len(p)} finite numbers ≥ 0", "it is p_g at the beginning")
