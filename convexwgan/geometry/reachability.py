"""Which targets a ReLU network of any width can produce on given noise: the span of the features (Zu)₊."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convexwgan.arrays import Array, Float64, to_numpy64
from convexwgan.errors import InputError, MemoryLimitError
from convexwgan.geometry.bitsets import Bools, Integers
from convexwgan.geometry.flats import TIE
from convexwgan.geometry.moments import require_matrix
from convexwgan.geometry.parallel import parallel_classes
from convexwgan.geometry.spectra import EPS, rank_tolerance

LARGEST_BASIS = 1 << 31
"""Bytes that ``reachable_basis`` may take; beyond them use ``ReachableOutputs.project``, which is sparse."""


@dataclass(frozen=True, eq=False)
class Reachability:
    """Whether G = (ZW₁)₊W₂ has a solution, with the proof when it has none.

    ``residual``: ‖G − P_F G‖_F/‖G‖_F, F the span of the features. ``nearest`` (n, d_r): P_F G, the closest
    reachable target. ``witness`` (n, d_r): R = G − P_F G, which has Rᵀ(Zu)₊ = 0 for all u and ⟨R, G⟩ = ‖R‖²:
    where it is not 0 it proves G unreachable. ``reason``: in words, with the rows that contradict each other.
    """

    is_reachable: bool
    reason: str
    residual: float
    nearest: Float64
    witness: Float64


@dataclass(frozen=True, eq=False)
class ReachableOutputs:
    """F = span{(Zu)₊ : u ∈ ℝ^d} ⊂ ℝⁿ, the outputs of networks of any width, kept as the structure of the rows.

    A *ray* is a class of rows of Z that are positive multiples of each other; two rays are *opposite* when
    they are negative multiples. On F

        y_i/‖z_i‖ is one number x_ρ a ray,    y_i = 0 for zero rows,    x_{ℓ+} − x_{ℓ−} = ẑ_ℓᵀw

    for each pair ℓ of opposite rays and one common w. Nothing else restricts F.

    ``ray_of`` (n,): the ray of each row, −1 for zero rows. ``lengths`` (n,): ‖z_i‖. ``weights`` (n_rays,):
    s_ρ = (Σ_{i ∈ ρ}‖z_i‖²)^½. ``pairs`` (A, 2): opposite rays. ``frame`` (A, q): the range of
    (ẑ_ℓᵀ/κ_ℓ)_ℓ, κ_ℓ² = s_{ℓ+}^{−2} + s_{ℓ−}^{−2}, orthonormal, q the rank of the A directions.
    """

    ray_of: Integers
    lengths: Float64
    weights: Float64
    pairs: Integers
    frame: Float64

    @property
    def n(self) -> int:
        """The number of rows of Z."""
        return len(self.ray_of)

    @property
    def rank(self) -> int:
        """dim F = #rays − (A − q)."""
        A, q = self.frame.shape
        return int(len(self.weights) - A + q)

    @property
    def is_everything(self) -> bool:
        """Whether every target is reachable, F = ℝⁿ."""
        return self.rank == self.n

    @cached_property
    def rho(self) -> float:
        """ρ_F = ‖P_F 1‖²: n where constants are reachable; S ⪰ ssᵀ/ρ_F for every reachable output."""
        ones = np.ones((self.n, 1))
        return float(np.sum(ones * self.project(ones)))

    def project(self, Y: Float64) -> Float64:
        """P_F Y for each column of Y (n, q), in O(nq) operations; Y itself where F = ℝⁿ."""
        if self.is_everything:
            return np.array(Y, dtype=np.float64)
        x = self._on_rays(Y)  # orthonormal coordinates, one a ray
        f = self._opposition
        delta = f[:, :1] * x[self.pairs[:, 0]] + f[:, 1:] * x[self.pairs[:, 1]]  # Fᵀx, F orthonormal
        delta -= self.frame @ (self.frame.T @ delta)
        x[self.pairs[:, 0]] -= f[:, :1] * delta
        x[self.pairs[:, 1]] -= f[:, 1:] * delta
        return self._on_rows(x)

    def basis(self) -> Float64:
        """An orthonormal basis of F, shape (n, rank), dense.

        Raises:
            MemoryLimitError: it would take more than ``LARGEST_BASIS`` bytes.
        """
        size = 8 * self.n * self.rank
        if size > LARGEST_BASIS:
            raise MemoryLimitError(
                f"an orthonormal basis of shape {(self.n, self.rank)} takes {size} bytes, more than the "
                f"{LARGEST_BASIS} allowed: use reachable_outputs(Z).project(Y), which needs none."
            )
        return self._on_rows(self._ray_basis())

    def _ray_basis(self) -> Float64:
        """The same in ray coordinates: lone rays, sums over pairs, and the differences ẑᵀw allows."""
        n_rays, f = len(self.weights), self._opposition
        alone = np.setdiff1d(np.arange(n_rays), self.pairs)
        A = len(self.frame)
        columns = np.zeros((n_rays, self.rank))
        columns[alone, np.arange(len(alone))] = 1.0
        sums = len(alone) + np.arange(A)
        columns[self.pairs[:, 0], sums], columns[self.pairs[:, 1], sums] = -f[:, 1], f[:, 0]
        columns[self.pairs[:, 0], len(alone) + A :] = f[:, :1] * self.frame
        columns[self.pairs[:, 1], len(alone) + A :] = f[:, 1:] * self.frame
        return columns

    @cached_property
    def _opposition(self) -> Float64:
        """(1/s₊, −1/s₋)/κ for each pair, shape (A, 2): the unit vector that reads off x_{ℓ+} − x_{ℓ−}."""
        s = self.weights[self.pairs]
        return np.stack([s[:, 1], -s[:, 0]], axis=1) / np.hypot(s[:, 0], s[:, 1])[:, None]

    def _on_rays(self, Y: Float64) -> Float64:
        """Σ_{i∈ρ} ‖z_i‖ y_i / s_ρ, shape (n_rays, q)."""
        x, inside = np.zeros((len(self.weights), Y.shape[1])), self.ray_of >= 0
        np.add.at(x, self.ray_of[inside], self.lengths[inside, None] * Y[inside])
        return x / self.weights[:, None]

    def _on_rows(self, x: Float64) -> Float64:
        """y_i = ‖z_i‖ x_ρ(i)/s_ρ(i), 0 for zero rows."""
        Y, inside = np.zeros((self.n, x.shape[1])), self.ray_of >= 0
        Y[inside] = self.lengths[inside, None] * (x / self.weights[:, None])[self.ray_of[inside]]
        return Y


def reachable_outputs(Z: Array, tie: float = TIE) -> ReachableOutputs:
    """The space F = span{(Zu)₊ : u} of the outputs that ReLU networks reach on Z.

    Args:
        Z: noise, shape (n, d).
        tie: rows count as parallel where their unit vectors differ by at most this
            in whitened coordinates; rows of length ≤ ``rank_tolerance(max‖z‖, n, d)`` count as zero.

    Raises:
        InputError: Z is not a non-empty finite matrix.

    Reference:
        In Σc_ρ(ẑ_ρᵀu)₊ ≡ 0 the kinks cancel on each hyperplane: c_ρ = 0 for a lone ray, c₊ + c₋ = 0 for
        opposite ones, which leaves the linear function Σα_ℓ ẑ_ℓᵀu ≡ 0.

    >>> reachable_outputs(np.array([[1.0], [2.0], [-1.0]])).rank  # one ray twice, and its opposite
    2
    """
    require_matrix(Z, "Z")
    rows = to_numpy64(Z)
    if not np.isfinite(rows).all():
        raise InputError("Z", Z, "be finite", "drop or impute its NaN and infinite entries")
    lengths = np.linalg.norm(rows, axis=1)
    inside = np.flatnonzero(lengths > rank_tolerance(float(lengths.max()), *rows.shape))
    of_row, lengths = np.full(len(rows), -1), np.where(np.isin(np.arange(len(rows)), inside), lengths, 0.0)
    if len(inside) == 0:
        return ReachableOutputs(of_row, lengths, np.zeros(0), np.zeros((0, 2), dtype=np.int64), np.zeros((0, 0)))
    unit = rows[inside] / lengths[inside, None]
    first, orientation = parallel_classes(*_whitened(unit, tie))
    code, ray = np.unique(2 * first + (orientation < 0), return_inverse=True)
    of_row[inside] = ray.reshape(-1)
    weights = np.sqrt(np.bincount(of_row[inside], lengths[inside] ** 2))
    second = np.flatnonzero((code[1:] == code[:-1] + 1) & (code[1:] % 2 == 1)) + 1
    pairs = np.stack([second - 1, second], axis=1)
    return ReachableOutputs(of_row, lengths, weights, pairs, _frame(unit[code[second] // 2], weights[pairs]))


def reachable_rank(Z: Array) -> int:
    """dim span{(Zu)₊ : u} = #rays − (A − rank of the A opposite directions).

    >>> reachable_rank(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    3
    """
    return reachable_outputs(Z).rank


def reachable_basis(Z: Array) -> Float64 | None:
    """An orthonormal basis (n, q) of span{(Zu)₊ : u} where it is not all of ℝⁿ, else None.

    For n beyond a few thousand prefer ``reachable_outputs(Z)``, whose ``project`` and ``rho`` need no basis.

    Raises:
        InputError: Z is not a non-empty finite matrix.
        MemoryLimitError: the basis would take more than ``LARGEST_BASIS`` bytes.

    >>> reachable_basis(np.eye(2)) is None
    True
    """
    space = reachable_outputs(Z)
    return None if space.is_everything else space.basis()


def reachability(Z: Array, G: Array, tol: float = 1e-9) -> Reachability:
    """Whether some ReLU network of any width produces the target G on the noise Z.

    ∃ W₁, W₂: (ZW₁)₊W₂ = G   ⇔   every column of G lies in span{(Zu)₊ : u}

    Args:
        Z: noise, shape (n, d).
        G: target, shape (n, d_r).
        tol: the relative residual ‖G − P_F G‖_F/‖G‖_F that still counts as reachable.

    Returns:
        Reachability, with the nearest reachable target and the multiplier that proves unreachability.

    Raises:
        InputError: Z or G is not a non-empty finite matrix, they have different numbers of rows, or tol < 0.

    Reference:
        MATH §2.4, Reachability.

    >>> Z = np.array([[1.0, 2.0], [2.0, 4.0]])
    >>> reachability(Z, np.array([[1.0], [2.0]])).is_reachable
    True
    >>> print(reachability(Z, np.array([[1.0], [3.0]])).reason)
    rows 0 and 1 of Z are positive multiples, but their targets are not in the same proportion
    """
    require_matrix(G, "G")
    space, target = reachable_outputs(Z), to_numpy64(G)
    if len(target) != space.n:
        raise InputError("G", G, f"have {space.n} rows", "it is the target output, one row for each row of Z")
    if not np.isfinite(target).all():
        raise InputError("G", G, "be finite", "drop or impute its NaN and infinite entries")
    if not tol >= 0.0:
        raise InputError("tol", tol, "be >= 0", "it is a relative residual")
    nearest = space.project(target)
    witness = target - nearest
    norm = float(np.linalg.norm(target))
    residual = float(np.linalg.norm(witness)) / norm if norm > 0.0 else 0.0
    is_reachable = residual <= tol
    reason = _agreement(space) if is_reachable else _contradiction(space, target, witness)
    return Reachability(is_reachable, reason, residual, nearest, witness)


def _whitened(unit: Float64, tie: float) -> tuple[Float64, float]:
    """Unit rows in the coordinates where their singular values are all 1, and the tolerance for them.

    As in ``geometry.arrangements``: rays are the same there, and an ill-conditioned Z costs no accuracy.
    """
    U, s, _ = np.linalg.svd(unit, full_matrices=False)
    r = int((s > rank_tolerance(float(s[0]), *unit.shape)).sum())
    Y = U[:, :r] / np.linalg.norm(U[:, :r], axis=1, keepdims=True)
    return Y, max(tie, 256 * EPS * float(s[0] / s[r - 1]))


def _frame(directions: Float64, s: Float64) -> Float64:
    """An orthonormal basis of the range of (ẑ_ℓᵀ/κ_ℓ)_ℓ, shape (A, rank of the directions)."""
    if len(directions) == 0:
        return np.zeros((0, 0))
    U, values, _ = np.linalg.svd(directions, full_matrices=False)
    U = U[:, values > rank_tolerance(float(values[0]), *directions.shape)]
    kappa = np.hypot(1.0 / s[:, 0], 1.0 / s[:, 1])
    return np.asarray(np.linalg.qr(U * (kappa.min() / kappa)[:, None])[0], dtype=np.float64)


def _agreement(space: ReachableOutputs) -> str:
    if space.is_everything:
        return f"every target is reachable: the features (Zu)₊ span all {space.n} dimensions"
    return f"the target lies in the span of the features (Zu)₊, {space.rank} of {space.n} dimensions"


def _contradiction(space: ReachableOutputs, target: Float64, witness: Float64) -> str:
    """The rows that contradict each other, found where the part of G outside F is largest."""
    size = np.linalg.norm(witness, axis=1)
    is_zero = space.ray_of < 0
    if is_zero.any() and size[is_zero].max() >= size[~is_zero].max(initial=0.0):
        return f"row {int(np.argmax(np.where(is_zero, size, -1.0)))} of Z is zero, but its target is not"
    spread = target - space._on_rows(space._on_rays(target))
    within = np.where(is_zero, 0.0, np.linalg.norm(spread, axis=1))
    worst = int(np.argmax(within))
    if within[worst] >= 0.5 * size.max():
        return _disproportion(space, target, worst)
    between = np.where(np.isin(space.ray_of, space.pairs), size, -1.0)
    i = int(np.argmax(between))
    ray, pair = space.ray_of[i], space.pairs[(space.pairs == space.ray_of[i]).any(axis=1)][0]
    j = int(np.argmax(space.ray_of == pair[pair != ray][0]))
    return f"rows {i} and {j} of Z are opposite, and the differences of the targets of such rows are not linear in Z"


def _disproportion(space: ReachableOutputs, target: Float64, worst: int) -> str:
    same: Bools = space.ray_of == space.ray_of[worst]
    slope = target / np.where(same, space.lengths, 1.0)[:, None]
    off = np.where(same, np.linalg.norm(slope - slope[worst], axis=1), -1.0)
    i, j = sorted((worst, int(np.argmax(off))))
    return f"rows {i} and {j} of Z are positive multiples, but their targets are not in the same proportion"
