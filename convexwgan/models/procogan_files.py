"""ProCoGAN on disk: the model, and the stages of a fit that was interrupted. safetensors, replaced atomically."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from convexwgan import storage
from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Certificate, Check
from convexwgan.errors import FileFormatError, InputError
from convexwgan.models.progressive import ProgressiveGenerator, Stage

if TYPE_CHECKING:
    from convexwgan.models.procogan import ProCoGAN

Model = TypeVar("Model", bound="ProCoGAN")
_ARRAYS = ("T", "shift", "vectors", "scale", "mean", "values")
_PARAMETERS = ("resolutions", "components", "betas", "latent_dim", "bias", "skip", "random_state", "dtype", "tol")


class Checkpoint:
    """The folder of an interrupted fit; nothing without a folder.

    A stage comes with the basis that its certificate starts from; certificates are never stored, but made again.
    """

    def __init__(self, folder: str | Path | None, settings: dict[str, Any], fingerprint: str) -> None:
        self.folder = None if folder is None else Path(folder)
        self.identity: dict[str, Any] = {"settings": settings, "fingerprint": fingerprint}
        if self.folder is not None:
            if self.folder.exists() and not self.folder.is_dir():
                raise InputError("checkpoint", str(folder), "be a folder", "name one, it need not exist")
            self.folder.mkdir(parents=True, exist_ok=True)

    def load(self, i: int) -> tuple[Stage, Float64, Float64] | None:
        """(stage, Q, P) of a finished stage, None when it is not there.

        Raises:
            FileFormatError: the stage belongs to other settings or other data.
        """
        if self.folder is None or not self._path(i).is_file():
            return None
        header, tensors = storage._read(self._path(i), "procogan stage")
        for name, here in self.identity.items():
            if header.get(name) != here:
                what = _difference(header.get(name), self.identity["settings"]) if name == "settings" else "the images"
                raise FileFormatError(
                    f"{self._path(i)} belongs to another fit: {what} changed; use another checkpoint folder, "
                    "or delete this one."
                )
        return _stage(header["stage"], tensors, "", str(self._path(i))), tensors["basis"], tensors["product"]

    def save(self, i: int, stage: Stage, basis: Float64, product: Float64) -> None:
        """Write a finished stage, atomically."""
        if self.folder is None:
            return
        header = {"content": "procogan stage", **self.identity, "stage": _description(stage)}
        arrays = {"basis": np.ascontiguousarray(basis), "product": np.ascontiguousarray(product)}
        storage._write(self._path(i), header, {**_tensors(stage, ""), **arrays})

    def _path(self, i: int) -> Path:
        assert self.folder is not None
        return self.folder / f"stage-{i + 1}.safetensors"


def _difference(then: Any, now: dict[str, Any]) -> str:
    if not isinstance(then, dict):
        return "the settings"
    changed = [name for name in now if then.get(name) != now[name]]
    return ", ".join(f"{name} ({then.get(name)!r} → {now[name]!r})" for name in changed) or "the settings"


def save_model(model: ProCoGAN, path: str | Path) -> Path:
    """See ``ProCoGAN.save``."""
    generator = model.generator_
    parameters = {name: _plain(getattr(model, name)) for name in _PARAMETERS}
    parameters["fresh_noise"] = _plain(model.fresh_noise)
    header = {
        "content": "procogan",
        "parameters": parameters,
        "n": generator.n,
        "seed": generator.seed,
        "fingerprint": model.fingerprint_,
        "stages": [_description(stage) for stage in generator.stages],
        "claims": [
            {"lower": c.lower, "upper": c.upper, "violation": c.violation, "status": c.status.name, "tol": c.tol}
            if math.isfinite(c.violation)
            else {}
            for c in model.certificates_
        ],
    }
    tensors: storage.Tensors = {}
    for i, stage in enumerate(generator.stages):
        tensors.update(_tensors(stage, f"{i}."))
    return storage._write(path, header, tensors)


def load_model(cls: type[Model], path: str | Path) -> Model:
    """See ``ProCoGAN.load``."""
    header, tensors = storage._read(path, "procogan")
    try:
        model = cls(**header["parameters"])
        stages = tuple(_stage(part, tensors, f"{i}.", str(path)) for i, part in enumerate(header["stages"]))
        if not stages:
            raise KeyError("stages")
        _require_chain(stages, str(path))
        model.generator_ = ProgressiveGenerator(stages, int(header["n"]), int(header["seed"]))
        model.certificates_ = tuple(_claim(claim, float(model.tol)) for claim in header["claims"])
        model.n_samples_, model.fingerprint_ = int(header["n"]), str(header["fingerprint"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path} is damaged: its header lacks or garbles {error}; save it again.") from error
    model.resolutions_ = tuple(stage.shape[0] for stage in stages)
    model.plans_ = ()
    return model


def _claim(claim: dict[str, Any], tol: float) -> Certificate:
    check = Check("verified on the images", False, "read from a file: call verify(images)")
    numbers = (float(claim.get(name, math.nan)) for name in ("lower", "upper", "violation"))
    lower, upper, violation = numbers
    return Certificate(lower, upper, violation, "sampled", (check,), tol=tol)


def _description(stage: Stage) -> dict[str, Any]:
    return {"shape": list(stage.shape), "fresh": stage.fresh, "beta": stage.beta}


def _tensors(stage: Stage, prefix: str) -> storage.Tensors:
    return {f"{prefix}{name}": np.ascontiguousarray(getattr(stage, name)) for name in _ARRAYS}


def _stage(description: dict[str, Any], tensors: storage.Tensors, prefix: str, path: str) -> Stage:
    arrays = {name: np.asarray(tensors[prefix + name], np.float64) for name in _ARRAYS}
    height, width, channels = (int(size) for size in description["shape"])
    stage = Stage((height, width, channels), int(description["fresh"]), beta=float(description["beta"]), **arrays)
    k, d = len(stage.scale), height * width * channels
    shapes = (stage.T.shape[1:], stage.shift.shape, stage.vectors.shape, stage.mean.shape, stage.values.shape)
    if shapes != ((k,), (k,), (d, k), (d,), (k,)) or not all(np.all(np.isfinite(a)) for a in arrays.values()):
        raise FileFormatError(f"{path} is damaged: the arrays of a stage do not fit each other; save it again.")
    return stage


def _require_chain(stages: tuple[Stage, ...], path: str) -> None:
    before = 0
    for stage in stages:
        if len(stage.T) != before + stage.fresh:
            raise FileFormatError(f"{path} is damaged: its stages do not fit each other; save it again.")
        before = stage.components


def _plain(value: Any) -> Any:
    """Tuples and NumPy numbers as JSON has them."""
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(entry) for entry in value] if isinstance(value, tuple | list | np.ndarray) else value
