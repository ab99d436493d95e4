"""The weight problem in its own coordinates: Z of full column rank and norm 1, G of full column rank and norm 1.

Z = ζ Z' Bᵀ,  G = γ G' Qᵀ,  u = B u',  v = (γ/ζ) v' Qᵀ,  R = R' Qᵀ/ζ,  cost = (γ/ζ) cost',  β = γζ β'
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Array, Float64, as_samples, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.spectra import EPS, rank_tolerance
from convexwgan.solvers.realization.types import ReluNeurons


@dataclass(frozen=True, eq=False)
class Scaled:
    """Z' (n, r), G' (n, d) and the way back: B (d_f, r), Q (d_r, d), ζ, γ."""

    Z: Float64
    G: Float64
    B: Float64
    Q: Float64
    zeta: float
    gamma: float

    def neurons(self, U: Float64, V: Float64) -> ReluNeurons:
        """(u, v) in the user's coordinates."""
        return ReluNeurons(U @ self.B.T, (self.gamma / self.zeta) * (V @ self.Q.T))

    def reduced(self, neurons: ReluNeurons) -> tuple[Float64, Float64]:
        """(U', V') of neurons given in the user's coordinates; what Z and G cannot see is dropped."""
        U = neurons.u @ self.B
        lengths = np.linalg.norm(U, axis=1)
        seen = lengths > 0
        V = (neurons.v @ self.Q)[seen] * (lengths[seen, None] * self.zeta / self.gamma)
        return U[seen] / lengths[seen, None], V

    def multiplier(self, R: Float64) -> Float64:
        """R in the user's coordinates, scaled as R' is."""
        return (R @ self.Q.T) / self.zeta


def scaled_problem(Z: Array, G: Array) -> Scaled:
    """The weight problem of (Z, G) without scale and without idle directions.

    Raises:
        InputError: not two tables of finite numbers with as many rows.
    """
    Z, G = to_numpy64(as_samples(Z, "Z")), to_numpy64(as_samples(G, "G"))
    if Z.shape[0] != G.shape[0]:
        raise InputError("rows of G", G.shape[0], f"be {Z.shape[0]}, the rows of Z", "give one output for each latent")
    P, s, Bt = np.linalg.svd(Z, full_matrices=False)
    rank = int((s > rank_tolerance(float(s[0]), *Z.shape)).sum())
    zeta = float(s[0]) if rank else 1.0
    _, g, Qt = np.linalg.svd(G, full_matrices=False)
    kept = max(int((g > max(G.shape) * EPS * g[0]).sum()), 1) if g[0] > 0 else 1
    gamma = float(np.linalg.norm(G)) or 1.0
    B, Q = Bt[:rank].T, Qt[:kept].T
    return Scaled(P[:, :rank] * (s[:rank] / zeta), (G @ Q) / gamma, B, Q, zeta, gamma)
