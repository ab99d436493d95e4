"""Best first: solve the relaxation of the lowest node, or split the sector over which its measure is spread most."""

from __future__ import annotations

import logging
import time
from typing import Protocol

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.circles import TURN
from convexwgan.geometry.sectors import Sectors, rays, sector_arcs
from convexwgan.solvers.branching.relaxation import DEPTH, Dual, Parts, PlanarGame, Relaxed, relaxed
from convexwgan.solvers.branching.tree import Node, Pool, Tree

logger = logging.getLogger("convexwgan")
_DESCENT_SHARE = 0.3
"""Of the time, for descents from the measures of nodes."""
_LAST_DESCENTS = 40
_BEYOND = 1.0 + 1e-4


class Incumbent(Protocol):
    """The best G so far, and what looks for a better one."""

    @property
    def cost(self) -> float: ...
    def descend(self, start: Float64 | None) -> None: ...
    def report(self, lower: float) -> None: ...


class Search:
    """The tree with the cost of the best G: all in units of ``PlanarGame``, where the cost is ½‖G‖_F²."""

    def __init__(self, game: PlanarGame, tol: float, known: list[Dual], parts: Parts, best: Incumbent) -> None:
        """All samples in the whole plane, with discriminators that are known already."""
        self.game, self.tol, self.best = game, tol, best
        pool = Pool()
        for dual in known:
            pool.add(dual)
        row = np.ones(game.n, dtype=np.int64)
        bounds, which = pool.bounds(row[None])
        self.tree = Tree(Node(row, (float(bounds[0]), int(which[0])), parts), pool)
        self.programs = self.relaxations = self.descents = 0
        self._tried: set[bytes] = set()
        self._descending = 0.0

    def run(self, deadline: float, max_iter: float = np.inf) -> str | None:
        """Until the gap is closed: None; else "time_limit", "max_iter", or "depth": sectors are at their finest."""
        began, told = time.perf_counter(), 0.0
        while self.tree.lower < self._closed:
            if time.perf_counter() > deadline:
                return "time_limit"
            if self.relaxations >= max_iter:
                return "max_iter"
            index = self.tree.pop()
            is_done = self._step(index)
            if not is_done:
                self._finish(deadline)
                return "depth"
            if self._descending < _DESCENT_SHARE * (time.perf_counter() - began):
                self._descend(self.tree.nodes[index])
            if self.tree.lower > told * (1.0 + 1e-4):
                told = self.tree.lower
                self.best.report(told)
        return None

    def _finish(self, deadline: float) -> None:
        """Sectors are at their finest: the rest of the gap may still be in the upper bound, or there is none yet."""
        left = _LAST_DESCENTS
        while left > 0:
            if time.perf_counter() > deadline or self.tree.lower >= self._closed:
                return
            left -= bool(np.isfinite(self.best.cost))
            self.descents += 1
            self.best.descend(None)

    @property
    def _closed(self) -> float:
        """From which bound on a node cannot improve the bracket."""
        return min(self.best.cost * (1.0 - self.tol), _BEYOND * self.game.most)

    def _step(self, index: int) -> bool:
        """One node: look it up in the pool, else solve it, else split it; False where it cannot be split."""
        node = self.tree.nodes[index]
        if node.solved is not None:
            sectors, counts = np.unique(node.sectors, return_counts=True)
            k = _widest_spread(node.solved, sectors, counts)
            if k is not None:
                self.tree.branch(index, int(sectors[k]), _first_share(node.solved, sectors, k), self._closed)
            return k is not None
        bounds, which = self.tree.pool.bounds(node.sectors[None])
        if bounds[0] > node.bound * (1.0 + 1e-9):
            node.raise_to(float(bounds[0]), int(which[0]))
        else:
            self._solve(node)
        if node.bound < self._closed:
            self.tree.put_back(index)
        return True

    def _solve(self, node: Node) -> None:
        sectors, counts = np.unique(node.sectors, return_counts=True)
        found = relaxed(self.game, sectors, counts.astype(np.float64), node.parts, self._closed)
        self.relaxations, self.programs = self.relaxations + 1, self.programs + found.programs
        node.solved = found
        if found.dual is not None and found.bound > node.bound:
            node.raise_to(found.bound, self.tree.pool.add(found.dual))

    def _descend(self, node: Node) -> None:
        """From the measure of a node to samples, in turn with disturbances of the best ones."""
        now, found, key = time.perf_counter(), node.solved, node.sectors.tobytes()
        start = None
        if found is not None and len(found.angles) and key not in self._tried and self.descents % 3 == 0:
            self._tried.add(key)
            start = rounded(found, *np.unique(node.sectors, return_counts=True))
        self.descents += 1
        self.best.descend(start)
        self._descending += time.perf_counter() - now


def rounded(found: Relaxed, sectors: Sectors, counts: Sectors) -> Float64:
    """Samples (n, 2): in each sector k_c copies of the k_c-th part of what its measure adds up to."""
    vectors = found.masses[:, None] * rays(found.angles)
    sums = np.zeros((len(sectors), 2))
    np.add.at(sums, found.owner, vectors)
    return np.repeat(sums / counts[:, None], counts, axis=0)


def _widest_spread(found: Relaxed, sectors: Sectors, counts: Sectors) -> int | None:
    """Which sector has the largest mass × standard deviation of the angle; the widest where nothing is spread."""
    first, width = sector_arcs(sectors)
    score = 1e-9 * width * counts
    for k in range(len(sectors)):
        mine = found.owner == k
        mass = found.masses[mine]
        total = float(mass.sum())
        if total > 0.0:
            ahead = np.mod(found.angles[mine] - first[k] + 1e-7, TURN)
            centre = float(mass @ ahead) / total
            score[k] += total * np.sqrt(max(float(mass @ (ahead - centre) ** 2) / total, 0.0))
    score[sectors >= 1 << DEPTH] = -1.0
    best = int(score.argmax())
    return best if score[best] >= 0.0 else None


def _first_share(found: Relaxed, sectors: Sectors, k: int) -> float:
    """Which part of the measure in the k-th sector is in its first half."""
    first, width = sector_arcs(sectors)
    mine = found.owner == k
    total = float(found.masses[mine].sum())
    inside = np.mod(found.angles[mine] - first[k] + 1e-7, TURN) <= 0.5 * width[k]
    return float(found.masses[mine] @ inside) / total if total > 0.0 else 0.5
