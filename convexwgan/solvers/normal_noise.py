"""Linear generator, Gaussian noise, ReLU neurons: cutting planes for the semi-infinite program in S = WᵀW (MATH 4)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.geometry.normal_distances import EXACT_DIMENSION, NORMAL_MEAN, normal_maxima, normal_support
from convexwgan.geometry.relu_sums import relu_sum
from convexwgan.solvers.conic import ConicModel, ConicResult, ConicStatus, run
from convexwgan.solvers.conic.normal_noise import normal_noise_phase_one, normal_noise_program
from convexwgan.solvers.population.solve import range_of
from convexwgan.solvers.run import Limits
from convexwgan.solvers.thin_noise import Search, thin_weights
from convexwgan.theory.candidate import Candidate, Neurons
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form

logger = logging.getLogger("convexwgan")
Callback = Callable[[dict[str, Any]], object]
Report = Callable[[float, float], None]

_MAX_ROUNDS = 40
_NARROW = 1e-6
_SLACK = {1: 2e-9, 2: 2e-9, 3: 2e-8, 4: 2e-6}
_BEYOND = 2e-7
"""How much of the data's size is left unused, by rank: for rounding, the search, and what the proof of dist may add."""
_FIRST, _THOROUGH = 400, 200
_ROUNDING, _IDLE = 1e-13, 1e-7


@dataclass
class _Game:
    """The game in units where Σ w_i‖x_i‖ = 1, on the range of the data, with the neurons found so far."""

    X: Float64
    weights: Float64
    beta: float
    U: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    h: Float64 = field(default_factory=lambda: np.zeros(0))

    def add(self, U: Float64) -> None:
        """New neurons, and −u with every u: c‖Wu‖ is the same at both, so that both constraints bind it."""
        both = np.concatenate([U, -U])
        self.U = both if len(self.U) == 0 else np.concatenate([self.U, both])
        self.h = np.concatenate([self.h, self.support(both)])

    def support(self, U: Float64) -> Float64:
        """h_X at the rows of U."""
        return relu_sum(self.X, self.weights, U)

    def excess(self, W: Float64, starts: int = 24) -> tuple[Float64, float, float]:
        """Neurons that tell more than β apart (k, d), the largest difference, and (h − β)₊² − c²‖Wu‖² at its worst."""
        found = [normal_maxima(self.X, self.weights, W, sign, starts=starts) for sign in (1.0, -1.0)]
        points = np.concatenate([side.points[side.values > self.beta] for side in found])
        u = found[0].points
        missing = np.maximum(self.support(u) - self.beta, 0.0) ** 2 - normal_support(W, u) ** 2
        return points, max(float(side.values[0]) for side in found), float(missing.max())


def root_of(S: Float64, rows: int) -> Float64:
    """W (rows, d) with WᵀW the best approximation of S ⪰ 0 of that rank."""
    values, vectors = np.linalg.eigh(S)
    k = min(rows, len(S))
    W = np.zeros((rows, len(S)))
    W[:k] = (np.sqrt(np.maximum(values, 0.0)) * vectors).T[::-1][:k]
    return W


def solve_normal_noise(form: Form, data: GameData, limits: Limits, callback: Callback | None = None) -> Candidate:
    """min (β_g/2) tr WᵀW s.t. |h_X(u) − c‖Wu‖| ≤ β_d for ‖u‖ ≤ 1, by cuts in S = WᵀW.

    Each round solves the semidefinite program on the neurons at hand and adds all local maxima of both excesses. The
    constraint is held a little tighter than β_d, so that the W that is stored is feasible. Each S bounds the value
    from below; the multipliers are returned as neurons v = 2λ(h − β_d), −2μ(h + β_d): then d value/dβ_d = −Σ|v|.

    Returns:
        Candidate whose weights are W (d_f, d_r); ``infeasible`` with the ray as neurons where there is none.

    Reference:
        MATH 4, linear generator and Gaussian noise.
    """
    began = time.perf_counter()
    game, basis, unit = _game_of(data)
    value_unit = 0.5 * form.regularizer.strength * unit**2
    rows = data.feature_count
    if float(normal_maxima(game.X, game.weights, np.zeros((1, game.X.shape[1])), 1.0).values[0]) <= game.beta:
        return Candidate(weights=np.zeros((rows, data.dim)), stats={"rounds": 0})
    _first_neurons(game, np.random.default_rng(0))
    report = _reporter(callback, value_unit, began)
    found = _Cuts(game, limits, _margin(game, data), began, report).run()
    if found.status in (ConicStatus.INFEASIBLE, ConicStatus.FAILED) and found.stopped is None:
        ray = _ray(found.inner, game.beta, limits)
        if ray is not None:
            reason, moved = "no Gaussian output is within β_d on the neurons of a ray", Neurons(ray.u @ basis.T, ray.v)
            return Candidate(infeasible=reason, neurons=moved, stats=found.stats)
        found = _Cuts(game, limits, 0.0, began, report).run()  # perhaps only for want of the margin
    W = None if found.S is None else _weights(found, rows)
    weights = None if W is None else W @ basis.T * unit
    late = limits.time_limit is not None and time.perf_counter() - began > limits.time_limit
    stopped = found.stopped or ("time_limit" if late else found.status.value if found.S is None else None)
    neurons = None if found.v is None else _neurons(found, basis, value_unit / unit)
    return Candidate(weights=weights, neurons=neurons, stopped=stopped, stats=found.stats)


def _weights(found: _Cuts, rows: int) -> Float64 | None:
    """W (rows, r) with WᵀW = S; with noise of too few dimensions a feasible one that is searched for, or None."""
    assert found.S is not None
    W, inner, limits = root_of(found.S, rows), found.inner, found.limits
    if float(np.linalg.eigvalsh(found.S)[: max(len(found.S) - rows, 0)].clip(0.0).sum()) == 0.0:
        return W
    deadline = np.inf if limits.time_limit is None else found.began + limits.time_limit
    if inner.excess(W, _THOROUGH)[1] <= found.limit:
        return W

    def look(W: Float64, starts: int) -> tuple[Float64, float]:
        return inner.excess(W, starts)[:2]

    return thin_weights(Search(inner.U, inner.h, inner.support, look, found.limit, inner.beta, limits, deadline), W)


def relaxed_program(form: Form, data: GameData, natural: bool) -> ConicModel:
    """The program on the neurons at which the cutting planes end: a lower bound, as tight as those make it."""
    game, basis, unit = _game_of(data)
    _first_neurons(game, np.random.default_rng(0))
    limits = Limits(None, 1e-6, None, None, False, None)
    game = _Cuts(game, limits, 0.0, time.perf_counter(), lambda lower, upper: None).run().inner
    strength = form.regularizer.strength
    return normal_noise_program(game.U @ basis.T, game.h * unit, beta=data.beta, strength=strength, natural=natural)


def _game_of(data: GameData) -> tuple[_Game, Float64, float]:
    """The game in its own units, the basis of the range of the data, and the unit."""
    X = to_numpy64(data.X)
    basis, w = range_of(X), np.full(len(X), data.real_weight)
    unit = float(w @ np.linalg.norm(X, axis=1)) or 1.0
    return _Game(X @ basis / unit, w, data.beta / unit), basis, unit


def _neurons(found: _Cuts, basis: Float64, unit: float) -> Neurons:
    """In the user's coordinates and units, each once, without those that carry next to nothing."""
    assert found.v is not None
    U = found.inner.U[: len(found.v)]
    _, first, group = np.unique(np.round(U, 12), axis=0, return_index=True, return_inverse=True)
    v = np.bincount(group.ravel(), weights=found.v, minlength=len(first))
    kept = np.abs(v) > _IDLE * np.abs(v).max(initial=0.0)
    return Neurons(U[first][kept] @ basis.T, unit * v[kept])


def _first_neurons(game: _Game, rng: np.random.Generator) -> None:
    """Directions all over the sphere, the axes, and those of the mean and of the data's principal axes."""
    d = game.X.shape[1]
    axes = np.linalg.eigh((game.X.T * game.weights) @ game.X)[1].T
    m = game.weights @ game.X
    spread = np.ones((1, 1)) if d == 1 else rng.standard_normal((min(_FIRST, 40 * d), d))
    if d == 2:
        angle = np.pi * np.arange(48) / 48
        spread = np.column_stack([np.cos(angle), np.sin(angle)])
    chosen = np.concatenate([spread, axes, m[None]])
    length = np.linalg.norm(chosen, axis=1)
    game.add(chosen[length > 0.0] / length[length > 0.0][:, None])


def _margin(game: _Game, data: GameData) -> float:
    slack = _NARROW if "float32" in str(data.X.dtype) else _SLACK.get(game.X.shape[1], _BEYOND)
    return min(slack, 0.01 * game.beta)


@dataclass
class _Cuts:
    """Rounds of program and oracle at β − margin, until S, or S + δI for a δ that costs next to nothing, is feasible.

    S is the cheapest feasible one of all rounds, of trace ``cost``, or the first where there is none (cost ∞); v the
    neurons' weights in the game's units; ``lower`` ≤ tr S for every feasible S.
    """

    game: _Game
    limits: Limits
    margin: float
    began: float
    report: Report
    S: Float64 | None = None
    v: Float64 | None = None
    lower: float = 0.0
    cost: float = np.inf
    status: ConicStatus = ConicStatus.FAILED
    stopped: str | None = None
    stats: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inner = replace(self.game, beta=self.game.beta - self.margin)
        self.limit = self.game.beta - 0.5 * self.margin + (self.margin == 0.0) * _ROUNDING

    def run(self) -> _Cuts:
        """All rounds; an interrupt keeps what is there."""
        try:
            self.stopped = self._rounds()
        except KeyboardInterrupt:
            self.stopped = "interrupt"
        return self

    def _rounds(self) -> str | None:
        for number in range(1, (self.limits.max_iter or _MAX_ROUNDS) + 1):
            left = None
            if self.limits.time_limit is not None:
                left = self.limits.time_limit - (time.perf_counter() - self.began)
                if left <= 0.0:
                    return "time_limit"
            result = self._solved(left)
            self.status = result.status
            self.stats = {"rounds": number, "neurons": len(self.inner.h), "solver": result.solver}
            if not result.values:
                return result.stopped
            points = self._look(0.5 * (result.values["S"] + result.values["S"].T), result)
            logger.debug("round %d: %.9g ≤ tr S ≤ %.9g", number, self.lower, self.cost)
            if self.is_closed or len(points) == 0:
                return None
            self.inner.add(points)
        return "max_iter"

    @property
    def is_closed(self) -> bool:
        """Whether what is left between both bounds is small against the tolerance."""
        return bool(np.isfinite(self.cost)) and self.cost - self.lower <= 0.02 * self.limits.tol * self.cost

    def _solved(self, left: float | None) -> ConicResult:
        limits = self.limits
        model = normal_noise_program(self.inner.U, self.inner.h, beta=self.inner.beta, strength=2.0)
        return run(
            model, solver=limits.solver, tol=min(limits.tol, 1e-7), time_limit=left, verbose=limits.verbose,
            options=limits.options,
        )  # fmt: skip

    def _look(self, S: Float64, result: ConicResult) -> Float64:
        """Bounds from this round's S, and the neurons that it does not satisfy.

        Where h_X is little above β the program cannot see that c²uᵀSu misses (h − β)² by 1e-12, but c‖Wu‖ then
        misses by 1e-6: δ = max (h − β)₊² − c²uᵀSu, over c², repairs that.
        """
        self.lower = float(np.trace(S))
        self.v = neuron_weights(replace(self.inner, beta=self.game.beta), result)
        points, largest, missing = self.inner.excess(root_of(S, len(S)))
        if largest > self.limit and missing > 0.0:
            S = S + 1.0001 * missing / NORMAL_MEAN**2 * np.eye(len(S))
            largest = self.inner.excess(root_of(S, len(S)))[1]
        if largest <= self.limit and len(S) > EXACT_DIMENSION:  # before it is believed
            more, largest, _ = self.inner.excess(root_of(S, len(S)), _THOROUGH)
            points = np.concatenate([points, more])
        if self.S is None or (largest <= self.limit and np.trace(S) < self.cost):
            self.S, self.cost = S, float(np.trace(S)) if largest <= self.limit else np.inf
        self.report(self.lower, self.cost)
        return points


def neuron_weights(game: _Game, result: ConicResult) -> Float64:
    """v_k = 2λ_k(h_k − β)₊ − 2μ_k(h_k + β): the discriminator whose Lagrangian has the same gradient at S."""
    lam, mu = result.multipliers["below"], result.multipliers["above"]
    return np.asarray(2.0 * lam * np.maximum(game.h - game.beta, 0.0) - 2.0 * mu * (game.h + game.beta))


def _ray(inner: _Game, beta: float, limits: Limits) -> Neurons | None:
    """A Farkas ray at β itself: opposite neurons along the mean, or the multipliers of phase one."""
    game = replace(inner, beta=beta)
    m = game.weights @ game.X
    size = float(np.linalg.norm(m))
    if size > 2.0 * game.beta:
        u = np.stack([m, -m]) / size
        h = relu_sum(game.X, game.weights, u)
        return Neurons(u, np.array([2.0 * (h[0] - game.beta), -2.0 * (h[1] + game.beta)]))
    result = run(normal_noise_phase_one(game.U, game.h, beta=game.beta), solver=limits.solver, tol=1e-8)
    if not result.values or float(result.values["t"]) <= 1e-9:
        return None
    v = neuron_weights(game, result)
    kept = np.abs(v) > _IDLE * np.abs(v).max(initial=0.0)
    return Neurons(game.U[kept], v[kept])


def _reporter(callback: Callback | None, value_unit: float, began: float) -> Report:
    """Every round's relaxation bounds the value from below, every feasible S from above."""

    def report(lower: float, upper: float) -> None:
        if callback is not None:
            seconds = time.perf_counter() - began
            bounds = {"lower": lower * value_unit, "upper": upper * value_unit}
            callback({"stage": "conic", **bounds, "seconds": seconds})

    return report
