"""Generators: what turns noise Z into output G, one sample a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from convexwgan.errors import InputError
from convexwgan.spec import validation

if TYPE_CHECKING:
    from convexwgan.spec.wgan import WGAN

GeneratorKind = Literal["free", "linear", "polynomial", "relu", "distribution"]
_KINDS = ("free", "linear", "polynomial", "relu", "distribution")
Factor = str | tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Generator:
    """A generator; use the constructors ``free``, ``linear``, ``polynomial``, ``relu``, ``distribution``.

    >>> Generator.polynomial(1, 0.5, 0)
    Generator.polynomial(1.0, 0.5, 0.0)
    """

    kind: GeneratorKind
    coefficients: tuple[float, float, float] | None = None
    width: int | None = None
    bias: bool = False
    factor: Factor = "latent"

    def __post_init__(self) -> None:
        name = f"Generator.{self.kind}"
        if self.kind not in _KINDS:
            raise InputError(
                "kind of Generator",
                self.kind,
                f"be one of {', '.join(_KINDS)}",
                "use a constructor, as Generator.linear()",
            )
        if (self.coefficients is not None) != (self.kind == "polynomial"):
            raise InputError(
                f"coefficients of {name}",
                self.coefficients,
                "be given for polynomial only",
                "use Generator.polynomial(a, b, c)",
            )
        if self.coefficients is not None:
            object.__setattr__(self, "coefficients", validation.coefficients(name, self.coefficients))
        validation.flag(f"bias of {name}", self.bias, "True adds a constant column to Z")
        if self.width is not None:
            object.__setattr__(
                self,
                "width",
                validation.count(f"width of {name}", self.width, "it is the number of hidden neurons m_g"),
            )
        object.__setattr__(self, "factor", _checked_factor(self.factor))
        if self.kind != "relu" and (self.width is not None or self.bias or self.factor != "latent"):
            raise InputError(
                f"width, bias or factor of {name}",
                (self.width, self.bias, self.factor),
                "not be given",
                "they belong to Generator.relu",
            )

    @classmethod
    def free(cls) -> Generator:
        """Any output G, shape (n_f, d_r): the generator that no architecture limits."""
        return cls("free")

    @classmethod
    def linear(cls) -> Generator:
        """G = ZW with W of shape (d_f, d_r)."""
        return cls("linear")

    @classmethod
    def polynomial(cls, a: float, b: float, c: float) -> Generator:
        """G = σ(ZW₁)W₂ with σ(t) = at² + bt + c: a linear generator on lifted noise (Theorem 4.2)."""
        return cls("polynomial", coefficients=(a, b, c))

    @classmethod
    def relu(cls, width: int | None = None, bias: bool = False, factor: Any = "latent") -> Generator:
        """G = (ZW₁)₊W₂; ``factor`` is the L of MATH 3.8: "latent", "optimised" or an array (n_f, k)."""
        return cls("relu", width=width, bias=bias, factor=factor)

    @classmethod
    def distribution(cls) -> Generator:
        """Any distribution on ℝ^{d_r}: the population limit of ``free``."""
        return cls("distribution")

    @property
    def has_weights(self) -> bool:
        """Whether the generator has weights that a regulariser could act on."""
        return self.kind in ("linear", "polynomial", "relu")

    @property
    def needs_noise(self) -> bool:
        """Whether the generator is a function of noise Z."""
        return self.has_weights

    @property
    def output_text(self) -> str:
        """The output G as a formula in Z."""
        sigma = "(ZW₁)₊W₂" if not self.bias else "([Z 1]W₁)₊W₂"
        return {"free": "G", "linear": "ZW", "polynomial": "Z̃W̃", "relu": sigma, "distribution": "ν"}[self.kind]

    def __add__(self, other: Any) -> WGAN:
        from convexwgan.spec.wgan import compose

        return compose(self, other)

    def __radd__(self, other: Any) -> WGAN:
        from convexwgan.spec.wgan import compose_right

        return compose_right(other, self)

    def __repr__(self) -> str:
        parts = [repr(value) for value in self.coefficients or ()]
        if self.width is not None:
            parts.append(f"width={self.width}")
        if self.bias:
            parts.append("bias=True")
        if self.factor != "latent":
            parts.append(
                f"factor={self.factor!r}" if isinstance(self.factor, str) else f"factor=<{len(self.factor)} rows>"
            )
        return f"Generator.{self.kind}({', '.join(parts)})"

    def __str__(self) -> str:
        return {
            "free": "G free, any (n_f, d_r) matrix",
            "linear": "G = ZW",
            "polynomial": f"G = σ(ZW₁)W₂,  σ(t) = {validation.activation_text(self.coefficients or (0, 0, 0))}",
            "relu": f"G = {self.output_text}",
            "distribution": "G ~ ν, any distribution",
        }[self.kind]

    def _repr_latex_(self) -> str:
        sigma = validation.activation_text(self.coefficients or (0, 0, 0)).replace("²", "^2")
        body = {
            "free": r"G \in \mathbb{R}^{n_f \times d_r}",
            "linear": "G = ZW",
            "polynomial": rf"G = \sigma(ZW_1)W_2,\quad \sigma(t) = {sigma}",
            "relu": r"G = ([Z\ 1]W_1)_+W_2" if self.bias else "G = (ZW_1)_+W_2",
            "distribution": r"G \sim \nu",
        }[self.kind]
        return f"${body}$"


def _checked_factor(factor: Any) -> Factor:
    remedy = 'it is the L of MATH 3.8: "latent", "optimised" or an (n_f, k) array'
    if isinstance(factor, str):
        if factor not in ("latent", "optimised"):
            raise InputError("factor of Generator.relu", factor, 'be "latent", "optimised" or an array', remedy)
        return factor
    try:
        array = np.asarray(factor)
        if array.dtype.kind == "c":
            raise TypeError("it is complex")
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("factor of Generator.relu", factor, 'be "latent", "optimised" or an array', remedy) from error
    if array.ndim != 2 or array.size == 0 or not np.all(np.isfinite(array)):
        raise InputError("factor of Generator.relu", array, "be a finite (n_f, k) array", remedy)
    return tuple(tuple(float(entry) for entry in row) for row in array)
