"""Generator regularisers R_g: what the generator pays, on its output G or on its weights W."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from convexwgan.errors import InputError
from convexwgan.spec import validation

if TYPE_CHECKING:
    from convexwgan.spec.wgan import WGAN

RegularizerKind = Literal["output", "weights", "norm", "custom"]
Target = Literal["output", "weights"]


@dataclass(frozen=True)
class Regularizer:
    """A generator regulariser; use the constructors ``output``, ``weights``, ``norm``, ``custom``.

    With ``normalize="mean"`` the output regulariser is (β_g/(2n_f))‖G‖_F²; ``norm`` and ``custom`` act on
    the matrix as it is under both conventions.

    >>> Regularizer.output(2.0)
    Regularizer.output(2.0)
    """

    kind: RegularizerKind
    strength: float = 1.0
    of: Target = "output"
    p: float = 2.0
    function: Callable[[Any], Any] | None = None
    value: Callable[[Any], float] | None = None
    conjugate: Callable[[Any], float] | None = None

    def __post_init__(self) -> None:
        name = f"Regularizer.{self.kind}"
        if self.kind not in ("output", "weights", "norm", "custom"):
            raise InputError(
                "kind of Regularizer",
                self.kind,
                "be output, weights, norm or custom",
                "use a constructor, as Regularizer.output(1.0)",
            )
        strength = validation.strength(f"strength of {name}", self.strength, "it is the regularisation strength β_g")
        object.__setattr__(self, "strength", strength)
        if self.of not in ("output", "weights"):
            raise InputError(
                f"of= of {name}", self.of, 'be "output" or "weights"', "say what the regulariser acts on: G or W"
            )
        if self.is_quadratic and self.of != self.kind:
            raise InputError(f"of= of {name}", self.of, f'be "{self.kind}"', "the name says what it acts on")
        self._check_norm(name)
        self._check_custom(name)

    def _check_norm(self, name: str) -> None:
        remedy, must = "below 1 the p-norm is not convex", "be a number >= 1 or math.inf"
        given: Any = self.p
        is_infinite = isinstance(given, numbers.Real) and given == math.inf
        p = math.inf if is_infinite else validation.real(f"p of {name}", given, must, remedy)
        if p < 1:
            raise InputError(f"p of {name}", given, must, remedy)
        if self.kind != "norm" and p != 2:
            raise InputError(f"p of {name}", given, "not be given", "it belongs to Regularizer.norm")
        object.__setattr__(self, "p", p)

    def _check_custom(self, name: str) -> None:
        if (self.function is not None) != (self.kind == "custom"):
            raise InputError(
                f"f of {name}", self.function, "be given for custom only", "use Regularizer.custom(f, of=…)"
            )
        if self.kind != "custom" and (self.value is not None or self.conjugate is not None):
            raise InputError(
                f"value or conjugate of {name}",
                (self.value, self.conjugate),
                "not be given",
                "they belong to Regularizer.custom",
            )
        for role, function in (("f", self.function), ("value", self.value), ("conjugate", self.conjugate)):
            if function is not None and not callable(function):
                raise InputError(
                    f"{role} of {name}",
                    function,
                    "be callable",
                    "f maps a CVXPY expression, value and conjugate a NumPy array",
                )

    @classmethod
    def output(cls, strength: float = 1.0) -> Regularizer:
        """R_g = (β_g/2)‖G‖_F² (with means: divided by n_f)."""
        return cls("output", strength=strength, of="output")

    @classmethod
    def weights(cls, strength: float = 1.0) -> Regularizer:
        """R_g = (β_g/2)‖W‖_F², for ReLU (β_g/2)(‖W₁‖_F² + ‖W₂‖_F²); for polynomial on the lifted weights W̃."""
        return cls("weights", strength=strength, of="weights")

    @classmethod
    def norm(cls, p: float, strength: float = 1.0, of: Target = "output") -> Regularizer:
        """R_g = β_g (Σ|entries|^p)^{1/p}, p in [1, ∞]: sparse (1), smooth (2) or capped (∞) generators."""
        return cls("norm", strength=strength, of=of, p=p)

    @classmethod
    def custom(
        cls,
        f: Callable[[Any], Any],
        of: Target,
        value: Callable[[Any], float] | None = None,
        conjugate: Callable[[Any], float] | None = None,
    ) -> Regularizer:
        """R_g = f(G) or f(W): f maps a CVXPY expression to a convex one.

        Args:
            f: CVXPY expression -> scalar convex CVXPY expression.
            of: "output" (G, shape (n_f, d_r)) or "weights" (W).
            value: the same function on NumPy arrays; with ``conjugate`` it makes the result certifiable
                (the pair is taken on trust and recorded as assumed). Without ``value`` nobody can say what the
                generator pays: ``Solution.value`` is inf and the status UNVERIFIED, though there is a generator.
            conjugate: NumPy R_g*(Y) = max_G ⟨Y, G⟩ − R_g(G), ``math.inf`` outside its domain.
        """
        return cls("custom", of=of, function=f, value=value, conjugate=conjugate)

    @property
    def is_unsaved(self) -> bool:
        """Whether this stands for a custom regulariser whose function a file could not hold."""
        return self.function is unsaved_function

    @property
    def is_quadratic(self) -> bool:
        """Whether R_g is (β_g/2)‖·‖_F² of output or weights."""
        return self.kind in ("output", "weights")

    def text(self, argument: str, mean: bool = False) -> str:
        """The formula of R_g with ``argument`` in place of G or W."""
        if self.kind in ("output", "weights"):
            scale = f"({self.strength:g}/{'(2n_f)' if mean and self.kind == 'output' else '2'})"
            return f"{scale}‖{argument}‖_F²"
        if self.kind == "norm":
            return f"{self.strength:g}·‖{argument}‖_{'∞' if math.isinf(self.p) else f'{self.p:g}'}"
        return f"f({argument})"

    def __add__(self, other: Any) -> WGAN:
        from convexwgan.spec.wgan import compose

        return compose(self, other)

    def __radd__(self, other: Any) -> WGAN:
        from convexwgan.spec.wgan import compose_right

        return compose_right(other, self)

    def __repr__(self) -> str:
        if self.is_quadratic:
            return f"Regularizer.{self.kind}({self.strength!r})"
        if self.kind == "norm":
            return f"Regularizer.norm({self.p!r}, {self.strength!r}, of={self.of!r})"
        return f"Regularizer.custom({getattr(self.function, '__name__', repr(self.function))}, of={self.of!r})"

    def __str__(self) -> str:
        return f"R_g = {self.text('G' if self.of == 'output' else 'W')}"

    def _repr_latex_(self) -> str:
        letter = "G" if self.of == "output" else "W"
        if self.is_quadratic:
            return rf"$R_g = \frac{{{self.strength:g}}}{{2}} \|{letter}\|_F^2$"
        if self.kind == "norm":
            p = r"\infty" if math.isinf(self.p) else f"{self.p:g}"
            return rf"$R_g = {self.strength:g} \|{letter}\|_{{{p}}}$"
        return rf"$R_g = f({letter})$"


def unsaved_function(expression: Any) -> Any:
    """Stands in for the function of a custom regulariser, which a file cannot hold."""
    remedy = "custom functions are not saved; use the problem's own"
    raise InputError("Regularizer.custom of a loaded solution", expression, "not be evaluated", remedy)
