"""The second problem of a ReLU generator: the least weights of its output, solved, judged and wrapped (Theorem 2.1)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.certificates.weights import MULTIPLIER, TARGET, judge_weights
from convexwgan.fitted import FittedGenerator
from convexwgan.judged import Callback, network_of
from convexwgan.solution import Solution, Stats
from convexwgan.solvers.cheapest_factor import cheapest_factor
from convexwgan.solvers.run import Limits
from convexwgan.solvers.weights import WeightCandidate, network_neurons, solve_weights

if TYPE_CHECKING:
    from convexwgan.problem import Problem


@dataclass(frozen=True)
class WeightRun:
    """How the weights are to be solved: the limits of ``solve``, its method, callback and warm start."""

    limits: Limits
    method: str = "auto"
    callback: Callback | None = None
    warm_start: Solution | None = None

    @property
    def solver(self) -> str:
        """ "conic" where the user asked for it, else column generation."""
        return "conic" if self.method == "conic" else "column_generation"


def realized(problem: Problem, G: Float64, run: WeightRun) -> tuple[Solution, FittedGenerator]:
    """The cheapest network with output G on the game's noise, and the Solution of that problem.

    Problem:
        min ½(‖W₁‖_F² + ‖W₂‖_F²)  s.t.  (NW₁)₊W₂ = G,   N = Z or [Z 1]
        (``factor="optimised"``: G is one of many outputs with the same moments; the cheapest found replaces it)

    Args:
        problem: the game; its noise is a sample.
        G: the output to realise, (n_f, d_r).
        run: limits, method, callback, warm start.

    Returns:
        (solution of the weight problem, generator). ``dual``: "target", "R", and above rank 4 the evidence of its
        price.

    Raises:
        InputError: the generator's ``width`` is below the number of neurons found; "conic" above rank 4.

    Reference:
        Sahiner et al. 2022, Lemma C.1 and eq 5–6.
    """
    start = time.perf_counter()
    N = problem.evidence.latents.network_input  # type: ignore[union-attr]
    G, found = _solved(problem, N, G, run)
    W1, W2 = found.neurons.weights()
    ran = time.perf_counter()
    generator = network_of(W1, W2, problem)
    dual = {TARGET: G, **({} if found.multiplier is None else {MULTIPLIER: found.multiplier}), **found.evidence}
    stored = to_numpy64(generator.first), to_numpy64(generator.weights)
    certificate = judge_weights(problem.evidence, *stored, dual, run.limits.tol)
    times = {"run": ran - start, "certify": time.perf_counter() - ran}
    stats = Stats(found.method, times, found.stopped, {**found.stats, "neurons": W1.shape[1]})
    solution = Solution.of(
        problem.wgan,
        certificate,
        generator,
        stats,
        dual,
        normalize=problem.normalize,
        fingerprint=problem.fingerprint(),
    )
    return solution, generator


def _solved(problem: Problem, N: Float64, G: Float64, run: WeightRun) -> tuple[Float64, WeightCandidate]:
    """(target, network and multiplier); for an optimised factor the cheaper of the latent and the optimised target."""
    warm = _warm_neurons(run.warm_start)
    if not _has_free_factor(problem):
        return G, solve_weights(N, G, run.limits, method=run.solver, start=warm, callback=run.callback)
    discriminator = problem.wgan.players[0]
    keeps_mean = discriminator.skip or discriminator.kind == "polynomial"
    return cheapest_factor(
        N, G, run.limits, method=run.solver, keeps_mean=keeps_mean, warm_start=warm, callback=run.callback
    )


def _has_free_factor(problem: Problem) -> bool:
    """Whether the output's factor is free and to be chosen for small weights; a linear discriminator fixes G."""
    discriminator, generator = problem.wgan.players
    asks = isinstance(generator.factor, str) and generator.factor == "optimised"
    return asks and discriminator.kind in ("quadratic", "polynomial")


def _warm_neurons(warm_start: Solution | None) -> Any:
    """The neurons of a warm start's network; None where it has none."""
    if warm_start is None or warm_start.generator is None or warm_start.generator.first is None:
        return None
    return network_neurons(to_numpy64(warm_start.generator.first), to_numpy64(warm_start.generator.weights))
