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
Integers = npt.NDArray[np.intp]
KINK_TOLERANCE = 1e-11
"""|z_iᵀw| ≤ KINK_TOLERANCE ‖z_i‖‖w‖ counts as zero when a neuron lands on a kink: ties land together."""
_RANK_TOLERANCE = 1e-9


@dataclass
class Network:
    """Balanced weights W (k, r), V (k, d), their kinks and active rows (k, n), and where each w_j may move.

    ``frames`` (k, r, r) holds in its first p_j columns an orthonormal basis of {w: z_iᵀw = 0 on the kinks of j}, zeros
    in the others; ``free`` (k, r) marks the first p_j.
    """

    W: Float64
    V: Float64
    kinks: Bool
    active: Bool
    frames: Float64
    free: Bool

    @property
    def count(self) -> int:
        """k, the number of neurons."""
        return int(self.W.shape[0])

    @property
    def sizes(self) -> Float64:
        """‖w_j‖‖v_j‖, shape (k,): what each neuron costs."""
        sizes: Float64 = np.linalg.norm(self.W, axis=1) * np.linalg.norm(self.V, axis=1)
        return sizes

    def keep(self, which: Bool | Integers) -> Network:
        """The network of the chosen neurons."""
        W, V, kinks = self.W[which], self.V[which], self.kinks[which]
        return Network(W, V, kinks, self.active[which], self.frames[which], self.free[which])

    def copy(self) -> Network:
        """The same network in arrays of its own."""
        return self.keep(np.arange(self.count))

    def balanced(self) -> Network:
        """The same output with ‖w_j‖ = ‖v_j‖: of all scalings the one of least ½(‖W‖² + ‖V‖²)."""
        w, v = np.linalg.norm(self.W, axis=1), np.linalg.norm(self.V, axis=1)
        alive = (w > 0) & (v > 0)
        ratio = np.sqrt(np.where(alive, v, 1.0) / np.where(alive, w, 1.0))
        scale = np.where(alive, ratio, 0.0)[:, None]
        shrink = np.where(alive, 1.0 / ratio, 0.0)[:, None]
        return Network(self.W * scale, self.V * shrink, self.kinks, self.active, self.frames, self.free)

    def project(self, vectors: Float64) -> Float64:
        """Each row j on the subspace in which w_j may move."""
        projected: Float64 = np.einsum("jab,jcb,jc->ja", self.frames, self.frames, vectors)
        return projected


def empty_network(n: int, r: int, d: int) -> Network:
    """No neuron."""
    none = np.zeros((0, n), dtype=bool)
    frames = np.zeros((0, r, r))
    return Network(np.zeros((0, r)), np.zeros((0, d)), none, none.copy(), frames, np.zeros((0, r), dtype=bool))


def network_at(Z: Float64, W: Float64, V: Float64, tolerance: float = KINK_TOLERANCE) -> Network:
    """The network with these weights; rows with |z_iᵀw_j| ≤ tolerance ‖z_i‖‖w_j‖ become kinks."""
    k, r = W.shape
    values = W @ Z.T
    scale = np.linalg.norm(W, axis=1)[:, None] * np.linalg.norm(Z, axis=1)[None, :]
    kinks = (np.abs(values) <= tolerance * scale) & (scale > 0)
    frames = np.broadcast_to(np.eye(r), (k, r, r)).copy()
    network = Network(W.copy(), V.copy(), kinks, (values > 0) & ~kinks, frames, np.ones((k, r), dtype=bool))
    put_on_kinks(network, Z, np.flatnonzero(kinks.any(axis=1)))
    return network


def joined(first: Network, second: Network) -> Network:
    """Both networks side by side."""
    return Network(
        np.vstack([first.W, second.W]),
        np.vstack([first.V, second.V]),
        np.vstack([first.kinks, second.kinks]),
        np.vstack([first.active, second.active]),
        np.concatenate([first.frames, second.frames]),
        np.vstack([first.free, second.free]),
    )


def features(Z: Float64, network: Network) -> Float64:
    """Φ (n, k): (ZWᵀ)₊ with exact zeros on the kinks."""
    values: Float64 = np.where(network.active.T, Z @ network.W.T, 0.0)
    return values


def put_on_kinks(network: Network, Z: Float64, which: Integers) -> None:
    """New frames for these neurons, and their w_j projected onto them: z_iᵀw_j = 0 on every kink."""
    r = Z.shape[1]
    for j in which:
        rows = Z[network.kinks[j]]
        frame = np.eye(r) if len(rows) == 0 else _null_space(rows)
        p = frame.shape[1]
        network.frames[j] = 0.0
        network.frames[j, :, :p] = frame
        network.free[j] = np.arange(r) < p
        network.W[j] = frame @ (frame.T @ network.W[j])


def _null_space(rows: Float64) -> Float64:
    """An orthonormal basis (r, p) of {w: rows @ w = 0}."""
    units = rows / np.linalg.norm(rows, axis=1)[:, None]
    _, s, Vt = np.linalg.svd(units, full_matrices=True)
    rank = int((s > _RANK_TOLERANCE * s[0]).sum())
    null: Float64 = Vt[rank:].T
    return null
