"""Solutions and generators on disk: safetensors, never pickle; replaced at once or not at all."""

from __future__ import annotations

import json
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.certificates.certificate import Certificate, Check, Status
from convexwgan.certificates.claim import TREE
from convexwgan.certificates.verify import LOOSEST_TOLERANCE
from convexwgan.errors import FileFormatError, InputError
from convexwgan.fitted import FittedGenerator, fitted_discriminator
from convexwgan.fitted_distribution import FittedDistribution
from convexwgan.solution import Solution, Stats
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import Latent
from convexwgan.spec.regularizer import Regularizer, unsaved_function
from convexwgan.spec.serialize import wgan_from_dict, wgan_to_dict
from convexwgan.spec.wgan import WGAN

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "convexwgan"
VERSION = 1
_DUAL = ("u", "v", "b", "skip", "output_multiplier", *TREE)

Tensors = dict[str, np.ndarray[Any, Any]]


def save_solution(solution: Solution, path: str | Path) -> Path:
    """Write spec, primal, dual, claims and the SHA-256 of the data; see ``Solution.save``."""
    header = {
        "content": "solution",
        "wgan": _spec_to_dict(solution.wgan),
        "claims": _claims(solution),
        "normalize": solution.normalize,
        "fingerprint": solution.fingerprint,
        "method": solution.stats.method,
        "has_discriminator": solution.discriminator is not None,
    }
    tensors: Tensors = {f"dual.{name}": np.ascontiguousarray(array) for name, array in solution.dual.items()}
    if solution.generator is not None:
        header["generator"], parts = _generator_parts(solution.generator)
        tensors.update(parts)
    if solution.realization is not None:  # its generator is the game's own
        header["realization"] = {"claims": _claims(solution.realization), "method": solution.realization.stats.method}
        arrays = solution.realization.dual.items()
        tensors.update({f"realization.{name}": np.ascontiguousarray(array) for name, array in arrays})
    return _write(path, header, tensors)


def _claims(solution: Solution) -> dict[str, Any]:
    return {
        "status": solution.status.name,
        "value": _number(solution.value),
        "bound": _number(solution.bound),
        "tol": solution.tol,
    }


def load_solution(path: str | Path) -> Solution:
    """A saved solution, UNVERIFIED: what a file says is a claim; see ``Solution.load``."""
    header, tensors = _read(path, "solution")
    try:
        wgan = _spec_from_dict(header["wgan"])
        dual: dict[str, Float64] = {
            name: np.asarray(tensors[f"dual.{name}"], np.float64) for name in _DUAL if f"dual.{name}" in tensors
        }
        generator = None
        if "generator" in header:
            generator = _generator(header["generator"], tensors, wgan.players[1])
        discriminator = None
        if header["has_discriminator"] and "u" in dual:
            discriminator = fitted_discriminator(wgan.players[0], dual)
        fingerprint = header["fingerprint"]
        if not isinstance(fingerprint, str | None):
            raise TypeError("fingerprint")
        certificate, stats = _claimed(header["claims"], str(header["method"]), generator, path)
        normalize = _convention(header["normalize"])
        realization = None
        if "realization" in header and generator is not None:
            realization = _realization(header["realization"], tensors, generator, (wgan, fingerprint), path)
        if generator is not None and generator.normalize != normalize:
            raise FileFormatError(f"{path} is damaged: its two conventions differ; save the solution again.")
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"{path} is damaged: its header lacks or garbles {error}; save the solution again."
        ) from error
    return Solution.of(
        wgan,
        certificate,
        generator,
        stats,
        dual,
        discriminator=discriminator,
        normalize=normalize,
        fingerprint=fingerprint,
        realization=realization,
    )


def _claimed(
    claims: Mapping[str, Any], method: str, generator: FittedGenerator | None, path: str | Path
) -> tuple[Certificate, Stats]:
    """The claims of a file as an unverified certificate, and what it says of the run."""
    value, bound, tol = _unnumber(claims["value"]), _unnumber(claims["bound"]), float(claims["tol"])
    claimed = Status[claims["status"]]
    if not 0.0 < tol <= LOOSEST_TOLERANCE:
        raise FileFormatError(f"{path} claims tolerance {tol:g}, which must be in (0, {LOOSEST_TOLERANCE:g}].")
    extra = {"claimed_status": claimed.name, "claimed_tol": tol, "file": str(path)}
    tol = min(tol, _default_tolerance(generator))  # the tolerance of a file is a claim too: never looser unasked
    return _unverified(value, bound, tol), Stats(method, extra=extra)


def _realization(
    table: Mapping[str, Any],
    tensors: Tensors,
    generator: FittedGenerator,
    origin: tuple[WGAN, str | None],
    path: str | Path,
) -> Solution:
    """The weight problem's own solution, unverified as well; files without one are of another pair, or older."""
    certificate, stats = _claimed(table["claims"], str(table["method"]), generator, path)
    prefix = "realization."
    dual = {
        name.removeprefix(prefix): np.asarray(array, np.float64)
        for name, array in tensors.items()
        if name.startswith(prefix)
    }
    wgan, fingerprint = origin
    return Solution.of(
        wgan, certificate, generator, stats, dual, normalize=generator.normalize, fingerprint=fingerprint
    )


def save_generator(generator: FittedGenerator, path: str | Path) -> Path:
    """Write a generator alone; see ``FittedGenerator.save``."""
    description, tensors = _generator_parts(generator)
    return _write(path, {"content": "generator", "generator": description}, tensors)


def load_generator(path: str | Path) -> FittedGenerator:
    """The generator of a generator file or of a solution file; see ``FittedGenerator.load``."""
    header, tensors = _read(path, "generator or solution")
    if "generator" not in header or "weights" not in tensors:
        raise FileFormatError(f"{path} holds no generator: its problem was infeasible.")
    try:
        return _generator(header["generator"], tensors, None)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path} is damaged: its header lacks or garbles {error}; save the generator again."
        ) from error


# ---- parts -------------------------------------------------------------------------------------------------------


def _generator_parts(generator: FittedGenerator) -> tuple[dict[str, Any], Tensors]:
    spec = generator.spec
    description: dict[str, Any] = {
        "kind": spec.kind,
        "coefficients": None if spec.coefficients is None else list(spec.coefficients),
        "bias": spec.bias,
        "latent": None if generator.latent is None else {"kind": generator.latent.kind, "dim": generator.latent.dim},
        "normalize": generator.normalize,
        "columns": None if generator.columns is None else list(generator.columns),
    }
    tensors = {"weights": _host(generator.weights)}
    if isinstance(generator, FittedDistribution):
        tensors["weights"] = np.column_stack([_host(generator.atoms), _host(generator.weights)])
        description["mass"] = generator.mass
    if generator.first is not None:
        tensors["first"] = _host(generator.first)
    return description, tensors


def _host(array: Any) -> np.ndarray[Any, Any]:
    narrow = "float32" in str(array.dtype)
    return np.ascontiguousarray(to_numpy64(array).astype(np.float32 if narrow else np.float64))


def _generator(description: Mapping[str, Any], tensors: Tensors, expected: Generator | None) -> FittedGenerator:
    """The generator that a file describes; ``expected`` is the architecture that the file's own spec asks for."""
    coefficients, latent = description["coefficients"], description["latent"]
    triple = None if coefficients is None else tuple(coefficients)
    spec = Generator(description["kind"], coefficients=triple, bias=bool(description.get("bias", False)))
    if expected is not None:
        if (spec.kind, spec.coefficients, spec.bias) != (expected.kind, expected.coefficients, expected.bias):
            raise FileFormatError(f"the file's generator {spec!r} is not that of its architecture, {expected!r}.")
        spec = expected
    if spec.kind == "distribution":
        return _distribution(spec, description, _matrix(tensors, "weights"))
    generator = FittedGenerator(
        spec,
        _matrix(tensors, "weights"),
        latent=None if latent is None else Latent(latent["kind"], latent["dim"]),
        normalize=_convention(description["normalize"]),
        columns=_columns(description["columns"]),
        first=_matrix(tensors, "first") if spec.kind == "relu" else None,
    )
    _check_consistent(generator)
    return generator


def _distribution(spec: Generator, description: Mapping[str, Any], table: Any) -> FittedDistribution:
    """Atoms and probabilities from the table [atoms | probabilities]."""
    atoms, p, columns = table[:, :-1], table[:, -1], _columns(description["columns"])
    if table.shape[1] < 2 or bool((p < 0.0).any()) or not abs(float(p.sum()) - 1.0) <= 1e-5:
        raise FileFormatError("the file's distribution has no probabilities of sum 1; save the generator again.")
    if columns is not None and len(columns) != atoms.shape[1]:
        raise FileFormatError(f"the file names {len(columns)} columns for {atoms.shape[1]} features.")
    convention, mass = _convention(description["normalize"]), float(description["mass"])
    return FittedDistribution(spec, p, normalize=convention, columns=columns, atoms=atoms, mass=mass)


def _matrix(tensors: Tensors, name: str) -> np.ndarray[Any, Any]:
    matrix = tensors[name]
    if matrix.ndim != 2 or matrix.dtype not in (np.float32, np.float64) or not np.all(np.isfinite(matrix)):
        raise FileFormatError(f"the file's {name} are not a finite float matrix; save the generator again.")
    matrix = matrix.copy()
    matrix.flags.writeable = False
    return matrix


def _convention(text: Any) -> Literal["sum", "mean"]:
    if text not in ("sum", "mean"):
        raise FileFormatError(f'the convention {text!r} in the file must be "sum" or "mean"; save the solution again.')
    return "mean" if text == "mean" else "sum"


def _columns(names: Any) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FileFormatError("the file's column names are no list of texts; save the generator again.")
    return tuple(names)


def _check_consistent(generator: FittedGenerator) -> None:
    """Shapes, noise dimension and column names must fit each other."""
    weights, columns, latent = generator.weights, generator.columns, generator.latent
    if columns is not None and len(columns) != weights.shape[1]:
        raise FileFormatError(f"the file names {len(columns)} columns for {weights.shape[1]} features.")
    if generator.first is not None and generator.first.shape[1] != weights.shape[0]:
        raise FileFormatError("the file's two layers do not fit each other; save the generator again.")
    if latent is not None and latent.dim != generator.latent_dim:
        raise FileFormatError(f"the file's noise has dimension {latent.dim}, its weights {generator.latent_dim}.")


def _default_tolerance(generator: FittedGenerator | None) -> float:
    narrow = generator is not None and "float32" in str(generator.weights.dtype)
    return 1e-4 if narrow else 1e-6


def _spec_to_dict(wgan: WGAN) -> dict[str, Any]:
    if wgan.regularizer.kind != "custom":
        return wgan_to_dict(wgan)
    return {**wgan_to_dict(replace(wgan, chosen_regularizer=None)), "custom_of": wgan.regularizer.of}


def _spec_from_dict(table: Mapping[str, Any]) -> WGAN:
    plain = {name: part for name, part in table.items() if name != "custom_of"}
    wgan = wgan_from_dict(plain)
    if "custom_of" not in table:
        return wgan
    return replace(wgan, chosen_regularizer=Regularizer.custom(unsaved_function, table["custom_of"]))


def _unverified(value: float, bound: float, tol: float) -> Certificate:
    check = Check("verified on the data", False, "read from a file: run verify(problem, solution)")
    return Certificate(lower=bound, upper=value, violation=math.nan, scope="sampled", checks=(check,), tol=tol)


# ---- files -------------------------------------------------------------------------------------------------------


def _number(value: float) -> float | str:
    """JSON has no infinity: a text stands for it."""
    return value if math.isfinite(value) else repr(value)


def _unnumber(value: float | str) -> float:
    return float(value)


def _write(path: str | Path, header: dict[str, Any], tensors: Tensors) -> Path:
    """Serialise, write beside the target, then replace it in one step."""
    from safetensors.numpy import save

    target = _path(path)
    if target.is_dir() or not target.parent.is_dir():
        raise InputError(
            "path", str(target), "be a file in an existing folder", "make the folder first, or add a file name"
        )
    text = json.dumps({"format": FORMAT, "version": VERSION, **header}, ensure_ascii=False)
    payload = save(tensors, metadata={FORMAT: text})
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise InputError("path", str(target), "be in a folder that can be written", str(error)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def _path(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise InputError("path", path, "be a text or a pathlib.Path", "name the file")
    return Path(path)


def _umask() -> int:
    """The process's file mode mask: a saved file gets the permissions of any new file, not those of a temporary one."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read(path: str | Path, expected: str) -> tuple[dict[str, Any], Tensors]:
    """Header and tensors of one of our files.

    Raises:
        InputError: no such file. FileFormatError: anything else than a file of ours.
    """
    from safetensors import SafetensorError, safe_open

    source = _path(path)
    if not source.is_file():
        raise InputError("path", str(source), "be an existing file", f"give the {expected} file that save() wrote")
    try:
        with safe_open(str(source), framework="numpy") as file:
            text = (file.metadata() or {}).get(FORMAT)
            tensors: Tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError) as error:
        raise FileFormatError(
            f"{source} is not a safetensors file: {error}. Give the {expected} file that save() wrote."
        ) from error
    return _header(text, source, expected), tensors


def _header(text: str | None, source: Path, expected: str) -> dict[str, Any]:
    try:
        header = json.loads(text) if text is not None else None
    except json.JSONDecodeError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise FileFormatError(f"{source} was not written by convexwgan: give the {expected} file that save() wrote.")
    if header.get("version") != VERSION:
        raise FileFormatError(
            f"{source} has format version {header.get('version')!r}; this convexwgan reads version {VERSION}: "
            "install the matching release."
        )
    if header.get("content") not in expected.split(" or "):
        raise FileFormatError(f"{source} holds a {header.get('content')}, not a {expected}.")
    return header
