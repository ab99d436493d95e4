"""Linear discriminators: match the first moment, convex in the weights (Corollary 3.1; MATH 3.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.solvers.conic.model import (
    ConicModel,
    Values,
    dual,
    load_cvxpy,
    positive_or_one,
    primal,
    warnings_logged,
)
from convexwgan.spec.regularizer import Regularizer


@dataclass(frozen=True)
class _Units:
    """W = ω W', G = γ G', s = u s', value = q value'; r = the cost's unit (R_g = r R_g')."""

    omega: float
    gamma: float
    u: float
    r: float
    q: float


@dataclass(frozen=True)
class _Cost:
    """R_g in scaled units, the cones it needs, and the equality G = ZW where it is a function of G."""

    expression: Any
    cones: tuple[Any, ...] = ()
    equality: Any = None
    output: Any = None


def mean_program(
    m: Float64,
    z_bar: Float64,
    *,
    beta: float | None,
    regularizer: Regularizer,
    root: Float64 | None = None,
    features: Float64 | None = None,
    mass: float,
    weight: float,
    natural: bool = False,
) -> ConicModel:
    """Match the generated first moment s = Wᵀz̄ to m at the least regularisation.

    Problem, weight decay and (beta None) norm bound:
        min R_g    s.t.  ‖m − Wᵀz̄‖₂ ≤ β             min R_g + ‖m − Wᵀz̄‖₂
    with R_g = (β_g/2)‖root·W‖_F² (output; free generator: (β_g w/2)‖G‖_F²), (β_g/2)‖W‖_F² (weights),
    a p-norm or a custom convex function of W or of G = ZW. Free generator: root and features None, W is G.

    Multipliers y and, where R_g acts on G = ZW through an equality, H with ZᵀH = z̄yᵀ:
        bound  yᵀm − β‖y‖ − R_g*(z̄yᵀ)   or   yᵀm − β‖y‖ − R_g*(H)     (norm bound: ‖y‖ ≤ 1, no β).

    Args:
        m: first moment of the real data, shape (d,).
        z_bar: z̄ = w·Zᵀ1, shape (p,); free generator: w·1, shape (n_f,).
        beta: β_d, or None for the norm bound.
        regularizer: R_g.
        root: square root of w ZᵀZ, shape (r, p), for the output cost of a generator with weights.
        features: Z, shape (n_f, p), for a norm or custom function of G = ZW.
        mass: w·n_f, the mass of the generated moments: it sets the unit of G, no more.
        weight: w, 1 for sums and 1/n_f for means.
        natural: keep the user's units (for export; always so for custom functions, which need not scale).

    Returns:
        ConicModel: values "W" ("G" where free; "G" too where R_g acts on G = ZW); multipliers "y" (and "H").

    Raises:
        InputError: a custom f that fails, or returns something other than a scalar convex expression.

    Reference: Corollary 3.1; MATH 3.1.

    >>> import numpy as np
    >>> from convexwgan.solvers.conic import run
    >>> model = mean_program(
    ...     np.array([3.0, 4.0]), np.ones(2), beta=1.0, regularizer=Regularizer.output(1.0), mass=2.0, weight=1.0
    ... )
    >>> print(round(run(model).objective, 6))
    4.0
    """
    cp = load_cvxpy()

    natural = natural or regularizer.kind == "custom"
    units = _Units(1, 1, 1, 1, 1) if natural else _units(m, z_bar, beta, regularizer, root, features, mass, weight)
    is_free = regularizer.of == "output" and root is None and features is None
    W = cp.Variable((len(z_bar), len(m)), name="G" if is_free else "W")
    e = cp.Variable(len(m), name="e")
    cost = _cost(W, regularizer, root, features, weight, units)
    residual = m / units.u - (units.omega / units.u) * (W.T @ z_bar) - e == 0
    within = [cp.norm(e, 2) <= beta / units.u] if beta is not None else []
    distance = units.u / units.q * cp.norm(e, 2) if beta is None else 0.0
    equalities = [cost.equality] if cost.equality is not None else []
    objective = cp.Minimize(units.r / units.q * cost.expression + distance)
    problem = cp.Problem(objective, [residual, *within, *equalities, *cost.cones])

    def unpack() -> Values:
        values = {W.name(): primal(W, units.omega)}
        return values if cost.output is None else values | {"G": primal(cost.output, units.gamma)}

    def multipliers() -> Values:
        values = {"y": dual(residual, units.q / units.u)}
        return values if cost.equality is None else values | {"H": dual(cost.equality, units.q / units.gamma)}

    named = {entry.name(): entry for entry in (W, e, cost.output) if entry is not None}
    return ConicModel("mean", problem, named, unpack, multipliers, units.q)


def _units(
    m: Float64,
    z_bar: Float64,
    beta: float | None,
    regularizer: Regularizer,
    root: Float64 | None,
    features: Float64 | None,
    mass: float,
    weight: float,
) -> _Units:
    """Units from a reference generator with s = m: the problem's numbers are then of size one."""
    u = positive_or_one(max(float(np.linalg.norm(m)), beta or 0.0))
    target = m * (u / np.linalg.norm(m)) if np.any(m) else np.full(len(m), u / np.sqrt(len(m)))
    size, strength = positive_or_one(float(z_bar @ z_bar)), regularizer.strength
    gamma = u / mass
    if regularizer.is_quadratic:  # R_g = β_g‖s‖²/(2ρ) at W = A⁺z̄ sᵀ/ρ
        rho = _leverage(z_bar, regularizer, root, weight)
        omega, r = u / np.sqrt(rho), strength * u**2 / rho
    elif regularizer.of == "output":
        omega = gamma if features is None else u / np.sqrt(size)
        r = strength * _p_norm(
            np.outer(np.ones(len(z_bar if features is None else features)), target) / mass, regularizer.p
        )
    else:
        omega, r = u / np.sqrt(size), strength * _p_norm(np.outer(z_bar, target) / size, regularizer.p)
    r = positive_or_one(float(r))
    return _Units(float(omega), float(gamma), u, r, r if beta is not None else min(r, u))


def _leverage(z_bar: Float64, regularizer: Regularizer, root: Float64 | None, weight: float) -> float:
    """ρ = z̄ᵀA⁺z̄ with A the matrix of the quadratic cost; 1 where that is zero."""
    if regularizer.of == "weights":
        return positive_or_one(float(z_bar @ z_bar))
    if root is None:
        return positive_or_one(float(z_bar @ z_bar) / weight)
    half = np.linalg.lstsq(root.T, z_bar, rcond=None)[0]  # rootᵀh = z̄ ⇒ ‖h‖² = z̄ᵀ(rootᵀroot)⁺z̄
    return positive_or_one(float(half @ half))


def _p_norm(matrix: Float64, p: float) -> float:
    return float(np.linalg.norm(matrix.ravel(), ord=p))


def _cost(
    W: Any, regularizer: Regularizer, root: Float64 | None, features: Float64 | None, weight: float, units: _Units
) -> _Cost:
    """R_g / r as a CVXPY expression of W' (and of G' with its equality)."""
    cp = load_cvxpy()

    if regularizer.is_quadratic:
        scale = regularizer.strength * units.omega**2 / units.r
        image = root @ W if regularizer.of == "output" and root is not None else W
        mass = weight if regularizer.of == "output" and root is None else 1.0
        return _Cost(scale * mass / 2 * cp.sum_squares(image))
    if regularizer.of == "output" and features is not None:
        G = cp.Variable((len(features), W.shape[1]), name="G")
        equality = (units.omega / units.gamma) * (features @ W) - G == 0
        return _Cost(*_function(regularizer, G, units.gamma / units.r), equality, G)
    return _Cost(*_function(regularizer, W, units.omega / units.r))


def _function(regularizer: Regularizer, argument: Any, scale: float) -> tuple[Any, tuple[Any, ...]]:
    """R_g of a variable and the cones that it needs."""
    if regularizer.kind == "custom":
        return custom_cost(regularizer, argument), ()
    norm, cones = _norm(argument, regularizer.p)
    return regularizer.strength * scale * norm, cones


def _norm(argument: Any, p: float) -> tuple[Any, tuple[Any, ...]]:
    """(Σ|x_i|^p)^{1/p}; power cones |x_i| ≤ r_i^{1/p} t^{1−1/p}, Σr = t where CVXPY would round p."""
    cp = load_cvxpy()

    x = cp.vec(argument, order="F")
    if math.isinf(p) or p in (1, 1.5, 2, 3, 4):  # few second-order cones, and exact
        return cp.pnorm(x, p), ()
    t, r = cp.Variable(name="t"), cp.Variable(x.size, name="r")
    return t, (cp.PowCone3D(r, t * np.ones(x.size), x, np.full(x.size, 1 / p)), cp.sum(r) == t)


def custom_cost(regularizer: Regularizer, argument: Any) -> Any:
    """f(argument) of ``Regularizer.custom``, a real scalar convex CVXPY expression.

    Raises:
        InputError: f fails, or returns anything else; with a remedy.
    """
    cp = load_cvxpy()

    subject, letter = "f of Regularizer.custom", "G" if regularizer.of == "output" else "W"
    remedy = (
        f"f gets the CVXPY expression {letter} of shape {argument.shape}; "
        f"build it from cvxpy atoms, as cp.norm1(cp.vec({letter}))"
    )
    assert regularizer.function is not None, "Regularizer.custom checks that f is given"
    try:
        with warnings_logged():
            expression = regularizer.function(argument)
    except Exception as error:  # a user's function may raise anything; the cause travels along
        raised = f"it raised {type(error).__name__}: {error}"
        raise InputError(
            subject, regularizer.function, "map a CVXPY expression to one", f"{raised}; {remedy}"
        ) from error
    if isinstance(expression, (int, float)):
        expression = cp.Constant(expression)
    if not isinstance(expression, cp.Expression):
        raise InputError(subject, type(expression).__name__, "return a CVXPY expression", remedy)
    if not expression.is_scalar() or expression.is_complex():
        raise InputError(subject, expression.shape, "return a real scalar", f"sum its entries with cp.sum; {remedy}")
    if expression.is_constant() and not np.isfinite(expression.value):
        raise InputError(subject, expression.value, "be finite", remedy)
    if not expression.is_convex():
        raise InputError(
            subject,
            f"{expression.curvature} expression",
            "be convex by CVXPY's rules (DCP)",
            f"see cvxpy.org/tutorial/dcp; {remedy}",
        )
    if any(variable.attributes["boolean"] or variable.attributes["integer"] for variable in expression.variables()):
        raise InputError(subject, "integer variables", "have continuous variables only", remedy)
    return expression
