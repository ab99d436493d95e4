"""The certificate of a finite game: primal and dual function values recomputed from p_d, the divergence and the class.

For every discriminator D of the class with f₁ ≥ 0 on the generator's support, and every generated p_g ≥ 0,

    Σ p_d f₀(D)  ≤  min_p g(p)  ≤  g(p_g),      g(p_g) = sup_{D in the class} Σ_i p_d f₀(D_i) + p_g f₁(D_i)
                                                       ≤ Σ_i sup_D (p_d f₀(D) + p_g f₁(D) + y_i D) + sup −yᵀD

with any tilt y (Fenchel); for the class of all D, y = 0 and the bound is the separable closed form.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Certificate, Check, Infeasibility, Scope
from convexwgan.certificates.divergence_sup import lagrangian_terms, supremum
from convexwgan.certificates.finite_classes import Claimed, free_features, has_constants, member, tilts_of
from convexwgan.spec.divergence import Divergence
from convexwgan.spec.finite_discriminator import FiniteDiscriminator, LipschitzDiscriminator, NeuronDiscriminator

Bools = npt.NDArray[np.bool_]
_LARGEST_TILT = 1e100
_LARGEST_BOX = 1e12


def certify_finite_game(
    p_data: Float64,
    divergence: Divergence,
    discriminator: FiniteDiscriminator | None,
    support: Bools,
    claimed: Claimed,
    tol: float,
) -> tuple[Certificate, Float64, Float64]:
    """The certificate of a claimed saddle point, with the repaired (p_g, D) that it is about, both shape (n,).

    Args:
        p_data: shape (n,), ≥ 0, sums to one.
        support: where the generator may put mass, shape (n,).
        claimed: D, p_g and the parts of the class, from any solver.
        tol: the relative gap that CERTIFIED asks for (in units of max(|value|, unit of the game)).
    """
    unit = _unit(divergence, discriminator)
    p_g = repaired_generated(p_data, divergence, discriminator, support, claimed.p_g)
    lower, D, slack = _lower(p_data, divergence, discriminator, support, claimed, p_g)
    if has_constants(discriminator) and divergence.value > lower:  # D ≡ D* is feasible: p_d sums to one
        lower, D, slack = divergence.value, np.full_like(D, divergence.optimum), 0.0
    upper, radius = _upper(p_data, divergence, discriminator, p_g, claimed, D)
    checks = (
        Check("p_g ≥ 0 and p_g = 0 off the generator's support", bool(np.all(p_g >= 0) and not np.any(p_g[~support]))),
        Check(
            "f₁(D) ≥ 0 on it",
            slack <= tol * unit,
            f"missed by {slack:.1e}, charged to the bound at twice the mass of p_g",
        ),
        _covers(radius),
    )
    certificate = Certificate(lower, upper, 0.0, _scope(discriminator), checks, tol=tol, scale=1e6 * unit)
    return certificate, p_g, D


def evaluate_finite_game(
    p_data: Float64,
    divergence: Divergence,
    discriminator: FiniteDiscriminator | None,
    p_g: Float64,
    claimed: Claimed,
    tol: float,
) -> tuple[Certificate, Float64]:
    """Bounds on g(p_g) = sup_D L(D, p_g) of a given p_g, shape (n,): L at a D of the class, and the tilted bound."""
    falling = float(divergence.df1(np.array([divergence.optimum]))[0]) < 0
    D = member(discriminator, claimed, divergence.optimum, falling)
    D = np.clip(D, *divergence.domain)
    lower = float(np.sum(lagrangian_terms(divergence, p_data, p_g, np.zeros_like(p_g), D)))
    if lower == math.inf:
        i = int(np.argmax((p_data > 0) != (p_g > 0)))
        text = f"p_d = {p_data[i]:.3g} and p_g = {p_g[i]:.3g} at point {i}: L(D, p_g) has no upper bound over D"
        proof = Infeasibility("support", text, float(max(p_data[i], p_g[i])), 0.0)
        return Certificate(math.inf, math.inf, 0.0, "exhaustive", (_covers(math.inf),), infeasibility=proof, tol=tol), D
    upper, radius = _upper(p_data, divergence, discriminator, p_g, claimed, D)
    checks = (_covers(radius),)
    unit = _unit(divergence, discriminator)
    return Certificate(lower, upper, 0.0, _scope(discriminator), checks, tol=tol, scale=1e6 * unit), D


def _scope(discriminator: FiniteDiscriminator | None) -> Scope:
    """ReLU neurons are closed by exact pricing, the other classes by a closed form."""
    is_relu = isinstance(discriminator, NeuronDiscriminator) and discriminator.discriminator.kind == "relu"
    return "priced" if is_relu else "exhaustive"


def _covers(radius: float) -> Check:
    """Over an unbounded class the supremum is taken in a box: one of a size that says something."""
    name = "g(p_g) is the supremum over every D of the class"
    if math.isinf(radius):
        return Check(name, True)
    return Check(f"{name} with |D − D*| ≤ {radius:.1e}", radius <= _LARGEST_BOX, "a thousand times the size of this D")


def _unit(divergence: Divergence, discriminator: FiniteDiscriminator | None) -> float:
    """The size that values have: 1, or what D can reach where f₀ and f₁ are linear in it."""
    if divergence.name != "wasserstein":
        return 1.0
    reach = 1 / (4 * divergence.epsilon) if divergence.epsilon else math.inf
    if isinstance(discriminator, LipschitzDiscriminator):
        reach = min(reach, discriminator.constant * float(np.max(discriminator.distances)))
    if isinstance(discriminator, NeuronDiscriminator):
        power = 2 if discriminator.discriminator.kind == "quadratic" else 1
        reach = min(reach, discriminator.bound * float(np.max(np.linalg.norm(discriminator.inputs, axis=1))) ** power)
    return reach if 0 < reach < math.inf else 1.0


def no_generator(p_data: Float64, divergence: Divergence, support: Bools, tol: float) -> Certificate | None:
    """A certificate that every p_g on this support is infinitely far from p_data, or None: for the class of all D.

    It is so where p_d > 0 = p_g at a point and f₀ has no upper bound on the domain.
    """
    uncovered = (p_data > 0) & ~support
    if not np.any(uncovered):
        return None
    zero = np.zeros(1)
    if not divergence.is_named or math.isfinite(
        float(supremum(divergence, zero + 1, zero, zero, (-math.inf, math.inf))[0])
    ):
        return None
    i = int(np.flatnonzero(uncovered)[0])
    text = f"point {i} has p_d = {p_data[i]:.3g} and no generated mass may go there; sup f₀ = ∞, so every value is ∞"
    proof = Infeasibility("support", text, float(p_data[i]), 0.0)
    check = Check("p_d > 0 off the generator's support, f₀ unbounded", True)
    return Certificate(
        math.inf, math.inf, 0.0, "exhaustive", (check,), infeasibility=proof, tol=tol, has_candidate=False
    )


def repaired_generated(
    p_data: Float64, divergence: Divergence, discriminator: FiniteDiscriminator | None, support: Bools, p_g: Float64
) -> Float64:
    """p_g clipped to ≥ 0 and to the support, and to where its value can be finite.

    All D: p_g = 0 wherever p_d = 0 and f₁ has no upper bound. Linear f₀ (Wasserstein, ε = 0): the moments of what
    the class leaves free, Φᵀp_g = Φᵀp_d, by the relative change of least size.
    """
    p = np.where(support, np.maximum(p_g, 0.0), 0.0)
    if discriminator is None and divergence.is_named:
        one, zero = np.ones(1), np.zeros(1)
        if math.isinf(float(supremum(divergence, zero, one, zero, (-math.inf, math.inf))[0])):
            p = np.where(p_data > 0, p, 0.0)
    free = free_features(discriminator, len(p))
    if divergence.epsilon == 0 and free.shape[1]:
        for _ in range(3):
            change = np.linalg.lstsq(free.T @ (p[:, None] * free), free.T @ (p - p_data), rcond=1e-13)[0]
            p = np.maximum(p * (1 - free @ change), 0.0)
    return np.asarray(p)


def _lower(
    p_data: Float64,
    divergence: Divergence,
    discriminator: FiniteDiscriminator | None,
    support: Bools,
    claimed: Claimed,
    p_g: Float64,
) -> tuple[float, Float64, float]:
    """Σ p_d f₀(D) at a repaired D, less what its violation of f₁ ≥ 0 can be worth; D; the violation."""
    falling = float(divergence.df1(np.array([divergence.optimum]))[0]) < 0
    D = member(discriminator, claimed, divergence.optimum, falling)
    low, high = divergence.domain
    if discriminator is None:
        D = np.clip(D, low, high)
        D = np.where(support & (divergence.f1(D) < 0), divergence.optimum, D)
    elif isinstance(discriminator, LipschitzDiscriminator):
        excess = (D - divergence.optimum)[support] * (1 if falling else -1)
        D = D - (1 if falling else -1) * max(0.0, float(np.max(excess, initial=0.0)))
    outside = float(max(np.max(low - D, initial=0.0), np.max(D - high, initial=0.0)))
    slack = max(outside, float(np.max(-divergence.f1(np.clip(D, low, high))[support], initial=0.0)))
    value = float(np.sum(lagrangian_terms(divergence, p_data, np.zeros_like(p_data), np.zeros_like(p_data), D)))
    return value - 2 * max(1.0, float(p_g.sum())) * slack, D, slack


def _upper(
    p_data: Float64,
    divergence: Divergence,
    discriminator: FiniteDiscriminator | None,
    p_g: Float64,
    claimed: Claimed,
    D: Float64,
) -> tuple[float, float]:
    """The least bound on g(p_g) among the proposed tilts, and how far from D* the discriminators may reach."""
    radius = math.inf
    if discriminator is not None or not divergence.is_named:
        radius = 1e3 * (_unit(divergence, discriminator) + float(np.max(np.abs(D - divergence.optimum))))
    box = (divergence.optimum - radius, divergence.optimum + radius)
    flow = claimed.multipliers.get("flow", np.zeros((len(p_g), len(p_g))))
    best = math.inf
    for y, curvature in _proposals(p_data, divergence, p_g, claimed, D, flow):
        for tilt in tilts_of(discriminator, y, curvature, flow):
            bound = float(np.sum(supremum(divergence, p_data, p_g, tilt.y, box))) + tilt.cost
            longest = math.sqrt(len(p_g)) * (radius + abs(divergence.optimum))  # of ‖D‖₂ in the box
            best = min(best, bound + (2 * tilt.residual * longest if tilt.residual else 0.0))
    return best, radius


def _proposals(
    p_data: Float64, divergence: Divergence, p_g: Float64, claimed: Claimed, D: Float64, flow: Float64
) -> list[tuple[Float64, Float64]]:
    """Tilts to try, with the curvature of the Lagrangian: the stationary one at D, the solver's, the flow's."""
    inside = divergence.clip(D, 1e-300)
    with np.errstate(all="ignore"):
        bend = -(_weighted(p_data, divergence.d2f0(inside)) + _weighted(p_g, divergence.d2f1(inside)))
        slope = -(_weighted(p_data, divergence.df0(inside)) + _weighted(p_g, divergence.df1(inside)))
    bend = np.where(np.isfinite(bend), np.maximum(bend, 0.0), 0.0)
    found = [slope] if np.all(np.abs(slope) < _LARGEST_TILT) else []
    if "tilt" in claimed.multipliers:
        given = claimed.multipliers["tilt"]
        low, high = divergence.domain
        linear = (bend == 0) & (low + 1e-6 < D) & (high - 1e-6 > D)  # at an end of the domain y is one-sided
        found += [np.where(linear & np.isfinite(slope), slope, sign * given) for sign in (1.0, -1.0)]
    if np.any(flow):
        found.append(flow.sum(axis=0) - flow.sum(axis=1))
    return [(np.asarray(y), np.asarray(bend)) for y in found or [np.zeros_like(p_g)]]


def _weighted(weight: Float64, values: Float64) -> Float64:
    return np.where(weight > 0, weight * np.where(weight > 0, values, 0.0), 0.0)
