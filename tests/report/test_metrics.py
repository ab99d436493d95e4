"""Metrics are the formulas that their names say."""

from __future__ import annotations

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.report.metrics import covariance_error, kept_variance, mean_error


def test_metrics_agree_with_numpy(rng: np.random.Generator) -> None:
    X, G = rng.normal(size=(30, 4)), rng.normal(size=(50, 4)) * 2 + 1
    C, D = np.cov(X.T, bias=True), np.cov(G.T, bias=True)
    assert covariance_error(X, G) == pytest.approx(np.linalg.norm(D - C) / np.linalg.norm(C))
    assert kept_variance(X, G) == pytest.approx(np.trace(D) / np.trace(C))
    shift = np.linalg.norm(G.mean(axis=0) - X.mean(axis=0))
    assert mean_error(X, G) == pytest.approx(shift / np.sqrt(np.trace(C)))


def test_metrics_do_not_change_with_the_units(rng: np.random.Generator) -> None:
    X, G = rng.normal(size=(9, 3)), rng.normal(size=(9, 3))
    for metric in (covariance_error, kept_variance, mean_error):
        assert metric(1e3 * X, 1e3 * G) == pytest.approx(metric(X, G))


def test_constant_data_and_other_columns_are_refused() -> None:
    constant = np.ones((3, 2))
    for metric in (covariance_error, kept_variance, mean_error):
        with pytest.raises(InputError, match="must be nonzero"):
            metric(constant, constant)
        with pytest.raises(InputError, match="have 2 columns"):
            metric(constant, np.ones((3, 5)))
