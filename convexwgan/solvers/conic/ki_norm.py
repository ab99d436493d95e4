"""The weight problem of a ReLU generator as one semidefinite program over the cones of its arrangement (MATH 2.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from convexwgan.arrays import Float64
from convexwgan.errors import InputError, MemoryLimitError
from convexwgan.geometry.bitsets import Integers
from convexwgan.geometry.cones import SimplicialCones
from convexwgan.geometry.moments import require_matrix
from convexwgan.solvers.conic.memory import available_bytes
from convexwgan.solvers.conic.model import ConicModel, Values, dual, load_cvxpy, positive_or_one, primal

Cones = SimplicialCones | Sequence[Float64]
"""Cones that tile latent space: ``triangulate(arrangement)``, or the rays of each cone as columns (d_f, p)."""

EXACT_RAYS = 4  # copositive = PSD + nonnegative up to this order (Diananda 1962)
SPAN_TOLERANCE = 1e-9  # directions of output that need weights 1e9 times larger than the easiest ones do not count
TARGET_TOLERANCE = 1e-6
_RANK_TOLERANCE = 1e-14
_CLARABEL = {"static_regularization_constant": 1e-7}  # at its 1e-8 one instance in fifty broke down
_NUMBER = 8
_FIXED = 100_000_000  # CVXPY and the solver themselves; then for each cone CVXPY's expressions and the KKT matrix
_CONE = 80_000
_BLOCK = 6


@dataclass(frozen=True, eq=False)
class ReluBlock:
    """One convex piece {Bc} of latent space: gram = BᵀB (p, p), features = (ZB)₊ (n, p); (Z Bc)₊ = features·c."""

    gram: Float64
    features: Float64


@dataclass(frozen=True, eq=False)
class ReducedTarget:
    """G = F target Qᵀ + (what no network reaches): F (n, f) spans all the outputs, Q (d_r, q) the rows of G."""

    F: Float64
    Q: Float64
    target: Float64
    left_over: Float64


@dataclass(frozen=True)
class _Units:
    """Z = ζ Z', G = γ G', and the value = q value'; β' is the weight of Σ‖v‖ in scaled units."""

    zeta: float
    gamma: float
    beta: float
    q: float


def ki_program(
    Z: Float64,
    G: Float64,
    cones: Cones,
    *,
    beta: float | None = None,
    doubly_nonnegative: bool = True,
    natural: bool = False,
    memory_limit: int | None = None,
) -> ConicModel:
    """The least weights of a ReLU network with output G: the K_i norms of all cells in one semidefinite program.

    Problem, with Φ_τ = (ZB_τ)₊ (so (Zu)₊ = Φ_τc for u = B_τc, c ≥ 0):
        min Σ_τ ½(tr(B_τᵀB_τ C_τ) + tr E_τ)   s.t.  [[C_τ, Y_τ], [Y_τᵀ, E_τ]] ⪰ 0,  C_τ ≥ 0,  Σ_τ Φ_τY_τ = G
    Soft form (β given):
        min ½‖Σ_τ Φ_τY_τ − G‖_F² + β Σ_τ ½(tr(B_τᵀB_τ C_τ) + tr E_τ),  same cones.
    Dual, whose R is the multiplier of the equality:
        max ⟨R, G⟩ (soft: − ½‖R‖_F²)   s.t.  [[β B_τᵀB_τ − N_τ, Φ_τᵀR], [RᵀΦ_τ, β I]] ⪰ 0,  N_τ ≥ 0
    (equality: β = 1), that is ‖Rᵀ(Zu)₊‖ ≤ β‖u‖ on every cone, proved by "PSD + nonnegative".
    The value is exact where every cone has at most 4 rays, and a lower bound otherwise or with
    ``doubly_nonnegative=False`` (C_τ free: the nuclear norm).
    Measured: Clarabel loses digits, or breaks down, on this dual and on orthonormal coordinates of thin cones.

    Equality is asked for in coordinates: f ≤ min(n, rays) of all the outputs that networks have, q = rank(G) of the
    rows of G. Nothing is lost: an optimal Y needs no other rows.

    Args:
        Z: latent samples, shape (n, d_f).
        G: target output, shape (n, d_r).
        cones: cones inside the row space of Z that tile it, each inside one cell of the arrangement of Z.
        beta: β of the soft form; None for equality.
        doubly_nonnegative: whether C_τ ≥ 0 is asked for.
        natural: keep the user's units (for export).
        memory_limit: bytes allowed; None asks the system.

    Returns:
        ConicModel: values "C" (cones, p, p) and "Y" (cones, p, d_r), padded with zeros where cones differ in
        rays, and "residual" (the norm of the part of G that no network reaches); multipliers "R" (n, d_r).

    Raises:
        InputError: shapes that do not fit, no cones, β not > 0, or (equality) a target out of reach by more than
            1e-6 of its norm.
        MemoryLimitError: before anything is built, with the number of bytes.

    Reference: Lemma C.1; MATH 2.4 "Exact SDP"; Diananda 1962 for the 4 rays.

    >>> import numpy as np
    >>> from convexwgan.geometry.arrangements import enumerate_cells
    >>> from convexwgan.geometry.cones import triangulate
    >>> from convexwgan.solvers.conic import run
    >>> Z = np.eye(2)
    >>> model = ki_program(Z, np.array([[3.0], [4.0]]), triangulate(enumerate_cells(Z)))
    >>> print(round(run(model).objective, 6))
    5.0
    """
    _check(Z, G, beta)
    bases = cone_rays(cones, Z.shape[1])
    blocks = [ReluBlock(B.T @ B, np.maximum(Z @ B, 0.0)) for B in bases]
    return relu_program("ki_norm", blocks, G, beta, doubly_nonnegative, natural, memory_limit)


def cone_rays(cones: Cones, d: int) -> list[Float64]:
    """The rays of each cone as unit columns in ℝ^d.

    Raises:
        InputError: no cone, a wrong shape, or a zero ray.
    """
    if isinstance(cones, SimplicialCones):
        return list(cones.arrangement.basis @ cones.generators)
    bases = [np.asarray(B, dtype=np.float64) for B in cones]
    remedy = "use triangulate(enumerate_cells(Z))"
    if not bases:
        raise InputError("cones", "no cone", "be at least one", remedy)
    for B in bases:
        require_matrix(B, "a cone of cones")
        lengths = np.linalg.norm(B, axis=0)
        if B.shape[0] != d or not np.all(lengths > 0):
            raise InputError("a cone of cones", B, f"have nonzero rays as columns of length {d}", remedy)
    return [B / np.linalg.norm(B, axis=0) for B in bases]


def relu_program(
    name: str,
    blocks: Sequence[ReluBlock],
    G: Float64,
    beta: float | None,
    doubly_nonnegative: bool,
    natural: bool,
    memory_limit: int | None,
) -> ConicModel:
    """The program of ``ki_program`` for any list of convex pieces; ``blocks`` may be cells or cones."""
    cp = load_cvxpy()

    reduced = reduce_target(np.hstack([block.features for block in blocks]), G, is_exact=beta is None)
    f, q = reduced.target.shape
    check_ki_memory([len(block.gram) for block in blocks], f, q, limit=memory_limit)
    units = _units(blocks, G, beta, natural)
    batches = [_batch(blocks, p, q) for p in sorted({len(block.gram) for block in blocks})]
    output = cp.sum([reduced.F.T @ batch.features / units.zeta @ batch.Y for batch in batches])
    cost = units.beta / 2 * cp.sum([cp.sum(cp.multiply(batch.metric, batch.entries)) for batch in batches])
    if beta is None:
        reached = output - reduced.target / units.gamma == 0
    else:
        error = cp.Variable((f, q), name="error")
        reached = output - reduced.target / units.gamma + error == 0
        # what no network reaches stays in the residual, whatever the weights
        cost = cost + cp.sum_squares(error) / 2 + float(np.sum(reduced.left_over**2)) / (2 * units.gamma**2)
    nonnegative = [batch.off_diagonal >= 0 for batch in batches if doubly_nonnegative and batch.p > 1]
    semidefinite = [S >> 0 for batch in batches for S in batch.matrices]
    problem = cp.Problem(cp.Minimize(cost), [reached, *nonnegative, *semidefinite])

    def unpack() -> Values:
        unit = units.gamma / units.zeta
        C, Y = _unpack(batches, len(blocks), unit)
        return {"C": C, "Y": Y @ reduced.Q.T, "residual": np.asarray(np.linalg.norm(reduced.left_over))}

    def multipliers() -> Values:
        lifted = -reduced.F @ dual(reached, units.q / units.gamma) @ reduced.Q.T
        return {"R": lifted if beta is None else lifted + reduced.left_over}

    variables = {batch.entries.name(): batch.entries for batch in batches}
    return ConicModel(name, problem, variables, unpack, multipliers, units.q, _CLARABEL)


@dataclass(frozen=True, eq=False)
class _Batch:
    """The matrices [[C, Y], [Yᵀ, E]] of all pieces with p rays, by their entries on and above the diagonal.

    ``members`` (T,); ``features`` (n, T·p); ``metric`` (T, k(k+1)/2): ⟨metric, entries⟩ = tr BᵀBC + tr E.
    """

    p: int
    members: Integers
    features: Float64
    metric: Float64
    entries: Any
    matrices: list[Any]
    off_diagonal: Any
    Y: Any


def _batch(blocks: Sequence[ReluBlock], p: int, q: int) -> _Batch:
    cp = load_cvxpy()

    k = p + q
    members = np.array([i for i, block in enumerate(blocks) if len(block.gram) == p])
    grams = np.array([blocks[i].gram for i in members])
    rows, columns = np.triu_indices(k)
    position = np.zeros((k, k), dtype=np.int64)
    position[rows, columns] = position[columns, rows] = np.arange(len(rows))
    twice = np.where(rows == columns, 1.0, 2.0)
    metric = np.zeros((len(members), k, k))
    metric[:, :p, :p], metric[:, p:, p:] = grams, np.eye(q)
    entries = cp.Variable((len(members), len(rows)), name=f"S_{p}")
    spread = sparse.csr_array((np.ones(k * k), (np.arange(k * k), position.ravel())))
    return _Batch(
        p,
        members,
        np.hstack([blocks[i].features for i in members]),
        metric[:, rows, columns] * twice,
        entries,
        [cp.reshape(spread @ entries[t], (k, k), order="C") for t in range(len(members))],
        entries[:, position[:p, :p][np.triu_indices(p, 1)]],
        cp.reshape(entries[:, position[:p, p:].ravel()], (len(members) * p, q), order="C"),
    )


def _unpack(batches: Sequence[_Batch], count: int, unit: float) -> tuple[Float64, Float64]:
    """C (count, p, p) and Y (count, p, q) in the order of the blocks, padded with zeros to the largest p."""
    p, q = max(batch.p for batch in batches), batches[0].Y.shape[1]
    C, Y = np.zeros((count, p, p)), np.zeros((count, p, q))
    for batch in batches:
        for t, S in zip(batch.members, batch.matrices, strict=True):
            value = primal(S, unit)
            C[t, : batch.p, : batch.p], Y[t, : batch.p] = value[: batch.p, : batch.p], value[: batch.p, batch.p :]
    return C, Y


def reduce_target(features: Float64, G: Float64, *, is_exact: bool) -> ReducedTarget:
    """G in an orthonormal basis of all outputs, the span of the features (n, k), and one of its own rows.

    Raises:
        InputError: ``is_exact`` and G lies outside the span.
    """
    lengths = np.linalg.norm(features, axis=0)
    distinct = np.unique(features[:, lengths > 0] / lengths[lengths > 0], axis=1)
    left, singular, _ = np.linalg.svd(distinct, full_matrices=False)
    F = left[:, singular > SPAN_TOLERANCE * np.max(singular, initial=0.0)]
    left_over = G - F @ (F.T @ G)
    size, missed = np.linalg.norm(G), np.linalg.norm(left_over)
    if is_exact and missed > TARGET_TOLERANCE * size:
        remedy = "no network has this output on Z; use the soft form, or the nearest reachable target"
        must = f"be <= {TARGET_TOLERANCE:g}"
        raise InputError("unreachable part of the target G, relative", float(missed / size), must, remedy)
    weights, values, Qt = np.linalg.svd(F.T @ G, full_matrices=False)
    q = max(int(np.sum(values > _RANK_TOLERANCE * np.max(values, initial=0.0))), 1)
    return ReducedTarget(F, Qt[:q].T, weights[:, :q] * values[:q], left_over)


def _units(blocks: Sequence[ReluBlock], G: Float64, beta: float | None, natural: bool) -> _Units:
    if natural:
        return _Units(1.0, 1.0, 1.0 if beta is None else beta, 1.0)
    zeta = positive_or_one(max(float(np.linalg.norm(block.features, axis=0).max()) for block in blocks))
    gamma = positive_or_one(float(np.linalg.norm(G)))
    if beta is None:
        return _Units(zeta, gamma, 1.0, gamma / zeta)
    return _Units(zeta, gamma, beta / (gamma * zeta), gamma**2)


def predict_ki_bytes(rays: Sequence[int], f: int, q: int) -> int:
    """Peak memory in bytes that Clarabel, through CVXPY, needs for ``ki_program``: an upper estimate.

    Each cone with p rays has a dense block of side D = k(k+1)/2, k = p + q, coupled to the f·q entries of R.
    Measured (bytes used, predicted, in millions): 169, 187 at 579 cones in ℝ⁴, n = 8, q = 3; 300, 347 at 902, n = 9,
    q = 5; 184, 222 at 756 cones in ℝ³, n = 20, q = 3; 358, 519 at 260, n = 12, q = 12.

    Args:
        rays: the number of rays of each cone.
        f, q: the shape of the reduced multiplier (f ≤ n, q = rank(G)).

    >>> predict_ki_bytes([3] * 100, 10, 2) // 10**6
    110
    """
    shared = f * q
    sides = [(p + q) * (p + q + 1) // 2 for p in rays]
    return _FIXED + _CONE * len(rays) + _NUMBER * (_BLOCK * sum(D * (D + shared) for D in sides) + 2 * shared**2)


def check_ki_memory(rays: Sequence[int], f: int, q: int, *, limit: int | None = None) -> int:
    """The bytes that ``ki_program`` needs; refused where there are not as many.

    Raises:
        MemoryLimitError: with the number of bytes, and what to use instead.
    """
    needed, allowed = predict_ki_bytes(rays, f, q), available_bytes() if limit is None else limit
    if needed > allowed:
        raise MemoryLimitError(
            f"the ki_norm program with {len(rays)} cones and a multiplier of {f} × {q} needs about {needed:,} bytes "
            f"({needed / 2**30:.1f} GiB) and {allowed:,} are available: use method='column_generation'."
        )
    return needed


def _check(Z: Float64, G: Float64, beta: float | None) -> None:
    require_matrix(Z, "Z")
    require_matrix(G, "G")
    if len(Z) != len(G):
        raise InputError("rows of G", len(G), f"be {len(Z)}, the rows of Z", "give one target row for each latent row")
    if beta is not None and not (math.isfinite(beta) and beta > 0):
        raise InputError("beta of the soft form", beta, "be > 0", "it weighs Σ‖v_j‖; leave it out for equality")
