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
from convexwgan.errors import FileFormatError, InputError
from convexwgan.fitted import FittedDiscriminator, FittedGenerator
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
_DUAL = ("u", "v", "skip", "output_multiplier")

Tensors = dict[str, np.ndarray[Any, Any]]


def save_solution(solution: Solution, path: str | Path) -> Path:
    """Write spec, primal, dual, claims and the SHA-256 of the data; see ``Solution.save``."""
    header = {
        "content": "solution",
        "wgan": _spec_to_dict(solution.wgan),
        "claims": {
            "status": solution.status.name,
            "value": _number(solution.value),
            "bound": _number(solution.bound),
            "tol": solution.tol,
        },
        "normalize": solution.normalize,
        "fingerprint": solution.fingerprint,
        "method": solution.stats.method,
        "has_discriminator": solution.discriminator is not None,
    }
    tensors: Tensors = {f"dual.{name}": np.ascontiguousarray(array) for name, array in solution.dual.items()}
    if solution.generator is not None:
        header["generator"], tensors["weights"] = _generator_parts(solution.generator)
    return _write(path, header, tensors)


def load_solution(path: str | Path) -> Solution:
    """A saved solution, UNVERIFIED: what a file says is a claim; see ``Solution.load``."""
    header, tensors = _read(path, "solution")
    try:
        wgan = _spec_from_dict(header["wgan"])
        claims = header["claims"]
        value, bound, tol = _unnumber(claims["value"]), _unnumber(claims["bound"]), float(claims["tol"])
        claimed = Status[claims["status"]]
        dual: dict[str, Float64] = {
            name: np.asarray(tensors[f"dual.{name}"], np.float64) for name in _DUAL if f"dual.{name}" in tensors
        }
        generator = _generator(header["generator"], tensors["weights"]) if "generator" in header else None
        discriminator = None
        if header["has_discriminator"] and "u" in dual:
            discriminator = FittedDiscriminator(wgan.players[0], dual["u"], dual["v"], dual.get("skip"))
        fingerprint = header["fingerprint"]
        stats = Stats(header["method"], extra={"claimed_status": claimed.name, "file": str(path)})
        normalize: Literal["sum", "mean"] = "mean" if header["normalize"] == "mean" else "sum"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"{path} is damaged: its header lacks or garbles {error}; save the solution again."
        ) from error
    return Solution(
        wgan=wgan,
        status=Status.UNVERIFIED,
        value=value,
        bound=bound,
        certificate=_unverified(value, bound, tol),
        generator=generator,
        discriminator=discriminator,
        dual=dual,
        stats=stats,
        tol=tol,
        normalize=normalize,
        fingerprint_source=lambda: fingerprint,
    )


def save_generator(generator: FittedGenerator, path: str | Path) -> Path:
    """Write a generator alone; see ``FittedGenerator.save``."""
    description, weights = _generator_parts(generator)
    return _write(path, {"content": "generator", "generator": description}, {"weights": weights})


def load_generator(path: str | Path) -> FittedGenerator:
    """The generator of a generator file or of a solution file; see ``FittedGenerator.load``."""
    header, tensors = _read(path, "generator or solution")
    if "generator" not in header or "weights" not in tensors:
        raise FileFormatError(f"{path} holds no generator: its problem was infeasible.")
    try:
        return _generator(header["generator"], tensors["weights"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path} is damaged: its header lacks or garbles {error}; save the generator again."
        ) from error


# ---- parts -------------------------------------------------------------------------------------------------------


def _generator_parts(generator: FittedGenerator) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    spec = generator.spec
    description = {
        "kind": spec.kind,
        "coefficients": None if spec.coefficients is None else list(spec.coefficients),
        "latent": None if generator.latent is None else {"kind": generator.latent.kind, "dim": generator.latent.dim},
        "normalize": generator.normalize,
        "columns": None if generator.columns is None else list(generator.columns),
    }
    narrow = "float32" in str(generator.weights.dtype)
    return description, np.ascontiguousarray(to_numpy64(generator.weights).astype(np.float32 if narrow else np.float64))


def _generator(description: Mapping[str, Any], weights: np.ndarray[Any, Any]) -> FittedGenerator:
    if weights.ndim != 2 or weights.dtype not in (np.float32, np.float64) or not np.all(np.isfinite(weights)):
        raise FileFormatError("the file's weights are not a finite float matrix; save the generator again.")
    coefficients = description["coefficients"]
    latent = description["latent"]
    columns = description["columns"]
    spec = Generator(description["kind"], coefficients=None if coefficients is None else tuple(coefficients))
    return FittedGenerator(
        spec,
        weights,
        latent=None if latent is None else Latent(latent["kind"], latent["dim"]),
        normalize=description["normalize"],
        columns=None if columns is None else tuple(columns),
    )


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

    target = Path(path)
    if target.is_dir() or not target.parent.is_dir():
        raise InputError(
            "path", str(target), "be a file in an existing folder", "make the folder first, or add a file name"
        )
    text = json.dumps({"format": FORMAT, "version": VERSION, **header}, ensure_ascii=False)
    payload = save(tensors, metadata={FORMAT: text})
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
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

    source = Path(path)
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
