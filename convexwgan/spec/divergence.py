"""Divergences as convex programs: f₀, f₁ and D* of max Σ p_d f₀(D) s.t. f₁(D) ≥ 0 (MATH §6; our reconstruction)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convexwgan.arrays import Array, Float64, namespace
from convexwgan.errors import InputError
from convexwgan.spec import validation
from convexwgan.spec.divergence_rows import ROWS, BestResponse, Row, Scalar, bisect_response

NAMES = tuple(ROWS)
"""The seven named divergences."""

DEFAULT_EPSILON = 0.25
Expressions = tuple[Callable[[Any], Any], Callable[[Any], Any]]


@dataclass(frozen=True)
class Divergence:
    """One pair (f₀, f₁) of concave functions whose game has its saddle at p_g = p_d, D = D*.

    Problem, on a finite support:
        max_D Σ_i p_d(x_i) f₀(D_i)   s.t.   f₁(D_i) ≥ 0,   multiplier of constraint i: p_g(x_i)
    Conditions: f₀, f₁ concave on the domain, f₁(D*) = 0, f₀'(D*) + f₁'(D*) = 0, f₁'(D*) ≠ 0.

    Make one with ``Divergence.named(name)`` or ``Divergence.custom(f0, f1, optimum)``.

    Attributes:
        name: one of ``NAMES`` or "custom".
        f0, f1: concave, array in, array out (NumPy or PyTorch, with gradients), −∞ outside the domain.
        df0, df1, d2f0, d2f1: their derivatives.
        optimum: D*.
        domain: the open interval on which both functions are finite.
        text: f₀ and f₁ as formulas.
        formula: sup_D L(D, p_g), what the generator minimises, as a formula.
        epsilon: ε of "wasserstein", else None.
        expressions: f₀ and f₁ on CVXPY expressions (custom only; the named ones have theirs in solvers/conic).

    >>> js = Divergence.named("jensen-shannon")
    >>> js.optimum, js.stability_factor, float(js.f1(np.array(0.5)))
    (0.5, 4.0, 0.0)
    """

    name: str
    f0: Scalar = field(repr=False)
    f1: Scalar = field(repr=False)
    df0: Scalar = field(repr=False)
    df1: Scalar = field(repr=False)
    d2f0: Scalar = field(repr=False)
    d2f1: Scalar = field(repr=False)
    optimum: float
    domain: tuple[float, float]
    text: tuple[str, str]
    formula: str
    best: BestResponse = field(repr=False)
    epsilon: float | None = None
    expressions: Expressions | None = field(default=None, repr=False)

    @classmethod
    def named(cls, name: str, *, epsilon: float | None = None) -> Divergence:
        """One of the seven rows; ``epsilon`` (≥ 0, default 0.25) belongs to "wasserstein" only.

        Raises:
            InputError: an unknown name, or an ε where there is none.

        >>> [Divergence.named(name).stability_factor for name in NAMES]
        [4.0, 2.0, 2.0, 1.0, 4.0, 8.0, 1.0]
        """
        if name not in NAMES:
            raise InputError("divergence", name, f"be one of {', '.join(NAMES)}", "or a Divergence of your own")
        if name != "wasserstein":
            if epsilon is not None:
                raise InputError(f"epsilon of {name}", epsilon, "not be given", 'it belongs to "wasserstein"')
            return cls._of(name, ROWS[name]())
        remedy = "it is the weight of the penalty εD²; 0 is Wasserstein proper, for Lipschitz discriminators"
        epsilon = validation.real("epsilon", DEFAULT_EPSILON if epsilon is None else epsilon, "be ≥ 0", remedy)
        if epsilon < 0 or epsilon > validation.LARGEST or 0 < epsilon < 1 / validation.LARGEST:
            raise InputError("epsilon", epsilon, "be 0 or of size 1e-100 to 1e100", remedy)
        return cls._of(name, ROWS[name](epsilon), epsilon)

    @classmethod
    def _of(cls, name: str, row: Row, epsilon: float | None = None) -> Divergence:
        places = (row.optimum, row.domain, row.text, row.formula, row.best)
        return cls(name, row.f0[0], row.f1[0], row.f0[1], row.f1[1], row.f0[2], row.f1[2], *places, epsilon)

    @classmethod
    def custom(
        cls,
        f0: Scalar,
        f1: Scalar,
        optimum: float,
        *,
        domain: tuple[float, float] = (-math.inf, math.inf),
        derivatives: tuple[Scalar, Scalar] | None = None,
        expressions: Expressions | None = None,
        name: str = "custom",
    ) -> Divergence:
        """Your own (f₀, f₁), checked for the conditions under which the game has its saddle at p_g = p_d.

        Concavity is checked on a grid: it can refute, not prove; the rest is checked at D*.

        Args:
            f0, f1: array → array, concave on the open interval ``domain``.
            optimum: D*, inside the domain.
            derivatives: (f₀', f₁'); by central differences when left out, to about 1e-9.
            expressions: (f₀, f₁) on CVXPY expressions, for ``FiniteGame.solve`` and ``to_cvxpy``.

        Raises:
            InputError: the condition that fails, by name.

        >>> Divergence.custom(lambda D: -D, lambda D: D - 2, 1.0)
        Traceback (most recent call last):
        ...
        convexwgan.errors.InputError: f1(D*) of Divergence.custom = -1.0 must be 0: at D* = 1 the constraint f₁(D) ≥ 0 \
has to be tight.
        """
        from convexwgan.spec.divergence_conditions import check_conditions, derivative

        domain = _interval(domain)
        _check_pair("derivatives of Divergence.custom", derivatives)
        _check_pair("expressions of Divergence.custom", expressions)
        if not str(name).strip() or name in ROWS:
            remedy = f"{', '.join(NAMES)} are the package's own"
            raise InputError("name of Divergence.custom", name, "be a text of your own", remedy)
        must, remedy = "be a number", "it is D*, what the discriminator says when p_g = p_d"
        optimum = validation.real("optimum of Divergence.custom", optimum, must, remedy)
        df0, df1 = derivatives or (derivative(f0, domain), derivative(f1, domain))
        check_conditions(f0, f1, df0, df1, optimum, domain)
        d2f0, d2f1 = derivative(df0, domain), derivative(df1, domain)
        best = bisect_response(df0, df1, domain, optimum)
        text = "f₀(D)", "f₁(D)"
        formula = "sup_D Σ p_d f₀(D) + p_g f₁(D)"
        return cls(name, f0, f1, df0, df1, d2f0, d2f1, optimum, domain, text, formula, best, None, expressions or None)

    @property
    def is_named(self) -> bool:
        """Whether this is one of the seven rows, with its closed forms."""
        return self.name in ROWS

    @property
    def value(self) -> float:
        """f₀(D*): the value of the game."""
        return self._at_optimum(self.f0)

    @property
    def stability_factor(self) -> float:
        """2(−(f₀''+f₁''))/f₁'² at D*: dual-driven steps α < factor · min_{p_d>0} p_d contract near the saddle [ours].

        Proof: g(p_g) = sup_D L has g'' = f₁'²/(p_d·(−(f₀''+f₁''))) at p_g = p_d, and p_g ← p_g − α g' needs α g'' < 2.
        """
        bend = self._at_optimum(self.d2f0) + self._at_optimum(self.d2f1)
        return -2 * bend / self._at_optimum(self.df1) ** 2

    def stability_bound(self, p_data: Float64) -> float:
        """The largest stable step on ``p_data``: stability_factor · min of its positive entries."""
        p = np.asarray(p_data, dtype=np.float64)
        return self.stability_factor * float(np.min(p[p > 0]))

    def best_response(self, p_data: Float64, p_g: Float64) -> Float64:
        """argmax_D p_d f₀(D) + p_g f₁(D), entry by entry; D* where both are 0; an end of the domain where unattained.

        >>> Divergence.named("kullback-leibler").best_response(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.0, 0.0]))
        array([ 2., inf,  1.])
        """
        D = self.best(np.asarray(p_data, dtype=np.float64), np.asarray(p_g, dtype=np.float64))
        return np.where(np.isnan(D), self.optimum, D)

    def clip(self, D: Array, margin: float = 1e-6) -> Array:
        """D moved into the domain, ``margin`` away from its finite ends.

        >>> Divergence.named("jensen-shannon").clip(np.array([-1.0, 0.3, 2.0]), margin=0.01)
        array([0.01, 0.3 , 0.99])
        """
        xp = namespace(D)
        low, high = (
            end if math.isinf(end) else end + side * margin for end, side in zip(self.domain, (1, -1), strict=True)
        )
        D = D if math.isinf(low) else xp.maximum(D, xp.full_like(D, low))
        return D if math.isinf(high) else xp.minimum(D, xp.full_like(D, high))

    def _at_optimum(self, function: Scalar) -> float:
        return float(np.asarray(function(np.asarray(self.optimum, dtype=np.float64))))

    def __str__(self) -> str:
        return f"{self.name}: f₀ = {self.text[0]}, f₁ = {self.text[1]}, D* = {self.optimum:g}"


def as_divergence(given: str | Divergence) -> Divergence:
    """A name or a Divergence, as a Divergence.

    >>> str(as_divergence("pearson"))
    'pearson: f₀ = D, f₁ = −D²/4 − D, D* = 0'
    """
    return given if isinstance(given, Divergence) else Divergence.named(given)


def _check_pair(subject: str, pair: Any) -> None:
    functions = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(callable(f) for f in pair)
    if pair is not None and not functions:
        raise InputError(subject, pair, "be two functions", "the first of f₀, the second of f₁")


def _interval(domain: Any) -> tuple[float, float]:
    remedy = "it is the open interval on which f₀ and f₁ are finite"
    ends = [float(end) for end in domain] if isinstance(domain, (tuple, list)) and len(domain) == 2 else []
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise InputError("domain of Divergence.custom", domain, "be two numbers, low < high", remedy)
    return ends[0], ends[1]
