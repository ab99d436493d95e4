"""From a candidate to a Solution: judged by ``certificates/``, repaired there, wrapped in the user's array library."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan import __version__
from convexwgan.arrays import Float64, device_of, namespace, to_numpy64
from convexwgan.certificates.audit import Audit
from convexwgan.certificates.certificate import Status
from convexwgan.certificates.certify import certify
from convexwgan.certificates.claim import PlainClaim, tree_of
from convexwgan.certificates.features import ReluLatents
from convexwgan.errors import InputError
from convexwgan.fitted import FittedDiscriminator, FittedGenerator, fitted_discriminator
from convexwgan.fitted_distribution import FittedDistribution
from convexwgan.solution import Solution, Stats
from convexwgan.theory.candidate import Candidate, Neurons

if TYPE_CHECKING:
    from convexwgan.problem import Problem
    from convexwgan.relu_weights import WeightRun

Callback = Callable[[dict[str, Any]], object]
"""Called with {"stage", "lower", "upper", "seconds"} whenever bounds are known."""


def judged(
    problem: Problem,
    candidate: Candidate,
    method: str,
    run: WeightRun,
    times: dict[str, float],
) -> Solution:
    """The candidate as a Solution: what is returned is the repaired generator, with the status that it earned.

    ``method`` ran the game; ``run`` says how the weights of a ReLU network are to be solved, where they are a second
    problem.
    """
    limits = run.limits
    start = time.perf_counter()
    audit = certify(problem.evidence, claim_of(candidate, problem), tol=limits.tol)
    times["certify"] = time.perf_counter() - start
    stats = Stats(method, times, candidate.stopped, {**candidate.stats, **_circumstances(problem)})
    if candidate.hidden is not None and audit.certificate.infeasibility is None:
        return _wrapped(problem, audit, network_of(*candidate.hidden, problem), stats)
    if problem.wgan.players[1].kind == "relu" and audit.weights is not None:
        return _with_network(problem, audit, candidate, stats, run)
    generator = None if audit.weights is None else _generator(problem, audit.weights)
    return _wrapped(problem, audit, generator, stats)


def claim_of(candidate: Candidate, problem: Problem) -> PlainClaim:
    """The candidate's arrays on the host, weights in the precision that they will be stored in."""
    neurons, H = candidate.neurons or Neurons(None, None), candidate.multipliers.get("H")
    latents, weights = problem.evidence.latents, candidate.weights
    if isinstance(latents, ReluLatents) and weights is not None:
        weights = latents.coordinates_of(to_numpy64(weights))  # the output G, on a basis of what is reachable
    return PlainClaim(
        weights=_narrowed(weights, problem),
        neurons_u=_host(neurons.u),
        neurons_v=_host(neurons.v),
        neurons_b=_host(neurons.b),
        skip=_host(neurons.skip),
        output_multiplier=_host(H),
        tree=tree_of(candidate.multipliers),
        hidden=_narrowed_pair(candidate.hidden, problem),
    )


def _host(array: Any) -> Float64 | None:
    return None if array is None else to_numpy64(array)


def _narrowed(array: Any, problem: Problem) -> Any:
    """The array on the host in the precision that it will be stored in."""
    host = _host(array)
    return host.astype(np.float32) if host is not None and _is_narrow(problem) else host


def _narrowed_pair(pair: tuple[Any, Any] | None, problem: Problem) -> tuple[Any, Any] | None:
    return None if pair is None else (_narrowed(pair[0], problem), _narrowed(pair[1], problem))


def _is_narrow(problem: Problem) -> bool:
    return "float32" in str(problem.X.dtype)


def _with_network(problem: Problem, audit: Audit, candidate: Candidate, stats: Stats, run: WeightRun) -> Solution:
    """Theorem 2.1's second problem: the weights of the output; the game is then judged on what they produce."""
    from convexwgan.relu_weights import realized

    G = problem.evidence.latents.output(to_numpy64(audit.weights))
    if candidate.unreachable is not None:  # a given factor: its own target, proven out of reach
        G = candidate.unreachable
    realization, generator = realized(problem, G, run)
    start = time.perf_counter()
    claim = replace(realization.claim, neurons_u=audit.neurons_u, neurons_v=audit.neurons_v, skip=audit.skip)
    claim = replace(claim, neurons_b=audit.neurons_b)
    claim = replace(claim, output_multiplier=audit.output_multiplier, value=None, bound=None)
    final = certify(problem.evidence, claim, tol=run.limits.tol, repair=False)
    times = {**stats.times, "realize": realization.stats.seconds, "certify_network": time.perf_counter() - start}
    stats = replace(stats, times=times, stopped=stats.stopped or realization.stats.stopped)
    return replace(_wrapped(problem, final, generator, stats), realization=realization)


def _wrapped(problem: Problem, audit: Audit, generator: FittedGenerator | None, stats: Stats) -> Solution:
    certificate = audit.certificate
    arrays = {
        "u": audit.neurons_u,
        "v": audit.neurons_v,
        "b": audit.neurons_b,
        "skip": audit.skip,
        "output_multiplier": audit.output_multiplier,
    }
    dual = {name: array for name, array in arrays.items() if array is not None} | dict(audit.tree or {})
    return Solution.of(
        problem.wgan,
        certificate,
        generator,
        stats,
        dual,
        discriminator=_discriminator(problem, certificate.status, dual),
        normalize=problem.normalize,
        fingerprint=problem.fingerprint(),
    )


def _generator(problem: Problem, weights: np.ndarray[Any, Any]) -> FittedGenerator:
    xp = namespace(problem.X)
    dtype = xp.float32 if _is_narrow(problem) else xp.float64
    moved = xp.asarray(weights, dtype=dtype, device=device_of(problem.X))
    if isinstance(moved, np.ndarray):
        moved = moved.copy()
        moved.flags.writeable = False  # a changed weight would leave the status standing
    spec = problem.wgan.players[1]
    if spec.kind == "distribution":
        atoms, p, mass = moved[:, :-1], moved[:, -1], problem.data.mass_fake
        return FittedDistribution(spec, p, normalize=problem.normalize, columns=problem.columns, atoms=atoms, mass=mass)
    return FittedGenerator(spec, moved, problem.recipe, problem.Z, problem.normalize, problem.columns)


def network_of(W1: Float64, W2: Float64, problem: Problem) -> FittedGenerator:
    """A ReLU generator in the library, dtype and device of the data.

    Raises:
        InputError: it has more neurons than the architecture's ``width`` allows.
    """
    width = problem.wgan.players[1].width
    if width is not None and width < W1.shape[1]:
        remedy = "the cheapest network found for this output has that many: leave width out, or raise β_d"
        raise InputError("width of Generator.relu", width, f"be >= {W1.shape[1]}", remedy)
    first, second = (_generator(problem, np.ascontiguousarray(part)).weights for part in (W1, W2))
    spec, columns = problem.wgan.players[1], problem.columns
    return FittedGenerator(spec, second, problem.recipe, problem.Z, problem.normalize, columns, first=first)


def _discriminator(problem: Problem, status: Status, dual: dict[str, Float64]) -> FittedDiscriminator | None:
    """The adversary, only where it attains the value: no neurons are claimed across a duality gap.

    Such a gap has a p-norm, p > 1, under ReLU neurons: there the neurons prove a bound on ‖w‖_p^p, not on the game.
    """
    if "u" not in dual or status is not Status.CERTIFIED:
        return None
    regularizer = problem.wgan.regularizer
    if problem.data.is_population and problem.wgan.players[0].kind == "relu" and bool((dual["v"] < 0.0).any()):
        return None  # multipliers of the right side, c‖Wu‖ ≤ h + β_d, are concave in S: no saddle point
    if problem.wgan.players[0].kind == "relu" and regularizer.kind == "norm" and regularizer.p > 1.0:
        return None
    return fitted_discriminator(problem.wgan.players[0], dual)


def _circumstances(problem: Problem) -> dict[str, Any]:
    return {
        "convexwgan": __version__,
        "threads": _threads(),
        "seed": problem.seed,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "dtype": str(problem.X.dtype),
        "device": str(device_of(problem.X)),
    }


def _threads() -> int:
    """What OMP_NUM_THREADS allows (its outermost level), else the number of cores."""
    outermost = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(outermost) if outermost.isdigit() else os.cpu_count() or 1


def check_warm_start(warm_start: object, problem: Problem) -> None:
    """Refuse what is no Solution of the same generator.

    Raises:
        InputError: as said.
    """
    if warm_start is None:
        return
    generator = problem.wgan.players[1]
    if not isinstance(warm_start, Solution) or warm_start.wgan.generator != generator:
        remedy = "pass the solution of the same architecture"
        raise InputError("warm_start", warm_start, f"be a Solution with generator {generator!r}", remedy)


def start_of(warm_start: Solution | None, problem: Problem) -> Float64 | None:
    """The weights of a warm start on this problem's features, G where outputs are free; None where they do not fit."""
    if warm_start is None or warm_start.generator is None or problem.is_population:
        return None
    generator, data = warm_start.generator, problem.data
    if isinstance(generator, FittedDistribution):
        return None
    if generator.first is not None:  # a ReLU network: its output on this problem's noise
        if problem.Z is None or int(problem.Z.shape[1]) != generator.latent_dim:
            return None
        G = to_numpy64(generator(problem.Z))
        weights = G if data.is_free or data.features is None else to_numpy64(data.features).T @ G
    else:
        weights = to_numpy64(generator.weights)
    expected = (problem.n_fake if data.is_free else data.feature_count, data.dim)
    if weights.shape != expected or not bool(np.isfinite(weights).all()):
        return None
    return to_numpy64(data.in_scaled_units(weights))


def better_of(solution: Solution, warm_start: Solution | None, problem: Problem) -> Solution:
    """The better of the new solution and a warm start, both judged on this problem.

    A warm start that is less feasible here is not better, however small its gap: it costs less than it should.
    """
    if warm_start is None or warm_start.generator is None:
        return solution
    if solution.status in (Status.CERTIFIED, Status.INFEASIBLE):
        return solution
    audit = certify(problem.evidence, warm_start.claim, tol=solution.tol, repair=warm_start.generator.first is None)
    stats = replace(solution.stats, extra={**solution.stats.extra, "from": "warm_start"})
    generator = None if audit.weights is None else _generator(problem, audit.weights)
    if warm_start.generator.first is not None:
        generator = warm_start.generator
    old = _wrapped(problem, audit, generator, stats)
    if solution.generator is None:
        return old
    is_feasible = old.certificate.violation <= max(solution.tol, solution.certificate.violation)
    return old if is_feasible and old.relative_gap < solution.relative_gap else solution
