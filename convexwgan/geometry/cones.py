"""Simplicial cones: cells split into them, and the largest gain of a linear map on one, found on its faces."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import Arrangement
from convexwgan.geometry.bitsets import Bools, Integers
from convexwgan.geometry.moments import require_matrix

MAX_RANK = 4
_MAX_CONE = 12
_FEASIBLE = 1e-9
_FLAT = 1e-14


@dataclass(frozen=True, eq=False)
class SimplicialCones:
    """Cones spanned by r independent rays each, which tile chosen cells of an arrangement.

    ``rays`` (k, r): positions among the rays of the arrangement, ascending. ``cells`` (k,): the cell of each.
    ``generators`` (k, r, r): the unit rays as columns, in reduced coordinates.
    """

    arrangement: Arrangement
    rays: Integers
    cells: Integers

    def __len__(self) -> int:
        return len(self.rays)

    @property
    def generators(self) -> Float64:
        """B of each cone, so that the cone is {Bc: c ≥ 0}; shape (k, r, r)."""
        return np.swapaxes(self.arrangement.reduced_rays[self.rays], 1, 2)


def triangulate(arrangement: Arrangement, cells: Integers | None = None) -> SimplicialCones:
    """Each cell split into simplicial cones of r rays, r ≤ 4; a cell with r rays stays whole.

    Pulling: the cell is the union of the cones from its first ray over the triangulated facets that miss it,
    "first" being the order of the arrangement's rays. Neighbouring cells therefore split a shared facet alike:
    all the cones together form one simplicial fan.

    Args:
        arrangement: of rank r ≤ 4.
        cells: which cells; all of them by default.

    Returns:
        SimplicialCones.

    Raises:
        InputError: the rank exceeds 4, or ambiguous ties gave facets that do not close.

    Reference:
        De Loera, Rambau and Santos, Triangulations, Springer 2010, Section 4.3.2 (pulling).

    >>> from convexwgan.geometry.arrangements import enumerate_cells
    >>> len(triangulate(enumerate_cells(np.eye(3))))
    8
    """
    if arrangement.rank > MAX_RANK:
        remedy = "use price_local and price_upper_bound at higher rank"
        raise InputError("rank of the arrangement", arrangement.rank, f"be <= {MAX_RANK}", remedy)
    chosen = np.arange(arrangement.count) if cells is None else np.asarray(cells, dtype=np.int64)
    part = arrangement.cell_rays.select(chosen)
    first = part.indices[part.indptr[:-1]]  # the rays of a cell are stored in ascending order
    if arrangement.rank <= 2:
        rays, owner = part.indices.reshape(len(chosen), arrangement.rank), np.arange(len(chosen))
    else:
        owner, facet, ray = _facet_rays(arrangement, chosen)
        rays, owner = _edges(owner, facet, ray) if arrangement.rank == 3 else _triangles(owner, facet, ray)
        is_away = rays[:, 0] != first[owner]
        rays, owner = np.column_stack([first[owner], rays])[is_away], owner[is_away]
    return SimplicialCones(arrangement, rays, chosen[owner])


def cone_price(B: Float64, Q: Float64) -> float:
    """The dual of the K norm on one simplicial cone: the largest gain of Qᵀ on it.

    max ‖Qᵀu‖₂  s.t.  u ∈ {Bc: c ≥ 0}, ‖u‖₂ ≤ 1

    Args:
        B: shape (r, p), independent columns, p ≤ 12 (2^p − 1 faces are priced).
        Q: shape (r, d_r).

    Raises:
        InputError: the shapes do not fit, the columns are dependent, or p > 12.

    Reference:
        Sahiner et al., Hidden convexity of Wasserstein GANs, ICLR 2022, Lemma C.1 (the norm).

    >>> round(cone_price(np.eye(2), np.array([[1.0], [-2.0]])), 12)
    2.0
    """
    require_matrix(B, "B")
    require_matrix(Q, "Q")
    r, p = B.shape
    if Q.shape[0] != r:
        raise InputError("rows of Q", Q.shape[0], f"be {r}, the rows of B", "pass Q of shape (r, d_r)")
    lengths = np.linalg.norm(B, axis=0)
    if p > min(r, _MAX_CONE) or np.linalg.matrix_rank(B / np.where(lengths > 0.0, lengths, 1.0)) < p:
        must = f"be at most {_MAX_CONE} independent rays"
        raise InputError("columns of B", B, must, "split the cone with triangulate")
    rays = (B / lengths).T
    batches = cone_faces(np.arange(p)[None])
    return max(face_maximum(rays, faces, Q[None], owner).value for faces, owner in batches)


@dataclass(frozen=True, eq=False)
class FaceMaximum:
    """The largest value on a batch of faces, a unit vector that attains it (reduced), and how many faces."""

    value: float
    u: Float64
    faces: int


def cone_faces(rays: Integers) -> list[tuple[Integers, Integers]]:
    """The faces of simplicial cones, each listed once however many cones share it.

    Args:
        rays: shape (k, p), ascending in each row.

    Returns:
        for each size 1 … p: faces (m, size) and for each of them one cone that it belongs to (m,).

    >>> [faces.tolist() for faces, _ in cone_faces(np.array([[0, 1], [1, 2]]))]
    [[[0], [1], [2]], [[0, 1], [1, 2]]]
    """
    k, p = rays.shape
    listing = []
    for size in range(1, p + 1):
        faces = np.concatenate([rays[:, list(chosen)] for chosen in combinations(range(p), size)])
        unique, position = np.unique(faces, axis=0, return_index=True)
        listing.append((unique, position % k))
    return listing


def face_maximum(rays: Float64, faces: Integers, A: Float64, owner: Integers, signed: bool = False) -> FaceMaximum:
    """max ‖Aᵀu‖ (or aᵀu) over unit u = Bc, c > 0 stationary on a face with rays B; over a batch of faces.

    With B = QT (QR), u = Qw: the stationary w are the eigenvectors of QᵀAAᵀQ, or the multiples of Qᵀa, and
    c = T⁻¹w must be ≥ 0 for one of ±w. Over all the faces of a cone the maximum is that of the cone, even at
    multiple eigenvalues: inside an eigenspace one can move to a smaller face without changing the value.

    Args:
        rays: shape (k, r), unit.
        faces: shape (m, p), rows of rays.
        A: shape (a, r, d_r): one linear map for each cell.
        owner: shape (m,), the map that holds on each face.
        signed: maximise aᵀu for the single column a of A instead of the norm.

    Returns:
        FaceMaximum; value 0 and u = 0 where no face has a stationary direction (of positive value).
    """
    Q, T = np.linalg.qr(np.swapaxes(rays[faces], 1, 2))
    is_thick = np.abs(np.diagonal(T, axis1=1, axis2=2)).min(axis=1) > _FLAT  # others equal a face of theirs
    Q, T, maps = Q[is_thick], T[is_thick], A[owner[is_thick]]
    gains = np.swapaxes(Q, 1, 2) @ maps
    W = gains if signed else np.linalg.eigh(gains @ np.swapaxes(gains, 1, 2))[1]
    C = np.linalg.solve(T, W)
    slack = _FEASIBLE * np.abs(C).max(axis=1, keepdims=True)
    sign = np.where((slack >= -C).all(axis=1, keepdims=True), 1.0, 0.0)
    if not signed:
        sign = np.where((slack >= C).all(axis=1, keepdims=True), -1.0, sign)
    U = Q @ (T @ np.maximum(C * sign, 0.0))
    lengths = np.linalg.norm(U, axis=1, keepdims=True)
    U = U / np.where(lengths > 0.0, lengths, 1.0)
    images = np.swapaxes(maps, 1, 2) @ U
    values = images[:, 0] if signed else np.linalg.norm(images, axis=1)
    if values.max(initial=0.0) <= 0.0:
        return FaceMaximum(0.0, np.zeros(rays.shape[1]), len(faces))
    face, vector = np.unravel_index(int(values.argmax()), values.shape)
    return FaceMaximum(float(values[face, vector]), U[face, :, vector], len(faces))


def _facet_rays(arrangement: Arrangement, chosen: Integers) -> tuple[Integers, Integers, Integers]:
    """All the triples (cell, facet, ray of the facet), sorted; cells numbered within chosen, facets uniquely."""
    h = len(arrangement.hyperplanes.normals)
    cell_rays = arrangement.cell_rays.select(chosen)
    facets = arrangement.cell_hyperplanes.select(chosen)
    through = arrangement.ray_hyperplanes.select(cell_rays.indices)
    code = cell_rays.owners[through.owners] * h + through.indices
    is_facet = np.isin(code, facets.owners * h + facets.indices)
    code, ray = code[is_facet], cell_rays.indices[through.owners][is_facet]
    order = np.lexsort((ray, code))
    return code[order] // h, code[order], ray[order]


def _edges(owner: Integers, facet: Integers, ray: Integers) -> tuple[Integers, Integers]:
    """In rank 3 a facet has two rays: the edges (k, 2) and their cells."""
    _require_closed(bool((np.bincount(np.unique(facet, return_inverse=True)[1]) == 2).all()))
    return ray.reshape(-1, 2), owner[::2]


def _triangles(owner: Integers, facet: Integers, ray: Integers) -> tuple[Integers, Integers]:
    """In rank 4 facets are polygonal: each is pulled from its first ray into triangles (k, 3), with their cells.

    Two rays of a cell span an edge of it iff two of its facets contain both.
    """
    starts = np.flatnonzero(np.diff(facet, prepend=-1))
    sizes = np.diff(starts, append=len(facet))
    pairs = [_pairs_of(ray, starts[sizes == size], int(size)) for size in np.unique(sizes)]
    start = np.concatenate([first for first, _ in pairs])
    pair = np.concatenate([rays for _, rays in pairs])
    is_edge = _occurs_twice(owner[start], pair)
    _require_closed(np.array_equal(np.bincount(start[is_edge], minlength=len(ray))[starts], sizes))
    is_kept = is_edge & (ray[start] != pair[:, 0])
    return np.column_stack([ray[start], pair])[is_kept], owner[start][is_kept]


def _require_closed(is_closed: bool) -> None:
    """A facet has two rays in rank 3, and as many edges as rays in rank 4."""
    if not is_closed:
        remedy = "its ties are ambiguous: enumerate with a larger tie, or rescale the columns of Z"
        raise InputError("arrangement", "facets that do not close", "have facets that are polygons", remedy)


def _occurs_twice(owner: Integers, pair: Integers) -> Bools:
    """Which of the pairs (cell, v, w) are listed twice; none is listed more often."""
    order = np.lexsort((pair[:, 1], pair[:, 0], owner))
    same = (owner[order[1:]] == owner[order[:-1]]) & (pair[order[1:]] == pair[order[:-1]]).all(axis=1)
    twice = np.zeros(len(owner), dtype=np.bool_)
    twice[order[1:]] = same
    twice[order[:-1]] |= same
    return twice


def _pairs_of(ray: Integers, starts: Integers, size: int) -> tuple[Integers, Integers]:
    """All pairs of rays within the facets of one size: the facet's start and the two rays, ascending."""
    first, second = np.triu_indices(size, 1)
    members = ray[starts[:, None] + np.arange(size)]
    pairs = np.stack([members[:, first], members[:, second]], axis=2).reshape(-1, 2)
    return np.repeat(starts, len(first)), pairs
