"""Spectra of moments and of latent samples: thresholding, rank with a stated tolerance, square roots."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Array, device_of, eps_of, namespace
from convexwgan.errors import InputError
from convexwgan.geometry.moments import (
    float64,
    float64_blocks,
    moments_of,
    require_matrix,
    require_square,
    symmetrized,
)

EPS = float(np.finfo(np.float64).eps)
_AMBIGUITY = 10.0


@dataclass(frozen=True, eq=False)
class LatentSpectrum:
    """Eigenpairs of w ZᵀZ that count as nonzero, with the tolerance that decides what counts.

    ``vectors`` Q has shape (p, r) and ``values`` λ shape (r,), descending, so that w ZᵀZ ≈ Q diag(λ) Qᵀ.
    ``singular_values`` are all min(n, p) singular values of √w Z; those above ``tolerance`` make ``rank`` r.
    ``is_ambiguous``: some singular value lies within a factor 10 of the tolerance: the rank is a judgement.
    """

    vectors: Array
    values: Array
    singular_values: Array
    tolerance: float
    rank: int
    is_ambiguous: bool


def fix_signs(V: Array) -> Array:
    """The columns of V with their entry of largest magnitude made positive, the first such entry on ties.

    Entries within √eps of the largest count as ties, so that rounding cannot flip a column like (1, −1)/√2.

    >>> import numpy as np
    >>> fix_signs(np.array([[-3.0, 1.0], [1.0, -1.0]])).tolist()
    [[3.0, 1.0], [-1.0, -1.0]]
    """
    xp = namespace(V)
    magnitude = xp.abs(V)
    is_largest = magnitude >= (1.0 - math.sqrt(eps_of(V))) * xp.max(magnitude, axis=0)
    order = xp.arange(V.shape[0], 0, -1, device=device_of(V))[:, None]  # the first row has the largest order
    candidates = xp.where(is_largest, order, xp.zeros_like(order))
    leading = xp.where(candidates == xp.max(candidates, axis=0), V, xp.zeros_like(V))
    negative = xp.sum(leading, axis=0) < 0
    return xp.where(negative, -V, V)


def eigh_descending(M: Array) -> tuple[Array, Array]:
    """Eigenvalues of a symmetric matrix, descending, and its eigenvectors with signs fixed.

    Args:
        M: symmetric, shape (d, d); only its symmetric part is used.

    Returns:
        values (d,) and vectors (d, d), one eigenvector a column, in float64.

    Raises:
        InputError: M is not a square matrix.

    >>> import numpy as np
    >>> eigh_descending(np.diag([1.0, 3.0]))[0].tolist()
    [3.0, 1.0]
    """
    require_square(M, "M")
    xp = namespace(M)
    values, vectors = xp.linalg.eigh(symmetrized(float64(M)))
    return xp.flip(values), fix_signs(xp.flip(vectors, axis=1))


def gram_spectrum(X: Array, weight: float = 1.0) -> tuple[Array, Array]:
    """The leading q = min(n, d) eigenpairs of weight·XᵀX, descending, clipped at 0.

    From the d×d Gram matrix when d ≤ n, else from the thin SVD of X, which never forms a d×d matrix.

    Args:
        X: shape (n, d).
        weight: 1 for sums, 1/n for means.

    Returns:
        values (q,) and vectors (d, q), in float64.

    >>> import numpy as np
    >>> gram_spectrum(np.array([[0.0, 3.0, 0.0]]))[0].tolist()
    [9.0]
    """
    require_matrix(X, "X")
    xp = namespace(X)
    if X.shape[1] <= X.shape[0]:
        values, vectors = eigh_descending(moments_of(X, normalize="sum").second)
        return weight * xp.clip(values, 0.0), vectors
    _, s, Vt = xp.linalg.svd(float64(X), full_matrices=False)
    return weight * s**2, fix_signs(Vt.T)


def singular_value_threshold(values: Array, beta: float) -> Array:
    """(σ_i² − β)₊ for each of the values σ_i²: the paper's (Σ² − β_d)₊.

    >>> import numpy as np
    >>> singular_value_threshold(np.array([5.0, 2.0, 1.0]), 2.0).tolist()
    [3.0, 0.0, 0.0]
    """
    return namespace(values).clip(float64(values) - beta, 0.0)


def rank_tolerance(largest: float, n: int, p: int, eps: float = EPS) -> float:
    """Singular values at or below s₁·max(p·eps, n·EPS, 64·eps) count as zero; eps of the data, EPS of float64.

    The usual tolerance s₁·max(n, p)·eps, with two refinements. Sums over the n rows run in float64, so only
    the columns see the coarser eps of float32 data. And small matrices are kept away from rounding: an exact
    zero comes out of the SVD as about s₁·eps, which must lie clearly (a factor 10) below the tolerance, or no
    small rank-deficient matrix could ever be called so with confidence.

    >>> rank_tolerance(1.0, 3, 2) == 64 * EPS
    True
    """
    return largest * max(max(n, p) * EPS, max(p, 64) * eps)


def latent_spectrum(
    Z: Array, weight: float = 1.0, tolerance: float | None = None, eps: float | None = None
) -> LatentSpectrum:
    """The nonzero eigenpairs of weight·ZᵀZ, from a QR factorisation and an SVD of its triangle.

    The Gram matrix is never formed: squaring would hide every singular value below √eps·s₁.

    Args:
        Z: shape (n, p), any real dtype; factored in float64, block by block where it is not float64.
        weight: 1 for sums, 1/n for means.
        tolerance: absolute, on the singular values of √weight·Z; default ``rank_tolerance``.
        eps: machine epsilon of the numbers that Z came from; default that of Z's own dtype, since float32 data
            has no meaning beyond it.

    Returns:
        LatentSpectrum, arrays in float64 on the device of Z.

    Raises:
        InputError: Z is not a non-empty matrix, its squares overflow, or tolerance is negative.

    >>> import numpy as np
    >>> spectrum = latent_spectrum(np.array([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]]))
    >>> spectrum.rank, spectrum.is_ambiguous
    (1, False)
    """
    require_matrix(Z, "Z")
    xp = namespace(Z)
    R = _triangular_factor(Z)
    peak = float(xp.max(xp.abs(R)))
    if not math.isfinite(peak * peak * R.shape[0] * R.shape[1]):  # a bound on s₁²
        raise InputError("Z", Z, "be finite, its squares within float64", "rescale Z or drop its NaN and inf")
    _, s, Vt = xp.linalg.svd(R, full_matrices=False)
    s = math.sqrt(weight) * s
    if tolerance is None:
        if eps is None:
            eps = eps_of(Z) if xp.isdtype(Z.dtype, "real floating") else EPS
        tolerance = rank_tolerance(float(s[0]), Z.shape[0], Z.shape[1], eps)
    return _truncated(fix_signs(Vt.T), s**2, s, tolerance)


def gram_latent_spectrum(A: Array, tolerance: float | None = None) -> LatentSpectrum:
    """The nonzero eigenpairs of a given positive semidefinite second-moment matrix (population noise).

    Args:
        A: shape (p, p), for example E[zzᵀ].
        tolerance: absolute, on singular values (square roots of eigenvalues). The default is the square root
            of ``rank_tolerance`` for the eigenvalues: a squared matrix carries only half the digits.

    Returns:
        LatentSpectrum; ``singular_values`` are the p square roots of the clipped eigenvalues.

    Raises:
        InputError: A is not square, or has an eigenvalue more negative than rounding explains.

    >>> import numpy as np
    >>> gram_latent_spectrum(np.diag([4.0, 0.0])).values.tolist()
    [4.0]
    """
    values, vectors = eigh_descending(A)
    p, largest = A.shape[0], max(float(values[0]), 0.0)
    smallest, noise = float(values[-1]), rank_tolerance(largest, p, p)
    if smallest < -noise:
        raise InputError(
            "smallest eigenvalue of A", smallest, "be >= 0", "a second-moment matrix is positive semidefinite"
        )
    s = namespace(A).clip(values, 0.0) ** 0.5
    # λ and not s is what carries rounding error here, so "within a factor 10" is meant on λ: √10 on s.
    tolerance = math.sqrt(noise) if tolerance is None else tolerance
    return _truncated(vectors, s**2, s, tolerance, math.sqrt(_AMBIGUITY))


def components_threshold(values: Array, k: int) -> float:
    """A certified upper bound on σ²_{k+1}, the smallest β that keeps at most k components.

    The computed eigenvalue plus the eigensolver's error bound, 4·d·eps·σ₁²; it speaks about the matrix whose
    eigenvalues were computed. Strictly positive for a nonzero matrix.

    Args:
        values: σ₁² ≥ σ₂² ≥ …, shape (d,), as ``gram_spectrum`` returns them.
        k: how many components to keep, k ≥ 0; beyond the number of values, σ²_{k+1} = 0.

    Raises:
        InputError: k is negative.

    >>> import numpy as np
    >>> bound = components_threshold(np.array([9.0, 4.0, 1.0]), 2)
    >>> 1.0 < bound < 1.0 + 1e-12
    True
    """
    if k < 0:
        raise InputError("components", k, "be >= 0", "it counts the directions that the generator may use")
    d = int(values.shape[0])
    following = float(values[k]) if k < d else 0.0
    return max(following, 0.0) + 4.0 * d * EPS * float(values[0])


def psd_root(M: Array) -> Array:
    """The symmetric square root of a positive semidefinite matrix, negative eigenvalues clipped at 0.

    >>> import numpy as np
    >>> psd_root(np.diag([9.0, 4.0])).tolist()
    [[3.0, 0.0], [0.0, 2.0]]
    """
    values, V = eigh_descending(M)
    roots = namespace(M).clip(values, 0.0) ** 0.5
    return symmetrized((V * roots) @ V.T)


def _triangular_factor(Z: Array) -> Array:
    """R with RᵀR = ZᵀZ and at most p rows, by QR; over row blocks, each stacked under the R so far."""
    xp = namespace(Z)
    if Z.shape[0] <= Z.shape[1]:
        return float64(Z)
    blocks = float64_blocks(Z)
    R = _r_of(next(blocks))
    for block in blocks:
        R = _r_of(xp.concat([R, block], axis=0))
    return R


def _r_of(block: Array) -> Array:
    """The triangle of a QR factorisation; NumPy need not form the Q that nobody reads (two to three times faster)."""
    if isinstance(block, np.ndarray):
        return np.linalg.qr(block, mode="r")
    return namespace(block).linalg.qr(block, mode="reduced")[1]


def _truncated(V: Array, values: Array, s: Array, tolerance: float, ambiguity: float = _AMBIGUITY) -> LatentSpectrum:
    """The eigenpairs whose singular value exceeds the tolerance."""
    if not tolerance >= 0.0:
        raise InputError("tolerance", tolerance, "be >= 0", "it is an absolute bound on singular values")
    xp = namespace(s)
    rank = int(xp.sum(xp.astype(s > tolerance, xp.int64)))
    near = (s * ambiguity >= tolerance) & (s <= ambiguity * tolerance)
    is_ambiguous = tolerance > 0.0 and bool(xp.any(near))
    return LatentSpectrum(V[:, :rank], values[:rank], s, tolerance, rank, is_ambiguous)


def orthogonal_complement(direction: Array) -> Array:
    """An orthonormal basis, shape (r, r − 1), of the complement of a nonzero vector: Householder's reflection to ∓e₁.

    >>> import numpy as np
    >>> np.abs(orthogonal_complement(np.array([0.0, 2.0]))).tolist()
    [[1.0], [0.0]]
    """
    xp = namespace(direction)
    r = int(direction.shape[0])
    unit = direction / xp.linalg.vector_norm(direction)
    sign = 1.0 if float(unit[0]) >= 0 else -1.0
    identity = xp.eye(r, dtype=direction.dtype, device=device_of(direction))
    w = unit + sign * identity[:, 0]
    reflection = identity - 2.0 * w[:, None] * w[None, :] / xp.sum(w**2)
    return reflection[:, 1:]
