"""Pictures hold what they claim: threshold at β_d, kept and cut eigenvalues, value and bound, route in green."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Ellipse

from convexwgan.errors import InputError, MissingExtraError, NotCoveredError
from convexwgan.load import load_problem
from convexwgan.problem import Problem
from convexwgan.report import plots, routes, style
from convexwgan.solution import Solution
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator


def heights(ax: Axes, label: str) -> np.ndarray:
    """The y data of the line whose label starts so."""
    line = next(line for line in ax.lines if str(line.get_label()).startswith(label))
    return np.asarray(line.get_ydata(), dtype=float)


# ---------------------------------------------------------------------------------------------- spectrum


def test_spectrum_draws_the_threshold_at_beta_and_splits_kept_from_cut(problem: Problem, solution: Solution) -> None:
    ax = plots.spectrum(solution, problem.X)
    assert np.allclose(heights(ax, "threshold"), 2.0)
    assert np.allclose(heights(ax, "data, kept"), [9.0, 4.0])
    assert np.allclose(heights(ax, "data, cut"), [1.0, 0.25])
    assert np.allclose(heights(ax, "generated"), [7.0, 2.0])
    assert ax.get_yscale() == "log"
    assert "CERTIFIED" in ax.get_title(loc="left")


def test_spectrum_of_components_puts_the_threshold_at_the_next_eigenvalue() -> None:
    problem = load_problem("quadratic_linear_output_components")
    k = problem.wgan.players[0].components
    assert k is not None
    spectra = plots.spectra_of(problem.solve(), problem.X)
    assert spectra.threshold == pytest.approx(spectra.real[k], rel=1e-10)


def test_spectrum_of_a_norm_bound_puts_the_threshold_at_the_distance() -> None:
    problem = load_problem("quadratic_free_output_norm_bound")
    spectra = plots.spectra_of(problem.solve(), problem.X)
    assert spectra.threshold == pytest.approx(1.0)
    assert np.allclose(spectra.generated[:2], spectra.real[:2] - 1.0)


@pytest.mark.parametrize(
    "name",
    ["quadratic_skip_free_output", "quadratic_skip_linear_output", "quadratic_skip_polynomial_output_population"],
)
def test_spectrum_with_a_skip_is_that_of_the_centred_matrix(name: str) -> None:
    problem = load_problem(name)
    spectra = plots.spectra_of(problem.solve(), problem.X)
    wanted = np.clip(spectra.real - spectra.threshold, 0.0, None)
    assert np.allclose(spectra.generated, wanted, atol=1e-9 * spectra.real[0])


def test_spectrum_refuses_a_discriminator_without_a_threshold() -> None:
    problem = load_problem("linear_linear_output")
    with pytest.raises(InputError, match="must be quadratic"):
        plots.spectrum(problem.solve(), problem.X)


def test_spectrum_refuses_an_infeasible_problem() -> None:
    problem = load_problem("quadratic_linear_output_infeasible")
    with pytest.raises(InputError, match="INFEASIBLE"):
        plots.spectrum(problem.solve(), problem.X)


def test_spectrum_refuses_a_loaded_solution_whose_noise_stayed_behind(
    problem: Problem, solution: Solution, tmp_path: Path
) -> None:
    loaded = Solution.load(solution.save(tmp_path / "s.safetensors"))
    with pytest.raises(InputError, match="noise"):
        plots.spectrum(loaded, problem.X)


# ---------------------------------------------------------------------------------------------- scatter


def test_scatter_has_points_and_an_ellipse_for_either_side(problem: Problem, solution: Solution) -> None:
    ax = plots.scatter(solution, problem.X, n=64)
    assert [len(line.get_xdata()) for line in ax.lines] == [50, 64]  # type: ignore[arg-type]
    assert sum(isinstance(patch, Ellipse) for patch in ax.patches) == 2
    assert "first principal direction" in ax.get_xlabel()


def test_scatter_ellipse_is_at_two_standard_deviations() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2)) * [3.0, 1.0]
    solution = Problem(Discriminator.quadratic(beta=1.0) + Generator.free(), X).solve()
    ax = plots.scatter(solution, X, n=None)
    ellipse = next(patch for patch in ax.patches if isinstance(patch, Ellipse))
    widths = 4 * np.sqrt(np.linalg.eigvalsh(np.cov(X.T, bias=True)))
    assert sorted([ellipse.width, ellipse.height]) == pytest.approx(list(widths))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x_1$", "$x_2$")


def test_scatter_refuses_one_column() -> None:
    X = np.array([[1.0], [2.0], [4.0]])
    solution = Problem(Discriminator.quadratic(beta=1.0) + Generator.free(), X).solve()
    with pytest.raises(InputError, match="at least 2 columns"):
        plots.scatter(solution, X)


# ---------------------------------------------------------------------------------------------- bounds


def test_bounds_draw_value_and_bound_at_each_beta_and_cross_out_the_infeasible() -> None:
    X, Z = np.diag([3.0, 2.0, 1.0]), np.random.default_rng(0).normal(size=(5, 2))
    problem = Problem(Discriminator.quadratic(beta=1.0) + Generator.linear(), X, Z)
    ax = plots.bounds(problem.path([5.0, 0.5, 2.0]))
    values = heights(ax, "value")
    assert np.isnan(values[0])
    assert np.allclose(values[1:], [4.5, 2.0])
    assert np.allclose(heights(ax, "bound")[1:], [4.5, 2.0])
    crosses = next(line for line in ax.lines if "feasible" in str(line.get_label()))
    assert list(np.asarray(crosses.get_xdata())) == [0.5]


def test_bounds_with_labels_list_the_solutions(solution: Solution) -> None:
    ax = plots.bounds([solution, solution], labels=["one", "two"])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["one", "two"]


def test_bounds_refuse_nothing_and_wrong_labels_and_a_norm_bound(solution: Solution) -> None:
    with pytest.raises(InputError, match="at least one"):
        plots.bounds([])
    with pytest.raises(InputError, match="be 1 names"):
        plots.bounds([solution], labels=["a", "b"])
    with pytest.raises(InputError, match="weight decay"):
        plots.bounds([load_problem("quadratic_free_output_norm_bound").solve()])


# ---------------------------------------------------------------------------------------------- route


def test_route_highlights_the_chosen_chain_and_names_every_theorem(problem: Problem) -> None:
    ax = routes.route(problem)
    texts = [text.get_text().replace("\n", " ") for text in ax.texts]
    for step in problem.route().steps:
        assert any(step.theorem.name in text for text in texts)
    green = [
        text for text in ax.texts
        if (box := text.get_bbox_patch()) is not None and to_hex(box.get_edgecolor()).upper() == style.CHOSEN
    ]  # fmt: skip
    assert len(green) == len(problem.route().steps) + 1
    assert any("semidefinite program" in text for text in texts)


def test_no_two_forms_of_a_route_stand_in_one_place() -> None:
    for name in ("quadratic_linear_output", "quadratic_skip_polynomial_output", "linear_polynomial_norm1"):
        places = list(routes.place(load_problem(name)).places.values())
        assert len(places) == len(set(places))


def test_route_of_an_uncovered_pair_is_refused() -> None:
    with pytest.raises(NotCoveredError):
        routes.route(load_problem("linear_relu_norm1_of_weights"))


# ---------------------------------------------------------------------------------------------- all of them

PICTURES: dict[str, Callable[[Problem, Solution], Axes]] = {
    "spectrum": lambda problem, solution: plots.spectrum(solution, problem.X),
    "scatter": lambda problem, solution: plots.scatter(solution, problem.X),
    "bounds": lambda problem, solution: plots.bounds(problem.path([1.0, 3.0])),
    "route": lambda problem, solution: routes.route(problem),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture_made_twice_is_the_same_to_the_byte(
    name: str, problem: Problem, solution: Solution, tmp_path: Path
) -> None:
    files = [style.save(PICTURES[name](problem, solution), tmp_path / f"{i}.png", dpi=50) for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_drawn_on_the_axes_given_and_returns_them(name: str, problem: Problem, solution: Solution) -> None:
    ax = style.new_axes()[0]
    drawn = {
        "spectrum": lambda: plots.spectrum(solution, problem.X, ax),
        "scatter": lambda: plots.scatter(solution, problem.X, ax),
        "bounds": lambda: plots.bounds([solution], ax),
        "route": lambda: routes.route(problem, ax),
    }[name]()
    assert drawn is ax
    assert ax.get_title(loc="left")


def test_save_refuses_another_ending_and_a_missing_folder(tmp_path: Path) -> None:
    ax = style.new_axes()[0]
    for path in (tmp_path / "a.gif", tmp_path / "nowhere" / "a.png"):
        with pytest.raises(InputError, match="existing folder"):
            style.save(ax, path)


def test_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch, solution: Solution) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"convexwgan\[plot\]"):
        plots.bounds([solution])
