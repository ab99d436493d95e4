"""The network while it is being optimised: balanced weights, and the kinks that each neuron sits on.

    (ZWᵀ)₊V = Σ_j (Zw_j)₊v_jᵀ,    Z (n, r), W (k, r), V (k, d),    cost Σ_j ‖w_j‖‖v_j‖ ≤ ½(‖W‖² + ‖V‖²)

Row i of Z is a *kink* of neuron j when the neuron is kept on z_iᵀw_j = 0; then w_j moves in a smaller subspace and
its output stays linear in w_j there. ``active`` rows pass, the others are cut off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64

Bool = npt.NDArray[np.bool_]
KINK_TOLERANCE = 1e-11
"""|z_iᵀw| ≤ KINK_TOLERANCE ‖z_i‖‖w‖ counts as zero when a neuron lands on a kink: ties land together."""
_RANK_TOLERANCE = 1e-9


@dataclass
class Network:
    """Balanced weights W (k, r), V (k, d), their kinks (k, n), active rows (k, n) and projectors (k, r, r)."""

    W: Float64
    V: Float64
    kinks: Bool
    active: Bool
    projectors: Float64

    @property
    def count(self) -> int:
        """k, the number of neurons."""
        return int(self.W.shape[0])

    @property
    def sizes(self) -> Float64:
        """‖w_j‖‖v_j‖, shape (k,): what each neuron costs."""
        sizes: Float64 = np.linalg.norm(self.W, axis=1) * np.linalg.norm(self.V, axis=1)
        return sizes

    def keep(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int_]) -> Network:
        """The network of the chosen neurons."""
        return Network(self.W[which], self.V[which], self.kinks[which], self.active[which], self.projectors[which])

    def balanced(self) -> Network:
        """The same output with ‖w_j‖ = ‖v_j‖: of all scalings the one of least ½(‖W‖² + ‖V‖²)."""
        w, v = np.linalg.norm(self.W, axis=1), np.linalg.norm(self.V, axis=1)
        alive = (w > 0) & (v > 0)
        ratio = np.sqrt(np.where(alive, v, 1.0) / np.where(alive, w, 1.0))
        scale = np.where(alive, ratio, 0.0)[:, None]
        shrink = np.where(alive, 1.0 / ratio, 0.0)[:, None]
        return Network(self.W * scale, self.V * shrink, self.kinks, self.active, self.projectors)


def empty_network(n: int, r: int, d: int) -> Network:
    """No neuron."""
    kinks = np.zeros((0, n), dtype=bool)
    return Network(np.zeros((0, r)), np.zeros((0, d)), kinks, kinks.copy(), np.zeros((0, r, r)))


def network_at(Z: Float64, W: Float64, V: Float64, tolerance: float = KINK_TOLERANCE) -> Network:
    """The network with these weights; rows with |z_iᵀw_j| ≤ tolerance ‖z_i‖‖w_j‖ become kinks."""
    k, r = W.shape
    values = W @ Z.T
    scale = np.linalg.norm(W, axis=1)[:, None] * np.linalg.norm(Z, axis=1)[None, :]
    kinks = (np.abs(values) <= tolerance * scale) & np.any(Z != 0, axis=1)[None, :]
    network = Network(W.copy(), V.copy(), kinks, (values > 0) & ~kinks, np.broadcast_to(np.eye(r), (k, r, r)).copy())
    for j in np.flatnonzero(kinks.any(axis=1)):
        project_on_kinks(network, Z, int(j))
    return network


def joined(first: Network, second: Network) -> Network:
    """Both networks side by side."""
    return Network(
        np.vstack([first.W, second.W]),
        np.vstack([first.V, second.V]),
        np.vstack([first.kinks, second.kinks]),
        np.vstack([first.active, second.active]),
        np.concatenate([first.projectors, second.projectors]),
    )


def features(Z: Float64, network: Network) -> Float64:
    """Φ (n, k): (ZWᵀ)₊ with exact zeros on the kinks."""
    values: Float64 = np.where(network.active.T, Z @ network.W.T, 0.0)
    return values


def project_on_kinks(network: Network, Z: Float64, j: int) -> None:
    """Put w_j on its kinks: w_j ← P_j w_j with P_j the projector on the null space of the kinks' rows."""
    r = Z.shape[1]
    rows = Z[network.kinks[j]]
    network.projectors[j] = np.eye(r) if len(rows) == 0 else _null_projector(rows)
    network.W[j] = network.projectors[j] @ network.W[j]


def _null_projector(rows: Float64) -> Float64:
    units = rows / np.linalg.norm(rows, axis=1)[:, None]
    _, s, Vt = np.linalg.svd(units, full_matrices=True)
    rank = int((s > _RANK_TOLERANCE * s[0]).sum())
    null = Vt[rank:]
    projector: Float64 = null.T @ null
    return projector
