"""Outputs linear in the weights, on the line: branch and bound over cones of weights, with starts of its own.

    min (β_g/2)‖c‖²  s.t.  dist(x, Bc) ≤ β      norm bound: min (β_g/2)‖c‖² + dist(x, Bc)

with G = ZW, W = Ec, E chosen so that the cost is ‖c‖².

A cone is bisected on its widest edge; ``ordered_sums`` bounds what is in it. The tree that closes the bracket is the
proof, and is handed to the judge as it is.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, like, to_numpy64
from convexwgan.geometry.least_spread import least_spread
from convexwgan.solvers.ordered_sums import Goal, OrderedSums, Rows
from convexwgan.solvers.run import Limits
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form
from convexwgan.theory.ordered_cones_on_the_line import LARGEST_RANK

_DEEPEST = 48
_STARTS = 12
_MOST_CONES = 20_000
Report = Callable[[float, float], None]


@dataclass(eq=False)
class Cone:
    """One node: rays (r, r) as columns, Q_w of each at the kinks (K, r), its bound on ½‖c‖² and where it is split."""

    rays: Float64
    values: Float64
    depth: int
    bound: float = 0.0
    edge: tuple[int, int] | None = None
    children: tuple[Cone, ...] = ()


@dataclass(frozen=True, eq=False)
class ConeSearch:
    """c (r,) of the best output found, or None; bounds on the cost over β_g; the tree; how the search ended."""

    c: Float64 | None
    lower: float
    upper: float
    roots: tuple[Cone, ...]
    nodes: int
    stopped: str | None


@dataclass(eq=False)
class _State:
    """What the search knows: the best c, the orders that were tried, the cones."""

    game: OrderedSums
    goal: Goal
    c: Float64 | None = None
    upper: float = math.inf
    tried: set[bytes] = field(default_factory=set)

    def offer(self, c: Float64) -> None:
        """Improve c by its order, and keep it where it is feasible and better."""
        key = self.game.order(c).tobytes()
        if key in self.tried:
            return
        self.tried.add(key)
        found = descended(self.game, self.goal, c)
        cost = math.inf if found is None else self.goal.cost(self.game, found)
        if cost < self.upper:
            self.c, self.upper = found, cost


def solve_line_cones(
    form: Form, data: GameData, limits: Limits, callback: Callable[[dict[str, Any]], object] | None = None
) -> Candidate:
    """The weights W = Ec of the best output found, the tree of cones as ``multipliers["H"]``.

    H (r + N, p): the rows of Eᵀ, then one code a node in the first column, parents before their halves.
    """
    start = time.perf_counter()
    E, B = _frame(data)
    game = OrderedSums.of(to_numpy64(data.X)[:, 0], B, data.fake_weight)
    strength = form.regularizer.strength

    def report(lower: float, upper: float) -> None:
        seconds = time.perf_counter() - start
        if callback is not None:
            callback({"stage": "global", "lower": strength * lower, "upper": strength * upper, "seconds": seconds})

    free = _every_output(form, data, game, B)
    if free is not None:
        report(*2 * [0.5 * float(free @ free)])
        return Candidate(weights=like(data.moments.first, E @ free[:, None]), stats={"cones": 0})
    until = None if limits.time_limit is None else start + limits.time_limit
    goal = Goal(None, 1.0 / strength) if form.discriminator.norm_bound else Goal(data.beta)
    found = search_cones(
        game, goal, tol=limits.tol, max_nodes=limits.max_iter or _MOST_CONES, until=until, report=report
    )
    users = to_numpy64(data.in_users_units(E))
    multipliers: dict[str, Any] = {"H": _encoded(users, found.roots)} if found.roots else {}
    if goal.beta is None and found.c is not None:
        multipliers["beta"] = np.asarray(game.dist(found.c))
    weights = None if found.c is None else like(data.moments.first, E @ found.c[:, None])
    return Candidate(weights=weights, multipliers=multipliers, stopped=found.stopped, stats={"cones": found.nodes})


def _every_output(form: Form, data: GameData, game: OrderedSums, B: Float64) -> Float64 | None:
    """c of the least spread output, where noise of full rank reaches every output and only the output is paid for."""
    reaches = data.rank == data.n_fake and data.n_fake % data.n_real == 0
    if not reaches or form.discriminator.norm_bound or form.regularizer.kind != "output":
        return None
    x = to_numpy64(data.X)[:, 0]
    w = np.repeat(least_spread(x, data.beta / data.real_weight).w, data.n_fake // data.n_real)
    c = np.asarray(np.linalg.lstsq(B, w, rcond=None)[0])
    return c if game.dist(c) <= data.beta * (1.0 + 1e-9) else None  # noise may be too ill-conditioned


def _frame(data: GameData) -> tuple[Float64, Float64]:
    """E (p, r) with R_g(Ec) = (β_g/2)‖c‖², and B = ZE (m, r): Z = UsVᵀ gives V/(s√w_f), or V where W is paid for."""
    spectrum, Z = data.latent_spectrum, to_numpy64(data.features)
    E = to_numpy64(spectrum.vectors)
    if data.wgan.regularizer.of == "output":
        E = E / np.sqrt(to_numpy64(spectrum.values))
    return E, Z @ E


def _encoded(E: Float64, roots: tuple[Cone, ...]) -> Float64:
    """Eᵀ, then the codes of all nodes: 0 a leaf, 1 + ir + j an edge that was halved."""
    rank = E.shape[1]
    codes = [0 if cone.edge is None else 1 + cone.edge[0] * rank + cone.edge[1] for cone in _preorder(roots)]
    table = np.zeros((rank + len(codes), len(E)))
    table[:rank], table[rank:, 0] = E.T, codes
    return table


def _preorder(roots: tuple[Cone, ...]) -> Iterator[Cone]:
    """Every cone, before its halves."""
    stack = list(roots)[::-1]
    while stack:
        cone = stack.pop()
        yield cone
        stack.extend(cone.children[::-1])


def search_cones(
    game: OrderedSums,
    goal: Goal,
    *,
    tol: float = 1e-6,
    max_nodes: int = 20_000,
    until: float | None = None,
    report: Report | None = None,
    rng: int = 0,
) -> ConeSearch:
    """min ½‖c‖² s.t. dist(x, Bc) ≤ β, or ½‖c‖² + p·dist(x, Bc), from both sides.

    Args:
        game: B (m, r) and the data; r ≤ ``LARGEST_RANK`` for a tree, else only an upper bound is found.
        goal: β_d > 0, or the price p of dist.
        tol: relative gap at which to stop.
        max_nodes: cones that are looked at.
        until: ``time.perf_counter()`` at which to stop.
        report: called with both bounds when the upper one falls.
        rng: seed of the starts.

    >>> game = OrderedSums.of(np.array([-1.0, 1.0]), np.array([[-2.0], [2.0]]), 1.0)
    >>> found = search_cones(game, Goal(0.1))
    >>> np.abs(found.c).round(9).tolist(), round(found.lower, 9), found.nodes
    ([0.45], 0.10125, 2)
    """
    state = _State(game, goal)
    rank = game.B.shape[1]
    nothing = goal.cost(game, np.zeros(rank))
    if rank == 0 or nothing == 0.0:
        return ConeSearch(np.zeros(rank), 0.0, nothing, (), 0, None)
    if math.isfinite(nothing):
        state.c, state.upper = np.zeros(rank), nothing
    for start in starts(game, np.random.default_rng(rng)):
        state.offer(start)
        if until is not None and time.perf_counter() > until:
            return ConeSearch(state.c, 0.0, state.upper, (), 0, "time_limit")
    if rank > LARGEST_RANK:
        return ConeSearch(state.c, 0.0, state.upper, (), 0, None)
    return _branch(state, tol, max_nodes, until, report)


def _branch(state: _State, tol: float, max_nodes: int, until: float | None, report: Report | None) -> ConeSearch:
    game, rank, stopped = state.game, state.game.B.shape[1], None
    roots = tuple(_cone(game, np.diag(signs)) for signs in product((1.0, -1.0), repeat=rank))
    heap: list[tuple[float, int, Cone]] = []
    for root in roots:
        _bound(state, root)
        heapq.heappush(heap, (root.bound, len(heap), root))
    nodes, told = len(roots), math.inf
    while heap:
        bound, _, cone = heap[0]
        if report is not None and state.upper < told:
            told = state.upper
            report(min(bound, state.upper), state.upper)
        if math.isinf(bound) or bound >= state.upper * (1.0 - 0.3 * tol):
            break
        if nodes >= max_nodes or cone.depth >= _DEEPEST or (until is not None and time.perf_counter() > until):
            stopped = "max_iter" if nodes >= max_nodes else "time_limit" if cone.depth < _DEEPEST else None
            break
        heapq.heappop(heap)
        _split(game, cone)
        for child in cone.children:
            _bound(state, child)
            child.bound = max(child.bound, cone.bound)
            nodes += 1
            heapq.heappush(heap, (child.bound, nodes, child))
    return ConeSearch(state.c, min(heap[0][0], state.upper), state.upper, roots, nodes, stopped)


def _cone(game: OrderedSums, rays: Float64, depth: int = 0) -> Cone:
    return Cone(rays, game.at_kinks(game.sorted_sums(rays)), depth)


def _split(game: OrderedSums, cone: Cone) -> None:
    """Halve the widest edge at (r_i + r_j)/2: exact in binary, so that the halves cover the cone."""
    units = cone.rays / np.linalg.norm(cone.rays, axis=0)
    cosines = units.T @ units + 2.0 * np.tril(np.ones_like(units))
    i, j = (int(k) for k in np.unravel_index(int(np.argmin(cosines)), cosines.shape))
    middle = 0.5 * (cone.rays[:, i] + cone.rays[:, j])
    value = game.at_kinks(game.sorted_sums(middle[:, None]))[:, 0]
    halves = []
    for k in (i, j):
        rays, values = cone.rays.copy(), cone.values.copy()
        rays[:, k], values[:, k] = middle, value
        halves.append(Cone(rays, values, cone.depth + 1))
    cone.edge, cone.children = (i, j), tuple(halves)


def _bound(state: _State, cone: Cone) -> None:
    """The relaxation with the cuts of the middle's order, then with those of the order that it finds."""
    game = state.game
    rows = Rows.joined(game.relaxation(cone.rays, cone.values), game.cuts(game.order(cone.rays.sum(axis=1))))
    for _ in range(2):
        point, _ = state.goal.point(rows)
        cone.bound = max(cone.bound, state.goal.bound(rows, point.u))
        if point.c is None:
            cone.bound = math.inf
        if point.c is None or cone.bound >= state.upper or not point.c.any():
            return
        rows = Rows.joined(rows, game.cuts(game.order(point.c)))
    if point.c is not None:
        state.offer(point.c)


def descended(game: OrderedSums, goal: Goal, c: Float64, *, rounds: int = 30) -> Float64 | None:
    """Convex–concave steps from c: the reverse convex half by the order of c, the convex half by cuts; None in vain.

    Where the order of c holds nothing feasible, c is first improved at a distance near the one it has, then lowered.
    """
    level = goal if goal.beta is None else _lowered(game, Goal(max(goal.beta, game.dist(c))), goal, c)
    for _ in range(rounds):
        found = _restricted(game, level, c)
        if found is None:
            return None
        stalled = float(np.linalg.norm(found - c)) <= 1e-12 * float(np.linalg.norm(found))
        c = found
        if level == goal and stalled:
            break
        level = goal if goal.beta is None else _lowered(game, level, goal, c)
    return c if math.isfinite(goal.cost(game, c)) else None


def _lowered(game: OrderedSums, level: Goal, goal: Goal, c: Float64) -> Goal:
    """β where the order of c allows it, else the geometric mean with β, at most 0.9 of what there is."""
    if level == goal or _restricted(game, goal, c) is not None:
        return goal
    assert level.beta is not None
    assert goal.beta is not None
    return Goal(max(goal.beta, min(0.9 * level.beta, math.sqrt(level.beta * goal.beta))))


def _restricted(game: OrderedSums, goal: Goal, c: Float64, *, rounds: int = 12) -> Float64 | None:
    """The best c under the restriction by the order of c, with cuts until the convex half holds too."""
    order = game.order(c)
    rows = Rows.joined(game.restriction(order), game.cuts(order))
    (found, _), dist = goal.point(rows)
    for _ in range(rounds):
        if found is None or game.dist(found) <= dist * (1.0 + 1e-10):
            return found
        rows = Rows.joined(rows, game.cuts(game.order(found)))
        (found, _), dist = goal.point(rows)
    return found


def starts(game: OrderedSums, rng: np.random.Generator) -> list[Float64]:
    """Least-squares fits of the sorted data to the outputs in the order that the fit has, from random directions."""
    rank, steps = game.B.shape[1], np.diff(game.nodes, prepend=0.0) / game.weight
    inverse = np.linalg.pinv(game.B)
    found = []
    for direction in [*np.eye(rank), *-np.eye(rank), *rng.standard_normal((_STARTS, rank))]:
        c = direction
        for _ in range(20):
            order = game.order(c)
            target = np.empty_like(steps)
            target[order] = steps
            fitted = inverse @ target
            if np.array_equal(game.order(fitted), order):
                break
            c = fitted
        found.append(fitted if fitted.any() else direction)
    return found
