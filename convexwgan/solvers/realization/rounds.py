"""One round of sliding column generation: price, add, slide. Shared by the soft form and by equality."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.solvers.realization.slide import SlideReport, slide
from convexwgan.solvers.realization.state import Network, features, joined, network_at

CANDIDATE_KINKS = 1e-9
"""A candidate within this of a kink is put on it: candidates may be rays of the arrangement, known to rounding."""
_SWEEPS = 3


def residual(Z: Float64, T: Float64, network: Network) -> Float64:
    """E = (ZWᵀ)₊V − T."""
    E: Float64 = features(Z, network) @ network.V - T
    return E


def entered(Z: Float64, T: Float64, beta: float, network: Network, U: Float64) -> Network:
    """The network with neurons added at the directions U, their v by block coordinate descent of the soft form.

    v_j ← (1 − β/‖c_j‖)₊ c_j/‖φ_j‖²,   c_j = φ_jᵀ(T − rest),   a few sweeps over the new neurons only.
    """
    Phi = np.maximum(Z @ U.T, 0.0)
    rest = -residual(Z, T, network)
    squares = (Phi**2).sum(axis=0)
    V = np.zeros((len(U), T.shape[1]))
    for _ in range(_SWEEPS):
        for j in np.flatnonzero(squares > 0):
            pull = Phi[:, j] @ rest + squares[j] * V[j]
            size = float(np.linalg.norm(pull))
            new = pull * (max(0.0, 1.0 - beta / size) / squares[j]) if size > 0 else pull
            rest -= np.outer(Phi[:, j], new - V[j])
            V[j] = new
    used = np.linalg.norm(V, axis=1) > 0
    return joined(network.balanced(), network_at(Z, U[used], V[used], CANDIDATE_KINKS).balanced())


def improved(
    Z: Float64, T: Float64, beta: float, network: Network, U: Float64, *, tol: float, steps: int
) -> tuple[Network, SlideReport]:
    """The network after new neurons at U have entered and all have slid to a local minimum of the soft form."""
    start = entered(Z, T, beta, network, U) if len(U) else network
    return slide(Z, T, beta, start, max_iter=steps, tol=tol)


def unit_directions(network: Network) -> Float64:
    """u_j = w_j/‖w_j‖, (k, r)."""
    directions: Float64 = network.W / np.linalg.norm(network.W, axis=1)[:, None]
    return directions


def outgoing(network: Network) -> Float64:
    """‖w_j‖v_j: the v of the neurons with unit u, (k, d)."""
    weights: Float64 = network.V * np.linalg.norm(network.W, axis=1)[:, None]
    return weights
