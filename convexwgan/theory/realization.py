"""From output moments back to a generator: weights W (or an output G) with the S and s of a MomentPoint.

    free:     G = w_f^{−½} L τ^{½} Vᵀ + 1 sᵀ/N_f             LᵀL = I, L ⟂ 1 when s is given
    linear:   W = A^{−½} B τ^{½} Vᵀ + A⁺z̄ sᵀ/ρ               BᵀB = I, B ⟂ y₀ when s is given

in the frame A = QΛQᵀ of range(Z), where y₀ = Λ^{−½}Qᵀz̄ is the direction of the constant vector.
"""

from __future__ import annotations

import math

from convexwgan.arrays import Array, namespace
from convexwgan.geometry.spectra import orthogonal_complement
from convexwgan.theory.candidate import MomentPoint
from convexwgan.theory.data import GameData
from convexwgan.theory.relu_factor import factored_output


def realize(point: MomentPoint, data: GameData) -> Array:
    """Weights of a generator whose output has the moments of ``point``: W (p, d_r), or G (n_f, d_r) when free."""
    if data.wgan.players[1].kind == "relu":
        return relu_output(point, data)
    return _free_output(point, data) if data.is_free else _linear_weights(point, data)


def mean_weights(mean: Array, data: GameData) -> Array:
    """The cheapest output with mean moment s: W = A⁺z̄ sᵀ/ρ, or G = 1 sᵀ/N_f; zeros when s = 0."""
    xp = namespace(mean)
    if data.is_free:
        return xp.ones((data.n_fake, 1), dtype=mean.dtype) * mean[None, :] / data.mass_fake
    spectrum = data.latent_spectrum
    if data.mean_is_zero:
        return xp.zeros((int(spectrum.vectors.shape[0]), data.dim), dtype=mean.dtype)
    pseudo = spectrum.vectors @ (data.latent_direction / xp.sqrt(spectrum.values))  # A⁺z̄
    return pseudo[:, None] * mean[None, :] / data.rho


def _free_output(point: MomentPoint, data: GameData) -> Array:
    xp = namespace(point.directions)
    k = int(point.variances.shape[0])
    scaled = xp.sqrt(point.variances / data.fake_weight)[None, :] * point.directions
    G = _frame(point, data, k) @ xp.matrix_transpose(scaled)
    return G if point.mean is None else G + mean_weights(point.mean, data)


def _frame(point: MomentPoint, data: GameData, k: int) -> Array:
    """L (n_f, k) with orthonormal columns, ⟂ 1 when the mean is fixed.

    With as many fakes as reals, L is the left singular basis of the (centred) data, so that each generated row
    is its real row, shrunk. Otherwise cosines: orthonormal, and all but the constant one ⟂ 1.
    """
    xp = namespace(point.directions)
    if data.n_fake == data.n_real and k > 0:
        X = xp.astype(data.X, xp.float64)
        rows = X if point.mean is None else X - xp.mean(X, axis=0)[None, :]
        L, _ = xp.linalg.qr(rows @ point.directions, mode="reduced")
        if _is_frame_of(L, point):
            return L
    return _cosines(data.n_fake, k, xp)


def _is_frame_of(L: Array, point: MomentPoint) -> bool:
    """Whether the columns are orthogonal to 1 as far as a fixed mean asks (a rank-deficient product may not be)."""
    xp = namespace(L)
    return point.mean is None or float(xp.max(xp.abs(xp.sum(L, axis=0)))) < 1e-9


def _cosines(n: int, k: int, xp: object) -> Array:
    """The first k of cos(π(i + ½)j/n), j = 1, …, n−1, and last the constant, normalised: an orthonormal basis."""
    rows = xp.arange(n, dtype=xp.float64)[:, None] + 0.5  # type: ignore[attr-defined]
    order = xp.arange(1, k + 1, dtype=xp.float64)[None, :]  # type: ignore[attr-defined]
    order = xp.where(order == n, xp.zeros_like(order), order)  # type: ignore[attr-defined]
    L = xp.cos(math.pi * rows * order / n)  # type: ignore[attr-defined]
    return L / xp.linalg.vector_norm(L, axis=0, keepdims=True)  # type: ignore[attr-defined]


def _linear_weights(point: MomentPoint, data: GameData) -> Array:
    xp = namespace(point.directions)
    spectrum = data.latent_spectrum
    k = int(point.variances.shape[0])
    scaled = xp.sqrt(point.variances)[None, :] * point.directions  # V τ^½, (d, k)
    if point.mean is None or data.mean_is_zero:
        frame = spectrum.vectors[:, :k] / xp.sqrt(spectrum.values[:k])[None, :]  # largest with largest
        W = frame @ xp.matrix_transpose(scaled)
    else:
        B = orthogonal_complement(data.latent_direction)[:, :k]
        frame = spectrum.vectors @ (B / xp.sqrt(spectrum.values)[:, None])
        W = frame @ xp.matrix_transpose(scaled)
    return W if point.mean is None else W + mean_weights(point.mean, data)


def relu_output(point: MomentPoint, data: GameData) -> Array:
    """G with the factor that the generator asks for; in coordinates of the basis of F where not all is reachable."""
    xp = namespace(point.directions)
    G = factored_output(point, data)
    if data.is_free:
        return G if point.mean is None else G + mean_weights(point.mean, data)
    assert data.features is not None
    W = xp.matrix_transpose(data.features) @ G
    return W if point.mean is None else W + mean_weights(point.mean, data)
