"""Convex–concave procedure: a free generator against ReLU neurons without bias, from data to candidate (MATH 4)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.geometry.relu_sums import relu_sum, sphere_maxima
from convexwgan.geometry.rounding import rounded_measure
from convexwgan.solvers.branching.anchored import anchored
from convexwgan.solvers.linearised_zonotopes import Target, improved
from convexwgan.solvers.population.sides import best_scaled
from convexwgan.solvers.population.solve import range_of, solve_population
from convexwgan.solvers.run import Limits
from convexwgan.solvers.search import Search
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form

logger = logging.getLogger("convexwgan")
Callback = Callable[[dict[str, Any]], object]

_STARTS, _STARTS_MANY = 24, 8
"""How many starts, and above 20 samples, where one costs more and misses less."""
_MAX_STEPS = 200
_NARROW, _WIDE = 1e-6, 2e-8
"""How much of β_d is left unused, so that the stored output is feasible after rounding."""
_ANCHORED = 500
"""Up to how many samples a descent with anchored corners comes first: its programs have all corners as rows."""
_SHARE = 0.4
"""Of the time limit, for the lower bound."""


@dataclass
class _Run:
    """The best feasible output so far, in the units of ``Target``, and what has to be reported."""

    target: Target
    lower: float
    value_unit: float
    deadline: float
    callback: Callback | None
    tol: float
    began: float = field(default_factory=time.perf_counter)
    best: Float64 | None = None
    cost: float = np.inf
    steps: int = 0
    starts: int = 0

    def offer(self, G: Float64) -> None:
        """Keep G, which is feasible, where it is cheaper, and say so."""
        cost = float(np.sum(G * G))
        if self.best is None or cost < self.cost * (1.0 - 1e-12):
            self.best, self.cost = G, cost
            if self.callback is not None:
                seconds = time.perf_counter() - self.began
                bounds = {"lower": self.lower, "upper": cost * self.value_unit}
                self.callback({"stage": "convex_concave", **bounds, "seconds": seconds})

    @property
    def is_over(self) -> bool:
        """Whether the bracket is closed or the time is up."""
        if self.best is None:
            return time.perf_counter() > self.deadline
        closed = self.cost * self.value_unit - self.lower <= self.tol * self.cost * self.value_unit
        return closed or time.perf_counter() > self.deadline


def solve_convex_concave(
    form: Form, data: GameData, limits: Limits, callback: Callback | None = None, start: Float64 | None = None
) -> Candidate:
    """min (β_g/2)w_f‖G‖_F² s.t. |Σ w_r(x_iᵀu)₊ − Σ w_f(g_iᵀu)₊| ≤ β_d for ‖u‖ ≤ 1: a feasible G and a discriminator.

    h_G is convex, so that h_G ≤ h_X + β_d is convex in G, and h_G ≥ h_X − β_d is not; its linearisation at a feasible
    G₀, Σ_i 1[g⁰_iᵀu > 0]g_iᵀu ≥ h_X(u) − β_d, is stricter. Each step is a quadratic program closed by the exact
    oracle; it costs no more than the one before. The lower bound is the population game's discriminator.

    Returns:
        Candidate whose weights are G (n_f, d) and whose neurons prove the lower bound; ``stopped`` is "interrupt",
        "time_limit" or "max_iter" where a limit was hit, and the best output so far is returned.

    Reference:
        MATH 4.
    """
    began = time.perf_counter()
    deadline = np.inf if limits.time_limit is None else began + limits.time_limit
    basis = range_of(to_numpy64(data.X))
    try:
        tol = min(1e-7, limits.tol) if basis.shape[1] < 3 else max(1e-4, limits.tol)
        share = None if limits.time_limit is None else _SHARE * limits.time_limit
        first = solve_population(form, data, replace(limits, time_limit=share, max_iter=None, tol=tol))
    except KeyboardInterrupt:
        first = Candidate(stopped="interrupt")
    target, unit = _target(data, basis)
    lower, value_unit = _lower(first, data), 0.5 * data.wgan.regularizer.strength * unit**2 / data.fake_weight
    run = _Run(target, lower, value_unit, deadline, callback, limits.tol, began)
    stopped = first.stopped if first.stopped == "interrupt" else None
    try:
        given = None if start is None else data.fake_weight * start @ basis / unit
        starts = _starts(run.target, _vectors(first, data, basis) / unit, given, Search.of(limits.options))
        stopped = _all_starts(run, starts, limits.max_iter or _MAX_STEPS, stopped)
    except KeyboardInterrupt:
        stopped = "interrupt"
    G = None if run.best is None else run.best @ basis.T * (unit / data.fake_weight)
    stats = {"steps": run.steps, "starts": run.starts, "neurons": 0 if first.neurons is None else len(first.neurons.v)}
    return Candidate(weights=G, neurons=first.neurons, stopped=stopped, stats=stats)


def _all_starts(run: _Run, starts: Iterator[Float64], max_steps: int, stopped: str | None) -> str | None:
    """Descend from every start; why it ended early, else None."""
    nothing = np.zeros((run.target.n_fake, run.target.X.shape[1]))
    if run.target.is_feasible(nothing):
        run.offer(nothing)
        return stopped
    for G in starts:
        if run.starts and (stopped == "interrupt" or run.is_over):
            break
        run.starts += 1
        if (
            run.target.X.shape[1] == 2
            and run.target.n_fake <= _ANCHORED
            and anchored(run.target, G, run.offer, 0.5 * run.cost, run.deadline, max_steps=max_steps)
        ):
            continue
        run.steps += improved(run.target, G, run.offer, max_steps, run.deadline)
        logger.debug("start %d: %.9g ≤ value ≤ %.9g", run.starts, run.lower, run.cost * run.value_unit)
    if stopped is None and time.perf_counter() > run.deadline:
        return "time_limit"
    return stopped


def _target(data: GameData, basis: Float64) -> tuple[Target, float]:
    """The game for G' = w_fG against w_rX, in units where Σ w_r‖x_i‖ = 1."""
    X = data.real_weight * to_numpy64(data.X) @ basis
    unit = float(np.linalg.norm(X, axis=1).sum()) or 1.0
    slack = _NARROW if "float32" in str(data.X.dtype) else _WIDE
    beta = float(data.beta) / unit
    margin = min(slack * beta + (1e-9 if X.shape[1] < 3 else 1e-6), 0.5 * beta)  # what the proof of dist may add
    return Target(X / unit, data.n_fake, beta - margin, 0.5 * margin), unit


def _lower(candidate: Candidate, data: GameData) -> float:
    """What the discriminator proves: max_s s(⟨v,h_X⟩ − β_d‖v‖₁) − s²N_f a(v)₊²/(2β_g); the certificate redoes it."""
    if candidate.neurons is None or len(candidate.neurons.v) == 0:
        return 0.0
    u, v, X = to_numpy64(candidate.neurons.u), to_numpy64(candidate.neurons.v), to_numpy64(data.X)
    gain = float(v @ relu_sum(X, np.full(len(X), data.real_weight), u)) - data.beta * float(np.abs(v).sum())
    top = max(float(sphere_maxima(u, v).values[0]), 0.0)
    return best_scaled(gain, data.mass_fake * top**2 / data.wgan.regularizer.strength, np.inf)


def _vectors(candidate: Candidate, data: GameData, basis: Float64) -> Float64:
    """The measure as one vector an atom, in coordinates of the range; none where there is no measure."""
    if candidate.weights is None:
        return np.zeros((0, basis.shape[1]))
    table = to_numpy64(candidate.weights)
    return np.asarray(data.mass_fake * table[:, -1:] * (table[:, :-1] @ basis))


def _starts(target: Target, measure: Float64, given: Float64 | None, search: Search) -> Iterator[Float64]:
    """What was given; the data; the rounded measure, evenly cut in the plane; then all of them, disturbed."""
    rng, n, X = search.generator(), target.n_fake, target.X
    fixed = [heaviest(X, n) if len(X) > n else rounded_measure(X, n)]
    if given is not None:
        fixed.insert(0, given)
    if 0 < len(measure) <= n:
        fixed.append(rounded_measure(measure, n))
    if X.shape[1] == 2 and len(measure):
        fixed += [evenly_cut(measure, n, shift) for shift in (0.0, 0.25, 0.5, 0.75)]
    elif len(measure) > n:
        fixed.append(heaviest(measure, n))
    total = search.starts or (_STARTS if n <= 20 else _STARTS_MANY)
    yield from fixed[:total]
    size = 1.0 / n
    for k in range(total - len(fixed)):
        base = fixed[k % len(fixed)]
        yield base + (0.1, 0.3, 1.0)[k % 3] * size * rng.standard_normal(base.shape)


def heaviest(vectors: Float64, n: int) -> Float64:
    """The n longest vectors.

    >>> heaviest(np.array([[1.0], [-3.0], [2.0]]), 2).tolist()
    [[-3.0], [2.0]]
    """
    return vectors[np.argsort(-np.linalg.norm(vectors, axis=1), kind="stable")[:n]]


def evenly_cut(vectors: Float64, n: int, shift: float) -> Float64:
    """n vectors of about equal length: the vectors in the order of their angles as one path, cut into n equal parts.

    Only parts around a corner turn two directions into one; they leave Σ‖g_i‖², hence the cost, near (Σ‖p_k‖)²/n.

    >>> evenly_cut(np.array([[2.0, 0.0], [0.0, 2.0]]), 4, 0.0).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1)
    order = np.argsort(np.arctan2(vectors[:, 1], vectors[:, 0]), kind="stable")
    ends = np.concatenate([[0.0], np.cumsum(lengths[order])])
    corners = np.concatenate([np.zeros((1, 2)), np.cumsum(vectors[order], axis=0)])
    cuts = ends[-1] * (np.arange(n + 1) + shift) / n
    laps, rest = np.divmod(cuts, ends[-1] or 1.0)
    path = np.column_stack([np.interp(rest, ends, corners[:, k]) for k in range(2)]) + laps[:, None] * corners[-1]
    return np.asarray(np.diff(path, axis=0))
