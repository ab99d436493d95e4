"""Memory of conic programs: predicted before they are built."""

from __future__ import annotations

import subprocess
import sys

import pytest

from convexwgan.errors import InputError, MemoryLimitError
from convexwgan.solvers.conic import available_bytes, check_memory, predict_bytes
from convexwgan.solvers.conic.memory import _group_bytes

# VmHWM and not ru_maxrss, which a child inherits from the process that started it.
MEASURE = """
import numpy as np
from convexwgan.solvers.conic import covariance_program, run
def solve(d):
    X = np.random.default_rng(0).normal(size=(3 * d, d))
    run(covariance_program(X.T @ X, beta=float(d), strength=1.0, dualize=False), max_iter=2)
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
solve(3)
base = peak()
solve(30)
print(peak() - base)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_prediction_bounds_the_measured_peak_and_is_not_wild():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    dense = predict_bytes("covariance", {"d": 30}) - predict_bytes("covariance", {"d": 3})
    assert 0.3 * dense <= int(done.stdout) <= 1.3 * dense


def test_semidefinite_memory_grows_with_the_fourth_power_of_d():
    ratio = predict_bytes("covariance", {"d": 400}) / predict_bytes("covariance", {"d": 200})
    assert ratio == pytest.approx(16, rel=0.02)
    assert predict_bytes("polynomial", {"d": 99}) == predict_bytes("covariance", {"d": 100})


def test_linear_programs_grow_with_their_entries_only():
    ratio = predict_bytes("mean", {"n": 10**6, "d": 100}) / predict_bytes("mean", {"n": 10**6, "d": 50})
    assert ratio == pytest.approx(2, rel=0.01)
    assert predict_bytes("mean_norm", {"n": 1000, "p": 10, "d": 5}) > predict_bytes("mean", {"p": 10, "d": 5})


def test_programs_that_do_not_fit_are_refused_before_building_with_the_number_of_bytes():
    needed = predict_bytes("covariance", {"d": 2000})
    with pytest.raises(MemoryLimitError, match=f"{needed:,} bytes.*closed_form"):
        check_memory("covariance", {"d": 2000}, limit=10**9)


def test_programs_that_fit_return_their_bytes():
    assert check_memory("polynomial", {"d": 5}, limit=10**9) == predict_bytes("polynomial", {"d": 5})
    with pytest.raises(InputError, match="number of bytes"):
        check_memory("polynomial", {"d": 5}, limit=0)


def test_available_memory_respects_a_control_group(tmp_path):
    assert available_bytes() > 0
    assert _group_bytes(tmp_path) is None
    (tmp_path / "memory.current").write_text("300\n", encoding="ascii")
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert _group_bytes(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n", encoding="ascii")
    assert _group_bytes(tmp_path) == 700
