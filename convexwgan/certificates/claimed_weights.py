"""Reading claimed weights: arrays of a generator, or a ReLU network run on the problem's own noise."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.adversary import read_array
from convexwgan.certificates.certificate import Check
from convexwgan.certificates.claim import Claim
from convexwgan.certificates.features import ReluLatents
from convexwgan.certificates.latents import Latents

Checks = tuple[Check, ...]


class HasLatents(Protocol):
    """What of the evidence the weights are read against."""

    @property
    def latents(self) -> Latents: ...
    @property
    def dim(self) -> int: ...


def read_weights(evidence: HasLatents, claim: Claim) -> tuple[Float64 | None, np.dtype[Any], Checks]:
    """The claimed weights in float64 with their own dtype; None with a failing check when malformed."""
    dtype: np.dtype[Any] = np.dtype(np.float64)
    if claim.hidden is not None:
        return read_network(evidence, claim.hidden)
    if claim.weights is None:
        return None, dtype, ()
    W = read_array(claim.weights)
    if str(getattr(claim.weights, "dtype", "")).endswith("float32"):
        dtype = np.dtype(np.float32)
    expected = (evidence.latents.width, evidence.dim)
    if W.shape != expected or not bool(np.isfinite(W).all()):
        detail = f"shape {W.shape}, expected {expected} and finite"
        return None, dtype, (Check("the weights are well formed", False, detail),)
    return W, dtype, ()


def read_network(evidence: HasLatents, hidden: Any) -> tuple[Float64 | None, np.dtype[Any], Checks]:
    """The output of a claimed ReLU network on the problem's own noise, in the coordinates of the latent side."""
    dtype: np.dtype[Any] = np.dtype(np.float64)
    latents = evidence.latents
    W1, W2 = (read_array(part) for part in hidden)
    failed = Check("the network is well formed", False, f"shapes {W1.shape} and {W2.shape}")
    if not isinstance(latents, ReluLatents) or W1.ndim != 2 or W2.ndim != 2:
        return None, dtype, (failed,)
    fits = W1.shape == (latents.network_input.shape[1], len(W2)) and W2.shape[1] == evidence.dim
    if not fits or not bool(np.isfinite(W1).all() and np.isfinite(W2).all()):
        return None, dtype, (failed,)
    G = np.maximum(latents.network_input @ W1, 0.0) @ W2
    return latents.coordinates_of(G), dtype, ()
