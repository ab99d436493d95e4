"""A row tells the truth: status, numbers, and whether the problem file expected them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convexwgan.report.page import Figure, render_page
from convexwgan.report.results import pair_text, route_text, run_instance
from convexwgan.report.tables import expected_text, gap_text, number_text, results_table, summary
from convexwgan.spec.instance import Expected, instance_names, load_instance


def test_solved_instance_matches_its_file() -> None:
    result = run_instance(load_instance("quadratic_linear_output")).result
    assert (result.status, result.matches_status, result.matches_value) == ("certified", True, True)
    assert result.value == pytest.approx(4.5)
    assert result.is_as_expected
    assert expected_text(result) == "✓ value"


def test_wrong_expectation_is_noticed() -> None:
    instance = load_instance("quadratic_linear_output")
    wrong_value = replace(instance, expected=Expected(4.6, "certified", None, 1e-6))
    wrong_status = replace(instance, expected=Expected(None, "infeasible", None, 1e-6))
    for wrong, text in ((wrong_value, "✗ value"), (wrong_status, "✗ status")):
        result = run_instance(wrong).result
        assert not result.is_as_expected
        assert expected_text(result) == text
        assert "1 NOT as expected: quadratic_linear_output" in summary([result])


def test_refusal_is_a_row_with_its_reason() -> None:
    run = run_instance(load_instance("linear_relu_norm1_of_weights"))
    assert run.solution is None
    assert run.result.status == "refused"
    assert run.result.is_as_expected
    assert "not covered" in run.result.note
    assert np.isnan(run.result.value)


def test_error_of_ours_is_a_row_and_not_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = replace(load_instance("quadratic_linear_output_faces"), expected=None)
    monkeypatch.setitem(__import__("sys").modules, "skimage", None)
    result = run_instance(instance).result
    assert result.status == "error"
    assert "convexwgan[images]" in result.note
    assert not result.is_as_expected


def test_every_shipped_pair_has_a_short_text() -> None:
    texts = [pair_text(load_instance(name).wgan) for name in instance_names()]
    assert all(len(text) <= 55 and " × " in text for text in texts)


def test_route_text_names_the_theorems_in_order() -> None:
    run = run_instance(load_instance("quadratic_polynomial_output"))
    assert run.problem is not None
    assert route_text(run.problem.route()) == "Lem 3.1 → Cor 3.2 → Thm 4.2 → Thm 4.1 → closed"


def test_numbers_without_value_are_signs_not_nan() -> None:
    assert [number_text(value) for value in (float("nan"), float("-inf"), None)] == ["–", "−∞", "–"]
    assert gap_text(float("inf")) == "∞"


def test_table_drops_the_name_before_it_breaks_the_numbers() -> None:
    results = [run_instance(load_instance("quadratic_linear_output")).result]
    assert results_table(results).columns[0].header == "instance"
    assert results_table(results, width=100).columns[0].header == "pair"


def test_page_is_one_file_that_escapes_and_links_relatively() -> None:
    results = [
        run_instance(load_instance(name)).result for name in ("quadratic_free_output", "linear_relu_norm1_of_weights")
    ]
    figure = Figure("a.png", "T <b>", "caption", 'alt "text"')
    page = render_page("A & B", ["x < y"], [figure], results)
    assert "<script" not in page
    assert "http" not in page
    assert "x &lt; y" in page
    assert 'src="a.png" alt="alt &quot;text&quot;"' in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert "CERTIFIED" in page
    assert "REFUSED" in page
