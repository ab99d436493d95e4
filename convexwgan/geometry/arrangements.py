"""Central hyperplane arrangements: every cell with its rays and facets, exactly, or a seeded sample of cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from convexwgan.arrays import Array, Float64, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.bitsets import (
    Bools,
    Incidence,
    Integers,
    WordIndex,
    Words,
    grouped,
    one_bit,
    pack_bits,
    unpack_bits,
)
from convexwgan.geometry.flats import TIE, Corners, Rays, corners_of, plane_corners, rays_of
from convexwgan.geometry.moments import require_matrix
from convexwgan.geometry.parallel import parallel_classes
from convexwgan.geometry.spectra import EPS, fix_signs, rank_tolerance

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, eq=False)
class Hyperplanes:
    """The distinct hyperplanes {u: z_iᵀu = 0} of the rows of Z, in the coordinates x = basisᵀu of its row space.

    ``basis`` (d, r) orthonormal; ``normals`` (h, r) unit, each a positive multiple of the first row of Z on
    that hyperplane; ``representatives`` (h,) those rows; ``hyperplane_of`` (n,), −1 for zero rows;
    ``orientation`` (n,) +1, −1 or 0: the row is that multiple of the normal, up to its length.
    ``whitening`` W (r, r): in coordinates y, x = Wy, the unit-scaled rows have all singular values 1.
    ``tie``: the tolerance for unit vectors in these coordinates.
    """

    basis: Float64
    normals: Float64
    representatives: Integers
    hyperplane_of: Integers
    orientation: Integers
    whitening: Float64
    tie: float

    @property
    def rank(self) -> int:
        """r, the rank of Z."""
        return int(self.basis.shape[1])

    def signs_of_rows(self, signs: Bools) -> Bools:
        """Signs of the hyperplanes, shape (k, h), as patterns 1[z_iᵀu > 0] of all the rows, shape (k, n)."""
        patterns: Bools = signs[:, self.hyperplane_of] == (self.orientation > 0)
        patterns[:, self.orientation == 0] = False
        return patterns


@dataclass(frozen=True, eq=False)
class Arrangement:
    """All the cells of the arrangement of the rows of Z: open cones on which no row changes its sign.

    In reduced coordinates x = basisᵀu, u = basis x. Row numbers are those of Z.

    ``words`` (count, ⌈h/64⌉): packed signs of the h distinct hyperplanes in each cell (see ``patterns``).
    ``reduced_rays`` (k, r): the unit rays, ray i + k/2 the opposite of ray i. ``cell_rays``: the rays of each
    cell. ``ray_hyperplanes``: the hyperplanes through each ray. ``cell_hyperplanes``: the facets of each cell.
    ``residual``: the largest |normalᵀray| that counts as 0, for unit vectors.
    ``is_ambiguous``: some tie lay within a factor 10 of its tolerance: the cell list is a judgement.
    ``scope``: "exhaustive", or "selected" after ``select``.
    """

    hyperplanes: Hyperplanes
    words: Words
    reduced_rays: Float64
    cell_rays: Incidence
    ray_hyperplanes: Incidence
    cell_hyperplanes: Incidence
    residual: float
    is_ambiguous: bool
    scope: str = "exhaustive"

    @property
    def count(self) -> int:
        """The number of cells."""
        return len(self.words)

    @property
    def basis(self) -> Float64:
        """An orthonormal basis of the row space of Z, shape (d, r)."""
        return self.hyperplanes.basis

    @property
    def rank(self) -> int:
        """r, the rank of Z."""
        return self.hyperplanes.rank

    @property
    def rays(self) -> Float64:
        """The unit rays in ℝ^d, shape (k, d)."""
        return self.reduced_rays @ self.basis.T

    @property
    def patterns(self) -> Bools:
        """1[z_iᵀu > 0] on each cell, shape (count, n); False for zero rows. Unpacked anew at each call."""
        return self.patterns_of(np.arange(self.count))

    def patterns_of(self, cells: Integers) -> Bools:
        """The patterns of the chosen cells, shape (len(cells), n)."""
        return self.hyperplanes.signs_of_rows(unpack_bits(self.words[cells], len(self.hyperplanes.normals)))

    @cached_property
    def reduced_interior_points(self) -> Float64:
        """The normalised sum of the unit rays of each cell, shape (count, r): strictly interior."""
        sums = np.add.reduceat(self.reduced_rays[self.cell_rays.indices], self.cell_rays.indptr[:-1], axis=0)
        points: Float64 = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return points

    @property
    def interior_points(self) -> Float64:
        """A unit vector strictly inside each cell, shape (count, d)."""
        return self.reduced_interior_points @ self.basis.T

    @property
    def facets(self) -> Incidence:
        """The facets of each cell: for each, the first row of Z on its hyperplane."""
        return replace(self.cell_hyperplanes, indices=self.hyperplanes.representatives[self.cell_hyperplanes.indices])

    @property
    def is_simple(self) -> bool:
        """Whether every ray lies on exactly r − 1 hyperplanes: the general position of distinct hyperplanes."""
        return bool((self.ray_hyperplanes.counts == self.rank - 1).all())

    def neighbours(self) -> Integers:
        """The cell across each facet, in the order of ``facets.indices``; −1 where it is not listed."""
        bits = one_bit(len(self.hyperplanes.normals))
        flipped = self.words[self.cell_hyperplanes.owners] ^ bits[self.cell_hyperplanes.indices]
        return WordIndex(self.words).find(flipped)

    def tope_graph(self) -> networkx.Graph:
        """Cells as nodes, shared facets as edges; edge attribute ``row``: the row of Z that changes its sign.

        >>> arrangement = enumerate_cells(np.eye(2))
        >>> sorted(degree for _, degree in arrangement.tope_graph().degree())
        [2, 2, 2, 2]
        """
        import networkx

        graph = networkx.Graph()
        graph.add_nodes_from(range(self.count))
        facets, across = self.facets, self.neighbours()
        listed = (across >= 0) & (facets.owners < across)
        columns = (facets.owners[listed], across[listed], facets.indices[listed])
        edges = zip(*(column.tolist() for column in columns), strict=True)
        graph.add_edges_from((a, b, {"row": row}) for a, b, row in edges)
        return graph

    def select(self, cells: Integers) -> Arrangement:
        """The same arrangement with only the chosen cells listed; all the rays stay."""
        return replace(
            self,
            words=self.words[cells],
            cell_rays=self.cell_rays.select(cells),
            cell_hyperplanes=self.cell_hyperplanes.select(cells),
            scope="selected",
        )


@dataclass(frozen=True, eq=False)
class SampledCells:
    """Distinct cells met by random directions; scope "sampled": nothing is claimed of the cells not met.

    ``patterns`` (count, n) as in ``Arrangement``; ``interior_points`` (count, d) the first unit direction that
    met each; ``hits`` (count,) how many did. ``seen_mass``: Good and Turing's estimate 1 − singletons/samples
    of the share of directions that lie in listed cells. ``seen_share``: count over the most cells possible,
    ``cell_count_formula``; a lower bound on the share of cells that are listed.
    """

    patterns: Bools
    interior_points: Float64
    hits: Integers
    seen_mass: float
    seen_share: float
    scope: str = "sampled"

    @property
    def count(self) -> int:
        """The number of distinct cells met."""
        return len(self.patterns)


def cell_count_formula(n: int, r: int) -> int:
    """2 Σ_{k<r} C(n−1, k): the cells of n ≥ 1 central hyperplanes in general position in ℝ^r, the most possible.

    Reference:
        Cover, Geometrical and statistical properties of systems of linear inequalities, 1965, Theorem 1.

    >>> [cell_count_formula(200, r) for r in (1, 2, 3)]
    [2, 400, 39802]
    """
    return 2 * sum(comb(n - 1, k) for k in range(r))


def distinct_hyperplanes(Z: Array, tie: float = TIE) -> Hyperplanes:
    """The rows of Z without lengths, repetitions, zeros and directions in which nothing varies.

    * A row is zero where ‖z_i‖ ≤ ``rank_tolerance(max‖z‖, n, d)``, about 1e-14 max‖z‖ for small Z.
    * The rank r counts singular values of the unit-scaled nonzero rows above their ``rank_tolerance``. The basis
      is the identity where r = d.
    * Rows are compared in whitened coordinates: cells are the same there, and an ill-conditioned or badly scaled
      Z costs little accuracy. Two are parallel where the unit rows differ by at most ``tie``; raised, there and
      everywhere, to 16·eps·σ₁/σ_r where Z is so ill-conditioned that whitening rounds more than that.

    Args:
        Z: shape (n, d).
        tie: the tolerance, relative to unit rows.

    Raises:
        InputError: Z is not a non-empty finite matrix with a nonzero row.

    >>> distinct_hyperplanes(np.array([[1.0, 0.0], [0.0, 0.0], [-2.0, 0.0]])).orientation.tolist()
    [1, 0, -1]
    """
    unit, is_zero = _nonzero_rows(Z)
    basis, W, condition = _whitening(unit)
    tie = max(tie, 16 * EPS * condition)
    Y = _unit_rows(unit @ basis @ W)
    first, orientation = parallel_classes(Y, tie)
    representatives, hyperplane_of = np.unique(first, return_inverse=True)
    original = np.flatnonzero(~is_zero)
    of_row, sign_of_row = np.full(len(is_zero), -1), np.zeros(len(is_zero), dtype=np.int64)
    of_row[original], sign_of_row[original] = hyperplane_of.reshape(-1), orientation
    normals = _unit_rows(unit[representatives] @ basis)
    return Hyperplanes(basis, normals, original[representatives], of_row, sign_of_row, W, tie)


def enumerate_cells(Z: Array, tie: float = TIE) -> Arrangement:
    """Every full-dimensional cell of the central arrangement of the rows of Z, with its rays and facets.

    cells = {sign patterns of Zu : no nonzero row vanishes at u}

    Each line that is an intersection of hyperplanes gives two rays; the signs of all the hyperplanes at a ray,
    completed by the cells of the arrangement of those that vanish there, are the cells around it. Restricted to
    the row space the arrangement is essential: every cell is pointed and has at least r rays, so none is missed.
    Zero, repeated, parallel and opposite rows and ties are handled (tolerances: ``distinct_hyperplanes``; a
    hyperplane contains a ray where |y_iᵀv| ≤ tie for unit vectors in whitened coordinates).

    Takes time and memory proportional to its result, about C(n, r−1)·2^r·n/8 bytes: meant for r ≤ 5.

    Args:
        Z: shape (n, d).
        tie: the tolerance for ties; larger merges more.

    Returns:
        Arrangement.

    Raises:
        InputError: Z is not a non-empty finite matrix with a nonzero row.

    Reference:
        Edelsbrunner, O'Rourke and Seidel, Constructing arrangements of lines and hyperplanes, SIAM J. Comput. 15
        (1986), for the bounds; the enumeration by rays is elementary.

    >>> arrangement = enumerate_cells(np.random.default_rng(0).standard_normal((8, 3)))
    >>> arrangement.count, cell_count_formula(8, 3)
    (58, 58)
    """
    hyperplanes = distinct_hyperplanes(Z, tie)
    Y = _unit_rows(hyperplanes.normals @ hyperplanes.whitening)
    if hyperplanes.rank == 2:
        rays, corners = plane_corners(Y, hyperplanes.tie)
    else:
        rays = rays_of(Y, hyperplanes.tie)
        corners = corners_of(Y, rays, hyperplanes.tie)
    return _assembled(hyperplanes, rays, corners)


def sample_cells(Z: Array, n_samples: int, rng: int | np.random.Generator) -> SampledCells:
    """The distinct cells met by n_samples standard normal directions, with estimates of what was missed.

    The fallback at sizes where ``enumerate_cells`` is out of reach. Directions on which a nonzero row vanishes
    exactly are dropped.

    Args:
        Z: shape (n, d).
        n_samples: how many directions, ≥ 1.
        rng: seed or Generator.

    Raises:
        InputError: as ``enumerate_cells``, or n_samples < 1.

    Reference:
        Good, The population frequencies of species, Biometrika 40 (1953).

    >>> sample_cells(np.eye(2), 100, rng=0).count
    4
    """
    if n_samples < 1:
        raise InputError("n_samples", n_samples, "be >= 1", "it counts the random directions")
    hyperplanes = distinct_hyperplanes(Z)
    h, r = hyperplanes.normals.shape
    x = np.random.default_rng(rng).standard_normal((n_samples, r))
    words, step = np.empty((n_samples, -(-h // 64)), dtype=np.uint64), max((1 << 22) // h, 1)
    is_inside = np.ones(n_samples, dtype=np.bool_)
    for start in range(0, n_samples, step):
        values = x[start : start + step] @ hyperplanes.normals.T
        words[start : start + step] = pack_bits(values > 0.0)
        is_inside[start : start + step] = (values != 0.0).all(axis=1)
    x, words = x[is_inside], words[is_inside]
    order, starts, _ = grouped(words)
    hits = np.diff(starts, append=len(words))
    x, words = x[order[starts]], words[order[starts]]
    return SampledCells(
        hyperplanes.signs_of_rows(unpack_bits(words, h)),
        _unit_rows(x) @ hyperplanes.basis.T,
        hits,
        1.0 - float((hits == 1).sum()) / n_samples,
        len(words) / cell_count_formula(h, r),
    )


def _assembled(hyperplanes: Hyperplanes, rays: Rays, corners: Corners) -> Arrangement:
    """The arrangement from its corners. Cells come in opposite halves: cell i + count/2 is −(cell i).

    The first half lies on the positive side of hyperplane 0; corners on the other side are negated.
    """
    h, K = len(hyperplanes.normals), len(rays.directions)
    everything = pack_bits(np.ones((1, h), dtype=np.bool_))[0]
    is_negated = (corners.patterns[:, 0] & np.uint64(1)) == 0
    patterns = np.where(is_negated[:, None], corners.patterns ^ everything, corners.patterns)
    order, starts, _ = grouped(patterns)
    M = len(starts)
    cell = np.empty(len(order), dtype=np.int64)
    cell[order] = np.repeat(np.arange(M), np.diff(starts, append=len(order)))
    ray = corners.rays + K * is_negated
    x = _unit_rows(rays.directions @ hyperplanes.whitening.T)
    through = np.nonzero(rays.is_on)
    values_on = np.einsum("ij,ij->i", x[through[0]], hyperplanes.normals[through[1]])
    half = patterns[order[starts]]
    return Arrangement(
        hyperplanes,
        np.concatenate([half, half ^ everything]),
        np.concatenate([x, -x]),
        Incidence.from_pairs(np.append(cell, cell + M), np.append(ray, (ray + K) % (2 * K)), 2 * M),
        Incidence.from_pairs(through[0], through[1], K).repeated(),
        Incidence.from_pairs(cell[corners.corner], corners.hyperplane, M).repeated(),
        float(np.abs(values_on).max(initial=0.0)),
        rays.is_ambiguous,
    )


def _nonzero_rows(Z: Array) -> tuple[Float64, Bools]:
    """The nonzero rows of Z scaled to length 1, and which rows are zero."""
    require_matrix(Z, "Z")
    rows = to_numpy64(Z)
    if not np.isfinite(rows).all():
        raise InputError("Z", Z, "be finite", "drop or impute its NaN and infinite entries")
    scale = np.abs(rows).max(axis=1, keepdims=True)  # squares of tiny or huge entries must not under- or overflow
    scaled = rows / np.where(scale > 0.0, scale, 1.0)
    norms = np.linalg.norm(scaled, axis=1) * scale[:, 0]
    is_zero = norms <= rank_tolerance(float(norms.max()), *rows.shape)
    if is_zero.all():
        raise InputError("Z", Z, "have a nonzero row", "an arrangement needs at least one hyperplane")
    return _unit_rows(scaled[~is_zero]), is_zero


def _whitening(unit: Float64) -> tuple[Float64, Float64, float]:
    """An orthonormal basis V (d, r) of the row space, W with unit·V·W = U of an SVD, and the conditioning of W.

    Where r = d, V = I and the columns are scaled to a largest entry of 1 first: small ones keep their digits.
    """
    d = unit.shape[1]
    _, s, Vt = np.linalg.svd(unit, full_matrices=False)
    r = int((s > rank_tolerance(float(s[0]), *unit.shape)).sum())
    if r < d:
        return np.asarray(fix_signs(Vt[:r].T)), np.diag(1.0 / s[:r]), float(s[0] / s[r - 1])
    scale = np.abs(unit).max(axis=0)
    _, s, Vt = np.linalg.svd(unit / scale, full_matrices=False)
    return np.eye(d), Vt.T / s / scale[:, None], float(s[0] / s[-1])


def _unit_rows(rows: Float64) -> Float64:
    unit: Float64 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
