"""Polynomial neurons σ(t) = at² + bt + c: the lift that makes them linear, and the way back to neurons."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Array, Float64, device_of, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.moments import float64, require_matrix, require_square
from convexwgan.geometry.spectra import EPS

Coefficients = tuple[float, float, float]


def lifted_dimension(d: int) -> int:
    """D = d(d+1)/2 + d + 1, the length of [svec(zzᵀ); z; 1].

    >>> lifted_dimension(2)
    6
    """
    return d * (d + 1) // 2 + d + 1


def svec(M: Array) -> Array:
    """The upper triangle of a symmetric matrix row by row, off-diagonals ×√2: ⟨svec A, svec B⟩ = ⟨A, B⟩.

    >>> import numpy as np
    >>> svec(np.array([[1.0, 2.0], [2.0, 3.0]])).round(3).tolist()
    [1.0, 2.828, 3.0]
    """
    require_square(M, "M")
    rows, columns, scale = _triangle(M.shape[0])
    flat = namespace(M).reshape(float64(M), (-1,))
    return _take(flat, rows * M.shape[0] + columns) * _like(scale, M)


def smat(v: Array) -> Array:
    """The symmetric matrix with svec(M) = v, for v of length d(d+1)/2.

    >>> import numpy as np
    >>> smat(svec(np.eye(2))).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    d = _side(v.shape[0])
    rows, columns, scale = _triangle(d)
    position = np.zeros((d, d), dtype=np.int64)
    position[rows, columns] = position[columns, rows] = np.arange(len(rows))
    entries = float64(v) / _like(scale, v)
    return namespace(v).reshape(_take(entries, position.reshape(-1)), (d, d))


def lift(Z: Array, coefficients: Coefficients) -> Array:
    """Rows z̃ = [a·svec(zzᵀ); b·z; c], in which every polynomial neuron is linear.

    σ(zᵀw) = a(zᵀw)² + b zᵀw + c = z̃ᵀ [svec(wwᵀ); w; 1]

    Args:
        Z: shape (n, d), any real dtype.
        coefficients: (a, b, c).

    Returns:
        Z̃ of shape (n, D), D = d(d+1)/2 + d + 1, in float64 on the device of Z.

    Raises:
        InputError: Z is not a non-empty matrix.

    >>> import numpy as np
    >>> lift(np.array([[3.0]]), (1.0, 2.0, 5.0)).tolist()
    [[9.0, 6.0, 5.0]]
    """
    require_matrix(Z, "Z")
    xp = namespace(Z)
    a, b, c = coefficients
    rows, columns, scale = _triangle(Z.shape[1])
    Z = float64(Z)
    squares = _take(Z, rows, axis=1) * _take(Z, columns, axis=1) * (a * _like(scale, Z))
    constant = xp.full((Z.shape[0], 1), c, dtype=xp.float64, device=device_of(Z))
    return xp.concat([squares, b * Z, constant], axis=1)


def lifted_normal_moments(dim: int, coefficients: Coefficients) -> tuple[Float64, Float64]:
    """The moments E[z̃] and E[z̃z̃ᵀ] of lifted standard normal noise z ~ N(0, I).

    E[svec svecᵀ] = 2I + svec(I)svec(I)ᵀ (Isserlis), E[zzᵀ] = I, odd moments vanish.

    Args:
        dim: d, the dimension of z.
        coefficients: (a, b, c).

    Returns:
        mean of shape (D,) and second moment of shape (D, D).

    Raises:
        InputError: dim is less than 1.

    >>> lifted_normal_moments(1, (1.0, 1.0, 1.0))[1].tolist()
    [[3.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    if dim < 1:
        raise InputError("dim", dim, "be >= 1", "it is the number of latent coordinates")
    a, b, c = coefficients
    identity = np.asarray(svec(np.eye(dim)))
    q = len(identity)
    mean = np.concatenate([a * identity, np.zeros(dim), [c]])
    second = np.outer(mean, mean)
    second[:q, :q] += 2.0 * a**2 * np.eye(q)
    second[q:-1, q:-1] += b**2 * np.eye(dim)
    return mean, second


def recover_neurons(W_lifted: Array, dim: int) -> tuple[Float64, Float64]:
    """D polynomial neurons that compute a given map of the lift: σ(ZW₁)W₂ = lift(Z)·W̃.

    Solves Σ_j [svec(w_jw_jᵀ); w_j; 1] v_jᵀ = W̃ with the w_j in {0, e_i, −e_i, e_i + e_k}, on which the linear
    system is triangular: with A = smat, l, κ the three parts of a column of W̃,

        e_i + e_k : A_ik,     ±e_i : ½(A_ii ± l_i − (1 ± 1) Σ_{k≠i} A_ik),     0 : what is left of κ.

    The neurons do not depend on the coefficients (a, b, c).

    Args:
        W_lifted: W̃, shape (D, d_r), D = ``lifted_dimension(dim)``.
        dim: d, the dimension of z.

    Returns:
        W1 of shape (d, D), one neuron a column, and W2 of shape (D, d_r).

    Raises:
        InputError: W_lifted does not have D rows.

    >>> import numpy as np
    >>> W1, W2 = recover_neurons(np.array([[1.0], [2.0], [3.0]]), 1)
    >>> (W1.tolist(), W2.tolist())
    ([[0.0, 1.0, -1.0]], [[2.0], [1.5], [-0.5]])
    """
    W = to_numpy64(W_lifted)
    if dim < 1 or W.ndim != 2 or W.shape[0] != lifted_dimension(dim):
        must = f"have {lifted_dimension(dim)} rows" if dim >= 1 else "belong to a latent dimension >= 1"
        raise InputError("W_lifted", W, must, f"D = d(d+1)/2 + d + 1 with d = {dim}")
    rows, columns, scale = _triangle(dim)
    off = rows != columns
    A = W[: len(rows)] / scale[:, None]
    diagonal, pairs = A[~off], A[off]
    linear, constant = W[len(rows) : -1], W[-1]
    around = np.zeros_like(diagonal)  # Σ_{k≠i} A_ik
    np.add.at(around, rows[off], pairs)
    np.add.at(around, columns[off], pairs)
    plus, minus = 0.5 * (diagonal + linear) - around, 0.5 * (diagonal - linear)
    origin = constant - plus.sum(axis=0) - minus.sum(axis=0) - pairs.sum(axis=0)
    identity = np.eye(dim)
    sums = identity[:, rows[off]] + identity[:, columns[off]]
    W1 = np.hstack([np.zeros((dim, 1)), identity, -identity, sums])
    return W1, np.vstack([origin[None, :], plus, minus, pairs])


def rank_one_decomposition(Y: Array, tolerance: float = 1e-6) -> tuple[Float64, Float64]:
    """Points of the unit ball that represent a relaxed moment matrix: Y = Σ_j v_j [u_j; 1][u_j; 1]ᵀ.

    Sturm–Zhang: a positive semidefinite Y of rank r with ⟨J, Y⟩ ≤ 0, J = diag(1, …, 1, −1), is a sum of r
    terms y_jy_jᵀ with y_jᵀJy_j = ⟨J, Y⟩/r each, so that u_j = y_j[:d]/y_j[d] has norm at most 1.

    A solver's noise is repaired: negative eigenvalues are clipped at 0, and the corner entry of Y is raised
    where ⟨J, Y⟩ > 0.

    Args:
        Y: shape (d+1, d+1), symmetric.
        tolerance: how much repair, relative to tr Y, counts as noise.

    Returns:
        u of shape (k, d) and v of shape (k,), ‖u_j‖ ≤ 1, v_j > 0, k ≤ d+1 (k = 0 for Y = 0).

    Raises:
        InputError: Y is not square, or violates Y ⪰ 0 or ⟨J, Y⟩ ≤ 0 by more than the tolerance.

    Reference:
        Sturm and Zhang, On cones of nonnegative quadratic functions, Math. Oper. Res. 28 (2003), Prop. 4.

    >>> import numpy as np
    >>> u, v = rank_one_decomposition(np.diag([1.0, 3.0]))
    >>> bool(np.all(np.abs(u) <= 1)), round(float(v.sum()), 12)
    (True, 3.0)
    """
    y = _equalized(_factor_with_nonpositive_form(to_numpy64(Y), tolerance))
    y = y[:, y[-1] ** 2 > 0.0]
    u = (y[:-1] / y[-1]).T
    u = u / np.maximum(np.linalg.norm(u, axis=1), 1.0)[:, None]  # rounding may leave ‖u‖ = 1 + eps
    return u, y[-1] ** 2


def _factor_with_nonpositive_form(Y: Float64, tolerance: float) -> Float64:
    """P of shape (d+1, r) with PPᵀ = Y (repaired) and ⟨J, PPᵀ⟩ ≤ 0."""
    require_square(Y, "Y")
    if not np.all(np.isfinite(Y)):
        raise InputError("Y", Y, "be finite", "the relaxation was not solved")
    Y = 0.5 * (Y + Y.T)
    noise = max(tolerance, len(Y) * EPS) * max(float(np.trace(Y)), 0.0)
    smallest, P = _factor(Y)
    excess = float(_form(P).sum())
    if smallest < -noise:
        raise InputError("smallest eigenvalue of Y", smallest, f"be >= -{noise:.1e}", "solve more accurately")
    if excess > noise:
        raise InputError("⟨J, Y⟩", excess, f"be <= {noise:.1e}", "solve more accurately")
    if excess <= 0.0:
        return P
    Y = P @ P.T
    Y[-1, -1] += excess
    return _factor(Y)[1]  # ⟨J, PPᵀ⟩ = 0 up to rounding, which clipping to the ball absorbs


def _factor(Y: Float64) -> tuple[float, Float64]:
    """The smallest eigenvalue of Y, and P of shape (d+1, r) with PPᵀ = Y on its positive eigenvalues."""
    values, V = np.linalg.eigh(Y)
    keep = values > len(Y) * EPS * max(float(values[-1]), 0.0)
    return float(values[0]), V[:, keep] * np.sqrt(values[keep])


def _equalized(P: Float64) -> Float64:
    """P rotated, PPᵀ unchanged, until every column has the same value of the form J."""
    P = P.copy()
    r = P.shape[1]
    for settled in range(r - 1):
        q = _form(P[:, settled:])
        delta = float(q.mean())
        low, high = settled + int(q.argmin()), settled + int(q.argmax())
        if not q.min() < delta < q.max():
            break
        P[:, low], P[:, high] = _rotated(P[:, low], P[:, high], delta)
        P[:, [settled, low]] = P[:, [low, settled]]
    return P


def _rotated(x: Float64, y: Float64, delta: float) -> tuple[Float64, Float64]:
    """(x + ty, y − tx)/√(1 + t²) with the first at the level δ of the form; xᵀJx < δ < yᵀJy.

    (yᵀJy − δ)t² + 2 xᵀJy t + (xᵀJx − δ) = 0 has roots of opposite signs; the stable one is taken.
    """
    alpha, gamma = _form(y[:, None])[0] - delta, _form(x[:, None])[0] - delta
    beta = float(x[:-1] @ y[:-1] - x[-1] * y[-1])
    root = -(beta + np.copysign(np.sqrt(max(beta**2 - alpha * gamma, 0.0)), beta))
    # t = root/α or γ/root: whichever is at most 1 in magnitude mixes least
    t = root / alpha if abs(root / alpha) <= abs(gamma / root) else gamma / root
    scale = 1.0 / np.sqrt(1.0 + t**2)
    return scale * (x + t * y), scale * (y - t * x)


def _form(P: Float64) -> Float64:
    """yᵀJy = ‖y[:d]‖² − y[d]² for each column y of P."""
    values: Float64 = (P[:-1] ** 2).sum(axis=0) - P[-1] ** 2
    return values


def _triangle(d: int) -> tuple[np.ndarray, np.ndarray, Float64]:
    """Rows and columns of the upper triangle, row by row, and the factors 1 and √2 of svec."""
    rows, columns = np.triu_indices(d)
    return rows, columns, np.where(rows == columns, 1.0, np.sqrt(2.0))


def _side(length: int) -> int:
    """d with d(d+1)/2 = length."""
    d = (int(np.sqrt(8 * length + 1)) - 1) // 2
    if d < 1 or d * (d + 1) // 2 != length:
        raise InputError("length of v", length, "be d(d+1)/2, d >= 1", "pass the svec of a symmetric matrix")
    return d


def _like(values: Float64, reference: Array) -> Array:
    """NumPy float64 values on the library and device of the reference."""
    xp = namespace(reference)
    return xp.asarray(values, dtype=xp.float64, device=device_of(reference))


def _take(array: Array, positions: np.ndarray, axis: int = 0) -> Array:
    """The entries of the array at the positions along an axis."""
    xp = namespace(array)
    return xp.take(array, xp.asarray(positions, dtype=xp.int64, device=device_of(array)), axis=axis)
