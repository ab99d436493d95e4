"""``convexwgan images``: from a folder to a certified model, to pictures and numbers; errors without tracebacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("PIL")
pytest.importorskip("torchmetrics")

from PIL import Image

from convexwgan.cli import app
from convexwgan.models.procogan import ProCoGAN


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["images", *(str(argument) for argument in arguments)])


def document(result: Result) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    assert found["exit_code"] == result.exit_code
    return found


def write_pictures(folder: Path, n: int = 40, seed: int = 0) -> Path:
    """8 × 8 colour images of three directions, stored as 10 × 8 PNG files."""
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(9).normal(size=(3, 10 * 8 * 3))
    rows = 128 + 20 * rng.normal(size=(n, 3)) @ basis
    pixels = np.clip(rows, 0, 255).astype(np.uint8).reshape(n, 10, 8, 3)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    result = call("fit", folder, "--size", "8", "--components", "3,5", "--out", path)
    assert result.exit_code == 0, result.output
    return path


def test_fit_certifies_every_stage_and_saves_the_model(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    found = document(call("fit", folder, "--size", "8", "--components", "3,5", "--out", path, "--json"))
    assert found["status"] == "certified"
    assert [stage["components"] for stage in found["stages"]] == [3, 5]
    assert all(stage["violation"] <= 1e-3 for stage in found["stages"])
    assert found["images"]["shape"] == [40, 8, 8, 3]
    assert ProCoGAN.load(path).sample(2, rng=0).shape == (2, 8, 8, 3)


def test_fit_takes_the_size_from_the_last_resolution_and_greys_by_choice(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    arguments = ("--resolutions", "4,8", "--components", "2,3", "--grey", "--out", path, "--json")
    assert document(call("fit", folder, *arguments))["images"]["shape"] == [40, 8, 8, 1]


def test_fit_is_the_estimators_fit_on_the_folder(folder: Path, model: Path) -> None:
    from convexwgan.models.image_directory import ImageDirectory

    ours = ProCoGAN(components=(3, 5), random_state=0).fit(ImageDirectory(folder, size=8))
    assert np.allclose(ours.sample(3, rng=1), ProCoGAN.load(model).sample(3, rng=1), atol=1e-6)


def test_the_estimator_takes_the_path_of_a_folder(folder: Path) -> None:
    assert ProCoGAN((4, 8), (2, 3), random_state=0).fit(str(folder)).sample(1).shape == (1, 8, 8, 3)


def test_corrupt_files_end_the_fit_or_are_skipped_and_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, n=20)
    (tmp_path / "000.png").write_bytes(b"broken")
    out = tmp_path / "model.safetensors"
    refused = call("fit", tmp_path, "--size", "8", "--out", out)
    assert refused.exit_code == 1
    assert "000.png" in refused.stderr
    assert not out.exists()
    skipped = call("fit", tmp_path, "--size", "8", "--components", "2,3", "--on-error", "skip", "--out", out)
    assert skipped.exit_code == 0
    assert "1 corrupt files skipped: 000.png" in skipped.stdout
    found = document(
        call("fit", tmp_path, "--size", "8", "--components", "2,3", "--on-error", "skip", "--out", out, "--json")
    )
    assert [Path(entry["file"]).name for entry in found["images"]["skipped"]] == ["000.png"]


def test_sample_writes_a_grid_and_the_same_seed_the_same_one(model: Path, tmp_path: Path) -> None:
    first, second, other = (tmp_path / f"{name}.png" for name in "abc")
    for path, seed in ((first, 1), (second, 1), (other, 2)):
        assert call("sample", model, "--n", "6", "--columns", "3", "--seed", str(seed), "--out", path).exit_code == 0
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    with Image.open(first) as grid:
        assert grid.size == (3 * 9 + 1, 2 * 9 + 1)


def test_sample_as_npy_is_the_models_sample(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    assert document(call("sample", model, "--n", "3", "--out", path, "--json"))["n"] == 3
    assert np.allclose(np.load(path), ProCoGAN.load(model).sample(3, rng=0), atol=1e-6)


def test_walk_has_one_row_a_component_and_no_more_than_there_are(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "walk.npy"
    found = document(call("walk", model, "--components", "9", "--steps", "5", "--out", path, "--json"))
    assert found["components"] == 5
    images = np.load(path).reshape(5, 5, -1)
    assert np.allclose(images[:, 2], images[0, 2], atol=1e-6)  # the middle of every walk is the mean image
    assert np.allclose(images[:, 0] + images[:, 4], 2 * images[:, 2], atol=1e-5)


def test_evaluate_finds_its_own_data_close_and_other_images_far(
    folder: Path, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    near = document(call("evaluate", model, folder, "--n", "200", "--json"))
    assert (near["quality"]["n_real"], near["quality"]["n_fake"], near["is_fid"]) == (40, 200, False)
    others = tmp_path_factory.mktemp("others")
    for i in range(10):
        Image.fromarray(np.full((8, 8, 3), 20 * i, dtype=np.uint8)).save(others / f"{i}.png")
    far = document(call("evaluate", model, others, "--n", "200", "--json"))
    assert far["quality"]["frechet"] > 3 * near["quality"]["frechet"]
    shown = call("evaluate", model, folder, "--n", "50")
    assert "no FID" in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "NOWHERE"),
        ("fit", "FOLDER", "--out", "nowhere/model.safetensors"),
        ("fit", "FOLDER", "--out", "model.pkl"),
        ("fit", "FOLDER", "--size", "8", "--components", "3,x"),
        ("fit", "FOLDER", "--size", "0"),
        ("sample", "NOWHERE"),
        ("sample", "MODEL", "--out", "x.gif"),
        ("sample", "MODEL", "--n", "0"),
        ("walk", "MODEL", "--span", "-1"),
        ("evaluate", "MODEL", "FOLDER", "--inception", "nowhere.pth"),
        ("evaluate", "MODEL", "NOWHERE"),
    ],
)
def test_bad_input_exits_1_with_one_message(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"FOLDER": str(folder), "MODEL": str(model), "NOWHERE": str(tmp_path / "nowhere")}
    result = call(*(places.get(argument, argument) for argument in arguments))
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_command_line_exits_2() -> None:
    assert call("fit").exit_code == 2
    assert call("paint").exit_code == 2
