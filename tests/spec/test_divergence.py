"""The seven rows against their derivatives and each other; a user's own pair and its conditions by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.errors import InputError
from convexwgan.spec.divergence import NAMES, Divergence, as_divergence

INF = math.inf


def inside(divergence: Divergence) -> np.ndarray[Any, Any]:
    low, high = divergence.domain
    return np.linspace(max(low, -2.0) + 0.01, min(high, 3.0) - 0.01, 9)


@pytest.mark.parametrize("name", NAMES)
def test_constraint_is_tight_and_slopes_cancel_at_the_optimum(name: str) -> None:
    divergence = Divergence.named(name)
    D = np.array([divergence.optimum])
    assert divergence.f1(D)[0] == 0.0
    assert divergence.df0(D)[0] + divergence.df1(D)[0] == 0.0
    assert divergence.df1(D)[0] != 0.0


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_agree_with_finite_differences(name: str) -> None:
    d, h = Divergence.named(name), 1e-6
    D = inside(d)
    for f, slope in ((d.f0, d.df0), (d.f1, d.df1), (d.df0, d.d2f0), (d.df1, d.d2f1)):
        np.testing.assert_allclose((f(D + h) - f(D - h)) / (2 * h), slope(D), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_concave_and_minus_infinity_outside_the_domain(name: str) -> None:
    d = Divergence.named(name)
    assert np.all(d.d2f0(inside(d)) <= 0)
    assert np.all(d.d2f1(inside(d)) <= 0)
    for end, sign in zip(d.domain, (-1, 1), strict=True):
        if math.isfinite(end):
            outside = np.array([end + sign * 0.5])
            assert min(d.f0(outside)[0], d.f1(outside)[0]) == -INF


@pytest.mark.parametrize("name", NAMES)
def test_torch_gradients_are_the_derivatives(name: str) -> None:
    torch = pytest.importorskip("torch")
    d = Divergence.named(name)
    for f, slope in ((d.f0, d.df0), (d.f1, d.df1)):
        D = torch.tensor(inside(d), requires_grad=True)
        (f(D).sum() + 0 * D.sum()).backward()
        np.testing.assert_allclose(D.grad.numpy(), slope(inside(d)), rtol=1e-12)
        assert f(torch.tensor(inside(d), dtype=torch.float32)).dtype == torch.float32


def test_stability_factors_are_those_of_the_table() -> None:
    factors = [Divergence.named(name).stability_factor for name in NAMES[:-1]]
    assert factors == [4.0, 2.0, 2.0, 1.0, 4.0, 8.0]
    assert Divergence.named("wasserstein", epsilon=0.7).stability_factor == pytest.approx(2.8)
    assert Divergence.named("pearson").stability_bound(np.array([0.0, 0.25, 0.75])) == 0.25


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(NAMES), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_best_response_is_no_worse_than_any_other_output(name: str, a: float, b: float) -> None:
    d = Divergence.named(name)
    best = d.best_response(np.array([a]), np.array([b]))
    value = a * d.f0(best) + b * d.f1(best)
    others = inside(d)
    assert np.all(a * d.f0(others) + b * d.f1(others) <= value + 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_custom_copy_of_a_row_behaves_like_the_row(name: str) -> None:
    row = Divergence.named(name)
    copy = Divergence.custom(row.f0, row.f1, row.optimum, domain=row.domain)
    a, b = np.array([0.2, 0.5, 0.3]), np.array([0.3, 0.1, 0.6])
    np.testing.assert_allclose(copy.best_response(a, b), row.best_response(a, b), rtol=1e-6)
    assert copy.stability_factor == pytest.approx(row.stability_factor, rel=1e-5)


def log(D: Any) -> Any:
    return np.log(D)


BAD_PAIRS: dict[str, tuple[Any, Any, float, dict[str, Any], str]] = {
    "constraint not tight": (lambda D: -D, lambda D: D - 2, 1.0, {}, "f1(D*)"),
    "slopes do not cancel": (lambda D: -2 * D, lambda D: D - 1, 1.0, {}, "f0'(D*) + f1'(D*)"),
    "flat": (lambda D: 0 * D, lambda D: 0 * D, 1.0, {}, "f1'(D*)"),
    "optimum outside": (log, lambda D: 1 - D, -1.0, {"domain": (0.0, INF)}, "optimum"),
    "f0 convex": (lambda D: D + D**2, lambda D: -D, 0.0, {}, "concavity of f0"),
    "f1 convex": (lambda D: -D, lambda D: np.exp(D) - 1, 0.0, {"domain": (-5.0, 5.0)}, "concavity of f1"),
    "not finite on the domain": (log, lambda D: 1 - D, 1.0, {}, "f0"),
    "not callable": (3.0, lambda D: 1 - D, 1.0, {}, "f0"),
    "domain reversed": (log, lambda D: 1 - D, 1.0, {"domain": (2.0, 0.0)}, "domain"),
    "raises": (lambda D: 1 / 0, lambda D: 1 - D, 1.0, {}, "f0"),
    "wrong shape": (lambda D: np.ones((2, 3)), lambda D: 1 - D, 1.0, {}, "f0"),
    "derivatives": (lambda D: -D, lambda D: D - 1, 1.0, {"derivatives": (1, 2)}, "derivatives"),
    "expressions": (lambda D: -D, lambda D: D - 1, 1.0, {"expressions": 3}, "expressions"),
    "name of a row": (lambda D: -D, lambda D: D - 1, 1.0, {"name": "pearson"}, "name"),
    "optimum nan": (log, lambda D: 1 - D, math.nan, {}, "optimum"),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_custom_pair_is_refused_with_the_failing_condition_named(case: str) -> None:
    f0, f1, optimum, options, word = BAD_PAIRS[case]
    with pytest.raises(InputError) as error:
        Divergence.custom(f0, f1, optimum, **options)
    assert word in error.value.subject


@pytest.mark.parametrize(
    ("name", "options"),
    [("js", {}), ("", {}), (None, {}), ("pearson", {"epsilon": 1.0}), ("wasserstein", {"epsilon": -1.0})]
    + [("wasserstein", {"epsilon": value}) for value in (math.nan, INF, "1", True)],
)
def test_unknown_names_and_bad_penalties_are_refused(name: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Divergence.named(name, **options)


def test_as_divergence_takes_names_and_divergences() -> None:
    d = Divergence.named("pearson")
    assert as_divergence(d) is d
    assert as_divergence("pearson").name == "pearson"


def test_clip_keeps_outputs_inside_the_domain() -> None:
    D = np.array([-3.0, 0.5, 7.0])
    for name in NAMES:
        d = Divergence.named(name)
        clipped = d.clip(D, 1e-3)
        assert np.all(np.isfinite(d.f0(clipped)))
        assert np.all(np.isfinite(d.f1(clipped)))


@pytest.mark.parametrize("name", NAMES)
def test_rows_use_nothing_beyond_the_array_api(name: str) -> None:
    xp = pytest.importorskip("array_api_strict")
    d, D = Divergence.named(name), np.array([0.2, 0.5, 0.9])
    for f in (d.f0, d.f1, d.df0, d.df1, d.d2f0, d.d2f1, d.clip):
        np.testing.assert_allclose(np.asarray(f(xp.asarray(D))), f(D), rtol=1e-15)
