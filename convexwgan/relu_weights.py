"""The second problem of a ReLU generator: the least weights of its output, solved, judged and wrapped (Theorem 2.1)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.certificates.realization import certify_realization
from convexwgan.errors import InputError
from convexwgan.fitted import FittedGenerator
from convexwgan.judged import Callback, network_of
from convexwgan.solution import Solution, Stats
from convexwgan.solvers.column_generation import realize_weights
from convexwgan.solvers.run import Limits
from convexwgan.spec.generator import Generator

if TYPE_CHECKING:
    from convexwgan.problem import Problem


def realized(
    problem: Problem, G: Float64, limits: Limits, callback: Callback | None
) -> tuple[Solution, FittedGenerator]:
    """The cheapest network with output G on the game's noise, and the Solution of that problem.

    Problem:
        min ½(‖W₁‖_F² + ‖W₂‖_F²)  s.t.  (NW₁)₊W₂ = G,   N = Z or [Z 1]

    Args:
        problem: the game; its noise is a sample.
        G: the output to realise, (n_f, d_r).
        limits: tolerance, iteration and time limits of the solve.
        callback: told the bounds of each round.

    Returns:
        (solution of the weight problem, generator).

    Raises:
        InputError: the generator's ``width`` is below the number of neurons found.

    Reference:
        Sahiner et al. 2022, Lemma C.1 and eq 5–6.
    """
    data, start = problem.data, time.perf_counter()
    N = to_numpy64(data.network_input)
    result = realize_weights(
        N, G, tol=limits.tol, max_iter=limits.max_iter, time_limit=limits.time_limit, callback=callback
    )
    W1, W2 = result.neurons.weights()
    _check_width(data.wgan.players[1], W1.shape[1])
    ran = time.perf_counter()
    certificate = certify_realization(N, G, W1, W2, result.multiplier, tol=limits.tol)
    generator = network_of(W1, W2, problem)
    times = {"run": ran - start, "certify": time.perf_counter() - ran}
    solution = Solution(
        wgan=data.wgan,
        status=certificate.status,
        value=certificate.upper,
        bound=certificate.lower,
        certificate=certificate,
        generator=generator,
        discriminator=None,
        dual={} if result.multiplier is None else {"R": result.multiplier},
        stats=Stats("column_generation", times, result.stopped, {**result.stats, "neurons": W1.shape[1]}),
        tol=limits.tol,
        normalize=data.normalize,
    )
    return solution, generator


def _check_width(spec: Generator, neurons: int) -> None:
    if spec.width is not None and spec.width < neurons:
        remedy = "this output needs that many; leave width out, or keep fewer components with a larger β_d"
        raise InputError("width of Generator.relu", spec.width, f"be >= {neurons}", remedy)
