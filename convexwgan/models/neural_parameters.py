"""What a neural GAN is given, checked at once: sizes, rates, modes, device, seeds, and the scale of the data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.arrays import LARGEST, Float64, as_samples, to_numpy64
from convexwgan.errors import InputError
from convexwgan.spec.validation import count, flag, positive, real

if TYPE_CHECKING:
    import torch

    from convexwgan.models.neural_gan import NeuralGAN

# Streams of random_state: networks and training; samples; samples that a report looks at.
FIT, SAMPLE, REPORT = 0, 1, 2

LARGEST_SINGLE = 1e18
"""Entries beyond this leave float32 when squared."""

COUNTS = {
    "latent_dim": "it is the dimension of the noise",
    "iterations": "each is one or more gradient steps of both players",
    "batch_size": "it is the number of samples in a gradient step",
    "checkpoint_every": "it is the number of iterations between checkpoints",
    "report_every": "it is the number of iterations between reports",
}


def check_common(model: NeuralGAN) -> None:
    """Every parameter that the neural GANs share.

    Raises:
        InputError: the first that is out of its range.
    """
    for name, remedy in COUNTS.items():
        count(name, getattr(model, name), remedy)
    widths = sequence("hidden", model.hidden, "(64, 64) for two layers, () for a linear map")
    for width in widths:
        count("width in hidden", width, "it is the number of neurons of a hidden layer")
    for rate in rates(model.learning_rate):
        positive("learning_rate", rate, "it is the step of Adam")
    if len(sequence("betas", model.betas, "they are the decay rates of Adam's two averages")) != 2:
        raise InputError("betas", model.betas, "be two numbers", "they are the decay rates of Adam's two averages")
    for beta in model.betas:
        within("betas", beta, 0.0, 1.0, "they are the decay rates of Adam's two averages")
    flag("standardize", model.standardize, "True trains on (X − x̄)/scale")
    for name in ("callback", "discriminator"):
        value = getattr(model, name)
        if value is not None and not callable(value):
            raise InputError(name, value, "be a function or None", "the documentation says what it is given")


def checked_modes(modes: Any, radius: Any, d: int) -> Float64 | None:
    """The centres (k, d) that reports look at, or None.

    Raises:
        InputError: other columns than X, or centres without a radius, or a radius without centres.
    """
    if modes is None:
        if radius is not None:
            raise InputError("mode_radius", radius, "come with modes", "give the centres as modes=")
        return None
    centres = to_numpy64(as_samples(modes, "modes"))
    if centres.shape[1] != d:
        raise InputError("modes", modes, f"have {d} columns, as X has", "give one centre a row")
    positive("mode_radius", radius, "a sample this near to a mode is of high quality")
    return centres


def rates(learning_rate: Any) -> tuple[float, float]:
    """(generator's, discriminator's) learning rate; one number stands for both."""
    if not isinstance(learning_rate, tuple | list):
        return learning_rate, learning_rate
    if len(learning_rate) != 2:
        raise InputError("learning_rate", learning_rate, "be one number or two", "as (generator, discriminator)")
    return learning_rate[0], learning_rate[1]


def sequence(subject: str, value: Any, remedy: str) -> tuple[Any, ...]:
    """``value`` as a tuple.

    Raises:
        InputError: it is neither tuple nor list.
    """
    if not isinstance(value, tuple | list):
        raise InputError(subject, value, "be a tuple", remedy)
    return tuple(value)


def within(subject: str, value: Any, low: float, high: float, remedy: str) -> float:
    """``value`` as a float in [low, high).

    Raises:
        InputError: it is not.
    """
    must = f"be at least {low:g} and below {high:g}"
    number = real(subject, value, must, remedy)
    if not low <= number < high:
        raise InputError(subject, value, must, remedy)
    return number


def standard(X: Float64) -> tuple[Float64, float]:
    """(x̄, scale): one scale for all columns, so that distances keep their proportions; 1 for constant data."""
    mean = X.mean(axis=0)
    size = float(np.abs(X).max())
    spread = (X - mean) / (size or 1.0)
    scale = math.sqrt(float((spread**2).mean())) * size
    # The mean of equal numbers is off by rounding: such a spread is none.
    return mean, scale if scale > 1e-12 * size else 1.0


def in_single_range(X: Float64, standardize: bool) -> Float64:
    """X itself, if training in float32 can hold it.

    Raises:
        InputError: entries so large that their squares leave float64, or float32 where X is not standardised.
    """
    top, largest = float(np.abs(X).max()), LARGEST if standardize else LARGEST_SINGLE
    if top > largest:
        remedy = f"its largest entry has size {top:.3g}; rescale X" + ("" if standardize else ", or standardize=True")
        raise InputError("X", X, f"have entries of size at most {largest:g}", remedy)
    return X


def random_stream(state: Any, stream: int | None) -> np.random.Generator:
    """A PCG64 generator from a random_state; with an int, each stream has its own numbers."""
    if state is None:
        return np.random.default_rng()
    if isinstance(state, np.random.Generator):
        return state if stream != FIT else np.random.default_rng(state.integers(2**63))
    if isinstance(state, np.random.RandomState):
        return np.random.default_rng(state.randint(2**31 - 1))
    subject, remedy = ("rng" if stream is None else "random_state"), "give a seed, a numpy Generator, or None"
    seed = count(subject, state, remedy, least=0)
    return np.random.default_rng(seed if stream is None else [seed, stream])


def torch_device(name: Any) -> torch.device:
    import torch

    if not isinstance(name, str):
        raise InputError("device", name, "be a text", '"cpu" or "cuda"')
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError("device", name, "be a device of torch", '"cpu" or "cuda"') from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError("device", name, "be present", 'this machine or this torch has no CUDA; use "cpu"')
    return device
