"""Closed forms of MATH §3, written a second time and as plainly as possible: independent witnesses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from convexwgan.certificates import PlainClaim


def descending(M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, V = np.linalg.eigh(M)
    return values[::-1], V[:, ::-1]


@dataclass(frozen=True)
class Witness:
    """Moments by their definition and optimal solutions by MATH's formulas."""

    X: np.ndarray
    Z: np.ndarray

    @property
    def m(self) -> np.ndarray:
        return self.X.sum(axis=0)

    @property
    def M(self) -> np.ndarray:
        return self.X.T @ self.X

    @property
    def z_bar(self) -> np.ndarray:
        return self.Z.sum(axis=0)

    @property
    def rho(self) -> float:
        return float(self.z_bar @ np.linalg.pinv(self.Z.T @ self.Z) @ self.z_bar)

    def quadratic(self, beta: float, strength: float = 1.0) -> PlainClaim:
        """MATH 3.3 with its dual P = (β_g/2)V_kV_kᵀ."""
        sigma2, V = descending(self.M)
        lam, Q = descending(self.Z.T @ self.Z)
        k = int(np.sum(sigma2 > beta))
        W = Q[:, :k] @ np.diag(np.sqrt((sigma2[:k] - beta) / lam[:k])) @ V[:, :k].T
        return PlainClaim(W, V[:, :k].T, np.full(k, 0.5 * strength))

    def skip(self, beta: float, strength: float = 1.0) -> PlainClaim:
        """MATH 3.5 for a linear generator."""
        gamma, Q = descending(self.M - np.outer(self.m, self.m) / self.rho)
        k = int(np.sum(gamma > beta))
        lam, E = descending(self.Z.T @ self.Z)
        e = (E / np.sqrt(lam)).T @ self.z_bar / np.sqrt(self.rho)
        complement = np.linalg.qr(np.column_stack([e, np.eye(len(e))]))[0][:, 1:]
        Y = complement[:, :k] @ np.diag(np.sqrt(gamma[:k] - beta)) @ Q[:, :k].T
        Y = Y + np.outer(e, self.m) / np.sqrt(self.rho)
        y = strength / self.rho * (self.m - Q[:, :k] @ (Q[:, :k].T @ self.m))
        return PlainClaim(E / np.sqrt(lam) @ Y, Q[:, :k].T, np.full(k, 0.5 * strength), y)

    def linear(self, beta: float, strength: float = 1.0) -> PlainClaim:
        """MATH 3.1, output cost; the optimal discriminator is y = β_g s/ρ."""
        norm = float(np.linalg.norm(self.m))
        s = self.m * max(0.0, 1.0 - beta / norm)
        W = np.outer(np.linalg.pinv(self.Z.T @ self.Z) @ self.z_bar, s) / self.rho
        length = strength * float(np.linalg.norm(s)) / self.rho
        return PlainClaim(W, self.m[None, :] / norm, np.array([length]))


@pytest.fixture
def witness(rng: np.random.Generator) -> Witness:
    """X (30, 4) with a mean and a decaying spectrum, Z (25, 6) with a mean."""
    X = rng.standard_normal((30, 4)) * [3.0, 2.0, 1.0, 0.3] + [1.0, 0.0, -0.5, 0.2]
    return Witness(X, rng.standard_normal((25, 6)) + 0.4)


def as_float32(claim: PlainClaim) -> PlainClaim:
    return PlainClaim(*(None if part is None else np.float32(part) for part in _arrays(claim)))


def _arrays(claim: PlainClaim) -> list[Any]:
    return [claim.weights, claim.neurons_u, claim.neurons_v, claim.skip]
