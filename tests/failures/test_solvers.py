"""Solvers that are missing or unlicensed, and conic programs that no machine can hold."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Problem
from convexwgan.errors import (
    ConvexWGANError,
    MemoryLimitError,
    SolverUnavailableError,
)
from convexwgan.solvers.conic.availability import solver_status

X = np.random.default_rng(0).standard_normal((8, 3)) + 0.3
Z = np.random.default_rng(1).standard_normal((7, 4)) + 0.3
PAIR = Discriminator.quadratic(beta=2.0) + Generator.linear()


def test_mosek_without_licence_says_where_the_licence_is_looked_for() -> None:
    status = solver_status("MOSEK")
    if status.usable:
        pytest.skip("MOSEK can run here")
    with pytest.raises(SolverUnavailableError) as error:
        Problem(PAIR, X, Z).solve(method="conic", solver="MOSEK")
    if "not importable" in status.reason:
        assert "convexwgan[mosek]" in str(error.value)
    else:
        assert "MOSEKLM_LICENSE_FILE" in str(error.value)
        assert "mosek.lic" in str(error.value)


@pytest.mark.parametrize("name", ["covariance", "polynomial", "export"])
def test_conic_problems_too_large_for_memory_are_refused_before_they_are_built(name: str, tmp_path: Any) -> None:
    wide = np.random.default_rng(0).standard_normal((3, 5000))
    discriminator = Discriminator.polynomial(1, 1, 0, beta=1.0) if name == "polynomial" else PAIR.discriminator
    problem = Problem(discriminator + Generator.free(), wide)
    start = time.perf_counter()
    with pytest.raises(MemoryLimitError, match=r"5000.*needs about [\d,]+ bytes.*: .+") as error:
        problem.export(tmp_path / "x.cbf") if name == "export" else problem.solve(method="conic")
    assert time.perf_counter() - start < 10.0  # the tighter limit of a second is the benchmark's, not a test's
    assert isinstance(error.value, ConvexWGANError)
    assert "closed_form" in str(error.value) or "fewer" in str(error.value)
