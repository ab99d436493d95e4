"""What a finite game says about itself: the program, its conditions on this data, and what they imply for p_g."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.spec.divergence import Divergence
from convexwgan.spec.finite_discriminator import (
    FeatureDiscriminator,
    FiniteDiscriminator,
    LipschitzDiscriminator,
    NeuronDiscriminator,
)


@dataclass(frozen=True)
class FiniteGameExplanation:
    """``game``: the program. ``conditions``: (statement, whether it holds). ``conclusion``: what p_g will be."""

    game: str
    conditions: tuple[tuple[str, bool], ...]
    conclusion: str

    def __str__(self) -> str:
        lines = [f"{'✓' if holds else '✗'} {text}" for text, holds in self.conditions]
        return "\n".join([self.game, "", *lines, "", self.conclusion])


def explain_finite_game(
    p_data: Float64,
    divergence: Divergence,
    discriminator: FiniteDiscriminator | None,
    support: npt.NDArray[np.bool_],
) -> FiniteGameExplanation:
    """The explanation of a game; every condition is evaluated on the data.

    >>> print(explain_finite_game(np.array([0.5, 0.5]), Divergence.named("pearson"), None, np.ones(2, dtype=bool)))
    max_D Σ p_d f₀(D)  s.t.  f₁(D) ≥ 0 : p_g     f₀ = D, f₁ = −D²/4 − D, D* = 0; any D
    <BLANKLINE>
    ✓ f₁(D*) = 0 and f₀'(D*) + f₁'(D*) = 0: 0 and 0
    ✓ D* is in the class
    ✓ the generator may go wherever p_d > 0
    ✓ the class separates the points
    <BLANKLINE>
    p_g = p_d, value f₀(D*) = 0; a constant step below 0.5 is stable (dual-driven). Solved as a conic program.
    """
    point = np.array([divergence.optimum])
    tight = float(divergence.f1(point)[0])
    balance = float((divergence.df0(point) + divergence.df1(point))[0])
    has_optimum = _holds_constant(discriminator, divergence.optimum)
    covered = not bool(np.any((p_data > 0) & ~support))
    separates = _separates(discriminator)
    conditions = (
        (
            f"f₁(D*) = 0 and f₀'(D*) + f₁'(D*) = 0: {tight + 0.0:g} and {balance + 0.0:g}",
            max(abs(tight), abs(balance)) < 1e-6,
        ),
        ("D* is in the class", has_optimum),
        ("the generator may go wherever p_d > 0", covered),
        ("the class separates the points", separates),
    )
    word = "any D" if discriminator is None else str(discriminator)
    f0, f1 = divergence.text
    head = f"f₀ = {f0}, f₁ = {f1}, D* = {divergence.optimum:g}; {word}"
    conclusion = _conclusion(p_data, divergence, has_optimum, covered, separates)
    game = f"max_D Σ p_d f₀(D)  s.t.  f₁(D) ≥ 0 : p_g     {head}"
    return FiniteGameExplanation(game, conditions, f"{conclusion} Solved as a conic program.")


def _conclusion(p_data: Float64, divergence: Divergence, has_optimum: bool, covered: bool, separates: bool) -> str:
    if has_optimum and covered and separates:
        step = f"a constant step below {divergence.stability_bound(p_data):.4g} is stable (dual-driven)."
        return f"p_g = p_d, value f₀(D*) = {divergence.value + 0.0:g}; {step}"
    if has_optimum and covered:
        return f"D = D* is optimal, value {divergence.value:g}; p_g is any distribution whose features match p_d's."
    return "p_g need not be p_d: it is what the class cannot tell apart, found by solving."


def _holds_constant(discriminator: FiniteDiscriminator | None, constant: float) -> bool:
    """Whether D ≡ D* belongs to the class."""
    match discriminator:
        case FeatureDiscriminator(features=features, bound=bound):
            target = np.full(len(features), constant)
            w = np.linalg.lstsq(features, target, rcond=None)[0]
            close = np.allclose(features @ w, target, rtol=0, atol=1e-9 * max(1.0, abs(constant)))
            return bool(close and (bound is None or np.linalg.norm(w) <= bound))
        case NeuronDiscriminator(intercept=intercept):
            return intercept or constant == 0
    return True


def _separates(discriminator: FiniteDiscriminator | None) -> bool:
    """Whether small changes of D in the class span ℝⁿ, so that D = D* prices every point."""
    match discriminator:
        case None:
            return True
        case LipschitzDiscriminator(distances=distances):
            return bool(np.all(distances + np.eye(len(distances)) > 0))
        case FeatureDiscriminator(features=features):
            return bool(np.linalg.matrix_rank(features) == len(features))
        case NeuronDiscriminator():
            return _neurons_separate(discriminator)


def _neurons_separate(discriminator: NeuronDiscriminator) -> bool:
    X, kind = discriminator.inputs, discriminator.discriminator.kind
    n = len(X)
    if kind == "relu":  # rank n over some neurons proves it; fixed directions, so that the answer is always the same
        directions = np.random.default_rng(0).standard_normal((X.shape[1], 20 * n + 100))
        neurons = np.maximum(X @ directions, 0.0)
        return bool(np.linalg.matrix_rank(np.hstack([neurons, discriminator.free_features])) == n)
    lifted = X if kind == "linear" else (X[:, :, None] * X[:, None, :]).reshape(n, -1)
    return bool(np.linalg.matrix_rank(np.hstack([lifted, discriminator.free_features])) == n)
