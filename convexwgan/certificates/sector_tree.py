"""The judge of a branch and bound over sectors: does the tree cover every G, and what does each leaf prove?

Let B (d, 2) have ‖B‖₂ ≤ 1. A node is a multiset of n_f sectors of the plane; it stands for all G whose samples can be
dealt to its sectors, Bᵀg_i in the i-th. The root is n_f times the whole plane, so that it stands for every G. A node
that splits a sector c which it holds k times has the k + 1 children that hold j times one half of c and k − j times the
other: they stand for all that the node stands for. At a leaf, any discriminator of neurons Bw_k, ‖w_k‖ ≤ 1, proves

    value ≥ max_s s(⟨v,h_X⟩ − β_d‖v‖₁) − s²w_f/(2β_g)·Σ_i a_{c_i}²,   a_c = max(0, max_{θ ∈ c, ‖θ‖=1} Σ_k v_k(θᵀw_k)₊)

since (g_iᵀBw_k)₊ depends on Bᵀg_i alone and ‖Bᵀg_i‖ ≤ ‖g_i‖. The least bound of the leaves holds for every G.

Sectors have numbers: 1 is the plane, 2c and 2c + 1 are the halves of c, counterclockwise from angle −π/2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.adversary import read_array
from convexwgan.certificates.certificate import Check
from convexwgan.certificates.measures import EPS, MeasureEvidence

_FIRST, _TURN = -0.5 * math.pi, 2.0 * math.pi
_DEEPEST = 30
_ANGLE = 1e-9
"""Peaks this close to a piece count as inside: that only raises a_c."""
_MARGIN = 1e-13
"""Of Σ|v_k|: what rounding of angles and sums can hide of a_c."""
_SHARE = 1e-12
_MOST_NODES = 5_000_000
Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class TreeBound:
    """No G costs less than ``value``; the arrays as they were read, and what was checked."""

    value: float
    arrays: dict[str, Float64]
    checks: tuple[Check, ...]


@dataclass(frozen=True, eq=False)
class _Leaves:
    """Rows of n_f sectors (m, n_f), and the number of the discriminator that bounds each, −1 for none."""

    sectors: Integers
    owners: Integers


def tree_bound(evidence: MeasureEvidence, tree: Mapping[str, Any]) -> TreeBound:
    """The lower bound that a claimed tree proves for a free generator; 0 ≤ value where it proves nothing.

    Args:
        evidence: a game without bias, under weight decay, with n_f free samples.
        tree: ``tree_basis`` B (d, 2); ``tree_nodes`` (m, 2), in breadth-first order the sector that a node splits (0:
            a leaf) and the discriminator that bounds it (−1: none); ``tree_neurons`` (k, 4), rows of the number of the
            discriminator, w in the plane, and v.

    Reference:
        MATH 4; docs/relu_discriminators.md.
    """
    arrays = {name: read_array(tree[name]) for name in ("tree_basis", "tree_nodes", "tree_neurons") if name in tree}
    fault = _fault(evidence, arrays)
    leaves = None if fault else _replayed(arrays["tree_nodes"].astype(np.int64), evidence.samples or 0)
    if leaves is None:
        detail = fault or "a node splits a sector that it does not hold, or nodes are missing"
        return TreeBound(0.0, arrays, (Check("the leaves of the tree cover every G", False, detail),))
    bounds = _leaf_bounds(evidence, arrays["tree_basis"], arrays["tree_neurons"], leaves)
    value = max(float(bounds.min()) * (1.0 - _SHARE), 0.0)
    covered = Check("the leaves of the tree cover every G", True, f"{len(bounds)} leaves, replayed from the root")
    priced = Check("every leaf is bounded by a discriminator", True, f"least bound {value:.9g}")
    return TreeBound(value, arrays, (covered, priced))


def most_cost(evidence: MeasureEvidence) -> float:
    """What the projections Bᵀg_i of any feasible G can cost: (β_g/2w_f)(Σ w_r‖x_i‖ + πβ_d)².

    h_G(u) + h_G(−u) = Σ w_f|g_iᵀu| ≤ Σ w_r|x_iᵀu| + 2β_d; the mean over the circle is (2/π)Σ w_f‖Bᵀg_i‖ on the left and
    at most (2/π)Σ w_r‖x_i‖ + 2β_d on the right, and the sum of squares is at most the square of the sum.
    """
    length = evidence.size + math.pi * (evidence.beta or 0.0)
    return 0.5 * evidence.strength * length**2 * (evidence.samples or 1) / evidence.mass


def _fault(evidence: MeasureEvidence, arrays: Mapping[str, Float64]) -> str:
    """What is wrong with the arrays, or nothing."""
    if evidence.samples is None or evidence.has_bias or evidence.beta is None:
        return "the game has no free samples under weight decay, or its neurons have a bias"
    if len(arrays) < 3 or not all(a.ndim == 2 and np.isfinite(a).all() for a in arrays.values()):
        return "arrays are missing, no matrices, or not finite"
    basis, nodes, neurons = (arrays[name] for name in ("tree_basis", "tree_nodes", "tree_neurons"))
    if basis.shape != (evidence.dim, 2) or nodes.shape[1] != 2 or neurons.shape[1] != 4:
        return f"shapes {basis.shape}, {nodes.shape}, {neurons.shape}"
    if not 0 < len(nodes) <= _MOST_NODES or np.abs(nodes).max() >= 2.0**_DEEPEST or (nodes != np.round(nodes)).any():
        return "nodes are no numbers of sectors and discriminators"
    if np.linalg.norm(basis, 2) > 1.0 + 1e-6:
        return "the basis is longer than 1"
    return ""


def _replayed(nodes: Integers, n: int) -> _Leaves | None:
    """The leaves, by splitting level by level from the root; None where the list of nodes is no such tree."""
    rows, taken = np.ones((1, n), dtype=np.int64), 0
    leaves, owners = [], []
    while len(rows):
        if taken + len(rows) > len(nodes):
            return None
        level = nodes[taken : taken + len(rows)]
        taken += len(rows)
        is_leaf = level[:, 0] == 0
        leaves.append(rows[is_leaf])
        owners.append(level[is_leaf, 1])
        rows, split = rows[~is_leaf], level[~is_leaf, 0]
        held = rows == split[:, None]
        times = held.sum(axis=1)
        if (times == 0).any():
            return None
        parent = np.repeat(np.arange(len(rows)), times + 1)
        child = np.arange(len(parent)) - np.repeat(np.cumsum(times + 1) - (times + 1), times + 1)
        in_first = np.cumsum(held, axis=1)[parent] <= (times[parent] - child)[:, None]
        halves = np.where(in_first, 2 * split[parent, None], 2 * split[parent, None] + 1)
        rows = np.where(held[parent], halves, rows[parent])
    return _Leaves(np.concatenate(leaves), np.concatenate(owners)) if taken == len(nodes) else None


def _leaf_bounds(evidence: MeasureEvidence, basis: Float64, neurons: Float64, leaves: _Leaves) -> Float64:
    """slope²β_g/(2w_fΣ_i a_{c_i}²) at each leaf: the best multiple s of its discriminator; 0 where it has none."""
    basis = basis / max(float(np.linalg.norm(basis, 2)) * (1.0 + 8.0 * EPS), 1.0)
    w = neurons[:, 1:3] / np.maximum(np.linalg.norm(neurons[:, 1:3], axis=1) * (1.0 + 8.0 * EPS), 1.0)[:, None]
    numbers, v = neurons[:, 0], neurons[:, 3]
    h = evidence.weights @ np.maximum(evidence.X @ (w @ basis.T).T, 0.0)
    unit = 2.0 * evidence.mass / (evidence.samples or 1) / evidence.strength
    bounds = np.zeros(len(leaves.owners))
    order = np.argsort(leaves.owners, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(leaves.owners[order])) + 1):
        mine = numbers == leaves.owners[group[0]]
        slope = _slope(evidence, h[mine], v[mine])
        if slope <= 0.0:
            continue
        sectors, index = np.unique(leaves.sectors[group], return_inverse=True)
        top = _sector_upper(w[mine], v[mine], sectors)
        spent = (top[index.reshape(len(group), -1)] ** 2).sum(axis=1)
        with np.errstate(over="ignore", divide="ignore"):  # ∞: no G is dealt like this
            bounds[group] = slope**2 / (unit * spent)
    return bounds


def _slope(evidence: MeasureEvidence, h: Float64, v: Float64) -> float:
    """⟨v,h_X⟩ − β_d‖v‖₁ less its rounding error."""
    size = float(np.abs(v) @ h) + (evidence.beta or 0.0) * float(np.abs(v).sum())
    rounding = 4.0 * EPS * (len(evidence.X) + evidence.dim + len(v) + 8) * size
    return float(v @ h) - (evidence.beta or 0.0) * float(np.abs(v).sum()) - rounding


def _sector_upper(w: Float64, v: Float64, sectors: Integers) -> Float64:
    """a_c from above: between breakpoints the sum is gᵀθ, at most ‖g‖ where g points into the piece, else its ends."""
    level = np.floor(np.log2(sectors + 0.5))
    width = _TURN / 2.0**level
    first = (sectors - 2.0**level) * width
    phi = np.arctan2(w[:, 1], w[:, 0]) - _FIRST
    kinks = np.mod(np.concatenate([phi - 0.5 * np.pi, phi + 0.5 * np.pi]), _TURN)
    ends = np.unique(np.concatenate([kinks, first, first + width, [0.0, _TURN]]))
    start, stop = ends[:-1], ends[1:]
    middle = 0.5 * (start + stop)
    active = _rays(middle) @ w.T > 0.0
    g = active @ (v[:, None] * w)
    ahead = np.mod(np.arctan2(g[:, 1], g[:, 0]) - _FIRST - start + _ANGLE, _TURN)
    at_ends = np.maximum(np.einsum("ij,ij->i", g, _rays(start)), np.einsum("ij,ij->i", g, _rays(stop)))
    best = np.where(ahead <= stop - start + 2.0 * _ANGLE, np.linalg.norm(g, axis=1), at_ends)
    margin = _MARGIN * (len(v) + 8) * float(np.abs(v) @ np.linalg.norm(w, axis=1))
    low, high = np.searchsorted(middle, first), np.searchsorted(middle, first + width)
    top = np.array([best[i:j].max(initial=-np.inf) for i, j in zip(low, high, strict=True)])
    return np.asarray(np.maximum(top + margin, 0.0))


def _rays(angles: Float64) -> Float64:
    return np.column_stack([np.cos(angles + _FIRST), np.sin(angles + _FIRST)])
