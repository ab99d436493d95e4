"""The status is a function of what was proven, and never CERTIFIED by accident."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from convexwgan.certificates import Certificate, Check, Infeasibility, Status

GOOD = Certificate(1.0, 1.0 + 1e-9, 1e-9, "exhaustive", (Check("looked", True),), tol=1e-6, scale=10.0)
PROOF = Infeasibility("weyl", "σ²_3 = 2 > β_d = 1", margin=1.0, tolerance=1e-12)


def status(**changes: Any) -> Status:
    return dataclasses.replace(GOOD, **changes).status


def test_two_bounds_within_tolerance_are_certified() -> None:
    assert GOOD.status is Status.CERTIFIED
    assert status(scope="priced") is Status.CERTIFIED
    assert status(scope="randomised", failure_probability=1e-9) is Status.CERTIFIED


def test_two_bounds_with_a_gap_are_bracketed() -> None:
    assert status(lower=0.9) is Status.BRACKETED


@pytest.mark.parametrize(
    "changes",
    [
        {"lower": math.nan},
        {"upper": math.nan},
        {"violation": math.nan},
        {"scale": math.nan},
        {"lower": -math.inf},
        {"upper": math.inf},
        {"lower": math.inf, "upper": math.inf},
        {"violation": 1e-5},
        {"violation": -1.0},
        {"checks": ()},
        {"checks": (Check("looked", True), Check("looked closer", False))},
        {"scope": "sampled"},
        {"scope": "randomised", "failure_probability": 1e-3},
        {"scope": "randomised", "failure_probability": math.nan},
        {"tol": math.nan},
        {"tol": 0.0},
        {"tol": 5.0},
        {"lower": 1.1},
    ],
)
def test_anything_unproven_is_unverified(changes: dict[str, Any]) -> None:
    assert status(**changes) is Status.UNVERIFIED


def test_an_infeasibility_needs_a_margin_beyond_its_tolerance_and_sound_checks() -> None:
    assert status(infeasibility=PROOF, lower=math.inf, upper=math.inf) is Status.INFEASIBLE
    weak = dataclasses.replace(PROOF, margin=1e-13)
    assert status(infeasibility=weak) is Status.UNVERIFIED
    assert status(infeasibility=dataclasses.replace(PROOF, margin=math.nan)) is Status.UNVERIFIED
    ambiguous = (Check("the rank is unambiguous", False),)
    assert status(infeasibility=PROOF, checks=ambiguous) is Status.UNVERIFIED


def test_no_candidate_is_failed() -> None:
    assert status(has_candidate=False, upper=math.inf) is Status.FAILED
    assert status(has_candidate=False, checks=(Check("shapes", False),)) is Status.UNVERIFIED


def test_relative_gap_is_measured_on_the_value_or_a_millionth_of_its_scale() -> None:
    assert dataclasses.replace(GOOD, lower=0.0, upper=1e-12, scale=10.0).relative_gap == pytest.approx(1e-7)
    assert dataclasses.replace(GOOD, lower=3.0, upper=4.0).relative_gap == pytest.approx(0.25)
    assert dataclasses.replace(GOOD, lower=0.0, upper=0.0, scale=0.0).relative_gap == 0.0


def test_text_names_status_bounds_and_failed_checks() -> None:
    text = str(dataclasses.replace(GOOD, checks=(Check("dist bracketed", False, "1 < 2"),)))
    assert "UNVERIFIED" in text
    assert "✗ dist bracketed: 1 < 2" in text
    assert "σ²_3" in str(dataclasses.replace(GOOD, infeasibility=PROOF))
