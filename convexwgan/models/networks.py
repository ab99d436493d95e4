"""Multilayer perceptrons for neural generators and discriminators, and the range of a discriminator's output.

Weights are drawn by NumPy and then moved, so that every device starts from the same networks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.errors import InputError
from convexwgan.spec.divergence import Divergence

if TYPE_CHECKING:
    import torch

LEAK = 0.1
"""Slope of the networks' activation below zero: no neuron dies."""


def perceptron(sizes: Sequence[int], rng: np.random.Generator) -> torch.nn.Sequential:
    """x ↦ W_L φ(… φ(W_1 x + b_1) …) + b_L in float32, φ(t) = max(t, 0.1t), b = 0,
    W ~ N(0, 2/fan-in), the last one N(0, 1/fan-in).

    >>> perceptron([3, 8, 1], np.random.default_rng(0))[0].weight.shape
    torch.Size([8, 3])
    """
    import torch

    layers: list[torch.nn.Module] = []
    for index, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        # On "meta" torch draws no weights of its own, which would move its global random numbers.
        layer = torch.nn.Linear(rows, columns, device="meta").to_empty(device="cpu")
        # Half of a rectified layer is lost, nothing of a linear one: outputs then have variance about 1.
        gain = 2.0 if index < len(sizes) - 2 else 1.0
        W = rng.standard_normal((columns, rows)) * math.sqrt(gain / rows)
        with torch.no_grad():
            layer.weight.copy_(torch.as_tensor(W))
            layer.bias.zero_()
        layers += [layer, torch.nn.LeakyReLU(LEAK)]
    return torch.nn.Sequential(*layers[:-1])


def bounded_output(logit: Any, divergence: Divergence, clip: float) -> Any:
    """D(x) from a network's real output t, smoothly clipped inside the domain of (f₀, f₁).

    D increases in t and keeps a gradient everywhere. Formulas, c the clip:
        domain (a, b):  D = a + (b − a)(c + (1 − 2c) sigmoid(t))
        domain (a, ∞):  D = a + (D* − a) exp(ℓ tanh(t/ℓ)), ℓ = log(1/c): D − a in [c, 1/c] times D* − a
        domain (−∞, b): mirrored
        domain ℝ:       D = D* + tanh(c t)/c: within 1/c of D*

    >>> import torch
    >>> bounded_output(torch.tensor([-1e9, 0.0, 1e9]), Divergence.named("jensen-shannon"), 0.1)
    tensor([0.1000, 0.5000, 0.9000])
    >>> bounded_output(torch.tensor([-1e9, 0.0, 1e9]), Divergence.named("reverse-kl"), 0.1)
    tensor([ 0.1000,  1.0000, 10.0000])
    """
    import torch

    (low, high), best = divergence.domain, divergence.optimum
    if math.isinf(low) and math.isinf(high):
        return best + torch.tanh(clip * logit) / clip
    if math.isinf(high):
        return low + (best - low) * _bounded_exp(logit, clip)
    if math.isinf(low):
        return high - (high - best) * _bounded_exp(-logit, clip)
    return low + (high - low) * (clip + (1 - 2 * clip) * torch.sigmoid(logit))


def _bounded_exp(logit: Any, clip: float) -> Any:
    """exp(ℓ tanh(t/ℓ)), ℓ = log(1/c)."""
    import torch

    reach = -math.log(clip)
    return torch.exp(reach * torch.tanh(logit / reach))


def kernel_density(points: Any, samples: Any, sigma: float) -> Any:
    """p_g(x_i) = mean_j exp(−‖x_i − g_j‖²/(2σ²)): a Gaussian kernel of peak 1 at every x_i.

    Args:
        points: (n, d). samples: (m, d). sigma: σ > 0.

    >>> import torch
    >>> kernel_density(torch.tensor([[0.0], [3.0]]), torch.tensor([[0.0], [0.0]]), 1.0)
    tensor([1.0000, 0.0111])
    """
    import torch

    squares = (points**2).sum(1)[:, None] + (samples**2).sum(1)[None] - 2 * points @ samples.T
    # Rounding leaves −eps‖x‖² at equal points: not a distance.
    return torch.exp(-squares.clamp_min(0.0) / (2 * sigma**2)).mean(1)


def arrays_of(module: torch.nn.Module, prefix: str) -> dict[str, np.ndarray[Any, Any]]:
    """Every parameter and buffer as a NumPy array, under ``prefix.name``."""
    state = module.state_dict()
    return {f"{prefix}.{name}": np.array(tensor.detach().cpu().numpy()) for name, tensor in state.items()}


def put_arrays(module: torch.nn.Module, tensors: dict[str, np.ndarray[Any, Any]], prefix: str) -> None:
    """The inverse of ``arrays_of``, in place.

    Raises:
        KeyError, RuntimeError: an array is missing or has another shape.
    """
    import torch

    state = {name: torch.as_tensor(tensors[f"{prefix}.{name}"]) for name in module.state_dict()}
    module.load_state_dict(state)


def require_same_layout(discriminator: torch.nn.Module, tensors: dict[str, np.ndarray[Any, Any]], path: str) -> None:
    """Refuse to resume with a discriminator whose arrays are not those of the checkpoint.

    Raises:
        InputError: other names or shapes.
    """
    here = {name: tuple(array.shape) for name, array in arrays_of(discriminator, "discriminator").items()}
    there = {name: tuple(array.shape) for name, array in tensors.items() if name.startswith("discriminator.")}
    if here != there:
        texts = [", ".join(f"{name} {shape}" for name, shape in layout.items()) or "none" for layout in (there, here)]
        must = "be a checkpoint of a run with this discriminator"
        remedy = f"resume with the discriminator= that it was started with; its arrays: {texts[0]}; here: {texts[1]}"
        raise InputError("resume", path, must, remedy)


def require_judge(discriminator: Any, d: int) -> None:
    """Refuse a discriminator of the caller's own that is no module (n, d) → (n, 1).

    Raises:
        InputError: another kind of object, or an output of another shape.
    """
    import torch

    subject, remedy = "what discriminator(d) returns", f"as torch.nn.Linear({d}, 1)"
    if not isinstance(discriminator, torch.nn.Module):
        raise InputError(subject, discriminator, "be a torch.nn.Module", remedy)
    held = next(discriminator.parameters(), None)
    training = discriminator.training
    try:
        with torch.no_grad():
            # In eval mode, so that looking changes no running statistics and draws no random numbers.
            out = discriminator.eval()(torch.zeros((2, d), device=None if held is None else held.device))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise InputError(
            subject, discriminator, f"take samples of shape (n, {d})", f"{remedy}; torch: {error}"
        ) from error
    finally:
        discriminator.train(training)
    if tuple(getattr(out, "shape", ())) != (2, 1):
        raise InputError(subject, discriminator, "give outputs of shape (n, 1)", remedy)
