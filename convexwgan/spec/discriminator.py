"""Two-layer discriminators D(x) = Σ_j σ(xᵀu_j) v_j, named by their activation σ and their regularisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from convexwgan.errors import InputError
from convexwgan.spec import validation

if TYPE_CHECKING:
    from convexwgan.spec.wgan import WGAN

DiscriminatorKind = Literal["linear", "quadratic", "polynomial", "relu"]


@dataclass(frozen=True)
class Discriminator:
    """A two-layer discriminator; use the constructors ``linear``, ``quadratic``, ``polynomial``, ``relu``.

    Problem (DESIGN's two regularisations of the same maximisation):
        weight decay β_d:   min R_g  s.t.  dist_D(X, G) ≤ β_d        (Lemma 3.1)
        norm bound:         min R_g + dist_D(X, G)                    (Appendix C.2)

    Each constructor takes exactly one of ``beta``, ``norm_bound=True`` and, for ``quadratic`` only,
    ``components=k``, which sets β_d to a certified upper bound on σ²_{k+1}, so that k components stay.

    >>> Discriminator.quadratic(beta=2.0)
    Discriminator.quadratic(beta=2.0)
    """

    kind: DiscriminatorKind
    beta: float | None = None
    norm_bound: bool = False
    components: int | None = None
    skip: bool = False
    bias: bool = False
    coefficients: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        name = f"Discriminator.{self.kind}"
        if self.kind not in ("linear", "quadratic", "polynomial", "relu"):
            raise InputError(
                "kind of Discriminator",
                self.kind,
                "be linear, quadratic, polynomial or relu",
                "use a constructor, as Discriminator.linear(beta=1.0)",
            )
        if self.kind != "quadratic" and self.components is not None:
            raise InputError(
                f"components of {name}",
                self.components,
                "not be given",
                "only Discriminator.quadratic counts components; give beta=",
            )
        self._check_one_regularisation(name)
        self._check_shape(name)

    def _check_one_regularisation(self, name: str) -> None:
        validation.flag(f"norm_bound of {name}", self.norm_bound, "True asks for Σ|v_j| ≤ 1 in place of weight decay")
        given = [self.beta is not None, self.norm_bound, self.components is not None]
        choices = "beta= (weight decay) or norm_bound=True" + (" or components=k" if self.kind == "quadratic" else "")
        if sum(given) != 1:
            what = "none" if not any(given) else "more than one"
            raise InputError(f"regularisation of {name}", what, "be exactly one", f"give {choices}")
        if self.beta is not None:
            beta = validation.weight_decay(f"beta of {name}", self.beta)
            object.__setattr__(self, "beta", beta)
        if self.components is not None:
            k = validation.count(f"components of {name}", self.components, "it is the number of components kept")
            object.__setattr__(self, "components", k)

    def _check_shape(self, name: str) -> None:
        validation.flag(f"skip of {name}", self.skip, "True adds an unregularised linear skip connection")
        validation.flag(f"bias of {name}", self.bias, "True adds a bias to every neuron")
        if self.skip and self.kind != "quadratic":
            raise InputError(
                f"skip of {name}", True, "be False", "only Discriminator.quadratic has a linear skip connection"
            )
        if self.bias and self.kind != "relu":
            raise InputError(f"bias of {name}", True, "be False", "only Discriminator.relu has a bias")
        if (self.coefficients is not None) != (self.kind == "polynomial"):
            raise InputError(
                f"coefficients of {name}",
                self.coefficients,
                "be given for polynomial only",
                "use Discriminator.polynomial(a, b, c, beta=…)",
            )
        if self.coefficients is not None:
            object.__setattr__(self, "coefficients", validation.coefficients(name, self.coefficients))

    @classmethod
    def linear(cls, *, beta: float | None = None, norm_bound: bool = False) -> Discriminator:
        """σ(t) = t: dist = ‖m − s‖₂, the means are matched (Corollary 3.1)."""
        return cls("linear", beta=beta, norm_bound=norm_bound)

    @classmethod
    def quadratic(
        cls, *, beta: float | None = None, norm_bound: bool = False, components: int | None = None, skip: bool = False
    ) -> Discriminator:
        """σ(t) = t²: dist = ‖M − S‖₂, second moments are matched; with ``skip`` also s = m (Corollaries 3.2, 3.3)."""
        return cls("quadratic", beta=beta, norm_bound=norm_bound, components=components, skip=skip)

    @classmethod
    def polynomial(
        cls, a: float, b: float, c: float, *, beta: float | None = None, norm_bound: bool = False
    ) -> Discriminator:
        """σ(t) = at² + bt + c: second and first moments are matched jointly (S-lemma)."""
        return cls("polynomial", beta=beta, norm_bound=norm_bound, coefficients=(a, b, c))

    @classmethod
    def relu(cls, *, beta: float | None = None, norm_bound: bool = False, bias: bool = False) -> Discriminator:
        """σ(t) = max(t, 0): piecewise means are matched (Corollary 3.4)."""
        return cls("relu", beta=beta, norm_bound=norm_bound, bias=bias)

    @property
    def activation(self) -> tuple[float, float, float]:
        """(a, b, c) of the activation σ(t) = at² + bt + c; not defined for ReLU."""
        if self.kind == "relu":
            raise InputError(
                "activation of Discriminator.relu", "relu", "be polynomial", "ask for it only where σ(t) = at² + bt + c"
            )
        return self.coefficients or {"linear": (0.0, 1.0, 0.0), "quadratic": (1.0, 0.0, 0.0)}[self.kind]

    @property
    def beta_text(self) -> str:
        """β_d as it is printed: a number, or the rule that the data will turn into one."""
        return f"{self.beta:g}" if self.beta is not None else f"σ²_{(self.components or 0) + 1}"

    def __add__(self, other: Any) -> WGAN:
        from convexwgan.spec.wgan import compose

        return compose(self, other)

    def __radd__(self, other: Any) -> WGAN:
        from convexwgan.spec.wgan import compose_right

        return compose_right(other, self)

    def __repr__(self) -> str:
        parts = [repr(value) for value in self.coefficients or ()]
        if self.beta is not None:
            parts.append(f"beta={self.beta!r}")
        if self.components is not None:
            parts.append(f"components={self.components}")
        parts += [f"{name}=True" for name in ("norm_bound", "skip", "bias") if getattr(self, name)]
        return f"Discriminator.{self.kind}({', '.join(parts)})"

    def __str__(self) -> str:
        sigma = (
            validation.activation_text(self.coefficients)
            if self.coefficients
            else {"linear": "t", "quadratic": "t²", "relu": "(t)₊"}[self.kind]
        )
        argument = "xᵀu_j + b_j" if self.bias else "xᵀu_j"
        skip = " + xᵀy" if self.skip else ""
        rule = "Σ_j |v_j| ≤ 1" if self.norm_bound else f"R_d = {self.beta_text} Σ_j |v_j|"
        return f"D(x) = Σ_j σ({argument}) v_j{skip},  σ(t) = {sigma},  ‖u_j‖₂ ≤ 1,  {rule}"

    def _repr_latex_(self) -> str:
        sigma = {"linear": "t", "quadratic": "t^2", "relu": "(t)_+"}.get(self.kind) or validation.activation_text(
            self.coefficients or (0, 0, 0)
        ).replace("²", "^2")
        argument = r"x^\top u_j + b_j" if self.bias else r"x^\top u_j"
        skip = r" + x^\top y" if self.skip else ""
        beta = f"{self.beta:g}" if self.beta is not None else rf"\sigma^2_{{{(self.components or 0) + 1}}}"
        rule = r"\sum_j |v_j| \le 1" if self.norm_bound else rf"R_d = {beta} \sum_j |v_j|"
        value = rf"D(x) = \sum_j \sigma({argument})\, v_j{skip}"
        return rf"${value},\quad \sigma(t) = {sigma},\quad \|u_j\|_2 \le 1,\quad {rule}$"
