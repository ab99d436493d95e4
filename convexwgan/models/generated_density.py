"""The generated distribution read off at data points, and kernel widths that fit the data.

Both readings are smooth in the samples, so a generator can follow them. Which one to take, and the widths, are choices
of ours, not of a paper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.models.networks import kernel_density

if TYPE_CHECKING:
    import torch

WIDTH_ROWS = 1000
"""As many rows, evenly spaced, tell the distances of the data."""


def assigned_density(points: torch.Tensor, samples: torch.Tensor, sigma: float) -> torch.Tensor:
    """n·p_g(x_i), where every sample shares its mass among the points: Σ_i p_g(x_i) = 1 whatever σ and d are.

    Formula:
        p_g(x_i) = mean_j k_σ(g_j − x_i) / Σ_l k_σ(g_j − x_l),   k_σ(r) = exp(−‖r‖²/(2σ²)).
    It is multiplied by the number of points, so that p_d = 1/n reads 1. Samples can gain p_g at one point only by
    losing it at others: crowding in the middle, which raises ``kernel_density`` everywhere, gains nothing here. A
    sample far from all points keeps its full mass, and no gradient calls it back: that is left to the discriminator.

    Args:
        points: (n, d). samples: (m, d). sigma: σ > 0.

    >>> import torch
    >>> points = torch.tensor([[0.0], [3.0]])
    >>> assigned_density(points, torch.tensor([[0.0], [0.0]]), 1.0)
    tensor([1.9780, 0.0220])
    >>> assigned_density(points, torch.tensor([[1.5], [900.0]]), 1.0)
    tensor([0.5000, 1.5000])
    """
    import torch

    squares = (points**2).sum(1)[:, None] + (samples**2).sum(1)[None] - 2 * points @ samples.T
    return torch.softmax(-squares / (2 * sigma**2), dim=0).mean(1) * len(points)


DENSITIES: dict[str, Callable[[Any, Any, float], Any]] = {"kernel": kernel_density, "assigned": assigned_density}
"""By name: a kernel of peak 1, or shares that sum to 1 over the batch."""


def widths_of(X: Float64, batch_size: int) -> tuple[float, float]:
    """(first, last) σ from the distances between the rows of X, copies of a row left out.

    Formula:
        first = half of the median distance between two rows,
        last  = half of the median distance from a row to its nearest neighbour in a batch, at most first.
    At a distance of 2σ the kernel is e⁻²: such rows are just told apart. Of n rows, the nearest in a batch is about the
    k-th nearest of all, k = n/batch_size. Constant data: (1, 1).

    Args:
        X: (n, d). batch_size: number of points that a density is read at.

    >>> widths_of(np.repeat([[-3.0], [3.0]], 50, axis=0), 10)
    (3.0, 3.0)
    >>> first, last = widths_of(np.random.default_rng(0).normal(size=(500, 2)), 50)
    >>> 0.7 < first < 1.0, 0.05 < last < 0.2
    (True, True)
    """
    from scipy.spatial.distance import pdist, squareform

    rows = X[np.linspace(0, len(X) - 1, min(len(X), WIDTH_ROWS)).astype(int)]
    distances = pdist(rows)
    other = distances > 1e-9 * distances.max(initial=0.0)
    if not other.any():
        return 1.0, 1.0
    first = float(np.median(distances[other])) / 2
    table = np.sort(squareform(np.where(other, distances, np.inf)) + np.diag(np.full(len(rows), np.inf)), axis=1)
    nearest = table[:, max(1, round(len(rows) / batch_size)) - 1]
    nearest = nearest[np.isfinite(nearest)]
    return first, min(first, float(np.median(nearest)) / 2) if len(nearest) else first
