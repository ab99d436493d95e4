"""Data recipes: deterministic, validated, with the spectrum and the metadata that they promise."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convexwgan.errors import FileFormatError, InputError, MissingExtraError
from convexwgan.spec.recipes import RECIPES, DataFile, Recipe, Samples

EXAMPLES: dict[str, dict[str, Any]] = {
    "points": {"points": [[1.0, 2.0], [3.0, 4.0]]},
    "gaussian": {"n": 20, "dim": 3, "seed": 1, "mean": [1.0, 2.0, 3.0], "scale": 0.5},
    "gaussian_spectrum": {"n": 20, "spectrum": [4.0, 1.0], "seed": 1},
    "ring": {"n": 40},
    "digits": {},
    "faces": {},
}


def test_every_recipe_has_an_example_here() -> None:
    assert EXAMPLES.keys() == RECIPES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_recipe_gives_the_same_finite_float64_table_at_every_call(name: str) -> None:
    recipe = Recipe.of(name, **EXAMPLES[name])
    one, two = recipe.samples().X, recipe.samples().X
    assert one.dtype == np.float64
    assert one.ndim == 2
    assert np.isfinite(one).all()
    assert np.array_equal(one, two)
    assert hash(recipe) == hash(Recipe.of(name, **EXAMPLES[name]))


# ---------------------------------------------------------------------------------------------- spectrum

spectra = st.lists(st.floats(0.0, 100.0), min_size=1, max_size=6)


@given(spectra, st.integers(0, 1000))
def test_gaussian_spectrum_has_exactly_the_eigenvalues_asked_for(spectrum: list[float], seed: int) -> None:
    X = Recipe.of("gaussian_spectrum", n=8, spectrum=spectrum, seed=seed).samples().X
    assert X.shape == (8, len(spectrum))
    assert np.allclose(np.linalg.eigvalsh(X.T @ X), sorted(spectrum), atol=1e-11)


@given(spectra, st.floats(-5, 5))
def test_gaussian_spectrum_with_a_mean_has_it_exactly_and_the_spectrum_around_it(
    spectrum: list[float], mu: float
) -> None:
    X = Recipe.of("gaussian_spectrum", n=8, spectrum=spectrum, mean=mu).samples().X
    assert np.allclose(X.mean(axis=0), mu, atol=1e-12)
    centred = X - mu
    assert np.allclose(np.linalg.eigvalsh(centred.T @ centred), sorted(spectrum), atol=1e-11)


def test_gaussian_spectrum_allows_fewer_samples_than_dimensions_when_the_rank_does() -> None:
    assert Recipe.of("gaussian_spectrum", n=2, spectrum=[4.0, 1.0, 0.0]).samples().X.shape == (2, 3)
    with pytest.raises(InputError, match=r"n of gaussian_spectrum = 2 must be >= 3"):
        Recipe.of("gaussian_spectrum", n=2, spectrum=[4.0, 1.0, 0.0], mean=0.0).samples()


def test_gaussian_has_the_mean_and_scale_asked_for() -> None:
    X = Recipe.of("gaussian", n=20_000, dim=2, mean=[3.0, -1.0], scale=[0.5, 2.0]).samples().X
    assert np.allclose(X.mean(axis=0), [3.0, -1.0], atol=0.05)
    assert np.allclose(X.std(axis=0), [0.5, 2.0], atol=0.05)


def test_ring_gives_each_mode_its_fair_share() -> None:
    X = Recipe.of("ring", n=80, modes=8, radius=2.0, spread=0.01).samples().X
    angle = np.round(np.arctan2(X[:, 1], X[:, 0]) / (2 * np.pi / 8)) % 8
    assert np.array_equal(np.bincount(angle.astype(int)), [10] * 8)
    assert np.allclose(np.hypot(X[:, 0], X[:, 1]), 2.0, atol=0.1)


# ---------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize(("name", "shape", "image"), [("digits", (1797, 64), (8, 8)), ("faces", (100, 625), (25, 25))])
def test_images_are_in_the_unit_interval_and_remember_their_shape(
    name: str, shape: tuple[int, int], image: tuple[int, int]
) -> None:
    samples = Recipe.of(name).samples()
    assert samples.X.shape == shape
    assert (samples.X.min(), samples.X.max()) == (0.0, 1.0)
    assert samples.image_shape == image
    assert samples.centre is None


@pytest.mark.parametrize("name", ["digits", "faces"])
def test_centred_images_have_mean_zero_and_give_the_originals_back(name: str) -> None:
    samples, original = Recipe.of(name, centred=True).samples(), Recipe.of(name).samples()
    assert samples.centre is not None
    assert np.allclose(samples.X.mean(axis=0), 0.0, atol=1e-14)
    assert np.allclose(samples.X + samples.centre, original.X)


def test_faces_are_the_half_of_the_file_with_faces() -> None:
    # Faces share one mean image; background does not, so its mean explains much less of it.
    images = np.asarray(pytest.importorskip("skimage.data").lfw_subset()).reshape(200, 625)
    spread = [np.var(half - half.mean(axis=0)) / np.var(half) for half in (images[:100], images[100:])]
    assert spread[0] < spread[1]
    assert np.allclose(Recipe.of("faces").samples().X, images[:100])


def test_missing_scikit_image_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtraError, match=r"scikit-image.*convexwgan\[images\]"):
        Recipe.of("faces").samples()


def test_limits_keep_the_first_rows_and_columns_with_their_names() -> None:
    samples = Recipe.of("digits", rows=10, columns=3, centred=True).samples()
    assert samples.X.shape == (10, 3)
    assert samples.image_shape is None
    assert samples.columns == ("pixel_0_0", "pixel_0_1", "pixel_0_2")
    assert samples.centre is not None
    assert samples.centre.shape == (3,)
    assert Recipe.of("digits", rows=10).samples().image_shape == (8, 8)


def test_limit_beyond_the_data_is_an_error() -> None:
    with pytest.raises(InputError, match="rows of the data = 3 must be at most 2"):
        Recipe.of("points", points=[[1.0], [2.0]], rows=3).samples()


# ---------------------------------------------------------------------------------------------- errors

WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "recipe": ("gausian", {}, r"recipe = 'gausian' must be one of"),
    "parameter": ("ring", {"n": 8, "size": 2}, "size of ring = 2 must not be given"),
    "missing": ("gaussian", {"n": 8}, "dim of gaussian = None must be given"),
    "n": ("gaussian", {"n": 0, "dim": 2}, "n of gaussian = 0 must be a whole number"),
    "seed": ("gaussian", {"n": 2, "dim": 2, "seed": "a"}, "rng = 'a'"),
    "mean": ("gaussian", {"n": 2, "dim": 2, "mean": [1.0]}, "mean of gaussian"),
    "scale": ("gaussian", {"n": 2, "dim": 2, "scale": "big"}, "scale of gaussian = 'big'"),
    "empty spectrum": ("gaussian_spectrum", {"n": 2, "spectrum": []}, "spectrum of gaussian_spectrum"),
    "negative spectrum": ("gaussian_spectrum", {"n": 2, "spectrum": [1.0, -1.0]}, "must be >= 0"),
    "spectrum of texts": ("gaussian_spectrum", {"n": 2, "spectrum": ["1"]}, "spectrum of gaussian_spectrum"),
    "few samples": ("gaussian_spectrum", {"n": 1, "spectrum": [1.0, 1.0]}, "n of gaussian_spectrum = 1 must be >= 2"),
    "modes": ("ring", {"n": 8, "modes": 0}, "modes of ring = 0"),
    "radius": ("ring", {"n": 8, "radius": -1.0}, "radius of ring = -1.0 must be > 0"),
    "spread": ("ring", {"n": 8, "spread": 0}, "spread of ring = 0 must be > 0"),
    "centred": ("digits", {"centred": 1}, "centred of digits = 1 must be True or False"),
    "ragged": ("points", {"points": [[1.0], [1.0, 2.0]]}, "points = .* must be a rectangular table"),
    "nan": ("points", {"points": [[1.0], [np.nan]]}, "points = .* must hold finite numbers"),
    "flat": ("points", {"points": [1.0, 2.0]}, "points = .* must have two axes"),
    "text": ("points", {"points": "x"}, "points = "),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_parameter_is_an_error_that_names_recipe_and_value(name: str) -> None:
    recipe, parameters, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        Recipe.of(recipe, **parameters).samples()


# ---------------------------------------------------------------------------------------------- files

TABLE = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.5]])


def test_npy_npz_and_csv_give_the_table_that_was_written(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", TABLE)
    np.savez(tmp_path / "one.npz", TABLE)
    np.savez(tmp_path / "two.npz", X=TABLE, Y=TABLE + 1)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,4\n5,6.5\n", encoding="utf-8")
    (tmp_path / "bare.csv").write_text("1,2\n3,4\n\n5,6.5\n", encoding="utf-8")
    for name, key in (("x.npy", None), ("one.npz", None), ("two.npz", "X"), ("x.csv", None), ("bare.csv", None)):
        assert np.array_equal(DataFile(tmp_path / name, key).samples().X, TABLE)
    assert DataFile(tmp_path / "x.csv").samples().columns == ("a", "b")
    assert DataFile(tmp_path / "bare.csv").samples().columns is None
    assert np.array_equal(DataFile(tmp_path / "x.npy", rows=2, columns=1).samples().X, TABLE[:2, :1])


def test_integers_of_a_file_become_float64(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(6).reshape(3, 2))
    assert DataFile(tmp_path / "x.npy").samples().X.dtype == np.float64


BROKEN_FILES: dict[str, tuple[bytes, str]] = {
    "text.npy": (b"no array", "cannot be read"),
    "empty.npy": (b"", "cannot be read"),
    "text.npz": (b"no archive", "cannot be read"),
    "ragged.csv": (b"a,b\n1,2\n3\n", "row 3: 1 cells instead of 2"),
    "semicolons.csv": (b"1;2\n3;4\n", "separated by commas"),
    "words.csv": (b"a,b\n1,two\n", "row 2: 'two' is no number"),
    "binary.csv": (b"\xff\xfe\x00", "cannot be read"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_broken_file_is_one_error_that_names_it(name: str, tmp_path: Path) -> None:
    content, message = BROKEN_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"{name}.*{message}"):
        DataFile(tmp_path / name).samples()


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="cannot be read"):
        DataFile(tmp_path / "x.npy").samples()


@pytest.mark.parametrize("content", ["", "a,b\n", "1,nan\n"])
def test_csv_without_finite_samples_is_an_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"data of x\.csv"):
        DataFile(tmp_path / "x.csv").samples()


def test_file_that_is_missing_a_folder_or_of_another_kind_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    for name in ("none.npy", "folder.npy"):
        with pytest.raises(FileFormatError, match="no such file"):
            DataFile(tmp_path / name)
    with pytest.raises(FileFormatError, match=r"must end in \.npy, \.npz, \.csv"):
        DataFile(tmp_path / "x.xlsx")


def test_npz_with_several_arrays_needs_a_key(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", X=TABLE, Y=TABLE)
    np.save(tmp_path / "x.npy", TABLE)
    for key in (None, "Z"):
        with pytest.raises(FileFormatError, match="holds X, Y: choose one with key"):
            DataFile(tmp_path / "two.npz", key).samples()
    with pytest.raises(FileFormatError, match="key = 'X' must not be given"):
        DataFile(tmp_path / "x.npy", "X")


def test_samples_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Samples(TABLE).X = TABLE  # type: ignore[misc]
