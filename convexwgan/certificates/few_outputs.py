"""Fewer outputs than the data have dimensions: some neuron sees none of them, and the data from both sides.

For n_f < r = rank(X) there is a unit u orthogonal to every output, in any (n_f + 1)-dimensional space. There
h_G(u) = h_G(−u) = 0, so that dist ≥ max(h_X(u), h_X(−u)) ≥ ½(h_X(u) + h_X(−u)) = (w_r/2)‖Xu‖₁, and

    dist_D(X, G) ≥ (w_r/2) σ_{n_f+1}(X);         for r = n_f + 1 even ≥ (w_r/2) min{‖Xu‖₁ : u ∈ range Xᵀ, ‖u‖ = 1}.

On a cell of the planes x_iᵀu = 0 the second is the minimum of a concave function: it is at a line of r − 1 planes.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Infeasibility

EPS = float(np.finfo(np.float64).eps)
_MOST_LINES = 20_000
_RANK = 1e-12


def too_few_outputs(X: Float64, weight: float, rank: int, beta: float) -> Infeasibility | None:
    """A proof that no output whose rows span at most ``rank`` dimensions has dist ≤ β_d under ReLU neurons.

    Args:
        X: data, shape (n, d).
        weight: w_r of one sample.
        rank: of the output at most, n_f for a free generator.
        beta: β_d.

    Reference:
        MATH 3.2 has the same count for second moments (Weyl); for ReLU neurons ours.

    >>> too_few_outputs(np.eye(2), 1.0, 1, 0.4).text
    'outputs of rank 1 have dist ≥ 0.5 > β_d = 0.4 (a neuron that sees none of them)'
    >>> too_few_outputs(np.eye(2), 1.0, 1, 0.6) is None
    True
    """
    s = np.linalg.svd(X, compute_uv=False)
    found = int((s > _RANK * s[:1]).sum())
    if rank >= found:
        return None
    tolerance = 8.0 * EPS * weight * math.sqrt(float(len(X) * (len(X) + X.shape[1]))) * float(s[0])
    least = 0.5 * weight * float(s[rank])
    if rank == found - 1 and math.comb(len(X), rank) <= _MOST_LINES:
        least = max(least, 0.5 * weight * _least_sum(X, found) * (1.0 - _RANK))
    if not least - beta > tolerance:
        return None
    text = f"outputs of rank {rank} have dist ≥ {least:.6g} > β_d = {beta:.6g} (a neuron that sees none of them)"
    return Infeasibility("weyl", text, least - beta, tolerance)


def _least_sum(X: Float64, rank: int) -> float:
    """min ‖Xu‖₁ over unit u in the range of Xᵀ, over the lines that are orthogonal to rank − 1 independent rows."""
    rows = X @ np.linalg.svd(X, full_matrices=False)[2][:rank].T
    if rank == 1:
        return float(np.abs(rows).sum())
    least = math.inf
    for chosen in combinations(range(len(rows)), rank - 1):
        _, sizes, directions = np.linalg.svd(rows[list(chosen)], full_matrices=True)
        if sizes[-1] > _RANK * sizes[0]:
            least = min(least, float(np.abs(rows @ directions[-1]).sum()))
    return least
