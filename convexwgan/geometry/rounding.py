"""A measure with equal norms rounded to finitely many samples: whole numbers of copies of each direction."""

from __future__ import annotations

import heapq

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError


def rounded_counts(masses: Float64, n: int) -> Float64:
    """n_k ≥ 1 with Σn_k = n that minimise Σ μ_k²/n_k: one copy each, then always where it saves most.

    The objective is convex and separable in n_k, so that the greedy choice is optimal.

    Raises:
        InputError: fewer samples than directions.

    >>> rounded_counts(np.array([3.0, 1.0]), 4).tolist()
    [3.0, 1.0]
    """
    K = len(masses)
    if n < K:
        raise InputError("n_fake", n, f"be at least the {K} atoms of the measure", "ask for more samples")
    counts = np.ones(K)
    heap = [(-(masses[k] ** 2) / 2.0, k) for k in range(K)]  # what a second copy saves: μ²(1/1 − 1/2)
    heapq.heapify(heap)
    for _ in range(n - K):
        _, k = heapq.heappop(heap)
        counts[k] += 1.0
        heapq.heappush(heap, (-(masses[k] ** 2) / (counts[k] * (counts[k] + 1.0)), k))
    return counts


def rounded_measure(vectors: Float64, n: int) -> Float64:
    """n samples G (n, d) with h_G = h_μ for the measure of the vectors p_k = μ_kθ_k: n_k copies of p_k/n_k.

    Feasible wherever μ is, with ‖G‖_F² = Σμ_k²/n_k ≤ (Σμ_k)²/(n − K).

    Args:
        vectors: p_k, shape (K, d); zero rows are dropped, rows of one direction merged.

    Reference:
        MATH 4 and 7.6: relative gap to the measure bound ≤ K/n.

    >>> rounded_measure(np.array([[2.0, 0.0], [0.0, 1.0]]), 3).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1)
    kept = lengths > 0.0
    if not kept.any():
        return np.zeros((n, vectors.shape[1]))
    _, group = np.unique(np.round(vectors[kept] / lengths[kept][:, None], 12), axis=0, return_inverse=True)
    merged = np.zeros((int(group.max()) + 1, vectors.shape[1]))
    np.add.at(merged, group.ravel(), vectors[kept])
    order = np.argsort(-np.linalg.norm(merged, axis=1), kind="stable")
    merged = merged[order]
    counts = rounded_counts(np.linalg.norm(merged, axis=1), n).astype(int)
    return np.repeat(merged / counts[:, None], counts, axis=0)
