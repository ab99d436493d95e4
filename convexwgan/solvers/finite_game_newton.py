"""Newton's method on the KKT conditions of a finite game: digits that an interior-point solver leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.spec.divergence import Divergence
from convexwgan.spec.finite_discriminator import FeatureDiscriminator, FiniteDiscriminator

Bools = npt.NDArray[np.bool_]
MAX_STEPS = 12
_ACTIVE_BALL = 1e-6


@dataclass(frozen=True)
class _System:
    """max Σ a f₀(Φw) s.t. f₁(Φw) ≥ 0 on the active set, ‖w‖ = B where ``radius`` is given."""

    a: Float64
    divergence: Divergence
    features: Float64
    active: Bools
    radius: float | None


def polish(
    p_data: Float64,
    divergence: Divergence,
    discriminator: FiniteDiscriminator | None,
    support: Bools,
    values: dict[str, Float64],
    p_g: Float64,
) -> tuple[dict[str, Float64], Float64]:
    """(values, p_g) after Newton steps on the KKT conditions, kept only where these shrink their residual.

    p_d f₀'(D) + p_g f₁'(D) = 0 (times Φᵀ where D = Φw),   p_g f₁(D) = 0

    The active set is read off the solver's answer: p_g > f₁(D). Other classes come back as they are.
    """
    if discriminator is None:
        D, p_g = _separable(p_data, divergence, support, values["D"], p_g)
        return values | {"D": D}, p_g
    if not isinstance(discriminator, FeatureDiscriminator):
        return values, p_g
    w, p_g = _with_features(p_data, divergence, discriminator, support, values["w"], p_g)
    return values | {"w": w, "D": discriminator.features @ w}, p_g


def _separable(a: Float64, divergence: Divergence, support: Bools, D: Float64, p_g: Float64) -> tuple[Float64, Float64]:
    """Entry by entry: f₁(D) = 0 and a f₀'(D) + p_g f₁'(D) = 0 where p_g > f₁(D) or a > 0; p_g = 0 elsewhere.

    Where a > 0 the constraint is active: else a f₀'(D) = 0, which the solver's own D refutes.
    """
    with np.errstate(all="ignore"):
        flat = np.abs(divergence.df0(D)) <= 1e-6 * abs(float(divergence.df0(np.array([divergence.optimum]))[0]))
        active = support & np.where(a > 0, ~flat | (p_g > divergence.f1(D)), p_g > divergence.f1(D))
    active &= a > 0
    x, multiplier = D[active], p_g[active]
    for _ in range(MAX_STEPS):
        slope = divergence.df1(x)
        x = divergence.clip(x - divergence.f1(x) / slope, 1e-12)
        multiplier = -a[active] * divergence.df0(x) / divergence.df1(x)
    good = np.isfinite(x) & np.isfinite(multiplier) & (multiplier >= 0)
    place = np.flatnonzero(active)[good]
    D, p_g = D.copy(), np.where(active, p_g, 0.0)
    D[place], p_g[place] = x[good], multiplier[good]
    return D, p_g


def _with_features(
    a: Float64, divergence: Divergence, discriminator: FeatureDiscriminator, support: Bools, w: Float64, p_g: Float64
) -> tuple[Float64, Float64]:
    B, features = discriminator.bound, discriminator.features
    radius = B if B is not None and np.linalg.norm(w) >= B * (1 - _ACTIVE_BALL) else None
    D = features @ w
    low, high = divergence.domain
    if np.any(low + 1e-6 >= D) or np.any(high - 1e-6 <= D):
        return w, p_g  # an end of the domain is active: not this system
    system = _System(a, divergence, features, support & (p_g > divergence.f1(D)), radius)
    b = np.where(system.active, p_g, 0.0)
    gradient = features.T @ (a * divergence.df0(D) + b * divergence.df1(D))
    mu = float(gradient @ w) / radius**2 if radius else 0.0
    best, size = (w, b, mu), _size(_residual(system, w, b, mu))
    for _ in range(MAX_STEPS):
        new = _step(system, *best)
        new_size = _size(_residual(system, *new)) if _inside(divergence, features @ new[0]) else np.inf
        if not new_size < size or np.any(new[1] < 0):
            break
        best, size = new, new_size
    return best[0], best[1]


def _inside(divergence: Divergence, D: Float64) -> bool:
    return bool(np.all(divergence.domain[0] < D) and np.all(divergence.domain[1] > D))


def _size(residual: Float64) -> float:
    return float(np.linalg.norm(residual))


def _residual(system: _System, w: Float64, b: Float64, mu: float) -> Float64:
    D, f = system.features @ w, system.divergence
    stationary = system.features.T @ (system.a * f.df0(D) + b * f.df1(D)) - mu * w
    ball = [] if system.radius is None else [(w @ w - system.radius**2) / 2]
    return np.concatenate([stationary, f.f1(D)[system.active], ball])


def _step(system: _System, w: Float64, b: Float64, mu: float) -> tuple[Float64, Float64, float]:
    """One Newton step, of least norm where multipliers are not unique."""
    D, f, phi = system.features @ w, system.divergence, system.features
    bend = system.a * f.d2f0(D) + b * f.d2f1(D)
    linked = f.df1(D)[system.active, None] * phi[system.active]
    k, m, extra = len(w), len(linked), 0 if system.radius is None else 1
    J = np.zeros((k + m + extra, k + m + extra))
    J[:k, :k] = phi.T @ (bend[:, None] * phi) - mu * np.eye(k)
    J[:k, k : k + m], J[k : k + m, :k] = linked.T, linked
    if extra:
        J[:k, -1], J[-1, :k] = -w, w
    step = np.linalg.lstsq(J, -_residual(system, w, b, mu), rcond=1e-12)[0]
    new_b = b.copy()
    new_b[system.active] += step[k : k + m]
    return w + step[:k], new_b, mu + (float(step[-1]) if extra else 0.0)
