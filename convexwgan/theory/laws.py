"""Laws that every solution and every theorem obeys, as checks that raise: for tests, and for whoever adds a theorem."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from convexwgan.arrays import Float64, like, to_numpy64
from convexwgan.errors import ConvexWGANError
from convexwgan.geometry.distances import polynomial_distance
from convexwgan.geometry.polynomials import lift
from convexwgan.spec.regularizer import Regularizer
from convexwgan.theory.candidate import Candidate, MomentPoint, Neurons
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.population_laws import broken_normal_law, measure_payoff, rival_measure, rival_neurons
from convexwgan.theory.reduction import Reduction
from convexwgan.theory.relu_laws import broken_law
from convexwgan.theory.routes import Route, Step
from convexwgan.theory.theorem_4_2_polynomial_generator import hidden_weights

RIVALS = 8
"""How many other players of each side challenge a claimed saddle point."""
Matrices = tuple[Float64, Float64, Float64]
"""R = Σv_ju_ju_jᵀ, y = Σv_ju_j and Σv_j: all that moments see of a discriminator, before (a, b, c)."""


class ProblemLike(Protocol):
    """What the laws read of a problem."""

    @property
    def data(self) -> GameData: ...
    def route(self, method: str = ...) -> Route: ...


class SolutionLike(Protocol):
    """What the laws read of a solution."""

    @property
    def value(self) -> float: ...
    @property
    def bound(self) -> float: ...
    @property
    def tol(self) -> float: ...
    @property
    def generator(self) -> Any: ...
    @property
    def discriminator(self) -> Any: ...


# ---- weak duality ------------------------------------------------------------------------------------------------


def check_weak_duality(problem: ProblemLike, solution: SolutionLike) -> None:
    """Neither player gains by deviating: no generator goes below ``bound``, no discriminator above ``value``.

    bound ≤ min_G L(D*, G) ≤ L(D*, G*) ≤ max_D L(D, G*) ≤ value, up to ``tol``, where

        L(D, G) = 1ᵀD(X) − 1ᵀD(G) + R_g(G) − β_d Σ|v_j|        (norm bound: Σ|v_j| ≤ 1 and no last term)

    Both ends are challenged by seeded random rivals, and the generator by the neuron that attains dist_D. Where
    no optimal discriminator is claimed (duality gap, infeasible) only bound ≤ value and the generator's side are
    checked.

    Args:
        problem: what was solved. solution: its solution.

    Raises:
        AssertionError: with the two numbers that are in the wrong order.

    >>> from convexwgan.problem import Problem
    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), np.diag([3.0, 2.0, 1.0]))
    >>> check_weak_duality(problem, problem.solve())
    """
    data, slack = problem.data, _slack(problem.data, solution)
    _ordered(solution.bound, solution.value, slack, "bound ≤ value")
    if solution.generator is None or data.wgan.regularizer.kind == "custom":
        return
    is_relu, kind = data.wgan.players[0].kind == "relu", data.wgan.players[1].kind
    if is_relu and data.is_population:
        law = broken_normal_law(data, solution, slack)
        if law is not None:
            raise AssertionError(f"weak duality is broken: {law}")
        return
    is_line = data.wgan.players[0].bias and data.dim == 1
    if kind == "distribution" or (is_relu and not is_line):
        _check_measure_duality(data, solution, slack)
        return
    if is_relu:
        law = broken_law(data, solution, slack)
        if law is not None:
            raise AssertionError(f"weak duality is broken: {law}")
        return
    parts, rng = _parts(data, solution.generator), np.random.default_rng(0)
    play = _played(data, parts)
    rivals = [_random_neurons(data, weight, rng) for weight in (0.0, *rng.uniform(0.0, 1.0, RIVALS))]
    for rival in rivals + _best_responses(data, play):
        _ordered(_payoff(data, play, rival), solution.value, slack, "L(D, G*) ≤ value for every D")
    if solution.discriminator is None:
        return
    adversary = solution.discriminator
    optimal = Neurons(to_numpy64(adversary.u), to_numpy64(adversary.v), adversary.skip)
    _ordered(_payoff(data, play, optimal), solution.value, slack, "L(D*, G*) ≤ value")
    for size in (0.0, *10.0 ** rng.uniform(-6.0, 0.5, RIVALS)):
        other = [W + size * float(np.abs(W).max(initial=0.0) or 1.0) * rng.standard_normal(W.shape) for W in parts]
        _ordered(solution.bound, _payoff(data, _played(data, other), optimal), slack, "bound ≤ L(D*, G) for every G")


def _check_measure_duality(data: GameData, solution: SolutionLike, slack: float) -> None:
    """The same law where the generator is a distribution and neurons are ReLUs."""
    rng, generator, adversary = np.random.default_rng(0), solution.generator, solution.discriminator
    kind, pays_weights = data.wgan.players[1].kind, data.wgan.regularizer.kind == "weights"
    if kind == "distribution":
        atoms, p = to_numpy64(generator.atoms), to_numpy64(generator.weights)
    else:  # n_f samples are a distribution of equal masses
        atoms, p = to_numpy64(generator.output), np.full(data.n_fake, 1.0 / data.n_fake)
    extra = _weights_less_output(data, generator, atoms) if pays_weights else 0.0
    for weight in (0.0, *rng.uniform(0.0, 1.0, RIVALS)):
        payoff = measure_payoff(data, atoms, p, *rival_neurons(data, weight, rng)) + extra
        _ordered(payoff, solution.value, slack, "L(D, ν*) ≤ value for every D")
    if adversary is None or pays_weights:
        return
    u = to_numpy64(adversary.u) if adversary.b is None else np.column_stack([adversary.u, adversary.b])
    v = to_numpy64(adversary.v)
    _ordered(measure_payoff(data, atoms, p, u, v), solution.value, slack, "L(D*, ν*) ≤ value")
    for size in (0.0, *10.0 ** rng.uniform(-6.0, 0.5, RIVALS)):
        payoff = measure_payoff(data, *rival_measure(atoms, size, rng), u, v)
        _ordered(solution.bound, payoff, slack, "bound ≤ L(D*, ν) for every ν")


def _weights_less_output(data: GameData, generator: Any, G: Float64) -> float:
    """What weights cost beyond what their output would."""
    W, strength = to_numpy64(generator.weights), data.wgan.regularizer.strength
    return 0.5 * strength * (float(np.vdot(W, W)) - data.fake_weight * float(np.vdot(G, G)))


@dataclass(frozen=True)
class _Play:
    """What a generator does: the output's moments and what it pays for them."""

    S: Float64
    s: Float64
    cost: float


def _parts(data: GameData, generator: Any) -> list[Float64]:
    """The generator's matrices: W on the features of ``data``, or (W₁, W₂) of a ReLU network."""
    if generator.first is not None:
        return [to_numpy64(generator.first), to_numpy64(generator.weights)]
    return [data.in_scaled_units(to_numpy64(generator.weights))]


def _played(data: GameData, parts: list[Float64]) -> _Play:
    if len(parts) == 1:
        S, s = output_moments(data, parts[0])
        return _Play(S, s, _cost(data, parts[0], S))
    W1, W2 = parts
    G = np.maximum(to_numpy64(data.network_input) @ W1, 0.0) @ W2
    S, s = data.fake_weight * (G.T @ G), data.fake_weight * G.sum(axis=0)
    strength = data.wgan.regularizer.strength
    weights = 0.5 * strength * float(np.vdot(W1, W1) + np.vdot(W2, W2))
    return _Play(S, s, weights if data.wgan.regularizer.kind == "weights" else 0.5 * strength * float(np.trace(S)))


def _slack(data: GameData, solution: SolutionLike) -> float:
    """Rounding and ``tol``, in units of the objective; a CERTIFIED violation of β_d moves L by Σ|v|β_d·tol."""
    finite = [abs(number) for number in (solution.value, solution.bound) if math.isfinite(number)]
    beta = data.beta if math.isfinite(data.beta) else 0.0
    weight = 0.0 if solution.discriminator is None else float(np.abs(to_numpy64(solution.discriminator.v)).sum())
    energy = float(np.trace(to_numpy64(data.moments.second)))
    return solution.tol * (max(finite, default=0.0) + beta * max(weight, 1.0)) + 1e-10 * energy


def _ordered(smaller: float, larger: float, slack: float, law: str) -> None:
    if not (smaller <= larger + slack or smaller == larger):  # written so that nan fails
        raise AssertionError(f"weak duality is broken: {law}, but {smaller:.12g} > {larger:.12g} + {slack:.1e}")


def _payoff(data: GameData, play: _Play, neurons: Neurons) -> float:
    """L(D, G) of what the generator does against a discriminator."""
    a, b, c = data.wgan.players[0].activation
    gap_S, gap_s = to_numpy64(data.moments.second) - play.S, to_numpy64(data.moments.first) - play.s
    R, y, total = _matrices(neurons)
    earned = a * float(np.vdot(R, gap_S)) + b * float(y @ gap_s) + c * float(total) * data.mass_gap
    if neurons.skip is not None:
        earned += float(to_numpy64(neurons.skip) @ gap_s)
    price = 0.0 if math.isinf(data.beta) else data.beta * float(np.abs(to_numpy64(neurons.v)).sum())
    return earned - price + play.cost


def _cost(data: GameData, W: Float64, S: Float64) -> float:
    """R_g of the weights W with output second moment S."""
    regularizer: Regularizer = data.wgan.regularizer
    if regularizer.kind == "output":
        return 0.5 * regularizer.strength * float(np.trace(S))
    if regularizer.kind == "weights":
        return 0.5 * regularizer.strength * float(np.vdot(W, W))
    entries = W if regularizer.of == "weights" or data.is_free else to_numpy64(data.features) @ W
    return regularizer.strength * float(np.linalg.norm(entries.ravel(), regularizer.p))


def output_moments(data: GameData, W: Float64) -> tuple[Float64, Float64]:
    """(S, s) of the output that weights W produce; exact for population noise.

    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> pair = Discriminator.linear(beta=1.0) + Generator.free()
    >>> output_moments(GameData(pair, np.eye(2), None, None, 2, "sum"), np.ones((2, 2)))[1].tolist()
    [2.0, 2.0]
    """
    if data.wgan.players[1].kind == "distribution":
        atoms, masses = W[:, :-1], data.mass_fake * W[:, -1]
        return (atoms.T * masses) @ atoms, masses @ atoms
    if not data.is_population:
        is_output = data.is_free or (data.wgan.players[1].kind == "relu" and len(W) == data.n_fake)
        G = W if is_output else to_numpy64(data.features) @ W  # a ReLU network's weights come after its output
        return data.fake_weight * (G.T @ G), data.fake_weight * G.sum(axis=0)
    spectrum = data.latent_spectrum
    Y = np.sqrt(to_numpy64(spectrum.values))[:, None] * (to_numpy64(spectrum.vectors).T @ W)
    return Y.T @ Y, W.T @ to_numpy64(data.latent_mean)


def _random_neurons(data: GameData, weight: float, rng: np.random.Generator) -> Neurons:
    """Three neurons in the unit ball with Σ|v_j| = weight, and no skip (it is worth 0 where s = m)."""
    u = rng.standard_normal((3, data.dim))
    u *= rng.uniform(0.2, 1.0, (3, 1)) / np.linalg.norm(u, axis=1, keepdims=True)
    v = rng.standard_normal(3)
    return Neurons(u, weight * v / np.abs(v).sum())


def _best_responses(data: GameData, play: _Play) -> list[Neurons]:
    """The neuron that attains dist_D(X, G), with v = 1 and v = −1."""
    S, s = play.S, play.s
    M, m = to_numpy64(data.moments.second), to_numpy64(data.moments.first)
    u = polynomial_distance(M, S, m, s, data.mass_gap, data.wgan.players[0].activation).u[None, :]
    return [Neurons(u, np.array([sign])) for sign in (1.0, -1.0)]


# ---- theorems ----------------------------------------------------------------------------------------------------


def check_reduction_inverts(problem: ProblemLike, theorem: Reduction, tol: float = 1e-7) -> None:
    """The theorem's inverse carries any candidate of the reduced form back: same output moments, same discriminator.

    A random candidate is made for the form that the theorem reduces to: moments (S, s) of a rank that the noise
    can carry, or weights; and random multipliers. After ``invert``, the weights must produce exactly these
    moments and the neurons, each in the unit ball, must add up to these multipliers.

    Args:
        problem: one whose route (automatic, conic or saddle) uses the theorem.
        theorem: one of ``THEOREMS``.
        tol: relative error allowed.

    Raises:
        AssertionError: no route uses the theorem, or what it broke.

    >>> from convexwgan.problem import Problem
    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> from convexwgan.theory.equation_4_free_generator import FreeThreshold
    >>> problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), np.diag([3.0, 2.0, 1.0]))
    >>> check_reduction_inverts(problem, FreeThreshold())
    """
    form, data = find_step(problem, theorem).form, problem.data
    reduced = theorem.apply(form)
    if not theorem.accepts(form) or reduced == form:
        raise AssertionError(f"{theorem.name}: it must accept the form that it stands on, and change it")
    if reduced.wgan != form.wgan or reduced.normalize != form.normalize or reduced.population != form.population:
        raise AssertionError(f"{theorem.name}: it must keep architecture, convention and noise")
    before = _random_candidate(reduced, data, np.random.default_rng(0))
    after = theorem.invert(form, before, data)
    scale = max(float(np.trace(to_numpy64(data.moments.second))), 1e-300)
    _same_output(theorem, before, after, data, tol * scale)
    _same_discriminator(theorem, before, after, tol)
    if reduced.lifted and not form.lifted and form.generator.kind == "polynomial":
        _neurons_recovered(theorem, after, data, tol)


def find_step(problem: ProblemLike, theorem: Reduction) -> Step:
    """Where the problem's automatic, conic, saddle or global route uses the theorem.

    Raises:
        AssertionError: nowhere.
    """
    routes = []
    for method in ("auto", "conic", "saddle", "global"):
        try:
            routes.append(problem.route(method))
        except ConvexWGANError:  # not every pair has such a form
            continue
    steps = [step for route in routes for step in route.steps if type(step.theorem) is type(theorem)]
    if not steps:
        raise AssertionError(f"no route of the problem uses the theorem {theorem.name!r} ({theorem.citation})")
    return steps[0]


def _random_candidate(form: Form, data: GameData, rng: np.random.Generator) -> Candidate:
    """A candidate as the solver or the theorems behind ``form`` would hand it over."""
    if form.generator.kind == "distribution":
        return Candidate(weights=np.column_stack([rng.standard_normal((3, data.dim)), rng.dirichlet(np.ones(3))]))
    multipliers = {name: like(data.moments.first, M) for name, M in _random_multipliers(form, data, rng).items()}
    in_moments = (Stage.THRESHOLD, Stage.SHIFTED_THRESHOLD, Stage.MATCHED_SPECTRA,
                  Stage.COVARIANCE_PROGRAM, Stage.COVARIANCE_SADDLE, Stage.MOMENT_PROGRAM)  # fmt: skip
    if form.stage in in_moments:
        return Candidate(moments=_random_point(form, data, rng), multipliers=multipliers)
    rows = data.n_fake if data.is_free else int(data.latent_mean.shape[0])
    weights = like(data.moments.first, rng.standard_normal((rows, data.dim)))
    return Candidate(weights=weights, multipliers=multipliers)


def _random_point(form: Form, data: GameData, rng: np.random.Generator) -> MomentPoint:
    """S = ssᵀ/ρ + Vdiag(τ)Vᵀ with the mean that the form fixes, and the rank that is left."""
    m, has_mean = data.moments.first, form.discriminator.skip or form.stage is Stage.MOMENT_PROGRAM
    has_mean = has_mean and not data.mean_is_zero
    k = max(min(data.rank - has_mean, data.dim), 0)
    V = np.linalg.qr(rng.standard_normal((data.dim, data.dim)))[0][:, :k]
    tau = np.sort(rng.uniform(0.5, 2.0, k))[::-1].copy()
    mean = to_numpy64(m) if form.discriminator.skip else rng.standard_normal(data.dim)
    return MomentPoint(like(m, V), like(m, tau), like(m, mean) if has_mean else None)


def _random_multipliers(form: Form, data: GameData, rng: np.random.Generator) -> dict[str, Float64]:
    d = data.dim
    if form.discriminator.kind == "relu":
        return {"beta": np.asarray(rng.uniform(0.0, 1.0) * data.mean_norm)}
    if form.discriminator.kind == "linear":
        return {"y": rng.standard_normal(d)}
    u = rng.standard_normal((d, d))
    if form.discriminator.kind == "quadratic":
        return {"R": u + u.T}
    u *= 0.9 / np.linalg.norm(u, axis=1, keepdims=True)
    Y = [sum((np.outer(p, p) for p in np.column_stack([part, np.ones(len(part))])), np.zeros((d + 1, d + 1)))
         for part in (u, -0.5 * u[:1])]  # fmt: skip
    return {"Y_plus": Y[0], "Y_minus": Y[1]}


def _same_output(theorem: Reduction, before: Candidate, after: Candidate, data: GameData, slack: float) -> None:
    expected, found = _moments(before, data), _moments(after, data)
    for name, left, right in zip("Ss", expected, found, strict=True):
        if left is None:  # this form says nothing of s
            continue
        error = math.inf if right is None else float(np.abs(left - right).max())
        if not error <= slack:
            raise AssertionError(f"{theorem.name}: its inverse moves the output's {name} by {error:.2g} > {slack:.1g}")


def _moments(candidate: Candidate, data: GameData) -> tuple[Float64 | None, Float64 | None]:
    if candidate.weights is not None:
        return output_moments(data, to_numpy64(candidate.weights))
    point = candidate.moments
    if point is None:
        return None, None
    V, tau = to_numpy64(point.directions), to_numpy64(point.variances)
    S = (V * tau) @ V.T
    if point.mean is None:
        return S, None
    s = to_numpy64(point.mean)
    return S + np.outer(s, s) / data.rho, s


def _same_discriminator(theorem: Reduction, before: Candidate, after: Candidate, tol: float) -> None:
    neurons = after.neurons
    if neurons is None:
        kept = all(after.multipliers.get(name) is part for name, part in before.multipliers.items())
        if not kept:
            raise AssertionError(f"{theorem.name}: its inverse loses multipliers without making neurons of them")
        return
    longest = float(np.linalg.norm(to_numpy64(neurons.u), axis=1).max(initial=0.0))
    if longest > 1.0 + 1e-12:
        raise AssertionError(f"{theorem.name}: a neuron has norm {longest:.15g} > 1")
    expected, found = _claimed_matrices(before.multipliers), _matrices(neurons)
    for name, claimed, right in zip(("Σvuuᵀ", "Σvu", "Σv"), expected, found, strict=True):
        if claimed is None:
            continue
        error, size = float(np.abs(claimed - right).max()), float(np.abs(claimed).max())
        if not error <= tol * size:
            raise AssertionError(f"{theorem.name}: the neurons' {name} misses the multiplier by {error:.2g}")


def _matrices(neurons: Neurons) -> Matrices:
    u, v = to_numpy64(neurons.u), to_numpy64(neurons.v)
    return (u.T * v) @ u, v @ u, np.asarray(v.sum())


def _claimed_matrices(multipliers: dict[str, Any]) -> tuple[Float64 | None, Float64 | None, Float64 | None]:
    if "beta" in multipliers:  # the neurons of a game on the line follow from β and the data
        return None, None, None
    if "y" in multipliers:
        return None, to_numpy64(multipliers["y"]), None
    if "R" in multipliers:
        return to_numpy64(multipliers["R"]), None, None
    Y = to_numpy64(multipliers["Y_plus"]) - to_numpy64(multipliers["Y_minus"])
    return Y[:-1, :-1], Y[:-1, -1], Y[-1:, -1]


def _neurons_recovered(theorem: Reduction, candidate: Candidate, data: GameData, tol: float) -> None:
    """σ(ZW₁)W₂ = Z̃W̃ on fresh noise."""
    coefficients = data.wgan.players[1].coefficients
    assert coefficients is not None
    (a, b, c), W = coefficients, to_numpy64(candidate.weights)
    W1, W2 = hidden_weights(W)
    Z = np.random.default_rng(1).standard_normal((20, len(W1)))
    T, expected = Z @ W1, to_numpy64(lift(Z, coefficients)) @ W
    error = float(np.abs((a * T**2 + b * T + c) @ W2 - expected).max())
    if not error <= tol * float(np.abs(expected).max()):
        raise AssertionError(f"{theorem.name}: the recovered neurons miss the output by {error:.2g}")
