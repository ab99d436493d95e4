"""Factors of a ReLU generator's output: which L in G = w_f^{−½} L τ^½ Vᵀ + (mean part), LᵀL = I (MATH 3.8).

Every L has the same output moments; it decides the weights and what fresh noise becomes:
    latent: L = N Q Λ^{−½} B in the range of the network input N = Z or [Z 1], so that 2k neurons suffice
            (Nu = (Nu)₊ − (−Nu)₊) and fresh noise keeps the covariance;
    array:  the user's own.
"""

from __future__ import annotations

from convexwgan.arrays import Array, like, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.spectra import orthogonal_complement
from convexwgan.theory.candidate import MomentPoint
from convexwgan.theory.data import GameData


def factored_output(point: MomentPoint, data: GameData) -> Array:
    """The part of G that carries the variances τ, (n_f, d_r); ⟂ 1 where the mean is fixed.

    Raises:
        InputError: the factor has too few columns or is not orthonormal, or rank(N) is too small for "latent".
    """
    xp = namespace(point.directions)
    k = int(point.variances.shape[0])
    scaled = xp.sqrt(point.variances / data.fake_weight)[None, :] * point.directions
    factor = data.wgan.players[1].factor
    L = (
        _latent_factor(k, point.mean is not None, data)
        if isinstance(factor, str)
        else _given_factor(factor, k, point, data)
    )
    return L @ xp.matrix_transpose(scaled)


def _latent_factor(k: int, centred: bool, data: GameData) -> Array:
    """The top-k left singular vectors of N; ⟂ 1 inside range(N) when centred."""
    spectrum = data.input_spectrum
    xp = namespace(spectrum.vectors)
    N = xp.astype(data.network_input, xp.float64)
    frame = spectrum.vectors / xp.sqrt(spectrum.values)[None, :]
    if centred:
        direction = xp.matrix_transpose(frame) @ (data.fake_weight * xp.sum(N, axis=0))
        if float(xp.linalg.vector_norm(direction)) > 1e-12:
            frame = frame @ orthogonal_complement(direction)
    if k > int(frame.shape[1]):
        remedy = 'give more latent columns, factor="optimised", or an array of n_f rows'
        name = "factor of Generator.relu"
        raise InputError(
            name, "latent", f"have {k} directions in the range of the noise, which has {frame.shape[1]}", remedy
        )
    return data.fake_weight**0.5 * (N @ frame[:, :k])


def _given_factor(factor: object, k: int, point: MomentPoint, data: GameData) -> Array:
    """The user's L, its first k columns, checked."""
    L = like(point.directions, to_numpy64(_as_array(factor)))
    xp = namespace(L)
    name, remedy = "factor of Generator.relu", "orthonormalise it, for example by numpy.linalg.qr"
    if int(L.shape[0]) != data.n_fake or int(L.shape[1]) < k:
        raise InputError(
            name, L, f"have shape (n_f, at least k) = ({data.n_fake}, {k})", "k components are kept on this data"
        )
    L = L[:, :k]
    if float(xp.max(xp.abs(xp.matrix_transpose(L) @ L - xp.eye(k, dtype=L.dtype)))) > 1e-8:
        raise InputError(name, L, "have orthonormal columns to 1e-8", remedy)
    if point.mean is not None and float(xp.max(xp.abs(xp.sum(L, axis=0)))) > 1e-8 * data.n_fake**0.5:
        raise InputError(
            name, L, "have columns that sum to 0, since the skip fixes the mean", "centre its columns first"
        )
    if data.features is not None:
        outside = L - data.features @ (xp.matrix_transpose(data.features) @ L)
        if float(xp.max(xp.abs(outside))) > 1e-8:
            raise InputError(
                name, L, "lie in the reachable outputs span{(Zu)₊}", "parallel or antipodal rows of Z tie rows of G"
            )
    return L


def _as_array(factor: object) -> Array:
    import numpy as np

    return np.asarray(factor, dtype=np.float64)
