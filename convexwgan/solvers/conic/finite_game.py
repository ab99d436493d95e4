"""The finite game as a conic program: the generated distribution is the multiplier of f₁(D) ≥ 0 (MATH §6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.errors import NotConicError
from convexwgan.solvers.conic.model import ConicModel, Values, dual, load_cvxpy, primal
from convexwgan.spec.divergence import Divergence
from convexwgan.spec.finite_discriminator import (
    FeatureDiscriminator,
    FiniteDiscriminator,
    LipschitzDiscriminator,
    NeuronDiscriminator,
)

Bools = npt.NDArray[np.bool_]


def divergence_expressions(divergence: Divergence, D0: Any, D1: Any) -> tuple[Any, Any]:
    """f₀(D0) and f₁(D1) as concave CVXPY expressions.

    Raises:
        NotConicError: a custom divergence without ``expressions``.
    """
    cp = load_cvxpy()

    log, square = cp.log, cp.square
    match divergence.name:
        case "jensen-shannon":
            return log(D0), log(1 - D1) + math.log(2)
        case "kullback-leibler":
            return log(D0), 1 - D1
        case "reverse-kl":
            return -D0, log(D1)
        case "pearson":
            return D0, -square(D1) / 4 - D1
        case "hellinger":
            return 1 - D0, 1 - cp.inv_pos(D1)
        case "least-squares":
            return -square(1 - D0), 0.25 - square(D1)
        case "wasserstein":
            penalty = divergence.epsilon * square(D0) if divergence.epsilon else 0.0
            return D0 - penalty, -D1
    if divergence.expressions is None:
        raise NotConicError(
            f"the divergence {divergence.name} has no conic form: give expressions=(f0, f1), on CVXPY expressions, to "
            "Divergence.custom, or run the function-space method."
        )
    return divergence.expressions[0](D0), divergence.expressions[1](D1)


@dataclass(frozen=True)
class _Class:
    """A class of discriminators: D = ``expression`` (None: any D) under ``constraints``; the readings of its parts."""

    expression: Any
    constraints: list[Any]
    variables: dict[str, Any]
    duals: dict[str, Any]


def finite_game_program(
    p_data: Float64,
    divergence: Divergence,
    discriminator: FiniteDiscriminator | None,
    support: Bools,
    cells: Bools | None = None,
    against: Float64 | None = None,
) -> ConicModel:
    """The discriminator's program, whose multipliers are the generated distribution.

    max_D Σ_i p_d(x_i) f₀(D_i)   s.t.   f₁(D_i) ≥ 0 for i in the support of the generator,  D in the class

    or, ``against`` a given p_g:  max_D Σ_i p_d(x_i) f₀(D_i) + p_g(x_i) f₁(D_i)   s.t.   D in the class.

    Args:
        p_data: shape (n,).
        divergence: f₀, f₁.
        discriminator: the class, or None for any D.
        support: where the generator may put mass, shape (n,).
        cells: activation patterns, shape (k, n), that a ReLU class may use.
        against: p_g, shape (n,), or None to find it.

    Returns:
        ConicModel: values "D" (n,) and the class's own; multipliers "p_g" (n,) ≥ 0, "tilt" (n,), the multiplier y
        of D = (its form), where there is a class, and "flow" where it is Lipschitz.
    """
    cp = load_cvxpy()

    n = len(p_data)
    D = cp.Variable(n, name="D")
    used, played = np.flatnonzero(p_data > 0), np.flatnonzero(support if against is None else against > 0)
    f0, f1 = divergence_expressions(divergence, D[used], D[played])
    objective = p_data[used] @ f0
    generator = [f1 >= 0] if against is None else []
    if against is not None:
        objective = objective + against[played] @ f1
    chosen = _class_of(discriminator, D, cells)
    link = [] if chosen.expression is None else [chosen.expression == D]
    constraints = [*generator, *link, *chosen.constraints, *_domain(divergence, D)]
    problem = cp.Problem(cp.Maximize(objective), constraints)

    def multipliers() -> Values:
        p_g = np.zeros(n) if against is None else against
        if generator:
            p_g[played] = np.maximum(dual(generator[0]), 0.0)
        tilt = {"tilt": dual(link[0])} if link else {}
        return {"p_g": p_g, **tilt, **{name: dual(part) for name, part in chosen.duals.items()}}

    variables = {"D": D, **chosen.variables}
    return ConicModel(
        "finite game", problem, variables, lambda: {name: primal(v) for name, v in variables.items()}, multipliers
    )


def _domain(divergence: Divergence, D: Any) -> list[Any]:
    low, high = divergence.domain
    above = [D - low >= 0] if math.isfinite(low) else []
    return above + ([high - D >= 0] if math.isfinite(high) else [])


def _class_of(discriminator: FiniteDiscriminator | None, D: Any, cells: Bools | None) -> _Class:
    cp = load_cvxpy()

    match discriminator:
        case None:
            return _Class(None, [], {}, {})
        case FeatureDiscriminator(features=features, bound=bound):
            w = cp.Variable(features.shape[1], name="w")
            ball = [] if bound is None else [cp.norm2(w) <= bound]
            return _Class(features @ w, ball, {"w": w}, {})
        case LipschitzDiscriminator(constant=L):
            i, j = lipschitz_pairs(discriminator.distances)
            up = D[i] - D[j] <= L * discriminator.distances[i, j]
            return _Class(None, [up], {}, {"flow": up}) if len(i) else _Class(None, [], {}, {})
        case NeuronDiscriminator():
            return _neurons(discriminator, cells)


def lipschitz_pairs(distances: Float64) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Ordered pairs (i, j) whose constraint D_i − D_j ≤ L d_ij is not the sum of two others.

    >>> lipschitz_pairs(np.abs(np.subtract.outer(np.arange(3.0), np.arange(3.0))))  # a path needs neighbours only
    (array([0, 1, 1, 2]), array([1, 0, 2, 1]))
    """
    n = len(distances)
    needed = ~np.eye(n, dtype=np.bool_)
    positive = np.where(distances > 0, distances, np.inf)
    for k in range(n):
        implied = positive[:, k, None] + positive[None, k, :] <= distances
        needed &= ~implied
    i, j = np.nonzero(needed)
    return i, j


def _neurons(discriminator: NeuronDiscriminator, cells: Bools | None) -> _Class:
    cp = load_cvxpy()

    X, B, free = discriminator.inputs, discriminator.bound, discriminator.free_features
    n, d = X.shape
    q = cp.Variable(max(free.shape[1], 1), name="free")
    base = free @ q if free.shape[1] else 0.0
    if discriminator.discriminator.kind == "linear":
        w = cp.Variable(d, name="w")
        return _Class(X @ w + base, [cp.norm2(w) <= B], {"w": w, "free": q}, {})
    if discriminator.discriminator.kind == "quadratic":  # Σ|v_j| over Q = Σ v_j u_j u_jᵀ is the nuclear norm of Q
        plus, minus = (cp.Variable((d, d), PSD=True, name=name) for name in ("Q_plus", "Q_minus"))
        lifted = (X[:, :, None] * X[:, None, :]).reshape(n, d * d)
        form = lifted @ cp.vec(plus - minus, order="C") + base
        mass = cp.trace(plus) + cp.trace(minus) <= B
        return _Class(form, [mass], {"Q_plus": plus, "Q_minus": minus, "free": q}, {})
    assert cells is not None, "a ReLU class is built on the cells that pricing has found"
    return _relu(X, B, base, q, cells)


def _relu(X: Float64, B: float, base: Any, q: Any, cells: Bools) -> _Class:
    """Σ_k diag(s_k) X (a_k − b_k), a_k and b_k in the cone of cell k, Σ‖a_k‖ + ‖b_k‖ ≤ B (Theorem 2.1's trick)."""
    cp = load_cvxpy()

    k, d = len(cells), X.shape[1]
    a, b = cp.Variable((k, d), name="a"), cp.Variable((k, d), name="b")
    signs = np.where(cells, 1.0, -1.0)
    cones = [cp.multiply(signs, part @ X.T) >= 0 for part in (a, b)]
    form = cp.sum(cp.multiply(cells.astype(np.float64), (a - b) @ X.T), axis=0) + base
    mass = cp.sum(cp.norm2(a, axis=1)) + cp.sum(cp.norm2(b, axis=1)) <= B
    return _Class(form, [*cones, mass], {"a": a, "b": b, "free": q}, {})
