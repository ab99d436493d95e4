"""FiniteGame: GAN training on a finite support as a convex program, solved and certified (MATH §6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64, is_frame, to_numpy64
from convexwgan.certificates.certificate import Certificate, Check, Status
from convexwgan.certificates.finite_classes import Claimed
from convexwgan.certificates.finite_game import certify_finite_game, evaluate_finite_game, no_generator
from convexwgan.errors import InputError
from convexwgan.models.finite_game_words import FiniteGameExplanation, explain_finite_game
from convexwgan.solution import Stats
from convexwgan.solvers.finite_game import SaddlePoint, solve_finite_game
from convexwgan.solvers.finite_game_scaling import FiniteGameData
from convexwgan.solvers.function_space import FunctionSpaceRun, function_space
from convexwgan.spec import validation
from convexwgan.spec.divergence import Divergence, as_divergence
from convexwgan.spec.finite_discriminator import (
    FeatureDiscriminator,
    FiniteDiscriminator,
    LipschitzDiscriminator,
    NeuronDiscriminator,
)

Bools = npt.NDArray[np.bool_]
DEFAULT_TOLERANCE = 1e-7
_MASS_ERROR = 1e-6


@dataclass(frozen=True, eq=False)
class FiniteGameSolution:
    """A saddle point with its certificate.

    Attributes:
        generated: p_g, the multipliers of f₁(D) ≥ 0, shape (n,); nan where no candidate was found.
        discriminator: D, shape (n,).
        value: g(p_g) = sup_D L(D, p_g), what this generated distribution attains.
        bound: Σ p_d f₀(D), which no generated distribution can beat.
        certificate: both recomputed from p_d, the divergence and the class alone.
        dual: the arrays behind the bounds ("tilt", "flow", the parts of the class).
    """

    generated: Float64
    discriminator: Float64
    value: float
    bound: float
    certificate: Certificate
    stats: Stats
    dual: dict[str, Float64] = field(default_factory=dict, repr=False)

    @property
    def status(self) -> Status:
        """What the certificate has earned."""
        return self.certificate.status

    @property
    def gap(self) -> float:
        """value − bound ≥ 0."""
        return self.certificate.gap

    def __str__(self) -> str:
        return f"{self.status.name}: value {self.value:.9g}, bound {self.bound:.9g}, gap {self.gap:.1e}"


@dataclass(frozen=True, eq=False)
class FiniteGame:
    """GAN training on a finite support: the discriminator's outputs are primal, the generated distribution is dual.

    Problem:
        max_D Σ_i p_d(x_i) f₀(D_i)   s.t.   f₁(D_i) ≥ 0,  D in the class         (multipliers: p_g ≥ 0)
      = min_{p_g ≥ 0} sup_{D in the class} Σ_i p_d(x_i) f₀(D_i) + p_g(x_i) f₁(D_i)

    Without restrictions p_g = p_d. With them, p_g is what the class cannot tell from p_d.

    Args:
        p_data: p_d, shape (n,), ≥ 0, sums to one.
        divergence: a name (see ``Divergence.named``) or a ``Divergence``.
        discriminator: None (any D), a ``LipschitzDiscriminator``, ``FeatureDiscriminator`` or ``NeuronDiscriminator``.
        support: where the generator may put mass, shape (n,) of booleans; everywhere when left out.

    Raises:
        InputError: p_data not a distribution, or a class on another number of points.

    Reference:
        A reconstruction after the abstract of Chen, Wang and Ge, ICLR 2018; choices and proofs are ours.

    >>> solution = FiniteGame([0.5, 0.2, 0.3, 0.0]).solve()
    >>> solution.status.name, solution.generated.round(6)
    ('CERTIFIED', array([0.5, 0.2, 0.3, 0. ]))
    """

    p_data: Any
    divergence: str | Divergence = "jensen-shannon"
    discriminator: FiniteDiscriminator | None = None
    support: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "p_data", distribution("p_data", self.p_data))
        object.__setattr__(self, "divergence", as_divergence(self.divergence))
        given: Any = self.discriminator
        n = len(self.p_data)
        known = (LipschitzDiscriminator, FeatureDiscriminator, NeuronDiscriminator)
        if given is not None and not isinstance(given, known):
            remedy = "take LipschitzDiscriminator, FeatureDiscriminator or NeuronDiscriminator"
            raise InputError("discriminator of FiniteGame", given, "be None or a class on the support", remedy)
        if given is not None and given.size != n:
            remedy = f"p_data has {n} points: give one row for each"
            raise InputError("points of the discriminator", given.size, f"be {n}", remedy)
        object.__setattr__(self, "support", _support(self.support, n))

    @property
    def _data(self) -> FiniteGameData:
        assert isinstance(self.divergence, Divergence), "made one in __post_init__"
        return FiniteGameData(self.p_data, self.divergence, self.discriminator, self.support)

    def solve(
        self,
        solver: str | None = None,
        tol: float | None = None,
        max_iter: int | None = None,
        time_limit: float | None = None,
        verbose: bool = False,
        options: Mapping[str, Any] | None = None,
        polish: bool = True,
    ) -> FiniteGameSolution:
        """Solve the conic program, read p_g off its multipliers, polish both by KKT, and certify.

        Args:
            solver: CLARABEL (default), SCS or MOSEK.
            tol: what CERTIFIED asks of gap / max(|value|, unit), 1e-7 by default.
            polish: whether Newton's method on the KKT conditions follows the solver (all D, and D = Φw).

        Raises:
            InputError: bad settings. NotConicError: a custom divergence without CVXPY expressions.
        """
        data = self._data
        tol = validation.tolerance("tol", DEFAULT_TOLERANCE if tol is None else tol)
        if self.discriminator is None:
            proof = no_generator(data.p_data, data.divergence, data.support, tol)
            if proof is not None:
                return _without_candidate(len(data.p_data), proof, Stats("conic"))
        settings = _settings(solver, tol, max_iter, time_limit, verbose, options)
        point = solve_finite_game(data, settings, validation.flag("polish", polish, "True runs Newton's method"))
        stats = Stats("conic", {"solve": point.seconds}, point.stopped, point.info)
        if not point.values:
            return _failed(len(data.p_data), point, tol, stats)
        certificate, p_g, D = certify_finite_game(
            data.p_data, data.divergence, data.discriminator, data.support, _claimed(point), tol
        )
        parts = {name: array for name, array in (point.values | point.multipliers).items() if name not in ("D", "p_g")}
        return FiniteGameSolution(p_g, D, certificate.upper, certificate.lower, certificate, stats, parts)

    def evaluate(self, p_g: Any, tol: float | None = None, solver: str | None = None) -> FiniteGameSolution:
        """What a given generated distribution attains: g(p_g) = sup_D L(D, p_g) over the class.

        With ``"wasserstein"`` at ε = 0 and a Lipschitz class this is the optimal-transport cost W₁(p_d, p_g).

        Args:
            p_g: ≥ 0, shape (n,), sums to one.

        Returns:
            ``value`` bounds the supremum above, ``bound`` is what ``discriminator`` attains; both inf, and INFEASIBLE,
            where p_g is infinitely far from p_data.

        >>> metric = LipschitzDiscriminator.of_points([[0.0], [1.0], [3.0]])
        >>> game = FiniteGame([1.0, 0.0, 0.0], Divergence.named("wasserstein", epsilon=0.0), metric)
        >>> round(game.evaluate([0.0, 0.5, 0.5]).value, 7)
        2.0
        """
        q = distribution("p_g", p_g)
        if len(q) != len(self.p_data):
            raise InputError("p_g", q, f"have {len(self.p_data)} entries", "one for each point of p_data")
        tol = validation.tolerance("tol", DEFAULT_TOLERANCE if tol is None else tol)
        if np.any(q[~self.support] > 0):
            place = int(np.flatnonzero(~self.support & (q > 0))[0])
            raise InputError(f"p_g[{place}]", float(q[place]), "be 0", "the generator may not go there: see support")
        data = self._data
        data = FiniteGameData(data.p_data, data.divergence, data.discriminator, q > 0, q)
        if self.discriminator is None and data.divergence.is_named:
            D = data.divergence.best_response(data.p_data, q)
            certificate, D = evaluate_finite_game(data.p_data, data.divergence, None, q, Claimed(D, q), tol)
            return FiniteGameSolution(q, D, certificate.upper, certificate.lower, certificate, Stats("closed_form"))
        point = solve_finite_game(data, _settings(solver, tol, None, None, False, None))
        stats = Stats("conic", {"solve": point.seconds}, point.stopped, point.info)
        if not point.values:
            return _failed(len(q), point, tol, stats)
        certificate, D = evaluate_finite_game(data.p_data, data.divergence, data.discriminator, q, _claimed(point), tol)
        return FiniteGameSolution(q, D, certificate.upper, certificate.lower, certificate, stats)

    def iterate(self, **settings: Any) -> FunctionSpaceRun:
        """Run a function-space method on this game: see ``solvers.function_space.function_space`` for the settings.

        Raises:
            InputError: a restricted discriminator or generator, which these methods do not know.

        >>> run = FiniteGame([0.7, 0.3], "kullback-leibler").iterate(method="primal-dual")
        >>> run.converged, run.generated.round(6)
        (True, array([0.7, 0.3]))
        """
        if self.discriminator is not None or not np.all(self.support):
            remedy = "solve() handles classes and supports"
            raise InputError("FiniteGame.iterate", "restricted game", "have any D and any p_g", remedy)
        return function_space(self.p_data, self._data.divergence, **settings)

    def to_cvxpy(self) -> Any:
        """The conic program as a ``cvxpy.Problem``; p_g is the dual value of its first constraint.

        A ReLU class is written over all the cells of its arrangement (small supports only).
        """
        from convexwgan.geometry.arrangements import enumerate_cells
        from convexwgan.solvers.conic.finite_game import finite_game_program

        data, cells = self._data, None
        if isinstance(data.discriminator, NeuronDiscriminator) and data.discriminator.discriminator.kind == "relu":
            cells = enumerate_cells(data.discriminator.inputs).patterns
        return finite_game_program(data.p_data, data.divergence, data.discriminator, data.support, cells).problem

    def explain(self) -> FiniteGameExplanation:
        """The program, the conditions checked on this data, and what they say of p_g; ``print`` it."""
        data = self._data
        return explain_finite_game(data.p_data, data.divergence, data.discriminator, data.support)


def distribution(name: str, given: Any) -> Float64:
    """A validated distribution, shape (n,), float64, scaled to sum to one exactly.

    Raises:
        InputError: not one axis, empty, not finite, negative, or a sum further than 1e-6 from one.

    >>> distribution("p_data", [1, 1])
    Traceback (most recent call last):
    ...
    convexwgan.errors.InputError: sum of p_data = 2.0 must be 1: divide by it: p_data / p_data.sum().
    """
    remedy = "it is a distribution over the points of the support"
    if isinstance(given, np.ma.MaskedArray):
        raise InputError(name, given, "have no mask", "fill or drop masked entries")
    if is_frame(given):
        given = given.to_numpy()
    if "complex" in str(getattr(given, "dtype", type(given))) or _has_complex(given):
        raise InputError(name, given, "be real", remedy)
    try:
        p = to_numpy64(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(name, given, "hold real numbers", str(error)) from error
    if p.ndim != 1 or p.size == 0:
        raise InputError(name, given, "have one axis and at least one entry", remedy)
    if not np.all(np.isfinite(p)):
        place = int(np.argmin(np.isfinite(p)))
        raise InputError(f"{name}[{place}]", float(p[place]), "be finite", remedy)
    if np.any(p < 0):
        raise InputError(f"{name}[{int(np.argmin(p))}]", float(p.min()), "be ≥ 0", remedy)
    with np.errstate(over="ignore"):
        total = float(p.sum())
    if not abs(total - 1) <= _MASS_ERROR:
        raise InputError(f"sum of {name}", total, "be 1", f"divide by it: {name} / {name}.sum()")
    return np.asarray(p / p.sum())


def _has_complex(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and any(isinstance(entry, complex) for entry in given)


def _support(given: Any, n: int) -> Bools:
    if given is None:
        return np.ones(n, dtype=np.bool_)
    mask = np.asarray(given)
    if mask.dtype != np.bool_ or mask.shape != (n,) or not mask.any():
        remedy = "say with True where the generator may put mass"
        raise InputError("support", given, f"be {n} booleans, not all False", remedy)
    return np.asarray(mask, dtype=np.bool_)


def _settings(
    solver: str | None,
    tol: float,
    max_iter: int | None,
    time_limit: float | None,
    verbose: bool,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    limits = {"max_iter": max_iter, "time_limit": time_limit}
    return {"solver": solver, "tol": min(tol, 1e-7), "verbose": verbose, "options": options, **limits}


def _claimed(point: SaddlePoint) -> Claimed:
    return Claimed(point.values["D"], point.multipliers["p_g"], point.values, point.multipliers)


def _failed(n: int, point: SaddlePoint, tol: float, stats: Stats) -> FiniteGameSolution:
    """No D of the class satisfies f₁ ≥ 0, the value is unbounded, or the solver broke down: its own word tells."""
    check = Check("bounds without a candidate", True, f"none: {point.status.value}, {point.info['solver status']}")
    nothing = Certificate(-np.inf, np.inf, 0.0, "exhaustive", (check,), tol=tol, has_candidate=False)
    return _without_candidate(n, nothing, stats)


def _without_candidate(n: int, certificate: Certificate, stats: Stats) -> FiniteGameSolution:
    nothing = np.full(n, np.nan)
    return FiniteGameSolution(nothing, nothing, certificate.upper, certificate.lower, certificate, stats)
