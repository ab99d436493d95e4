"""Problem files: what is read, what is refused, and how the message says where."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from convexwgan.errors import FileFormatError, InputError, MemoryLimitError
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.instance import Expected, NoiseRecipe, instance_names, load_instance
from convexwgan.spec.latent import DrawnNoise, Latent
from convexwgan.spec.recipes import Recipe
from convexwgan.spec.regularizer import Regularizer

ARCHITECTURE = """
[architecture]
discriminator = { kind = "quadratic", beta = 0.5 }
generator = { kind = "linear" }
"""
FREE = ARCHITECTURE.replace("linear", "free")
DATA = """
[data]
recipe = "points"
points = [[-1.0], [1.0]]
"""
LATENT = """
[latent]
kind = "sampled"
dim = 2
n = 3
seed = 7
"""
POPULATION = """
[latent]
kind = "population"
dim = 2
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_file_of_the_design_page_says_what_it_means(tmp_path: Path) -> None:
    text = """
[architecture]
discriminator = { kind = "relu", bias = true, beta = 0.1 }
generator = { kind = "relu" }
regularizer = { kind = "output", strength = 2.0 }
[data]                       # a named recipe, or file = "x.npy"
recipe = "points"
points = [[-1.0], [1.0]]
[latent]                     # kind = "sampled" (n, seed) or "population"
kind = "sampled"
dim = 2
n = 2
seed = 0
[expected]                   # optional: what is known
value = 1.62
source = "paper, figure 1"
"""
    instance = load_instance(write(tmp_path, text))
    expected_wgan = Discriminator.relu(bias=True, beta=0.1) + Generator.relu() + Regularizer.output(2.0)
    assert instance.wgan == expected_wgan
    assert instance.expected == Expected(1.62, None, "paper, figure 1", 1e-6)
    assert (instance.name, instance.title, instance.normalize) == ("mine", "mine", "sum")
    X, Z, n_fake, wgan, normalize = instance.build()
    assert np.array_equal(X, [[-1.0], [1.0]])
    assert isinstance(Z, DrawnNoise)
    assert np.array_equal(Z.array, Latent.normal(2).draw(2, 0).array)
    assert (n_fake, wgan, normalize) == (None, expected_wgan, "sum")


def test_free_generator_takes_a_number_of_samples_and_no_noise(tmp_path: Path) -> None:
    instance = load_instance(write(tmp_path, f'title = "t"\ndescription = "d"\nn_fake = 5\n{FREE}{DATA}'))
    assert instance.build()[1:3] == (None, 5)
    assert (instance.title, instance.description, instance.expected) == ("t", "d", None)


def test_population_noise_comes_back_as_a_distribution(tmp_path: Path) -> None:
    instance = load_instance(write(tmp_path, f'normalize = "mean"\n{ARCHITECTURE}{DATA}{POPULATION}'))
    assert Latent.normal(2) == instance.build().Z
    assert instance.normalize == "mean"


def test_normalize_may_stand_with_the_data_but_not_twice(tmp_path: Path) -> None:
    text = f'{ARCHITECTURE}{DATA}normalize = "mean"\n{POPULATION}'
    assert load_instance(write(tmp_path, text)).normalize == "mean"
    with pytest.raises(FileFormatError, match="only one of the two"):
        load_instance(write(tmp_path, f'normalize = "mean"\n{text}'))


def test_noise_may_be_written_out_or_read_from_a_file_beside_the_problem(tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.eye(3))
    np.savez(tmp_path / "x.npz", X=np.ones((4, 2)), Y=np.zeros((1, 1)))
    text = f'{ARCHITECTURE}[data]\nfile = "x.npz"\nkey = "X"\nrows = 3\n[latent]\nkind = "file"\nfile = "z.npy"\n'
    built = load_instance(write(tmp_path, text)).build()
    assert np.array_equal(built.X, np.ones((3, 2)))
    assert np.array_equal(np.asarray(built.Z), np.eye(3))
    text = f'{ARCHITECTURE}{DATA}[latent]\nkind = "points"\npoints = [[1, 0], [0, 2]]\n'
    assert np.array_equal(np.asarray(load_instance(write(tmp_path, text)).build().Z), [[1.0, 0.0], [0.0, 2.0]])


def test_instance_is_frozen_hashable_and_builds_the_same_twice(tmp_path: Path) -> None:
    instance = load_instance(write(tmp_path, f"{ARCHITECTURE}{DATA}{LATENT}"))
    assert instance.noise == NoiseRecipe(Latent.normal(2), 3, 7)
    assert instance.data == Recipe.of("points", points=[[-1.0], [1.0]])
    assert hash(instance) == hash(load_instance(tmp_path / "mine.toml"))
    assert np.array_equal(np.asarray(instance.build().Z), np.asarray(instance.build().Z))
    with pytest.raises(dataclasses.FrozenInstanceError):
        instance.name = "other"  # type: ignore[misc]


# ---------------------------------------------------------------------------------------------- finding


def test_shipped_instances_are_found_by_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_instance("two_points").name == "two_points"
    assert "two_points" in instance_names()
    assert list(instance_names()) == sorted(instance_names())


def test_path_as_text_and_as_path_give_the_same_instance(tmp_path: Path) -> None:
    path = write(tmp_path, f"{ARCHITECTURE}{DATA}{LATENT}")
    assert load_instance(path) == load_instance(str(path))


def test_unknown_name_is_an_error_with_the_closest_one() -> None:
    with pytest.raises(InputError, match=r"instance = 'two_point' must be .*did you mean two_points\?"):
        load_instance("two_point")


@pytest.mark.parametrize("wrong", [None, 3, "", b"two_points"])
def test_what_is_no_name_and_no_path_is_refused(wrong: object) -> None:
    with pytest.raises(InputError, match="be a name or a path"):
        load_instance(wrong)  # type: ignore[arg-type]


def test_missing_file_folder_binary_and_broken_toml_are_one_clear_error_each(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "binary.toml").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    write(tmp_path, "[architecture\n", "broken.toml")
    write(tmp_path, "a = " + "[" * 100_000, "deep.toml")
    for name, message in (
        ("none.toml", "no such file"),
        ("folder.toml", "directory"),
        ("binary.toml", "must be UTF-8 text"),
        ("broken.toml", "must be TOML"),
        ("deep.toml", "must be TOML"),
    ):
        with pytest.raises(FileFormatError, match=rf"{name}.*{message}"):
            load_instance(tmp_path / name)


# ---------------------------------------------------------------------------------------------- refusing

BROKEN = {
    "empty": ("", "architecture: missing key"),
    "no data": (ARCHITECTURE, "data: missing key"),
    "unknown table": (f"{ARCHITECTURE}{DATA}{LATENT}[solver]\n", "solver: unknown key; allowed: title"),
    "architecture as text": (f'architecture = "linear"\n{DATA}', "architecture = 'linear' must be a table"),
    "misspelt beta": (
        f"{ARCHITECTURE}{DATA}{LATENT}".replace("beta", "betta"),
        r"architecture\.discriminator\.betta: unknown key; allowed: .*; did you mean beta\?",
    ),
    "negative beta": (
        f"{ARCHITECTURE}{DATA}{LATENT}".replace("0.5", "-0.5"),
        r"architecture\.discriminator: beta of Discriminator\.quadratic = -0\.5 must be > 0",
    ),
    "data as list": (f"{ARCHITECTURE}{LATENT}".replace("[arch", "data = [1]\n[arch"), "data = .* must be a table"),
    "data of nothing": (f"{ARCHITECTURE}[data]\n{LATENT}", "data: exactly one of recipe"),
    "data of both": (f'{ARCHITECTURE}{DATA}file = "x.npy"\n{LATENT}', "data: exactly one of recipe"),
    "unknown recipe": (
        f"{ARCHITECTURE}{DATA}{LATENT}".replace('"points"', '"point"'),
        r"data\.recipe.*did you mean points",
    ),
    "unknown parameter": (f"{ARCHITECTURE}{DATA}pionts = 1\n{LATENT}", r"data\.pionts: unknown key.*points\?"),
    "missing parameter": (f'{ARCHITECTURE}[data]\nrecipe = "ring"\n{LATENT}', "data: n of ring"),
    "missing data file": (f'{ARCHITECTURE}[data]\nfile = "x.npy"\n{LATENT}', r"data\.file: .*x\.npy.*no such file"),
    "data file of a number": (f"{ARCHITECTURE}[data]\nfile = 3\n{LATENT}", r"data\.file = 3 must be a text"),
    "rows": (f"{ARCHITECTURE}{DATA}rows = 0\n{LATENT}", r"data\.rows = 0 must be a whole number >= 1"),
    "normalize": (
        f'normalize = "median"\n{ARCHITECTURE}{DATA}{LATENT}',
        "normalize = 'median' must be one of sum, mean",
    ),
    "latent kind": (f"{ARCHITECTURE}{DATA}{LATENT}".replace("sampled", "uniform"), r"latent\.kind = 'uniform' must be"),
    "latent dim": (f"{ARCHITECTURE}{DATA}{LATENT}".replace("dim = 2", "dim = 2.0"), r"latent\.dim = 2\.0 must be"),
    "latent seed": (f"{ARCHITECTURE}{DATA}{LATENT}".replace("seed = 7\n", ""), r"latent\.seed: missing key"),
    "population with n": (f"{ARCHITECTURE}{DATA}{POPULATION}n = 3\n", r"latent\.n: unknown key"),
    "population with sums": (f"{ARCHITECTURE}{DATA}{POPULATION}", 'normalize = "sum" must be "mean": population noise'),
    "no latent": (f"{ARCHITECTURE}{DATA}", "latent: missing table"),
    "n_fake with latent": (f"n_fake = 3\n{ARCHITECTURE}{DATA}{LATENT}", "n_fake = 3 must not be given"),
    "latent for free": (f"{FREE}{DATA}{LATENT}", r"latent: must not be given: Generator\.free\(\) takes no noise"),
    "n_fake of zero": (f"n_fake = 0\n{FREE}{DATA}", "n_fake = 0 must be a whole number"),
    "n_fake as float": (f"n_fake = 1.0\n{FREE}{DATA}", "n_fake = 1.0 must be a whole number"),
    "title as number": (f"title = 3\n{FREE}{DATA}", "title = 3 must be a text"),
    "expected nothing": (f"{FREE}{DATA}[expected]\n", "expected: value or status must be given"),
    "expected status": (f'{FREE}{DATA}[expected]\nstatus = "certfied"\n', r"expected\.status.*did you mean certified"),
    "expected value": (f"{FREE}{DATA}[expected]\nvalue = nan\n", r"expected\.value = nan must hold numbers"),
    "expected tolerance": (
        f"{FREE}{DATA}[expected]\nvalue = 1\ntolerance = 0\n",
        r"expected\.tolerance = 0 must be > 0",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_an_error_with_file_and_path_of_the_key(name: str, tmp_path: Path) -> None:
    text, message = BROKEN[name]
    with pytest.raises(FileFormatError, match=rf"^{re.escape(str(tmp_path))}.mine\.toml: {message}"):
        load_instance(write(tmp_path, text))


@pytest.mark.parametrize("rows", ["points = [[1.0], [nan]]", 'points = "ab"', "points = [1.0]"])
def test_value_that_only_building_can_judge_still_names_the_problem_and_the_table(rows: str, tmp_path: Path) -> None:
    text = f"{FREE}{DATA}".replace("points = [[-1.0], [1.0]]", rows)
    with pytest.raises(FileFormatError, match=r"^mine: data: points = "):
        load_instance(write(tmp_path, text)).build()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("n_fake = 99999999999999", FileFormatError),
        ('latent = { kind = "sampled", dim = 2, n = 99999999999999, seed = 0 }', MemoryLimitError),
    ],
)
def test_counts_that_no_machine_can_hold_are_refused_with_their_bytes(tmp_path: Path, line: str, error: type) -> None:
    kind = "linear" if "latent" in line else "free"
    path = tmp_path / "huge.toml"
    path.write_text(
        f"{line}\n"
        'architecture.discriminator = { kind = "quadratic", beta = 2.0 }\n'
        f'architecture.generator = {{ kind = "{kind}" }}\n'
        'data = { recipe = "points", points = [[1.0, 2.0]] }\n'
    )
    with pytest.raises(error, match="bytes and this machine has"):
        load_instance(path).build()
