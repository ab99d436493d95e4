"""The command line: exit codes that mean something, JSON that is one document, edited files that are caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from typer.testing import CliRunner, Result

from convexwgan.cli import app
from convexwgan.cli import demo as demo_module
from convexwgan.cli.output import plain
from convexwgan.spec.instance import Expected, load_instance

NAME = "quadratic_linear_output"
BROKEN = "[architecture\n"
UNKNOWN_KEY = 'colour = "red"\n[architecture]\ndiscriminator = { kind = "linear", beta = 1.0 }\n'


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def document(result: Result) -> dict[str, Any]:
    """The one JSON document on stdout."""
    found = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert isinstance(found, dict)
    assert found["exit_code"] == result.exit_code
    return found


def assert_clean(result: Result) -> None:
    """No traceback of ours or of anybody else's."""
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("solved")
    assert call("solve", NAME, "--out", folder).exit_code == 0
    return folder / "solution.safetensors"


# ---------------------------------------------------------------------------------------------- solve


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        (NAME, 0, "certified"),
        ("quadratic_linear_output_infeasible", 4, "infeasible"),
        ("polynomial_free_output", 0, "certified"),
    ],
)
def test_solve_exits_with_the_status(name: str, code: int, status: str) -> None:
    result = call("solve", name, "--json")
    found = document(result)
    assert (result.exit_code, found["status"]) == (code, status)
    assert found["certificate"]["status"] == status


def test_solve_of_an_uncovered_pair_is_refused_with_the_nearest_pair() -> None:
    result = call("solve", "linear_relu_norm1_of_weights", "--json")
    assert result.exit_code == 5
    assert document(result)["error"]["type"] == "NotCoveredError"
    assert "nearest pair that works" in result.stderr
    assert_clean(result)


def test_solve_for_people_shows_value_route_and_certificate() -> None:
    result = call("solve", NAME)
    assert result.exit_code == 0
    for text in ("CERTIFIED", "4.5", "Lem 3.1", "✓"):
        assert text in result.stdout


def test_solve_that_proves_less_than_asked_exits_3() -> None:
    result = call("solve", NAME, "--tol", "1e-300", "--json")
    assert result.exit_code == 3
    assert document(result)["status"] in ("bracketed", "unverified")


EXPECTING = """
normalize = "sum"
architecture.discriminator = {{ kind = "quadratic", beta = 2.0 }}
architecture.generator = {{ kind = "free" }}
data = {{ recipe = "points", points = [[3.0, 0.0], [0.0, 2.0]] }}
expected = {{ status = "certified", value = {value} }}
"""


@pytest.mark.parametrize(("value", "code", "agrees"), [(4.5, 0, True), (4.6, 3, False)])
def test_solve_shows_what_the_file_expects_and_exits_3_where_it_is_not_found(
    tmp_path: Path, value: float, code: int, agrees: bool
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(EXPECTING.format(value=value))
    found = document(call("solve", path, "--json"))
    assert found["exit_code"] == code
    assert found["expected"] == {"status": "certified", "value": value, "agrees": agrees}
    shown = call("solve", path)
    assert shown.exit_code == code
    assert f"CERTIFIED, value {value} {'✓' if agrees else '✗'}" in shown.stdout


def test_solve_of_a_file_that_expects_nothing_says_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(line for line in EXPECTING.format(value=0).splitlines() if "expected" not in line))
    assert document(call("solve", path, "--json"))["expected"] is None
    assert "expected" not in call("solve", path).stdout


def test_solve_honours_method_and_solver() -> None:
    result = call("solve", NAME, "--method", "conic", "--solver", "clarabel", "--json")
    assert document(result)["method"] == "conic"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("solve", "nonsense"), 1, "must be a path or the name of one of"),
        (("solve", "nonsense"), 1, "convexwgan problems"),
        (("solve", NAME, "--tol", "0.5"), 1, "at most 0.01"),
        (("solve", "nowhere/nothing.toml"), 1, "nothing.toml"),
        (("solve", NAME, "--solver", "SCS"), 1, "solver"),
        (("solve", NAME, "--method", "magic"), 1, "method"),
        (("solve", NAME, "--tol", "-1"), 1, "tol"),
        (("solve", NAME, "--tol", "many"), 2, "--tol"),
        (("solve",), 2, "FILE"),
        (("conquer",), 2, "conquer"),
        (("verify", "nothing.safetensors", "--problem", NAME), 1, "existing file"),
        (("export", "quadratic_linear_weights"), 5, "duality gap"),
        (("export", NAME, "--format", "cbf", "--out", "a.dat-s"), 1, ".cbf"),
        (("export", NAME, "--out", "a.lp"), 1, ".cbf"),
        (("explain", "linear_relu_norm1_of_weights"), 5, "not covered"),
    ],
)
def test_mistake_gets_a_message_and_its_exit_code(arguments: tuple[str, ...], code: int, message: str) -> None:
    result = call(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""
    assert_clean(result)


@pytest.mark.parametrize(("text", "message"), [(BROKEN, "must be TOML"), (UNKNOWN_KEY, "colour")])
def test_bad_problem_file_is_an_input_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    for command in ("solve", "explain"):
        result = call(command, path)
        assert result.exit_code == 1
        assert message in result.stderr
        assert_clean(result)


def test_out_that_is_a_file_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("")
    for arguments in (("solve", NAME, "--out", path), ("demo", "--out", path)):
        result = call(*arguments)
        assert result.exit_code == 1
        assert "taken" in result.stderr
        assert_clean(result)


# ---------------------------------------------------------------------------------------------- explain, problems


def test_explain_prints_theorems_and_conditions() -> None:
    result = call("explain", NAME)
    assert result.exit_code == 0
    assert "Lemma 3.1" in result.stdout
    assert "rank(Z) = 4" in result.stdout
    assert "rank(Z) = 4" not in call("explain", NAME, "--no-data").stdout


def test_explain_json_says_whether_the_conditions_hold() -> None:
    assert document(call("explain", NAME, "--json"))["conditions_hold"] is True
    found = document(call("explain", "quadratic_linear_output_infeasible", "--json"))
    assert found["conditions_hold"] is False
    assert found["steps"][0]["citation"].endswith("Lemma 3.1")


def test_problems_lists_every_instance_with_its_expectation() -> None:
    rows = {row["name"]: row for row in document(call("problems", "--json"))["problems"]}
    assert rows[NAME]["expected_value"] == 4.5
    assert rows["linear_relu_norm1_of_weights"]["expected_status"] == "refused"
    assert NAME in call("problems").stdout


# ---------------------------------------------------------------------------------------------- verify


def edited(saved: Path, target: Path, edit: Callable[[dict[str, Any], dict[str, np.ndarray]], None]) -> Path:
    """A copy of a solution file after ``edit(header, tensors)``."""
    with safe_open(str(saved), framework="numpy") as file:
        header = json.loads(file.metadata()["convexwgan"])
        tensors = {name: file.get_tensor(name).copy() for name in file.keys()}  # noqa: SIM118
    edit(header, tensors)
    save_file(tensors, target, metadata={"convexwgan": json.dumps(header)})
    return target


def test_verify_certifies_what_solve_wrote(saved: Path) -> None:
    result = call("verify", saved, "--problem", NAME, "--json")
    found = document(result)
    assert result.exit_code == 0
    assert all(claim["agrees"] for claim in found["claims"])
    assert found["certificate"]["status"] == "certified"
    assert call("verify", saved, "-p", NAME).exit_code == 0


def test_verify_of_a_proven_and_claimed_infeasibility_exits_4(tmp_path: Path) -> None:
    name = "quadratic_linear_output_infeasible"
    assert call("solve", name, "--out", tmp_path).exit_code == 4
    result = call("verify", tmp_path / "solution.safetensors", "--problem", name, "--json")
    assert result.exit_code == 4
    assert document(result)["claims"][1]["claimed"] == "inf"


def test_verify_refuses_other_data(saved: Path) -> None:
    result = call("verify", saved, "--problem", "quadratic_free_output")
    assert result.exit_code == 1
    assert "solved on other data" in result.stderr


EDITS: dict[str, Callable[[dict[str, Any], dict[str, np.ndarray]], Any]] = {
    "value": lambda header, _: header["claims"].update(value=4.0),
    "bound": lambda header, _: header["claims"].update(bound=4.6),
    "status": lambda header, _: header["claims"].update(status="INFEASIBLE"),
    "weights": lambda _, tensors: tensors.update(weights=tensors["weights"] * 1.001),
    "neurons": lambda _, tensors: tensors.update({"dual.v": -tensors["dual.v"]}),
    "beta": lambda header, _: header["wgan"]["discriminator"].update(beta=1.5),
    "weights, value and tolerance": lambda header, tensors: (
        tensors.update(weights=tensors["weights"] * 1.001),
        header["claims"].update(value=4.5 * 1.001**2, tol=0.009),
    ),
    "infeasible": lambda header, tensors: (
        header["claims"].update(status="INFEASIBLE", value="inf", bound="inf"),
        header.pop("generator"),
        tensors.pop("weights"),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_verify_catches_an_edited_file(name: str, saved: Path, tmp_path: Path) -> None:
    path = edited(saved, tmp_path / "edited.safetensors", EDITS[name])
    result = call("verify", path, "--problem", NAME, "--json")
    found = document(result)
    assert result.exit_code in (3, 6)
    assert found["certificate"]["status"] != "certified" or not all(claim["agrees"] for claim in found["claims"])
    assert_clean(result)


def test_verify_shows_the_claim_beside_what_was_recomputed(saved: Path, tmp_path: Path) -> None:
    result = call("verify", edited(saved, tmp_path / "edited.safetensors", EDITS["value"]), "-p", NAME)
    assert result.exit_code == 3
    line = next(line for line in result.stdout.splitlines() if line.strip().startswith("value"))
    assert "4.5" in line
    assert "✗" in line


def test_verify_refuses_a_tolerance_above_one_hundredth(saved: Path) -> None:
    result = call("verify", saved, "--problem", NAME, "--tol", "0.5")
    assert result.exit_code == 1
    assert "--tol = 0.5 must be at most 0.01" in result.stderr
    assert_clean(result)


def test_verify_of_a_file_that_is_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"not a solution")
    result = call("verify", path, "--problem", NAME)
    assert result.exit_code == 1
    assert_clean(result)


def test_a_loose_tolerance_has_to_be_asked_for(saved: Path, tmp_path: Path) -> None:
    def edit(header: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        tensors["weights"] *= 1.0001
        header["claims"].update(value=4.5 * 1.0001**2, tol=0.009)

    path = edited(saved, tmp_path / "edited.safetensors", edit)
    assert call("verify", path, "--problem", NAME).exit_code == 3
    found = document(call("verify", path, "--problem", NAME, "--tol", "1e-3", "--json"))
    assert (found["exit_code"], found["certificate"]["tol"]) == (0, 1e-3)


# ---------------------------------------------------------------------------------------------- doctor, export


def test_doctor_reports_solvers_libraries_devices_extras_and_threads() -> None:
    result = call("doctor", "--json")
    found = document(result)
    assert result.exit_code == 0
    assert [row["name"] for row in found["solvers"]] == ["CLARABEL", "SCS", "MOSEK"]
    assert all(row["reason"] for row in found["solvers"])
    assert found["devices"][0]["name"] == "cpu"
    assert next(row for row in found["array_libraries"] if row["name"] == "numpy")["version"] == np.__version__
    assert {row["name"] for row in found["extras"]} >= {"torch", "images", "plot", "mosek", "dask"}
    assert "Threads" in call("doctor").stdout


@pytest.mark.parametrize(("kind", "ending"), [("cbf", ".cbf"), ("dat-s", ".dat-s")])
def test_export_writes_the_format_asked_for(kind: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"game{ending}"
    found = document(call("export", NAME, "--format", kind, "--out", path, "--json"))
    assert found["bytes"] == path.stat().st_size > 100


# ---------------------------------------------------------------------------------------------- demo

FEW = ("quadratic_free_output", "quadratic_linear_output_infeasible", "linear_relu_norm1_of_weights")


def test_demo_writes_table_pictures_and_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("skimage")
    monkeypatch.setattr(demo_module, "instance_names", lambda: FEW)
    result = call("demo", "--out", tmp_path / "out", "--json")
    assert_clean(result)
    found = document(result)
    assert result.exit_code == 0
    assert [row["status"] for row in found["results"]] == ["certified", "infeasible", "refused", "certified"]
    assert json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8")) == found
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert {"faces.png", "spectrum.png", "scatter.png", "bounds.png", "route.png"} <= set(found["figures"])
    for figure in found["figures"]:
        assert (tmp_path / "out" / figure).read_bytes().startswith(b"\x89PNG")
        assert f'src="{figure}"' in page
    assert found["faces"]["covariance_error"] < 0.2


def test_demo_exits_3_when_an_answer_is_not_the_expected_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("skimage")
    wrong = replace(load_instance(NAME), expected=Expected(5.0, "certified", None, 1e-6))
    monkeypatch.setattr(demo_module, "instance_names", lambda: (NAME,))
    monkeypatch.setattr(demo_module, "load_instance", lambda name: wrong)
    monkeypatch.setattr(demo_module.gallery, "draw_all", lambda main, out: [])
    result = call("demo", "--out", tmp_path)
    assert result.exit_code == 3
    assert "1 NOT as expected: quadratic_linear_output" in result.stdout


@pytest.mark.parametrize(("package", "extra"), [("matplotlib", "plot"), ("skimage", "images")])
def test_demo_without_an_extra_names_it(
    package: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    result = call("demo", "--out", tmp_path)
    assert result.exit_code == 6
    assert f"convexwgan[{extra}]" in result.stderr
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------- json


def test_numbers_that_json_lacks_become_texts() -> None:
    numbers = {"a": float("inf"), "b": -np.inf, "c": np.float64("nan"), "d": (np.float32(0.5), True, None)}
    assert plain(numbers) == {"a": "inf", "b": "-inf", "c": "nan", "d": [0.5, True, None]}


def test_version_is_the_packages() -> None:
    from convexwgan import __version__

    assert call("--version").stdout.strip() == __version__
