"""Problem files: a WGAN, where its data and noise come from, and what is known about its optimum."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from convexwgan.arrays import Float64
from convexwgan.errors import ConvexWGANError, FileFormatError, InputError
from convexwgan.spec.fields import Fields, located, suggestion
from convexwgan.spec.latent import DrawnNoise, Latent
from convexwgan.spec.recipes import RECIPES, DataFile, DataSource, Recipe, Samples, recipe_parameters
from convexwgan.spec.serialize import dump, wgan_from_dict, wgan_to_dict
from convexwgan.spec.validation import within_memory
from convexwgan.spec.wgan import WGAN

__all__ = [
    "BuiltInstance",
    "Expected",
    "Instance",
    "NoiseRecipe",
    "dump",
    "instance_names",
    "load_instance",
    "wgan_from_dict",
    "wgan_to_dict",
]

STATUSES = ("certified", "bracketed", "infeasible", "unverified", "failed", "refused")
"""What a problem file may expect: a Status of a solution, or "refused" where no theorem covers the pair."""

_TOP_KEYS = ("title", "description", "normalize", "n_fake", "architecture", "data", "latent", "expected")
_LATENT_KEYS = {
    "sampled": ("kind", "dim", "n", "seed"),
    "population": ("kind", "dim"),
    "points": ("kind", "points"),
    "file": ("kind", "file", "key", "rows", "columns"),
}


@dataclass(frozen=True)
class Expected:
    """What is known about an instance before it is solved.

    Attributes:
        value: the optimal value, or None.
        status: one of ``STATUSES``, or None.
        source: where the value comes from: a formula with its numbers, or a reference.
        tolerance: relative, for comparing values.
    """

    value: float | None
    status: str | None
    source: str | None
    tolerance: float


@dataclass(frozen=True)
class NoiseRecipe:
    """Noise sampled once: n draws of ``latent`` by ``seed``."""

    latent: Latent
    n: int
    seed: int

    def draw(self) -> DrawnNoise:
        """Z, shape (n, dim), the same at every call; it remembers its recipe."""
        return self.latent.draw(self.n, self.seed)


class BuiltInstance(NamedTuple):
    """The arguments of ``Problem``: X (n_r, d_r); Z (n_f, d_f), drawn, population or None; and the rest."""

    X: Float64
    Z: Float64 | DrawnNoise | Latent | None
    n_fake: int | None
    wgan: WGAN
    normalize: str


@dataclass(frozen=True)
class Instance:
    """A problem file, read and checked; the data is fetched only by ``build``.

    >>> instance = load_instance("quadratic_free_output")
    >>> X, Z, n_fake, wgan, normalize = instance.build()
    >>> print(wgan)
    min (1/2)‖G‖_F²  s.t.  ‖XᵀX − GᵀG‖₂ ≤ 2
    """

    name: str
    title: str
    description: str
    wgan: WGAN
    data: DataSource
    noise: NoiseRecipe | DataFile | Recipe | Latent | None
    n_fake: int | None
    normalize: str
    expected: Expected | None

    def samples(self) -> Samples:
        """The real data with its metadata: image shape, column names, what centring subtracted."""
        with located(f"{self.name}: data"):
            return self.data.samples()

    def build(self) -> BuiltInstance:
        """Fetch data and noise: the arguments (X, Z, n_fake, wgan, normalize) of ``Problem``.

        Raises:
            FileFormatError: the data file cannot be read, or a recipe's parameter is out of its range.
            MissingExtraError: the data ships with a package that is not installed.
        """
        with located(f"{self.name}: latent"):
            Z = _draw(self.noise)
        return BuiltInstance(self.samples().X, Z, self.n_fake, self.wgan, self.normalize)


def load_instance(path_or_name: str | os.PathLike[str]) -> Instance:
    """Read a problem file, or a shipped instance by its name, and check every key of it.

    Args:
        path_or_name: a path ("problems/x.toml") or one of ``instance_names()`` ("x").

    Raises:
        InputError: there is no instance of this name.
        FileFormatError: no such file, not TOML, or a key that is unknown, missing, of the wrong type or out
            of its range; the message starts with the file and the key's path.

    >>> load_instance("two_points").expected.value
    1.62
    """
    path = _locate(path_or_name)
    table = _read_toml(path)
    try:
        return _instance(table, path)
    except ConvexWGANError as error:
        raise FileFormatError(f"{path}: {error}") from error


def instance_names() -> tuple[str, ...]:
    """The names of the shipped instances, sorted.

    >>> "quadratic_linear_output_faces" in instance_names()
    True
    """
    return tuple(sorted(path.stem for path in _shipped_folder().glob("*.toml")))


# ---------------------------------------------------------------------------------------------- finding


def _shipped_folder() -> Path:
    # A wheel carries the files inside the package; a checkout has them beside it.
    package = Path(__file__).resolve().parents[1]
    inside = package / "problems"
    return inside if inside.is_dir() else package.parent / "problems"


def _locate(path_or_name: object) -> Path:
    if not isinstance(path_or_name, (str, os.PathLike)) or not os.fspath(path_or_name):
        remedy = "as load_instance('two_points') or load_instance('problems/two_points.toml')"
        raise InputError("instance", path_or_name, "be a name or a path", remedy)
    path, names = Path(path_or_name), instance_names()
    is_name = isinstance(path_or_name, str) and path.suffix != ".toml" and len(path.parts) == 1
    if is_name and path_or_name in names:
        return _shipped_folder() / f"{path_or_name}.toml"
    if is_name and not path.exists():
        remedy = f"convexwgan problems (instance_names()) lists them{suggestion(str(path_or_name), names)}"
        raise InputError("instance", path_or_name, f"be a path or the name of one of {len(names)} shipped", remedy)
    return path


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise FileFormatError(f"problem file {path}: there is no such file") from error
    except IsADirectoryError as error:
        raise FileFormatError(f"problem file {path}: this is a directory; name a .toml file in it") from error
    except OSError as error:
        raise FileFormatError(f"problem file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"problem file {path} must be UTF-8 text: byte {error.start} is not") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileFormatError(f"problem file {path} must be TOML: {error}") from error


# ---------------------------------------------------------------------------------------------- reading


def _instance(table: Mapping[str, Any], path: Path) -> Instance:
    top = Fields(table, "", _TOP_KEYS)
    top.sub("architecture", ("discriminator", "generator", "regularizer"))
    instance = Instance(
        name=path.stem,
        title=top.text("title", path.stem),
        description=top.text("description", ""),
        wgan=wgan_from_dict(table["architecture"]),
        data=_data(top, path.parent),
        noise=_noise(top, path.parent),
        n_fake=_fake_count(top),
        normalize=_normalize(top),
        expected=_expected(top),
    )
    _check_noise(instance)
    return instance


def _fake_count(top: Fields) -> int | None:
    n_fake = top.whole_or_none("n_fake", 1)
    if n_fake is not None:
        within_memory("n_fake", n_fake)
    return n_fake


def _normalize(top: Fields) -> str:
    data = top.table["data"]
    if "normalize" in top and "normalize" in data:
        raise FileFormatError("normalize and data.normalize: give only one of the two")
    where = Fields(data, "data", tuple(data)) if "normalize" in data else top
    return where.choice("normalize", ("sum", "mean"), "sum")


def _data(top: Fields, folder: Path) -> DataSource:
    raw = top.sub("data", tuple(top.table["data"]) if isinstance(top.table.get("data"), Mapping) else ())
    if ("recipe" in raw) == ("file" in raw):
        raise FileFormatError('data: exactly one of recipe = "…" and file = "…" must be given')
    if "file" in raw:
        return _data_file(top.sub("data", ("file", "key", "rows", "columns", "normalize")), folder)
    name = raw.choice("recipe", tuple(RECIPES))
    allowed, _ = recipe_parameters(name)
    data = top.sub("data", ("recipe", *allowed, "rows", "columns", "normalize"))
    limits = {key: data.whole_or_none(key, 1) for key in ("rows", "columns")}
    with located("data"):
        return Recipe.of(name, **limits, **{key: value for key, value in data.table.items() if key in allowed})


def _data_file(part: Fields, folder: Path) -> DataFile:
    path, key = folder / part.text("file"), part.text("key") if "key" in part else None
    rows, columns = part.whole_or_none("rows", 1), part.whole_or_none("columns", 1)
    try:
        return DataFile(path, key, rows, columns)
    except FileFormatError as error:
        raise FileFormatError(f"{part.at('file')}: {error}") from error


def _noise(top: Fields, folder: Path) -> NoiseRecipe | DataFile | Recipe | Latent | None:
    if "latent" not in top:
        return None
    kind = top.sub("latent", tuple(dict.fromkeys(sum(_LATENT_KEYS.values(), ())))).choice("kind", tuple(_LATENT_KEYS))
    part = top.sub("latent", _LATENT_KEYS[kind])
    if kind == "file":
        return _data_file(part, folder)
    if kind == "points":
        return Recipe.of("points", points=part.matrix("points"))
    latent = Latent.normal(part.whole("dim", 1))
    return latent if kind == "population" else NoiseRecipe(latent, part.whole("n", 1), part.whole("seed", 0))


def _check_noise(instance: Instance) -> None:
    _, generator = instance.wgan.players
    who = repr(generator)
    if generator.needs_noise and instance.noise is None:
        raise FileFormatError(f"latent: missing table; {who} is a function of noise")
    if generator.needs_noise and instance.n_fake is not None:
        remedy = f"the noise says how many samples {who} makes"
        raise FileFormatError(f"n_fake = {instance.n_fake} must not be given: {remedy}")
    if not generator.needs_noise and instance.noise is not None:
        remedy = "n_fake says how many samples it makes"
        raise FileFormatError(f"latent: must not be given: {who} takes no noise; {remedy}")
    if isinstance(instance.noise, Latent) and instance.normalize != "mean":
        raise FileFormatError('normalize = "sum" must be "mean": population noise has no number of samples')


def _expected(top: Fields) -> Expected | None:
    if "expected" not in top:
        return None
    part = top.sub("expected", ("value", "status", "source", "tolerance"))
    if "value" not in part and "status" not in part:
        raise FileFormatError("expected: value or status must be given; or leave the table out")
    status = part.choice("status", STATUSES) if "status" in part else None
    source = part.text("source") if "source" in part else None
    tolerance = part.number("tolerance") if "tolerance" in part else 1e-6
    if tolerance <= 0:
        raise part.wrong("tolerance", "be > 0: it is relative")
    return Expected(part.number_or_none("value"), status, source, tolerance)


def _draw(noise: NoiseRecipe | DataFile | Recipe | Latent | None) -> Float64 | DrawnNoise | Latent | None:
    if isinstance(noise, NoiseRecipe):
        return noise.draw()
    if isinstance(noise, (DataFile, Recipe)):
        return noise.samples().X
    return noise
