"""Factors of a ReLU generator's output: which L in G = w_f^{−½} L τ^½ Vᵀ + (mean part), LᵀL = I (MATH 3.8).

Every L has the same output moments; it decides the weights and what fresh noise becomes:
    latent: L = N Q Λ^{−½} B in the range of the network input N = Z or [Z 1], so that 2k neurons suffice
            (Nu = (Nu)₊ − (−Nu)₊) and fresh noise keeps the covariance. With more components than rank(N), the columns
            that are missing are the leading directions, outside that range, of the kernel of all ReLU features;
    array:  the user's own;
    optimised: begins with latent, and is then chosen with the weights (``solvers.factor_descent``).
"""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Array, Float64, like, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.spectra import orthogonal_complement
from convexwgan.theory.candidate import MomentPoint
from convexwgan.theory.data import GameData

_NAME = "factor of Generator.relu"
_OUTSIDE = 1e-8


def factored_output(point: MomentPoint, data: GameData) -> Array:
    """The part of G that carries the variances τ, (n_f, d_r); ⟂ 1 where the mean is fixed.

    Raises:
        InputError: the given factor has too few columns, or they are not orthonormal (or, with a skip, not ⟂ 1).
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


def factor_text(point: MomentPoint, data: GameData) -> str:
    """What L the output has, in words: for ``stats``."""
    factor, k = data.wgan.players[1].factor, int(point.variances.shape[0])
    if not isinstance(factor, str):
        return "given"
    missing = missing_columns(k, point.mean is not None, data)
    return "latent" if missing == 0 else f"latent, completed by {missing} directions outside the range of the noise"


def missing_columns(k: int, centred: bool, data: GameData) -> int:
    """How many of k columns the range of the network input (⟂ 1 where centred) cannot give."""
    return max(k - int(_latent_frame(centred, data).shape[1]), 0)


def unreachable_output(point: MomentPoint, mean_part: Array | None, data: GameData) -> Float64 | None:
    """The output that a given factor asks for, where part of it lies outside span{(Nu)₊}; else None."""
    if isinstance(data.wgan.players[1].factor, str) or data.features is None:
        return None
    G = to_numpy64(factored_output(point, data))
    F = to_numpy64(data.features)
    if float(np.linalg.norm(G - F @ (F.T @ G))) <= _OUTSIDE * float(np.linalg.norm(G)):
        return None
    return G if mean_part is None else G + F @ to_numpy64(mean_part)


def _latent_factor(k: int, centred: bool, data: GameData) -> Array:
    """The top-k left singular vectors of N, ⟂ 1 inside range(N) when centred; completed where there are fewer."""
    xp = namespace(data.input_spectrum.vectors)
    frame = _latent_frame(centred, data)
    N = xp.astype(data.network_input, xp.float64)
    L = data.fake_weight**0.5 * (N @ frame[:, :k])
    missing = k - int(L.shape[1])
    if missing <= 0:
        return L
    return like(L, np.hstack([to_numpy64(L), _feature_directions(to_numpy64(L), missing, centred, data)]))


def _latent_frame(centred: bool, data: GameData) -> Array:
    """(p, r) with orthonormal √w N·frame: QΛ^{−½}, without the direction of 1 when centred."""
    spectrum = data.input_spectrum
    xp = namespace(spectrum.vectors)
    N = xp.astype(data.network_input, xp.float64)
    frame = spectrum.vectors / xp.sqrt(spectrum.values)[None, :]
    if centred:
        direction = xp.matrix_transpose(frame) @ (data.fake_weight * xp.sum(N, axis=0))
        if float(xp.linalg.vector_norm(direction)) > 1e-12:
            frame = frame @ orthogonal_complement(direction)
    return frame


def _feature_directions(L: Float64, count: int, centred: bool, data: GameData) -> Float64:
    """The leading ``count`` eigenvectors of the kernel of ReLU features in span{(Nu)₊}, ⟂ L (and ⟂ 1 when centred).

    K_ij = E[(n_iᵀu)₊(n_jᵀu)₊] ∝ ‖n_i‖‖n_j‖(sin θ_ij + (π − θ_ij) cos θ_ij): its leading directions are those that
    features of unit neurons reach with the least weights. Cho and Saul 2009 (arc-cosine kernel of degree 1).
    """
    N = to_numpy64(data.network_input)
    lengths = np.linalg.norm(N, axis=1)
    unit = N / np.where(lengths > 0.0, lengths, 1.0)[:, None]
    cosine = np.clip(unit @ unit.T, -1.0, 1.0)
    angle = np.arccos(cosine)
    K = np.outer(lengths, lengths) * (np.sin(angle) + (np.pi - angle) * cosine)
    basis = None if data.features is None else to_numpy64(data.features)
    taken = [L]
    if centred:
        ones = np.ones((len(N), 1)) if basis is None else basis @ basis.sum(axis=0)[:, None]
        taken.append(ones)
    Q = np.linalg.qr(np.hstack(taken))[0]
    for part in (Q, Q):  # twice: the second pass removes the rounding of the first
        K = K - part @ (part.T @ K)
        K = K - (K @ part) @ part.T
    if basis is not None:
        K = basis @ (basis.T @ K @ basis) @ basis.T
    vectors = np.linalg.eigh(0.5 * (K + K.T))[1][:, ::-1][:, :count]
    vectors = vectors - Q @ (Q.T @ vectors)
    return np.asarray(np.linalg.qr(vectors)[0], dtype=np.float64)


def _given_factor(factor: object, k: int, point: MomentPoint, data: GameData) -> Array:
    """The user's L, its first k columns, checked."""
    L = like(point.directions, np.asarray(factor, dtype=np.float64))
    xp = namespace(L)
    if int(L.shape[0]) != data.n_fake or int(L.shape[1]) < k:
        raise InputError(
            _NAME, L, f"have shape (n_f, at least k) = ({data.n_fake}, {k})", "k components are kept on this data"
        )
    L = L[:, :k]
    if k and float(xp.max(xp.abs(xp.matrix_transpose(L) @ L - xp.eye(k, dtype=L.dtype)))) > 1e-8:
        remedy = "orthonormalise it, for example by numpy.linalg.qr"
        raise InputError(_NAME, L, "have orthonormal columns to 1e-8", remedy)
    if k and point.mean is not None and float(xp.max(xp.abs(xp.sum(L, axis=0)))) > 1e-8 * data.n_fake**0.5:
        raise InputError(
            _NAME, L, "have columns that sum to 0, since the skip fixes the mean", "centre its columns first"
        )
    return L
