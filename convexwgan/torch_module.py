"""Fitted generators as ``torch.nn.Module``: a linear layer, or two with a polynomial activation between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.errors import InputError
from convexwgan.extras import require

if TYPE_CHECKING:
    import torch

    from convexwgan.fitted import FittedGenerator


def generator_module(generator: FittedGenerator) -> torch.nn.Module:
    """``torch.nn.Sequential`` computing the generator's output, in the dtype of its weights whatever the noise's."""
    require("torch", "torch", "to_torch")
    if generator.spec.kind == "free":
        raise InputError(
            "to_torch of Generator.free",
            generator.spec,
            "not be asked",
            "a free generator is no function of noise; .output is its whole content",
        )
    if generator.first is not None:
        return _relu_module(generator)
    if generator.spec.coefficients is None:
        return _sequential(_linear(to_numpy64(generator.weights), generator))
    first, second = generator.hidden_weights
    activation = _polynomial_activation(*generator.spec.coefficients)
    return _sequential(_linear(first, generator), activation, _linear(second, generator))


def _relu_module(generator: FittedGenerator) -> torch.nn.Module:
    """Linear → ReLU → Linear; the bias row of W₁ becomes the first layer's bias."""
    import torch

    first, second = generator.hidden_weights
    last = first[-1] if generator.spec.bias else None
    entry = _linear(first[:-1] if generator.spec.bias else first, generator, bias=last)
    return _sequential(entry, torch.nn.ReLU(), _linear(second, generator))


def _sequential(*layers: torch.nn.Module) -> torch.nn.Module:
    import torch

    module = torch.nn.Sequential(*layers)
    module.register_forward_pre_hook(_in_own_dtype)
    return module


def _in_own_dtype(module: torch.nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The noise in the dtype of the weights, as the generator takes it."""
    dtype = next(module.parameters()).dtype
    return tuple(argument.to(dtype) for argument in arguments)


def _linear(matrix: Float64, generator: FittedGenerator, bias: Float64 | None = None) -> Any:
    """A layer x ↦ x·matrix [+ bias]."""
    import torch

    narrow = "float32" in str(generator.weights.dtype)
    rows, columns = matrix.shape
    dtype = torch.float32 if narrow else torch.float64
    layer = torch.nn.Linear(rows, columns, bias=bias is not None, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(np.array(matrix.T)))
        if bias is not None:
            layer.bias.copy_(torch.as_tensor(np.array(bias)))
    return layer


def _polynomial_activation(a: float, b: float, c: float) -> Any:
    import torch

    class Polynomial(torch.nn.Module):
        """σ(t) = at² + bt + c."""

        def forward(self, t: torch.Tensor) -> torch.Tensor:
            return a * t**2 + b * t + c

        def extra_repr(self) -> str:
            return f"a={a:g}, b={b:g}, c={c:g}"

    return Polynomial()
