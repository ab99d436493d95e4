"""The cheaper of two outputs with the same moments, each with its own cheapest network: latent, and optimised."""

from __future__ import annotations

from dataclasses import replace

from convexwgan.arrays import Float64
from convexwgan.solvers.factor_descent import optimised_factor
from convexwgan.solvers.realization.types import ReluNeurons
from convexwgan.solvers.run import Limits
from convexwgan.solvers.weights import Callback, WeightCandidate, solve_weights, with_relaxed_bound

_SECONDS = 90.0
_THIRDS = 3.0
_UNCHANGED = "latent: no cheaper one was found"


def cheapest_factor(
    N: Float64,
    G: Float64,
    limits: Limits,
    *,
    method: str = "column_generation",
    keeps_mean: bool = False,
    warm_start: ReluNeurons | None = None,
    callback: Callback | None = None,
    with_bound: bool = True,
) -> tuple[Float64, WeightCandidate]:
    """(output, its network and multiplier): G, or one with the same GᵀG (and sums) that needs fewer weights.

    Args:
        N: network input, shape (n, p). G: an output, shape (n, d_r): where the search begins, and never worse.
        limits: of the whole; a third of the seconds (90 where none are given) for each of network, factor, network.
        method, warm_start, callback, with_bound: as in ``solve_weights``.
        keeps_mean: whether 1ᵀG must stay too.

    Reference: MATH 3.8.

    >>> import numpy as np
    >>> limits = Limits(None, 1e-6, None, None, False, None)
    >>> G, found = cheapest_factor(np.diag([1.0, 3.0]), np.array([[1.0], [1.0]]), limits)
    >>> round(found.neurons.cost, 6), found.stats["factor"]
    (0.471405, 'optimised')
    """
    limits = replace(limits, time_limit=(limits.time_limit or _SECONDS) / _THIRDS)
    first = solve_weights(N, G, limits, method=method, start=warm_start, callback=callback, with_bound=False)
    if not G.any() or first.stopped in ("unreachable", "callback"):
        return G, with_relaxed_bound(N, G, first, limits) if with_bound else first
    other = optimised_factor(
        N, G, first.neurons, keeps_mean=keeps_mean, time_limit=limits.time_limit, warm_start=warm_start
    )
    stats = {"latent_weights": first.neurons.cost}
    if other is not None:
        second = solve_weights(
            N, other.G, limits, method=method, start=other.neurons, callback=callback, with_bound=with_bound
        )
        if second.neurons.cost < first.neurons.cost:
            return other.G, replace(second, stats={**second.stats, **stats, "factor": "optimised"})
    first = replace(first, stats={**first.stats, **stats, "factor": _UNCHANGED})
    return G, with_relaxed_bound(N, G, first, limits) if with_bound else first
