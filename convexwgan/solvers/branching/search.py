"""Best first: solve the relaxation of the lowest node, or split the sector over which its measure is spread most."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.circles import TURN
from convexwgan.geometry.sectors import Sectors, rays, sector_arcs
from convexwgan.solvers.branching.relaxation import DEPTH, Dual, Parts, PlanarGame, Relaxed, relaxed
from convexwgan.solvers.branching.tree import Node, Pool, Tree

logger = logging.getLogger("convexwgan")
_DESCENT_SHARE = 0.3
"""Of the time, for descents from the measures of nodes."""


@dataclass(eq=False)
class Search:
    """The tree with the cost of the best G: all in units of ``PlanarGame``, where the cost is ½‖G‖_F².

    Attributes:
        upper: asks for the cost of the best G. descend: tries to find a better one from a start.
        report: called with the lower bound when it has risen.
    """

    game: PlanarGame
    tol: float
    upper: Callable[[], float]
    descend: Callable[[Float64], None]
    report: Callable[[float], None]
    tree: Tree = field(default_factory=lambda: Tree(Pool()))
    programs: int = 0
    relaxations: int = 0
    descents: int = 0
    _tried: set[bytes] = field(default_factory=set)
    _descending: float = 0.0

    def begin(self, duals: list[Dual], parts: Parts) -> None:
        """The root: all samples in the whole plane, with discriminators that are known already."""
        for dual in duals:
            self.tree.pool.add(dual)
        root = np.ones(self.game.n, dtype=np.int64)
        bound, which = self.tree.pool.bounds(root[None]) if duals else (np.zeros(1), np.zeros(1))
        self.tree.push(Node(root, float(bound[0]), int(which[0]) if duals else -1, parts))

    def run(self, deadline: float, max_nodes: float = np.inf) -> str | None:
        """Until the gap is closed (None), or "time_limit", "max_iter", or "depth": the sectors are at their finest."""
        began, told = time.perf_counter(), 0.0
        while self.tree.lower < self._closed:
            if time.perf_counter() > deadline:
                return "time_limit"
            if self.relaxations >= max_nodes:
                return "max_iter"
            index = self.tree.pop()
            if not self._step(index, began):
                self.tree.push(self.tree.nodes[index], index)
                return "depth"
            if self.tree.lower > told * (1.0 + 1e-4) + 1e-300:
                told = min(self.tree.lower, self.upper())
                self.report(told)
        return None

    @property
    def _closed(self) -> float:
        """From which bound on a node cannot improve the bracket."""
        return self.upper() * (1.0 - self.tol)

    def _step(self, index: int, began: float) -> bool:
        """One node: look it up in the pool, else solve it, else split it; False where it cannot be split."""
        node = self.tree.nodes[index]
        if node.solved is not None:
            sector = _widest_spread(node.solved, *np.unique(node.sectors, return_counts=True))
            if sector is None:
                return False
            self.tree.branch(index, sector, self._closed)
            return True
        bounds, which = self.tree.pool.bounds(node.sectors[None])
        if bounds[0] > node.bound * (1.0 + 1e-9):
            node.bound, node.dual = float(bounds[0]), int(which[0])
        else:
            self._solve(node)
            self._descend(node, began)
        self.tree.push(node, index)
        return True

    def _solve(self, node: Node) -> None:
        sectors, counts = np.unique(node.sectors, return_counts=True)
        found = relaxed(self.game, sectors, counts.astype(np.float64), node.parts, self.upper())
        self.relaxations, self.programs = self.relaxations + 1, self.programs + found.programs
        node.solved = found
        if found.dual is not None and found.bound > node.bound:
            node.dual, node.bound = self.tree.pool.add(found.dual), found.bound

    def _descend(self, node: Node, began: float) -> None:
        """From the measure of a node to samples, as long as that has its share of the time."""
        found, key = node.solved, node.sectors.tobytes()
        if found is None or len(found.angles) == 0 or node.bound >= self._closed or key in self._tried:
            return
        now = time.perf_counter()
        if self._descending > _DESCENT_SHARE * (now - began):
            return
        self._tried.add(key)
        self.descents += 1
        self.descend(rounded(found, *np.unique(node.sectors, return_counts=True)))
        self._descending += time.perf_counter() - now


def rounded(found: Relaxed, sectors: Sectors, counts: Sectors) -> Float64:
    """Samples (n, 2): in each sector k_c copies of the k_c-th part of what its measure adds up to."""
    vectors = found.masses[:, None] * rays(found.angles)
    sums = np.zeros((len(sectors), 2))
    np.add.at(sums, found.owner, vectors)
    return np.repeat(sums / counts[:, None], counts, axis=0)


def _widest_spread(found: Relaxed, sectors: Sectors, counts: Sectors) -> int | None:
    """The sector with the largest mass × standard deviation of the angle; the widest where nothing is spread."""
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
    return int(sectors[best]) if score[best] >= 0.0 else None
