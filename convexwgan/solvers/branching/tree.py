"""The tree of the search: which sectors hold how many samples, what each node proves, and by which discriminator.

A node is a sorted row of n sectors, one for each sample: samples are exchangeable, so that this covers every G whose
samples can be dealt to them. Splitting a sector that occurs k times makes k + 1 children: j of its samples in the one
half, k − j in the other, j = k, …, 0. Together they cover what the node covers.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.sectors import Sectors
from convexwgan.solvers.branching.relaxation import DEPTH, Dual, Parts, Relaxed

_BLOCK = 1 << 22


@dataclass(eq=False)
class Pool:
    """Every discriminator found so far: what is good for one node is often good for its relatives."""

    duals: list[Dual] = field(default_factory=list)
    _slopes: Float64 = field(default_factory=lambda: np.zeros(64))
    _tables: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = field(
        default_factory=lambda: np.zeros((64, 2 << DEPTH), dtype=np.float32)
    )

    def add(self, dual: Dual) -> int:
        """Its index."""
        if len(self.duals) == len(self._slopes):
            self._slopes = np.concatenate([self._slopes, np.zeros_like(self._slopes)])
            self._tables = np.concatenate([self._tables, np.zeros_like(self._tables)])
        self._slopes[len(self.duals)], self._tables[len(self.duals)] = dual.slope, dual.table
        self.duals.append(dual)
        return len(self.duals) - 1

    def bounds(self, rows: Sectors) -> tuple[Float64, Sectors]:
        """The best slope²/(2Σ_i a_{c_i}²) of any discriminator for each row of sectors (m, n), and which it is."""
        count = len(self.duals)
        best, which = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
        step = max(_BLOCK // (rows.size + 1), 1)
        for start in range(0, count, step):
            stop = min(start + step, count)
            spent = (self._tables[start:stop][:, rows].astype(np.float64) ** 2).sum(axis=2)
            found = self._slopes[start:stop, None] ** 2 / (2.0 * np.maximum(spent, 1e-300))
            index = found.argmax(axis=0)
            value = found[index, np.arange(len(rows))]
            better = value > best
            best[better], which[better] = value[better], start + index[better]
        return best, which


@dataclass(eq=False)
class Node:
    """n sectors, what is proven about them, and where to start the relaxation."""

    sectors: Sectors
    bound: float
    dual: int
    parts: Parts
    solved: Relaxed | None = None
    split: int = 0
    children: list[int] = field(default_factory=list)


@dataclass(eq=False)
class Tree:
    """All nodes, and the open ones in the order of their bounds."""

    pool: Pool
    nodes: list[Node] = field(default_factory=list)
    _open: list[tuple[float, int]] = field(default_factory=list)

    @property
    def lower(self) -> float:
        """What all open nodes prove; ∞ where none is open."""
        return self._open[0][0] if self._open else np.inf

    def push(self, node: Node, index: int | None = None) -> int:
        """A new node, or an old one whose bound has risen."""
        if index is None:
            index = len(self.nodes)
            self.nodes.append(node)
        heapq.heappush(self._open, (node.bound, index))
        return index

    def pop(self) -> int:
        """The open node with the lowest bound."""
        return heapq.heappop(self._open)[1]

    def branch(self, index: int, sector: int, closed: float) -> None:
        """Split a sector of a node; children whose bound reaches ``closed`` stay leaves and are not opened."""
        node = self.nodes[index]
        node.split = sector
        rows = children_of(node.sectors, sector)
        bounds, which = self.pool.bounds(rows)
        parts = node.parts if node.solved is None else node.solved.parts
        for row, bound, dual in zip(rows, bounds, which, strict=True):
            better = bound > node.bound
            child = Node(row, float(max(bound, node.bound)), int(dual) if better else node.dual, parts)
            node.children.append(len(self.nodes))
            if child.bound >= closed:
                self.nodes.append(child)
            else:
                self.push(child)
        node.solved = None

    def proof(self) -> tuple[Float64, list[Dual], Float64]:
        """The smallest tree that proves as much: splits in breadth-first order, discriminators, and who bounds each.

        Returns:
            splits (m,): the sector that a node splits, 0 for a leaf; the discriminators; and for each node the index of
            its own (−1 for an inner one).
        """
        goal = self._proven()
        order, splits, owners = [0], [], []
        for index in order:
            node = self.nodes[index]
            is_leaf = node.bound >= goal or not node.children
            splits.append(0 if is_leaf else node.split)
            owners.append(node.dual if is_leaf else -1)
            order += [] if is_leaf else node.children
        used = sorted({owner for owner in owners if owner >= 0})
        place = {owner: k for k, owner in enumerate(used)}
        numbers = [place.get(owner, -1) for owner in owners]
        return np.array(splits, dtype=np.float64), [self.pool.duals[k] for k in used], np.array(numbers, dtype=float)

    def _proven(self) -> float:
        """The least bound of any leaf."""
        return min(node.bound for node in self.nodes if not node.children)


def children_of(sectors: Sectors, sector: int) -> Sectors:
    """The rows of the children, each sorted: j = k, …, 0 samples of ``sector`` in its first half 2c.

    >>> children_of(np.array([1, 1]), 1).tolist()
    [[2, 2], [2, 3], [3, 3]]
    """
    inside = sectors == sector
    rest, k = sectors[~inside], int(inside.sum())
    halves = np.where(np.arange(k)[None, :] < np.arange(k, -1, -1)[:, None], 2 * sector, 2 * sector + 1)
    rows = np.concatenate([np.broadcast_to(rest, (k + 1, len(rest))), halves], axis=1)
    return np.asarray(np.sort(rows, axis=1))
