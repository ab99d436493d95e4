"""Where real data comes from: named recipes, each of them deterministic, and files of numbers."""

from __future__ import annotations

import csv
import inspect
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, as_samples
from convexwgan.errors import FileFormatError, InputError, MissingExtraError
from convexwgan.spec import validation
from convexwgan.spec.latent import as_rng


@dataclass(frozen=True, eq=False)
class Samples:
    """Real data X, shape (n_r, d_r), with what plots need to show it.

    Attributes:
        X: one sample a row.
        image_shape: (height, width) when each row is an image, else None.
        columns: the names of the d_r columns, or None.
        centre: the mean row, shape (d_r,), that centring subtracted; None when nothing was subtracted.
    """

    X: Float64
    image_shape: tuple[int, int] | None = None
    columns: tuple[str, ...] | None = None
    centre: Float64 | None = None

    def limited(self, rows: int | None, columns: int | None) -> Samples:
        """The first ``rows`` samples and ``columns`` features; fewer features make no image."""
        n, d = self.X.shape
        for name, limit, size in (("rows", rows, n), ("columns", columns, d)):
            if limit is not None and limit > size:
                raise InputError(f"{name} of the data", limit, f"be at most {size}", "the data has no more")
        kept = self if rows is None else replace(self, X=self.X[:rows])
        if columns is None or columns == d:
            return kept
        names = None if self.columns is None else self.columns[:columns]
        centre = None if self.centre is None else self.centre[:columns]
        return replace(kept, X=kept.X[:, :columns], image_shape=None, columns=names, centre=centre)

    def centred(self) -> Samples:
        """The same samples minus their mean row, which becomes ``centre``."""
        centre = self.X.mean(axis=0)
        return replace(self, X=self.X - centre, centre=centre)


# ---------------------------------------------------------------------------------------------- recipes


def points(points: Sequence[Sequence[float]]) -> Samples:
    """The samples themselves, one a row.

    >>> points([[-1.0], [1.0]]).X.shape
    (2, 1)
    """
    return Samples(as_samples(points, "points"))


def gaussian(n: int, dim: int, seed: int = 0, mean: Any = 0.0, scale: Any = 1.0) -> Samples:
    """x ~ N(mean, diag(scale²)), shape (n, dim); mean and scale are a number or one number a column."""
    n = validation.count("n of gaussian", n, "it is the number of samples")
    dim = validation.count("dim of gaussian", dim, "it is the number of columns")
    validation.within_memory("n × dim of gaussian", n, dim)
    noise = as_rng(seed).standard_normal((n, dim))
    return Samples(_row("mean of gaussian", mean, dim) + noise * _row("scale of gaussian", scale, dim))


def gaussian_spectrum(n: int, spectrum: Sequence[float], seed: int = 0, mean: Any = None) -> Samples:
    """Data with a chosen spectrum, so that closed forms are known by hand at any size.

    X = U diag(√spectrum) Vᵀ with random orthonormal U (n, r) and V (d, r): the eigenvalues of XᵀX are the
    spectrum. With ``mean`` = μ, U ⟂ 1 and X = 1μᵀ + U diag(√spectrum) Vᵀ: the mean row is μ and the spectrum
    is that of the centred scatter XᵀX − n μμᵀ.

    Args:
        n: samples; at least as many as the spectrum has positive entries, one more when ``mean`` is given.
        spectrum: d_r eigenvalues >= 0; zeros make X rank-deficient.
        seed: of U and V.
        mean: None, a number or d_r numbers.

    >>> X = gaussian_spectrum(50, [9.0, 4.0, 1.0]).X
    >>> np.round(np.linalg.eigvalsh(X.T @ X), 12)
    array([1., 4., 9.])
    """
    eigenvalues = _spectrum(spectrum)
    positive = eigenvalues > 0
    rank, d = int(positive.sum()), len(eigenvalues)
    n = validation.count("n of gaussian_spectrum", n, "it is the number of samples")
    validation.within_memory("n × dim of gaussian_spectrum", n, d)
    least = rank + (mean is not None)
    if n < least:
        raise InputError("n of gaussian_spectrum", n, f"be >= {least}", "fewer samples cannot have this rank")
    rng = as_rng(seed)
    raw = rng.standard_normal((n, rank))
    U = _orthonormal(raw if mean is None else raw - raw.mean(axis=0))
    V = _orthonormal(rng.standard_normal((d, d)))[:, positive]
    X = (U * np.sqrt(eigenvalues[positive])) @ V.T
    return Samples(X if mean is None else X + _row("mean of gaussian_spectrum", mean, d))


def ring(n: int, modes: int = 8, radius: float = 1.0, spread: float = 0.05, seed: int = 0) -> Samples:
    """Gaussian clusters of standard deviation ``spread`` around ``modes`` points of a circle, shape (n, 2).

    Samples go to the modes in turn, so that each has its fair share: mode collapse is then seen by counting.
    """
    n = validation.count("n of ring", n, "it is the number of samples")
    validation.within_memory("n × dim of ring", n, 2)
    modes = validation.count("modes of ring", modes, "it is the number of clusters")
    radius = validation.positive("radius of ring", radius, "it is the radius of the circle")
    spread = validation.positive("spread of ring", spread, "it is the standard deviation of a cluster")
    angle = 2 * np.pi * (np.arange(n) % modes) / modes
    centres = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Samples(centres + spread * as_rng(seed).standard_normal((n, 2)), columns=("x", "y"))


def digits(centred: bool = False) -> Samples:
    """The 1,797 handwritten digits of scikit-learn, 8×8 pixels in [0, 1], shape (1797, 64)."""
    from sklearn.datasets import load_digits

    table = load_digits()
    samples = Samples(table.data / 16.0, (8, 8), tuple(map(str, table.feature_names)))
    return (
        samples.centred() if validation.flag("centred of digits", centred, "True subtracts the mean image") else samples
    )


def faces(centred: bool = False) -> Samples:
    """The 100 face crops that scikit-image ships (from LFW), 25×25 pixels in [0, 1], shape (100, 625)."""
    try:
        from skimage import data
    except ImportError as error:
        raise MissingExtraError("scikit-image", "images", "the data recipe faces") from error
    lfw_subset: Callable[[], Any] = data.lfw_subset
    # The first 100 of the 200 images are faces, the others are background.
    X = np.asarray(lfw_subset()[:100], dtype=np.float64).reshape(100, 625)
    samples = Samples(X, (25, 25))
    return (
        samples.centred() if validation.flag("centred of faces", centred, "True subtracts the mean image") else samples
    )


RECIPES: Mapping[str, Callable[..., Samples]] = MappingProxyType(
    {recipe.__name__: recipe for recipe in (points, gaussian, gaussian_spectrum, ring, digits, faces)}
)


# ---------------------------------------------------------------------------------------------- sources


@dataclass(frozen=True)
class Recipe:
    """A named recipe with its parameters; lists among them are kept as tuples, so that recipes are hashable.

    >>> Recipe.of("gaussian", n=3, dim=2, seed=1).samples().X.shape
    (3, 2)
    """

    name: str
    parameters: tuple[tuple[str, Any], ...] = ()
    rows: int | None = None
    columns: int | None = None

    def __post_init__(self) -> None:
        if self.name not in RECIPES:
            raise InputError("recipe", self.name, f"be one of {', '.join(RECIPES)}", 'or read a file: file = "x.npy"')
        given, (allowed, required) = dict(self.parameters), recipe_parameters(self.name)
        for key in given:
            if key not in allowed:
                raise InputError(f"{key} of {self.name}", given[key], "not be given", f"it takes {', '.join(allowed)}")
        missing = [key for key in required if key not in given]
        if missing:
            raise InputError(f"{missing[0]} of {self.name}", None, "be given", f"it takes {', '.join(allowed)}")

    @classmethod
    def of(cls, name: str, *, rows: int | None = None, columns: int | None = None, **parameters: Any) -> Recipe:
        """The recipe ``name`` with its parameters by keyword."""
        return cls(name, tuple((key, _frozen(value)) for key, value in parameters.items()), rows, columns)

    def samples(self) -> Samples:
        """The data, the same at every call."""
        return RECIPES[self.name](**dict(self.parameters)).limited(self.rows, self.columns)


@dataclass(frozen=True)
class DataFile:
    """A file of numbers: .npy, .npz (``key`` chooses one of its arrays), .csv (first line may be names)."""

    path: Path
    key: str | None = None
    rows: int | None = None
    columns: int | None = None

    def __post_init__(self) -> None:
        if self.path.suffix.lower() not in _READERS:
            raise FileFormatError(f"data file {self.path} must end in {', '.join(_READERS)}: convert it first")
        if not self.path.is_file():
            raise FileFormatError(f"data file {self.path}: there is no such file; paths start at the problem file")
        if self.key is not None and self.path.suffix.lower() != ".npz":
            raise FileFormatError(f"key = {self.key!r} must not be given: {self.path} is no .npz with named arrays")

    def samples(self) -> Samples:
        """The data of the file, validated.

        Raises:
            FileFormatError: the file is not what its ending says.
            InputError: it holds no table of finite numbers.
        """
        try:
            samples = _READERS[self.path.suffix.lower()](self)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, FileFormatError):
                raise
            raise FileFormatError(f"data file {self.path} cannot be read: {error}") from error
        X = np.asarray(as_samples(samples.X, f"data of {self.path.name}"), dtype=np.float64)
        return replace(samples, X=X).limited(self.rows, self.columns)


DataSource = Recipe | DataFile


def recipe_parameters(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(allowed, required) parameter names of a recipe.

    >>> recipe_parameters("digits")
    (('centred',), ())
    """
    signature = inspect.signature(RECIPES[name]).parameters
    return tuple(signature), tuple(key for key, value in signature.items() if value.default is value.empty)


def _read_npy(file: DataFile) -> Samples:
    return Samples(np.load(file.path, allow_pickle=False))


def _read_npz(file: DataFile) -> Samples:
    with np.load(file.path, allow_pickle=False) as archive:
        names = list(archive)
        if file.key is None and len(names) == 1:
            return Samples(archive[names[0]])
        if file.key is None or file.key not in names:
            raise FileFormatError(
                f"data file {file.path} holds {', '.join(names)}: choose one with key = …, not {file.key!r}"
            )
        return Samples(archive[file.key])


def _read_csv(file: DataFile) -> Samples:
    with file.path.open(newline="", encoding="utf-8-sig") as lines:
        rows = [row for row in csv.reader(lines) if row]
    names = None if not rows or all(_is_number(cell) for cell in rows[0]) else tuple(rows[0])
    body = rows if names is None else rows[1:]
    width = len(rows[0]) if rows else 0
    for line, row in enumerate(body, start=1 if names is None else 2):
        bad = next((cell for cell in row if not _is_number(cell)), None)
        if bad is not None or len(row) != width:
            wrong = f"{bad!r} is no number" if bad is not None else f"{len(row)} cells instead of {width}"
            comma = "; cells are separated by commas, not by semicolons" if bad is not None and ";" in bad else ""
            raise FileFormatError(f"data file {file.path}, row {line}: {wrong}{comma}")
    return Samples(np.array(body, dtype=np.float64).reshape(len(body), width), columns=names)


_READERS: Mapping[str, Callable[[DataFile], Samples]] = MappingProxyType(
    {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv}
)


# ---------------------------------------------------------------------------------------------- helpers


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _frozen(value: Any) -> Any:
    return tuple(_frozen(entry) for entry in value) if isinstance(value, (list, tuple)) else value


def _row(subject: str, value: Any, d: int) -> Float64:
    entries = value if isinstance(value, (list, tuple, np.ndarray)) else [value] * d
    if len(entries) != d:
        raise InputError(subject, value, f"be a number or {d} numbers", "one for each column")
    return np.array([validation.real(subject, entry, "be finite", "one for each column") for entry in entries])


def _spectrum(spectrum: Sequence[float]) -> Float64:
    subject, remedy = "spectrum of gaussian_spectrum", "it holds the eigenvalues, as [9.0, 4.0, 1.0]"
    if not isinstance(spectrum, (list, tuple, np.ndarray)) or len(spectrum) == 0:
        raise InputError(subject, spectrum, "be a list of numbers >= 0", remedy)
    eigenvalues = _row(subject, spectrum, len(spectrum))
    if np.any(eigenvalues < 0):
        raise InputError(subject, spectrum, "be >= 0", remedy)
    return eigenvalues


def _orthonormal(A: Float64) -> Float64:
    # The sign of each column is fixed, so that every LAPACK gives the same data.
    Q, R = np.linalg.qr(A)
    return np.asarray(Q * np.where(np.diag(R) < 0, -1.0, 1.0))
