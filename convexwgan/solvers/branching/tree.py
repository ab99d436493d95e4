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
from convexwgan.geometry.sectors import Sectors, rays
from convexwgan.solvers.branching.relaxation import DEPTH, Dual, Parts, Relaxed

_BLOCK = 1 << 22
_TABLES = 2048
"""How many discriminators are looked up, 32 KB each; older ones keep what they have proven."""


class Pool:
    """Every discriminator found so far: what is good for one node is often good for its relatives."""

    def __init__(self) -> None:
        self.neurons: list[Float64] = []
        self.weights: list[Float64] = []
        self._slopes = np.zeros(64)
        self._tables = np.zeros((64, 2 << DEPTH), dtype=np.float32)
        self._numbers = np.zeros(64, dtype=np.int64)

    def add(self, dual: Dual) -> int:
        """Its number; of the tables the oldest gives way where there are too many."""
        number = len(self.neurons)
        self.neurons.append(dual.neurons)
        self.weights.append(dual.v)
        if number == len(self._slopes) < _TABLES:
            self._slopes = np.concatenate([self._slopes, np.zeros_like(self._slopes)])
            self._tables = np.concatenate([self._tables, np.zeros_like(self._tables)])
            self._numbers = np.concatenate([self._numbers, np.zeros_like(self._numbers)])
        place = number % len(self._slopes)
        self._slopes[place], self._tables[place], self._numbers[place] = dual.slope, dual.table, number
        return number

    def bounds(self, rows: Sectors) -> tuple[Float64, Sectors]:
        """The best slope²/(2Σ_i a_{c_i}²) of any discriminator for each row of sectors (m, n), and which it is."""
        count = min(len(self.neurons), len(self._slopes))
        best, which = np.zeros(len(rows)), np.full(len(rows), -1)
        step = max(_BLOCK // (rows.size + 1), 1)
        for start in range(0, count, step):
            part = slice(start, min(start + step, count))
            spent = (self._tables[part][:, rows].astype(np.float64) ** 2).sum(axis=2)
            found = self._slopes[part, None] ** 2 / (2.0 * np.maximum(spent, 1e-300))
            index = found.argmax(axis=0)
            value = found[index, np.arange(len(rows))]
            better = value > best
            best[better], which[better] = value[better], self._numbers[start + index[better]]
        return best, which


@dataclass(eq=False)
class Node:
    """n sectors, (bound, number of the discriminator that proves it), and where to start the relaxation.

    ``distance``: how far its counts are from what its parent's measure asks for. What a count costs is convex in it, so
    that a discriminator that closes one child closes those beyond it: near ones come first among equals.
    """

    sectors: Sectors
    proven: tuple[float, int]
    parts: Parts
    solved: Relaxed | None = None
    distance: float = 0.0
    split: int = 0
    children: list[int] = field(default_factory=list)

    @property
    def bound(self) -> float:
        """No G of this node costs less."""
        return self.proven[0]

    def raise_to(self, bound: float, dual: int) -> None:
        """Keep the better bound."""
        if bound > self.bound:
            self.proven = bound, dual


class Tree:
    """All nodes, and the open ones in the order of their bounds."""

    def __init__(self, root: Node, pool: Pool) -> None:
        self.pool, self.nodes = pool, [root]
        self._open = [(root.bound, 0.0, 0)]

    @property
    def lower(self) -> float:
        """What all open nodes prove; ∞ where none is open."""
        return self._open[0][0] if self._open else np.inf

    def pop(self) -> int:
        """The open node with the lowest bound."""
        return heapq.heappop(self._open)[2]

    def put_back(self, index: int) -> None:
        """Open a node, under the bound that it has now."""
        heapq.heappush(self._open, (self.nodes[index].bound, self.nodes[index].distance, index))

    def branch(self, index: int, sector: int, share: float, closed: float) -> None:
        """Split a sector of a node; children whose bound reaches ``closed`` stay leaves and are not opened.

        ``share``: which part of the measure in the sector is in its first half.
        """
        node = self.nodes[index]
        rows = children_of(node.sectors, sector)
        bounds, which = self.pool.bounds(rows)
        parts = node.parts if node.solved is None else node.solved.parts
        first = len(self.nodes)
        for row, bound, dual in zip(rows, bounds, which, strict=True):
            wanted = (len(rows) - 1) * share
            child = Node(row, node.proven, parts, distance=abs(float((row == 2 * sector).sum()) - wanted))
            child.raise_to(float(bound), int(dual))
            self.nodes.append(child)
            if child.bound < closed:
                self.put_back(len(self.nodes) - 1)
        node.split, node.solved = sector, None
        node.children = list(range(first, len(self.nodes)))  # last: an interrupted node stays a leaf

    def proof(self) -> tuple[Float64, Float64]:
        """The smallest tree that proves as much as all leaves do, in breadth-first order.

        Returns:
            nodes (m, 2): the sector that a node splits (0: a leaf) and the number of a leaf's discriminator (else −1);
            neurons (k, 4): the number of the discriminator, u in the plane, v.
        """
        goal = min(node.bound for node in self.nodes if not node.children)
        order, table = [0], []
        for index in order:
            node = self.nodes[index]
            is_leaf = node.bound >= goal or not node.children
            table.append((0, node.proven[1]) if is_leaf else (node.split, -1))
            order += [] if is_leaf else node.children
        used = sorted({number for _, number in table if number >= 0})
        place = {number: k for k, number in enumerate(used)}
        nodes = np.array([(split, place.get(number, -1)) for split, number in table], dtype=np.float64)
        parts = [(place[j], rays(self.pool.neurons[j]), self.pool.weights[j]) for j in used]
        stacked = [np.column_stack([np.full(len(v), k), u, v]) for k, u, v in parts]
        return nodes, np.concatenate(stacked) if stacked else np.zeros((0, 4))


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
