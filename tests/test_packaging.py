"""What a user installs: one top-level module, typed, with the problem files inside."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import convexwgan

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[PurePosixPath]:
    """The names inside a wheel built from the working tree, without touching the network."""
    pytest.importorskip("build", reason="the extra `dev` brings the build front end")
    pytest.importorskip("hatchling", reason="the extra `dev` brings the build back end")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return [PurePosixPath(name) for name in archive.namelist()]


def test_wheel_installs_no_top_level_module_but_convexwgan(wheel: list[PurePosixPath]) -> None:
    tops = {name.parts[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"convexwgan"}
    assert len(tops) == 2


def test_wheel_carries_every_module_and_the_marker_of_its_types(wheel: list[PurePosixPath]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "convexwgan").rglob("*.py")}
    assert modules | {"convexwgan/py.typed"} <= {str(name) for name in wheel}


def test_wheel_carries_every_problem_file(wheel: list[PurePosixPath]) -> None:
    expected = {f"convexwgan/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("problems/**/*.toml")}
    assert expected
    assert expected == {str(name) for name in wheel if name.suffix == ".toml"}


def test_wheel_carries_licence_and_command(wheel: list[PurePosixPath]) -> None:
    names = {"/".join(name.parts[1:]) for name in wheel if name.parts[0].endswith(".dist-info")}
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE"} <= names


def test_version_is_the_same_in_package_and_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == convexwgan.__version__


def test_constraints_pin_every_declared_dependency_exactly_and_name_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(line.count("==") == 1 and not set("@/ +") & set(line) for line in pins)
    assert "torch==2.13.0" in pins
    pinned = {normalised(line.partition("==")[0]) for line in pins}
    assert declared_dependencies() <= pinned


def declared_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for group in project["optional-dependencies"].values() for line in group]
    return {normalised(line.partition(">=")[0].partition("[")[0]) for line in project["dependencies"] + extras}


def normalised(name: str) -> str:
    return name.lower().replace("_", "-")
