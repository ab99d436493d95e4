"""dist_D from moments: the neuron in the unit ball that best tells real from generated, found exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.geometry.moments import require_square
from convexwgan.geometry.polynomials import Coefficients
from convexwgan.geometry.spectra import EPS, fix_signs


@dataclass(frozen=True, eq=False)
class Distance:
    """A value of dist_D with the neuron that attains it.

    ``u`` has shape (d,), ‖u‖ ≤ 1; ``b`` is the neuron's bias where it has one. ``scope`` says how the maximum
    was searched ("exhaustive": no neuron does better), ``evidence`` is what separate code needs to check it.
    """

    value: float
    u: Float64
    b: float | None = None
    is_exact: bool = True
    scope: str = "exhaustive"
    evidence: Mapping[str, Any] = field(default_factory=dict)


class _BallMaximum(NamedTuple):
    """A global maximiser of uᵀAu + gᵀu on the unit ball, with the multiplier λ of ‖u‖² ≤ 1."""

    u: Float64
    multiplier: float


def linear_distance(m: Float64, s: Float64) -> Distance:
    """dist of linear neurons: max_{‖u‖≤1} |(m − s)ᵀu| = ‖m − s‖₂.

    Args:
        m: real first moment, shape (d,).
        s: generated first moment, shape (d,).

    Returns:
        Distance with u = (m − s)/‖m − s‖, or e₁ where m = s.

    Raises:
        InputError: the shapes differ or a value is not finite.

    Reference:
        Corollary 3.1 of the paper.

    >>> linear_distance(np.array([3.0, 0.0]), np.array([0.0, 4.0])).value
    5.0
    """
    g = _difference(m, s, 1, "first moments m, s")
    value = float(np.linalg.norm(g))
    u = g / value if value > 0.0 else np.eye(len(g))[0]
    return Distance(value, u)


def quadratic_distance(M: Float64, S: Float64) -> Distance:
    """dist of quadratic neurons: max_{‖u‖≤1} |uᵀ(M − S)u| = ‖M − S‖₂, the spectral norm.

    Args:
        M: real second moment, shape (d, d), symmetric.
        S: generated second moment, shape (d, d), symmetric.

    Returns:
        Distance; u is the eigenvector of largest |eigenvalue|, evidence["eigenvalue"] that eigenvalue.

    Raises:
        InputError: the shapes differ, are not square, or a value is not finite.

    Reference:
        Corollary 3.2 of the paper.

    >>> quadratic_distance(np.diag([1.0, 2.0]), np.diag([4.0, 2.5])).evidence["eigenvalue"]
    -3.0
    """
    values, vectors = np.linalg.eigh(_symmetric_difference(M, S))
    leading = int(np.argmax(np.abs(values)))
    eigenvalue = float(values[leading])
    u = np.asarray(fix_signs(vectors[:, leading : leading + 1]))[:, 0]
    return Distance(abs(eigenvalue), u, evidence={"eigenvalue": eigenvalue})


def polynomial_distance(
    M: Float64, S: Float64, m: Float64, s: Float64, mass_gap: float, coefficients: Coefficients
) -> Distance:
    """dist of polynomial neurons σ(t) = at² + bt + c without bias, by two trust-region problems.

    max_{‖u‖≤1} |uᵀAu + gᵀu + κ|,   A = a(M − S), g = b(m − s), κ = c·mass_gap

    Each sign is the maximum of a quadratic over a ball, solved globally by an eigendecomposition and the
    secular equation ‖½(λI − A)⁻¹g‖ = 1, the hard case and interior maximisers included. By the S-lemma its
    multiplier λ proves the maximum: see ``s_lemma_bound``.

    Args:
        M, S: real and generated second moments, shape (d, d), symmetric.
        m, s: real and generated first moments, shape (d,).
        mass_gap: n_r − n_f for sums, 0 for means.
        coefficients: (a, b, c).

    Returns:
        Distance; evidence["multiplier_plus"], ["multiplier_minus"] are λ₊ and λ₋, at which
        [[λI ∓ A, ∓g/2], [∓gᵀ/2, β − λ ∓ κ]] ⪰ 0 up to rounding for β = value.

    Raises:
        InputError: the shapes do not fit, or a value is not finite.

    Reference:
        Moré and Sorensen, Computing a trust region step, SIAM J. Sci. Stat. Comput. 4 (1983).

    >>> M, m, zero = np.eye(1), np.array([1.0]), np.zeros(1)
    >>> distance = polynomial_distance(M, 0 * M, m, zero, 0.0, (1.0, 2.0, 0.0))
    >>> distance.value, distance.u.tolist()
    (3.0, [1.0])
    """
    a, b, c = coefficients
    A, g = a * _symmetric_difference(M, S), b * _difference(m, s, 1, "first moments m, s")
    kappa = c * mass_gap
    if len(A) != len(g) or not np.isfinite(kappa):
        found = (A.shape, g.shape, kappa)
        remedy = "take them from the same two tables of samples"
        raise InputError("shapes of M − S, b(m − s) and c·mass_gap", found, "fit and be finite", remedy)
    plus, minus = _maximize_on_ball(A, g), _maximize_on_ball(-A, -g)
    candidates = [(abs(float(u @ A @ u + g @ u) + kappa), u) for u in (plus.u, minus.u)]
    value, u = max(candidates, key=lambda candidate: candidate[0])
    return Distance(value, u, evidence={"multiplier_plus": plus.multiplier, "multiplier_minus": minus.multiplier})


def s_lemma_bound(A: Float64, g: Float64, kappa: float, multiplier: float) -> float:
    """A proven upper bound on max_{‖u‖≤1} uᵀAu + gᵀu + κ: the least β that the S-lemma gives at this λ.

    [[λI − A, −g/2], [−gᵀ/2, β − λ − κ]] ⪰ 0   ⇔   β ≥ κ + λ + ¼ gᵀ(λI − A)⁺g,  λI − A ⪰ 0,  g ∈ range(λI − A)

    The conditions are read up to rounding τ of the eigenvalues, and the bound is raised by as much as moving
    λ upwards until they hold exactly would cost.

    Args:
        A: symmetric, shape (d, d).
        g: shape (d,).
        kappa: κ.
        multiplier: λ.

    Returns:
        β, or inf where no β will do: λ < 0, λI − A not ⪰ 0, or g out of range.

    >>> s_lemma_bound(np.zeros((2, 2)), np.array([3.0, 4.0]), 1.0, 2.5)
    6.0
    >>> s_lemma_bound(np.eye(2), np.array([3.0, 4.0]), 1.0, 0.5)
    inf
    """
    values, V = np.linalg.eigh(0.5 * (A + A.T))
    coordinates = V.T @ g
    gaps = multiplier - values
    scale = max(float(np.abs(values).max()), abs(multiplier), float(np.linalg.norm(g)))
    tau = 4.0 * len(values) * EPS * scale
    is_near = gaps <= tau
    out_of_range = float(np.linalg.norm(coordinates[is_near]))
    if multiplier < 0.0 or gaps.min() < -tau or out_of_range > 4.0 * tau:
        return float("inf")
    far = coordinates[~is_near] ** 2 / gaps[~is_near]
    # At λ + shift + ‖g_near‖/2, shift = (−min gap)₊, the near part costs ‖g_near‖ + shift, the far one less
    shift = max(-float(gaps.min()), 0.0)
    return float(kappa + multiplier + 0.25 * far.sum() + out_of_range + shift)


def _maximize_on_ball(A: Float64, g: Float64) -> _BallMaximum:
    """max uᵀAu + gᵀu s.t. ‖u‖ ≤ 1.

    Optimal iff u = ½(λI − A)⁻¹g, λ ≥ 0, λI − A ⪰ 0 and λ(1 − ‖u‖) = 0. In the eigenbasis, with gaps
    δ_i = λ₁ − λ_i ≥ 0 and λ = λ₁ + μ, all is written in μ ≥ μ₀ = (−λ₁)₊: the distance to the pole, which
    keeps its digits where λ itself would round to λ₁ (nearly hard case).
    """
    values, V = np.linalg.eigh(A)
    values, V = values[::-1], V[:, ::-1]
    coordinates, gaps = V.T @ g, values[0] - values
    floor = max(-float(values[0]), 0.0)
    mu, w = _secular_root(coordinates, gaps, floor)
    norm = float(np.linalg.norm(w))
    is_interior = floor > 0.0 and mu == floor and norm <= 1.0
    if not is_interior and norm < 1.0 and mu == floor:  # hard case: λ = λ₁, any multiple of v₁ may be added
        w[0] += np.copysign(np.sqrt(1.0 - norm**2 + w[0] ** 2), w[0]) - w[0]
    if not is_interior:
        w = w / np.linalg.norm(w)
    u: Float64 = V @ w
    # V is orthogonal only to rounding: stay inside the ball
    return _BallMaximum(u / max(1.0, float(np.linalg.norm(u))), max(float(values[0]) + mu, 0.0))


def _secular_root(c: Float64, gaps: Float64, floor: float) -> tuple[float, Float64]:
    """The least μ ≥ floor with ‖w(μ)‖ ≤ 1, w_i(μ) = c_i / (2(μ + δ_i)), and w(μ); 0/0 counts as 0.

    1/‖w(μ)‖ is concave and increasing, so Newton's method on 1/‖w‖ − 1 climbs to the root from the left. It
    starts where a single component already has |w_i| ≥ 1.
    """
    mu = max(floor, float(np.max(0.5 * np.abs(c) - gaps)))
    for _ in range(100):
        poles = mu + gaps
        w = np.divide(0.5 * c, poles, out=np.zeros_like(c), where=poles > 0.0)
        squares = float(w @ w)
        if squares <= 1.0:
            break
        norm = np.sqrt(squares)
        slope = float(np.sum(np.divide(w**2, poles, out=np.zeros_like(c), where=poles > 0.0)))  # −½ d‖w‖²/dμ
        following = mu + squares / slope * (norm - 1.0)
        if not following > mu:
            break
        mu = following
    return mu, w


def _difference(real: Float64, generated: Float64, ndim: int, subject: str) -> Float64:
    """real − generated, of the same shape, finite."""
    real, generated = np.asarray(real, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    shapes = (real.shape, generated.shape)
    if shapes[0] != shapes[1] or real.ndim != ndim or 0 in real.shape:
        must = f"be equal with {ndim} axes"
        raise InputError(f"shapes of the {subject}", shapes, must, "use the same columns for both")
    gap: Float64 = real - generated
    if not np.all(np.isfinite(gap)):
        raise InputError(subject, gap, "be finite", "rescale the samples or drop NaN and inf")
    return gap


def _symmetric_difference(M: Float64, S: Float64) -> Float64:
    """M − S, symmetrised."""
    gap = _difference(M, S, 2, "second moments M, S")
    require_square(gap, "M - S")
    return 0.5 * (gap + gap.T)
