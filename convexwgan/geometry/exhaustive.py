"""Is a list of cells complete? Counting and pairing that do not trust how the list was made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from convexwgan.arrays import Array, Float64
from convexwgan.geometry.arrangements import (
    Arrangement,
    Hyperplanes,
    cell_count_formula,
    distinct_hyperplanes,
)
from convexwgan.geometry.bitsets import unpack_bits
from convexwgan.geometry.flats import TIE
from convexwgan.geometry.spectra import EPS


class Check(NamedTuple):
    """One thing that a complete list must satisfy, whether it does, and what was seen."""

    name: str
    holds: bool
    detail: str


def zaslavsky_count(Z: Array, tie: float = TIE) -> int:
    """The number of cells of the arrangement of the rows of Z, by deletion and restriction: no cell is built.

    c(A) = c(A without its last hyperplane H) + c(A restricted to H),   c(∅) = 1

    Ties and repeated hyperplanes lower the count through repetitions in the restrictions. Costs about n^{r−2}
    operations on whole rows.

    Args:
        Z: shape (n, d).
        tie: tolerance, as in ``enumerate_cells``.

    Reference:
        Zaslavsky, Facing up to arrangements, Memoirs of the AMS 154 (1975), Theorem A.

    >>> zaslavsky_count(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    12
    """
    return _count_of(distinct_hyperplanes(Z, tie))


def check_exhaustive(arrangement: Arrangement) -> list[Check]:
    """Evidence that the listed cells are all the cells, from the hyperplanes and the list alone.

    The decisive pair: every pattern is attained at its interior point and no two are equal (so each is a cell),
    and there are as many as Zaslavsky's count (so none is missing). The rest is independent of that count:
    crossing a facet of a listed cell leads to a listed cell, which has that facet too, and the list is closed
    under u → −u. Removing a cell breaks the count, the pairing and the symmetry.

    Returns:
        one ``Check`` each: (name, holds, detail).

    >>> from convexwgan.geometry.arrangements import enumerate_cells
    >>> all(check.holds for check in check_exhaustive(enumerate_cells(np.eye(3))))
    True
    """
    hyperplanes = arrangement.hyperplanes
    h, r = hyperplanes.normals.shape
    count, formula, exact = arrangement.count, cell_count_formula(h, r), _count_of(hyperplanes)
    distinct = len(np.unique(arrangement.words, axis=0))
    opposite = _opposites_listed(arrangement)
    checks = [
        _patterns_are_attained(arrangement),
        Check("patterns are distinct", distinct == count, f"{distinct} distinct of {count}"),
        Check("count equals Zaslavsky's", count == exact, f"{count} listed, {exact} exist"),
        Check("count is at most the formula", count <= formula, f"{count} ≤ {formula}"),
        Check("opposites are listed", opposite == count, f"{opposite} of {count}"),
        *_facets_pair(arrangement),
        Check("ties are clear of their tolerance", not arrangement.is_ambiguous, f"tie {hyperplanes.tie:.0e}"),
    ]
    if arrangement.is_simple:
        detail = f"{count} listed, {formula} in general position"
        checks.append(Check("count equals the formula of general position", count == formula, detail))
    return checks


def _patterns_are_attained(arrangement: Arrangement) -> Check:
    """The signs at the interior points are the patterns, every value clear of rounding."""
    normals = arrangement.hyperplanes.normals
    h, r = normals.shape
    margin, agree, step = np.inf, True, max((1 << 22) // h, 1)
    for start in range(0, arrangement.count, step):
        block = slice(start, start + step)
        values = arrangement.reduced_interior_points[block] @ normals.T
        agree &= bool(np.array_equal(values > 0.0, unpack_bits(arrangement.words[block], h)))
        margin = min(margin, float(np.abs(values).min()))
    holds = agree and margin > 4 * r * EPS
    return Check("patterns are attained inside their cells", holds, f"smallest |zᵀu| {margin:.1e}")


def _opposites_listed(arrangement: Arrangement) -> int:
    """How many listed cells have a listed opposite."""
    h = len(arrangement.hyperplanes.normals)
    signs = {row.tobytes() for row in arrangement.words}
    full = np.packbits(np.ones(h, dtype=np.bool_), bitorder="little")
    everything = np.zeros(8 * arrangement.words.shape[1], dtype=np.uint8)
    everything[: len(full)] = full
    return sum((row ^ everything.view(np.uint64)).tobytes() in signs for row in arrangement.words)


def _facets_pair(arrangement: Arrangement) -> list[Check]:
    """Crossing each facet leads to a listed cell, in pairs; and all cells are connected by such crossings."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    across = arrangement.neighbours()
    owners, hyperplane = arrangement.cell_hyperplanes.owners, arrangement.cell_hyperplanes.indices
    missing = int((across < 0).sum())
    h, count = len(arrangement.hyperplanes.normals), arrangement.count
    listed = across >= 0
    there, back = (owners * h + hyperplane)[listed], (across * h + hyperplane)[listed]
    unpaired = len(np.setxor1d(there, back))
    few = int((arrangement.cell_hyperplanes.counts < arrangement.rank).sum())
    edges = coo_array((np.ones(len(there)), (owners[listed], across[listed])), shape=(count, count))
    parts = int(connected_components(edges, directed=False)[0])
    detail = f"{missing} lead to no listed cell, {unpaired} are not shared, {few} cells have fewer than r facets"
    return [
        Check("facets pair the cells", missing == unpaired == few == 0, detail),
        Check("the tope graph is connected", parts == 1, f"{parts} components"),
    ]


def _count_of(hyperplanes: Hyperplanes) -> int:
    whitened = hyperplanes.normals @ hyperplanes.whitening
    return _regions(whitened / np.linalg.norm(whitened, axis=1, keepdims=True), hyperplanes.tie)


def _regions(Y: Float64, tie: float) -> int:
    """c of the rows of Y (h, r), unit and pairwise not parallel; their rank may be less than r."""
    h, r = Y.shape
    if h <= 1 or r <= 2:
        return 1 if h == 0 else 2 if h == 1 else 2 * h
    restricted = (_restricted(Y[:i], Y[i]) for i in range(1, h))
    return 2 + sum(_regions_merged(rows, tie) for rows in restricted)


def _restricted(Y: Float64, y: Float64) -> Float64:
    """The rows of Y in an orthonormal basis of the hyperplane yᵀu = 0, not scaled: short rows are near y."""
    rows: Float64 = Y @ np.linalg.svd(y[None])[2][1:].T
    return rows


def _regions_merged(rows: Float64, tie: float) -> int:
    """c of rows that may be parallel: compared as unit rows, to a tolerance that grows as a row shortens."""
    lengths = np.linalg.norm(rows, axis=1)
    unit = rows / lengths[:, None]
    noise = tie + 64 * EPS / lengths
    if rows.shape[1] == 2:
        return 2 * _distinct_lines(unit, noise)
    kept: list[int] = []
    for i in range(len(unit)):
        sine = np.linalg.norm(unit[kept] - np.outer(unit[kept] @ unit[i], unit[i]), axis=1)
        if not (sine <= np.maximum(noise[kept], noise[i])).any():
            kept.append(i)
    return _regions(unit[kept], tie)


def _distinct_lines(unit: Float64, noise: Float64) -> int:
    """How many lines unit rows in the plane span: gaps of their angles around the half circle."""
    angle = np.mod(np.arctan2(unit[:, 1], unit[:, 0]), np.pi)
    order = np.argsort(angle)
    angle, noise = angle[order], noise[order]
    gaps = np.diff(angle, append=angle[0] + np.pi)
    return max(int((gaps > np.maximum(noise, np.roll(noise, -1))).sum()), 1)
