"""The parameters of ProCoGAN, checked against the images once, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.errors import InputError
from convexwgan.extras import require
from convexwgan.geometry.top_spectra import SpectrumPlan, plan_spectrum
from convexwgan.models.neural_parameters import torch_device
from convexwgan.models.pyramid import available_memory, check_resolutions
from convexwgan.spec.validation import count, flag, positive, tolerance

if TYPE_CHECKING:
    from convexwgan.models.procogan import ProCoGAN
    from convexwgan.models.progressive import ProgressiveGenerator

PAPER_COMPONENTS = (20, 30, 40, 100, 175)
_UNKNOWN = 64
"""Components assumed in plans where β_d decides how many stay."""


@dataclass(frozen=True)
class Settings:
    """Checked parameters: one entry a stage. ``fresh``: r_i after the first stage, None for "auto".

    ``lost``: noise columns that a mean of zero costs where there is no constant column to absorb it.
    """

    sides: tuple[int, ...]
    components: tuple[int, ...] | None
    betas: tuple[float, ...] | None
    latent_dim: int
    fresh: tuple[int, ...] | None
    lost: int
    seed: int
    budget: int
    plans: tuple[SpectrumPlan, ...]
    work: list[float]

    def fresh_columns(self, stage: int, k: int, generator: ProgressiveGenerator) -> int:
        """r_i of this stage: what is given, else what k components need beyond those that arrive."""
        if stage == 0:
            return self.latent_dim
        if self.fresh is not None:
            return self.fresh[stage - 1]
        missing = max(0, k - generator.stages[-1].components)
        return missing + self.lost if missing else 0

    def described(self, model: ProCoGAN) -> dict[str, Any]:
        """All that decides what a fit computes; a checkpoint of anything else is refused."""
        return {
            "sides": list(self.sides),
            "components": None if self.components is None else list(self.components),
            "betas": None if self.betas is None else list(self.betas),
            "latent_dim": self.latent_dim,
            "fresh": None if self.fresh is None else list(self.fresh),
            "bias": model.bias,
            "skip": model.skip,
            "seed": self.seed,
            "dtype": model.dtype,
            "tol": float(model.tol),
        }


def read_settings(model: ProCoGAN, shape: tuple[int, int, int, int], seed: int | None = None) -> Settings:
    """The model's parameters, checked for images of this shape.

    Raises:
        InputError: the parameter that is out of range, with the remedy.
    """
    n, height, width, channels = shape
    if height != width:
        raise InputError("shape of images", shape, "be square", "crop or pad the images")
    sides = check_resolutions(model.resolutions, height)
    flag("bias", model.bias, "it is whether the latent has a constant column")
    flag("skip", model.skip, "it is whether the discriminator has a linear skip")
    tolerance("tol of ProCoGAN", model.tol)
    if model.device is not None:
        _require_device(model.device)
    if model.dtype not in ("float32", "float64"):
        raise InputError("dtype", model.dtype, 'be "float32" or "float64"', "float32 halves memory and time")
    latent_dim = count("latent_dim", model.latent_dim, "it is the noise dimension of the first stage")
    dims = [side * side * channels for side in sides]
    components, betas = _strengths(model, sides, dims)
    fresh = _fresh(model.fresh_noise, len(sides))
    lost = 1 if model.skip and not model.bias else 0
    if components is not None:
        _require_rank(components, latent_dim, fresh, n, lost)
    budget = _budget(model.memory_budget)
    wanted = [k + 1 for k in components] if components is not None else [_UNKNOWN] * len(sides)
    plans = tuple(
        plan_spectrum(n, d, min(k, n, d), budget // 2 if model.memory_budget is not None else None)
        for d, k in zip(dims, wanted, strict=True)
    )
    work = [float(n * d * (d if p.method == "dense" else 5 * k)) for d, k, p in zip(dims, wanted, plans, strict=True)]
    seed = _seed(model) if seed is None else seed
    return Settings(sides, components, betas, latent_dim, fresh, lost, seed, budget, plans, work)


def _require_device(device: Any) -> None:
    require("torch", "torch", "device of ProCoGAN")
    torch_device(device if isinstance(device, str) else str(device))


def _strengths(
    model: ProCoGAN, sides: tuple[int, ...], dims: list[int]
) -> tuple[tuple[int, ...] | None, tuple[float, ...] | None]:
    """(components, None) or (None, betas)."""
    if model.components is not None and model.betas is not None:
        raise InputError("betas", model.betas, "not be given beside components", "each of them decides what stays")
    if model.betas is not None:
        given = _entries("betas", model.betas)
        betas = tuple(positive("betas", beta, "each is the strength β_d of a stage") for beta in given)
        _require_length("betas", betas, sides)
        return None, betas
    if model.components is None:
        padded = PAPER_COMPONENTS + (PAPER_COMPONENTS[-1],) * max(0, len(sides) - len(PAPER_COMPONENTS))
        return tuple(min(k, d) for k, d in zip(padded, dims, strict=False)), None
    wanted = _entries("components", model.components)
    components = tuple(count("components", k, "they count what stays at each stage") for k in wanted)
    _require_length("components", components, sides)
    for k, d, side in zip(components, dims, sides, strict=True):
        if k > d:
            raise InputError("components", k, f"be at most {d}", f"images of {side} pixels have no more dimensions")
    return components, None


def _entries(name: str, given: Any) -> list[Any]:
    try:
        return list(given)
    except TypeError:
        raise InputError(name, given, "be a tuple, one entry a stage", f"as {name}=({given},) for one stage") from None


def _require_length(name: str, given: Sequence[Any], sides: tuple[int, ...]) -> None:
    if len(given) != len(sides):
        must = f"have one entry for each of the resolutions {sides}"
        raise InputError(name, given, must, "set resolutions= or change the number of entries")


def _fresh(given: Any, stages: int) -> tuple[int, ...] | None:
    if isinstance(given, str):
        if given != "auto":
            raise InputError("fresh_noise", given, 'be "auto" or whole numbers', "0 forbids fresh noise")
        return None
    entries = [given] * (stages - 1) if isinstance(given, int | np.integer) else _entries("fresh_noise", given)
    if len(entries) != stages - 1:
        must = f"have {stages - 1} entries, one for each stage after the first"
        raise InputError("fresh_noise", given, must, 'or be "auto"')
    return tuple(count("fresh_noise", r, "it is a number of noise columns", least=0) for r in entries)


def _require_rank(
    components: tuple[int, ...], latent_dim: int, fresh: tuple[int, ...] | None, n: int, lost: int
) -> None:
    """Refuse stages whose components exceed the rank that their latent can have (less one for a mean of zero)."""
    rank = latent_dim - lost
    for stage, k in enumerate(components):
        if stage > 0:
            arriving = components[stage - 1]
            columns = fresh[stage - 1] if fresh is not None else k - arriving + lost if k > arriving else 0
            rank = arriving + max(0, columns - lost)
        if min(k, n - 1) > rank:
            if stage == 0:
                must, remedy = f"be at least {k + lost}, the components of the first stage", "or keep fewer components"
                raise InputError("latent_dim", latent_dim, must, remedy)
            must = f"give stage {stage + 1} at least {k - components[stage - 1] + lost} columns"
            remedy = f"a linear stage cannot raise rank {rank} to {k} components; leave fresh_noise='auto'"
            raise InputError("fresh_noise", fresh, must, remedy)


def _budget(given: Any) -> int:
    if given is None:
        return available_memory()
    return count("memory_budget", given, "it is a number of bytes, at least 1 MiB", least=1 << 20)


def _seed(model: ProCoGAN) -> int:
    if model.random_state is None:
        if model.checkpoint is not None:
            raise InputError("random_state", None, "be an int for a checkpoint", "a fit that goes on needs its seed")
        return int(np.random.SeedSequence().generate_state(1)[0])
    return count("random_state", model.random_state, "give an int or None", least=0)
