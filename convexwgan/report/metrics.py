"""How far generated samples are from real ones in the moments that the discriminators of this package see."""

from __future__ import annotations

from typing import Any

import numpy as np

from convexwgan.arrays import Float64, as_samples, to_numpy64
from convexwgan.errors import InputError


def covariance_error(X: Any, G: Any) -> float:
    """‖cov(G) − cov(X)‖_F / ‖cov(X)‖_F: 0 for equal covariances, 1 for a generator without any variance.

    Args:
        X: real samples, (n_r, d_r).
        G: generated samples, (n, d_r).

    Raises:
        InputError: the columns differ, or X has no variance to compare with.

    >>> X = np.diag([2.0, 1.0, 1.0])
    >>> covariance_error(X, X), covariance_error(X, np.zeros((2, 3)))
    (0.0, 1.0)
    """
    X, G = _pair(X, G)
    real = _covariance(X)
    size = float(np.linalg.norm(real))
    if size == 0.0:
        raise InputError(
            "covariance of X", real, "be nonzero", "samples that are all equal have no covariance to compare"
        )
    return float(np.linalg.norm(_covariance(G) - real)) / size


def mean_error(X: Any, G: Any) -> float:
    """‖mean(G) − mean(X)‖₂ / √tr cov(X): how many standard deviations of the data the mean is off.

    Raises:
        InputError: the columns differ, or X has no variance to compare with.

    >>> mean_error([[-1.0], [1.0]], [[1.0], [1.0]])
    1.0
    """
    X, G = _pair(X, G)
    spread = float(np.sqrt(X.var(axis=0).sum()))
    if spread == 0.0:
        raise InputError("variance of X", 0.0, "be nonzero", "samples that are all equal set no scale")
    return float(np.linalg.norm(G.mean(axis=0) - X.mean(axis=0))) / spread


def kept_variance(X: Any, G: Any) -> float:
    """tr cov(G) / tr cov(X): the share of the variance that the generator reproduces.

    >>> kept_variance([[-2.0], [2.0]], [[-1.0], [1.0]])
    0.25
    """
    X, G = _pair(X, G)
    total = float(X.var(axis=0).sum())
    if total == 0.0:
        raise InputError("variance of X", 0.0, "be nonzero", "samples that are all equal have none to keep")
    return float(G.var(axis=0).sum()) / total


def _pair(X: Any, G: Any) -> tuple[Float64, Float64]:
    real, fake = to_numpy64(as_samples(X, "X")), to_numpy64(as_samples(G, "G"))
    if real.shape[1] != fake.shape[1]:
        raise InputError("G", fake, f"have {real.shape[1]} columns, as X has", "compare samples with the same features")
    return real, fake


def _covariance(X: Float64) -> Float64:
    centred = X - X.mean(axis=0)
    return np.asarray(centred.T @ centred / len(X))
