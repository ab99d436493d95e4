"""Conic last forms: from a form and its data to a CVXPY program, and from the solver's arrays to a Candidate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, like, to_numpy64
from convexwgan.errors import InputError, NotConicError
from convexwgan.geometry.spectra import eigh_descending
from convexwgan.solvers.conic import (
    ConicModel,
    ConicResult,
    ConicStatus,
    covariance_program,
    line_program,
    mean_program,
    phase_one,
    polynomial_program,
    run,
)
from convexwgan.solvers.conic.memory import check_memory
from convexwgan.solvers.line import line_candidate, refuse_ordered_cost
from convexwgan.solvers.memory import conic_shapes
from convexwgan.solvers.normal_noise import relaxed_program
from convexwgan.solvers.run import Limits
from convexwgan.theory.candidate import Candidate, MomentPoint
from convexwgan.theory.data import GameData
from convexwgan.theory.equation_4_free_generator import count_above
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.routes import plan


def solve_conic_form(form: Form, data: GameData, limits: Limits) -> Candidate:
    """Build, run and read one conic form; an infeasible program comes back with the evidence for it."""
    impossible = _impossible(form, data)
    if impossible is not None:
        return impossible
    result = _run(exact_model(form, data), limits)
    stats = {
        "solver": result.solver,
        "solver_status": result.solver_status,
        "iterations": result.iterations,
        "objective": result.objective,
    }
    undecided = result.status is ConicStatus.FAILED and not form.discriminator.norm_bound
    if result.status is ConicStatus.INFEASIBLE or undecided:
        if form.stage is Stage.LINE_PROGRAM:
            reason = "the conic solver finds no output within β_d"
            return Candidate(infeasible=reason, multipliers=_quantile_prices(result), stats=stats)
        return _evidence(form, data, limits).having(stats=stats)
    if result.status in (ConicStatus.FAILED, ConicStatus.UNBOUNDED) or not result.values:
        return Candidate(stopped=result.stopped or result.status.value, stats=stats)
    if form.stage is Stage.LINE_PROGRAM:
        candidate = line_candidate(result.values["w"], float(result.values["beta"]), data)
        multipliers = {**candidate.multipliers, **_quantile_prices(result)}
        return candidate.having(multipliers=multipliers, stopped=result.stopped, stats=stats)
    return _read(form, data, result).having(
        multipliers=_moved(result.multipliers, data), stopped=result.stopped, stats=stats
    )


def exact_model(form: Form, data: GameData, natural: bool = False) -> ConicModel:
    """The CVXPY program of a conic last form, refused before it is built when it would not fit in memory.

    Raises:
        MemoryLimitError: with the number of bytes and what to do instead.
    """
    check_memory(*conic_shapes(form, data.n_fake, data.dim, data.feature_count))
    beta = None if form.discriminator.norm_bound else data.beta
    if form.stage is Stage.CONE_PROGRAM:
        return _mean_model(form, data, beta, natural)
    if form.stage is Stage.LINE_PROGRAM:
        refuse_ordered_cost(data)
        x = to_numpy64(data.X)[:, 0]
        return line_program(
            x, data.n_fake, beta=beta, regularizer=form.regularizer, weight=data.fake_weight, natural=natural
        )
    if form.stage is Stage.GAUSSIAN_PROGRAM:
        return relaxed_program(form, data, natural)
    M, m = to_numpy64(data.moments.second), to_numpy64(data.moments.first)
    strength = form.regularizer.strength
    if form.stage is Stage.COVARIANCE_PROGRAM:
        skip = (m, data.rho) if form.discriminator.skip and not data.mean_is_zero else None
        return covariance_program(M, beta=beta, strength=strength, skip=skip, natural=natural)
    return polynomial_program(M, m, beta=beta, strength=strength, natural=natural, **_polynomial_data(form, data))


def natural_model(form: Form, data: GameData) -> ConicModel:
    """The program in the user's units, only where it has the game's own optimum.

    Raises:
        NotConicError: the noise cannot carry the rank that the program may ask for; ``relaxation`` has it, labelled.
    """
    obstacle = rank_obstacle(form, data)
    if obstacle is not None:
        raise NotConicError(f"{form.wgan!r} has no exact conic form on this data: {obstacle}; see relaxation().")
    return exact_model(form, data, natural=True)


def rank_obstacle(form: Form, data: GameData) -> str | None:
    """Why a program in moments may be only a lower bound: its S has a rank that the output cannot have."""
    if form.stage in (Stage.CONE_PROGRAM, Stage.LINE_PROGRAM):
        return None
    if form.stage is Stage.GAUSSIAN_PROGRAM:
        return "it has a constraint for every direction u, and any finite program is a lower bound"
    carries_mean = not data.mean_is_zero and (form.discriminator.skip or form.stage is Stage.MOMENT_PROGRAM)
    available = data.rank - carries_mean
    needed = data.dim
    if form.stage is Stage.COVARIANCE_PROGRAM:
        values = data.centred_spectrum[0] if form.discriminator.skip else data.spectrum[0]
        level = data.spectral_tolerance if form.discriminator.norm_bound else data.beta + data.spectral_tolerance
        needed = count_above(values, level)
        if form.discriminator.norm_bound:
            needed = int(min(needed, 2.0 / form.regularizer.strength))
    return None if available >= needed else f"S may need rank {needed}, and the output carries {available}"


def relaxed_model(root: Form, data: GameData) -> ConicModel:
    """A lower bound: quadratic × ``weights`` by ‖W‖_F² ≥ tr S/λ₁ (MATH 3.3), or an exact program without its rank.

    Raises:
        NotConicError: for pairs that have an exact program, or no relaxation.
    """
    last = plan(root).last
    if last.stage is not Stage.MATCHED_SPECTRA:
        form = conic_last_form(root)
        if rank_obstacle(form, data) is None:
            raise NotConicError(f"{last.wgan!r} needs no relaxation: to_cvxpy() gives its exact conic form.")
        return exact_model(form, data, natural=True)
    check_memory("covariance", {"d": data.dim})
    beta = None if last.discriminator.norm_bound else data.beta
    strength = last.regularizer.strength / float(data.latent_spectrum.values[0])
    return covariance_program(to_numpy64(data.moments.second), beta=beta, strength=strength, natural=True)


def conic_last_form(root: Form) -> Form:
    """The conic form at the end of the pair's conic route.

    Raises:
        NotConicError: there is none; with the obstacle.
    """
    try:
        return plan(root, "conic").last
    except InputError as error:
        raise NotConicError(f"{root.wgan!r} has no exact conic form: {error.remedy}.") from error


def write(model: ConicModel, path: str | Path) -> Path:
    """The program as a CBF or SDPA file."""
    from convexwgan.solvers.conic.export import export

    return Path(export(model.problem, path))


def _run(model: ConicModel, limits: Limits) -> ConicResult:
    return run(
        model,
        solver=limits.solver,
        tol=limits.tol,
        max_iter=limits.max_iter,
        time_limit=limits.time_limit,
        verbose=limits.verbose,
        options=limits.options,
    )


def _mean_model(form: Form, data: GameData, beta: float | None, natural: bool) -> ConicModel:
    """Linear discriminator: W against z̄, with what R_g needs of Z: its root for ‖ZW‖_F², itself for other norms."""
    m = to_numpy64(data.moments.first)
    z_bar = np.full(data.n_fake, data.fake_weight) if data.is_free else to_numpy64(data.latent_mean)
    root = features = None
    if not data.is_free and form.regularizer.of == "output":
        spectrum = data.latent_spectrum
        if form.regularizer.is_quadratic:
            root = np.sqrt(to_numpy64(spectrum.values))[:, None] * to_numpy64(spectrum.vectors).T
        else:
            assert data.features is not None
            features = to_numpy64(data.features)
    return mean_program(
        m, z_bar, beta=beta, regularizer=form.regularizer, root=root, features=features,
        mass=data.mass_fake, weight=data.fake_weight, natural=natural,
    )  # fmt: skip


def _polynomial_data(form: Form, data: GameData) -> dict[str, Any]:
    return {"coefficients": form.discriminator.activation, "mass_gap": data.mass_gap, "rho": data.rho}


def _impossible(form: Form, data: GameData) -> Candidate | None:
    """Infeasible before any solver runs: mean matching asked of noise whose mean is 0."""
    from convexwgan.solvers.closed_form import mean_shrinkage, shifted_threshold

    if (
        form.stage is Stage.CONE_PROGRAM
        and data.mean_is_zero
        and not form.discriminator.norm_bound
        and data.mean_norm > data.beta
    ):
        return mean_shrinkage(form, data)
    if form.discriminator.skip and data.mean_is_zero:
        attempt = shifted_threshold(form, data)
        return attempt if attempt.infeasible else None
    return None


def _evidence(form: Form, data: GameData, limits: Limits) -> Candidate:
    """What makes the program infeasible: the multipliers of "how small can dist be" scaled up are a ray."""
    reason = "the conic solver finds no feasible output"
    if form.stage is not Stage.MOMENT_PROGRAM:
        return Candidate(infeasible=reason, multipliers=_lowest_direction(form, data))
    M, m = to_numpy64(data.moments.second), to_numpy64(data.moments.first)
    nearest = _run(phase_one(M, m, **_polynomial_data(form, data)), limits)
    return Candidate(infeasible=reason, multipliers=_moved(nearest.multipliers, data))


def _lowest_direction(form: Form, data: GameData) -> dict[str, Any]:
    """The eigenvector that keeps M − mmᵀ/ρ from being nearly positive: R = −qqᵀ."""
    if not form.discriminator.skip:
        return {}
    values, vectors = data.centred_spectrum
    return {"u": vectors[:, -1:].T, "v": values[:1] * 0.0 - 1.0}


def _read(form: Form, data: GameData, result: ConicResult) -> Candidate:
    """Weights of a program in W; of a program in moments the factored point, cut to the rank that the noise carries."""
    if form.stage is Stage.CONE_PROGRAM:
        return Candidate(weights=like(data.moments.first, result.values["G" if data.is_free else "W"]))
    S = result.values["S"]
    mean = _mean(form, data, result)
    has_mean = mean is not None and not data.mean_is_zero
    T = S - np.outer(mean, mean) / data.rho if mean is not None and has_mean else S
    values, vectors = eigh_descending(T)
    k = min(int((values > 0).sum()), data.rank - has_mean)
    reference = data.moments.first
    moved_mean = None if mean is None or not has_mean else like(reference, mean)
    return Candidate(moments=MomentPoint(like(reference, vectors[:, :k]), like(reference, values[:k]), moved_mean))


def _mean(form: Form, data: GameData, result: ConicResult) -> Float64 | None:
    if form.stage is Stage.MOMENT_PROGRAM:
        return result.values["s"]
    return to_numpy64(data.moments.first) if form.discriminator.skip else None


def _quantile_prices(result: ConicResult) -> dict[str, Any]:
    """The multipliers of both families of quantile constraints as one array (T, 2), the last of the second 0."""
    if "below" not in result.multipliers:
        return {}
    below, above = result.multipliers["below"], result.multipliers["above"]
    return {"H": np.column_stack([below, np.append(above, 0.0)])}


def _moved(arrays: dict[str, Float64], data: GameData) -> dict[str, Any]:
    return {name: like(data.moments.first, array) for name, array in arrays.items()}
