"""Fitted generators as ``torch.nn.Module``: a linear layer, or two with a polynomial activation between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.arrays import to_numpy64
from convexwgan.errors import InputError
from convexwgan.extras import require

if TYPE_CHECKING:
    import torch

    from convexwgan.fitted import FittedGenerator


def generator_module(generator: FittedGenerator) -> torch.nn.Module:
    """``torch.nn.Sequential`` computing the generator's output, in the dtype of its weights."""
    require("torch", "torch", "to_torch")
    if generator.spec.kind == "free":
        raise InputError(
            "to_torch of Generator.free",
            generator.spec,
            "not be asked",
            "a free generator is no function of noise; .output is its whole content",
        )
    if generator.spec.coefficients is None:
        return _sequential(_linear(to_numpy64(generator.weights), generator))
    first, second = generator.hidden_weights
    activation = _polynomial_activation(*generator.spec.coefficients)
    return _sequential(_linear(first, generator), activation, _linear(second, generator))


def _sequential(*layers: torch.nn.Module) -> torch.nn.Module:
    import torch

    return torch.nn.Sequential(*layers)


def _linear(matrix: np.ndarray[Any, np.dtype[np.float64]], generator: FittedGenerator) -> Any:
    """A bias-free layer x ↦ x·matrix."""
    import torch

    narrow = "float32" in str(generator.weights.dtype)
    rows, columns = matrix.shape
    layer = torch.nn.Linear(rows, columns, bias=False, dtype=torch.float32 if narrow else torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(np.ascontiguousarray(matrix.T)))
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
