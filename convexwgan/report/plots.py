"""Pictures of a solution: spectrum with its threshold, generated against real, value against bound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.arrays import Float64, as_samples, to_numpy64
from convexwgan.certificates.certificate import Status
from convexwgan.errors import InputError
from convexwgan.fitted import FittedGenerator
from convexwgan.geometry.moments import Moments, moments_of
from convexwgan.geometry.polynomials import lift, lifted_normal_moments
from convexwgan.geometry.spectra import components_threshold, fix_signs
from convexwgan.report.style import BAND, CUT, GENERATED, REAL, THRESHOLD, axes_or_new, tidy
from convexwgan.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VISIBLE = 1e-10
"""Eigenvalues below this share of the largest are rounding, and a log axis would give them half of the picture."""


# ---------------------------------------------------------------------------------------------- spectrum


@dataclass(frozen=True)
class Spectra:
    """What ``spectrum`` draws: eigenvalues of the data and of the output, descending, and the threshold."""

    real: Float64
    generated: Float64
    threshold: float
    letter: str
    """The matrix that is thresholded: M, or with a skip C = M − mmᵀ/ρ (MATH 3.5)."""
    is_norm_bound: bool


def spectrum(solution: Solution, X: Any, ax: Axes | None = None) -> Axes:
    """Eigenvalues of M = XᵀX against the threshold β_d: those above it are kept, shrunk by β_d, the others are cut.

    Formula:
        S = (M − β_d)₊, on the spectrum; with a skip connection (M − mmᵀ/ρ − β_d)₊ + mmᵀ/ρ.

    Args:
        solution: of a quadratic discriminator.
        X: the real data, (n_r, d_r).
        ax: where to draw; fresh axes when None.

    Raises:
        InputError: another discriminator, no generator, or noise unknown after loading.
        MissingExtraError: matplotlib is not installed.

    Reference:
        Sahiner et al. 2022, eq 4, 14 and 36.
    """
    spectra = spectra_of(solution, X)
    ax = axes_or_new(ax)
    _draw_eigenvalues(ax, spectra)
    name = "t" if spectra.is_norm_bound else "$β_d$"
    label = f"threshold {name} = {spectra.threshold:.4g}"
    ax.axhline(spectra.threshold, color=THRESHOLD, linestyle="--", linewidth=1.2, label=label)
    ax.set_yscale("log")
    ax.locator_params(axis="x", integer=True)
    title = f"Spectrum of {spectra.letter} and its threshold ({solution.status.name})"
    tidy(ax, title, "index i of the eigenvalue", "eigenvalue (squared units of X)")
    ax.legend(frameon=False, fontsize=9)
    return ax


def _draw_eigenvalues(ax: Axes, spectra: Spectra) -> None:
    """Kept and cut eigenvalues of the data, and below the kept ones those of the output."""
    real, fake, floor = spectra.real, spectra.generated, VISIBLE * spectra.real.max()
    index = np.arange(1, len(real) + 1)
    kept = real > spectra.threshold
    cut, out = ~kept & (real > floor), fake > floor
    for where, height, marker, colour, fill, label in (
        (kept, real, "o", REAL, "full", f"data, kept ({kept.sum()})"),
        (cut, real, "o", CUT, "none", f"data, cut ({cut.sum()})"),
        (out, fake, "^", GENERATED, "full", f"generated ({out.sum()})"),
    ):
        ax.plot(
            index[where],
            height[where],
            marker,
            color=colour,
            fillstyle=fill,
            markersize=5,
            linestyle="none",
            label=label,
        )


def spectra_of(solution: Solution, X: Any) -> Spectra:
    """The numbers behind ``spectrum``.

    Raises:
        InputError: the discriminator is not quadratic, or there is no generator.
    """
    discriminator = solution.wgan.players[0]
    if discriminator.kind != "quadratic":
        raise InputError(
            "discriminator of spectrum", discriminator, "be quadratic", "only there does a threshold cut the spectrum"
        )
    generator = _generator(solution)
    data = _samples(X)
    real, fake = moments_of(data, normalize=solution.normalize), _output_moments(generator)
    rho = _rho(generator) if discriminator.skip else 0.0
    shift = np.outer(real.first, real.first) / rho if rho > 0 else np.zeros_like(real.second)
    count = min(data.shape)
    return Spectra(
        real=_descending(real.second - shift)[:count],
        generated=_descending(to_numpy64(fake.second) - shift)[:count],
        threshold=_threshold(solution, real.second, to_numpy64(fake.second)),
        letter="M − mmᵀ/ρ" if rho > 0 else "M",
        is_norm_bound=discriminator.norm_bound,
    )


def _threshold(solution: Solution, M: Float64, S: Float64) -> float:
    """β_d, or under a norm bound t = ‖M − S‖₂, where the cut turned out to be (MATH 3.6)."""
    discriminator = solution.wgan.players[0]
    if discriminator.norm_bound:
        return float(np.abs(np.linalg.eigvalsh(M - S)).max())
    if discriminator.components is not None:
        return components_threshold(_descending(M), discriminator.components)
    assert discriminator.beta is not None
    return float(discriminator.beta)


def _output_moments(generator: FittedGenerator) -> Moments:
    """Moments of the output on the problem's own noise.

    Raises:
        InputError: a loaded generator has left its sample of noise behind.
    """
    is_sum_without_sample = generator.spec.kind != "free" and generator.noise is None and generator.normalize == "sum"
    if is_sum_without_sample:
        raise InputError(
            "noise of the generator", None, "be known", "solve the problem here rather than load its solution"
        )
    return generator.moments


def _rho(generator: FittedGenerator) -> float:
    """ρ = z̄ᵀA⁺z̄ of the noise, in the solution's convention: N_f when the output is free, 0 for centred noise."""
    if generator.spec.kind == "free":
        return float(generator.weights.shape[0]) if generator.normalize == "sum" else 1.0
    coefficients = generator.spec.coefficients
    if generator.noise is not None:
        Z = to_numpy64(generator.noise)
        noise = moments_of(Z if coefficients is None else lift(Z, coefficients), normalize=generator.normalize)
        z_bar, A = noise.first, noise.second
    elif coefficients is not None and generator.latent is not None:
        z_bar, A = lifted_normal_moments(generator.latent.dim, coefficients)
    else:
        return 0.0
    return float(z_bar @ np.linalg.pinv(A, rcond=VISIBLE, hermitian=True) @ z_bar)


# ---------------------------------------------------------------------------------------------- scatter


def scatter(solution: Solution, X: Any, ax: Axes | None = None, n: int | None = 500, rng: int = 0) -> Axes:
    """Generated samples over real ones, with an ellipse at two standard deviations around each mean.

    More than two columns are projected on the first two principal directions of X.

    Args:
        solution: any with a generator.
        X: the real data, (n_r, d_r), d_r ≥ 2.
        ax: where to draw; fresh axes when None.
        n: how many fresh samples; None shows the output on the problem's own noise, the one that is certified.
        rng: seed of the fresh samples.

    Raises:
        InputError: no generator, one column only, or noise of unknown origin (say n=None).
    """
    data = _samples(X)
    if data.shape[1] < 2:
        raise InputError("X of scatter", data, "have at least 2 columns", "draw a histogram of one column instead")
    generator = _generator(solution)
    fake = to_numpy64(generator.output) if n is None else _fresh(generator, n, rng)
    axes2, labels = _plane(data, generator.columns)
    ax = axes_or_new(ax)
    for points, colour, marker, name in ((data, REAL, "o", "real"), (fake, GENERATED, "^", "generated")):
        flat = points @ axes2
        ax.plot(
            *flat.T,
            marker,
            color=colour,
            markersize=4,
            alpha=0.45,
            markeredgewidth=0,
            linestyle="none",
            label=f"{name} ({len(flat)})",
        )
        ax.add_patch(_ellipse(flat, colour))
    ax.set_aspect("equal", adjustable="datalim")
    tidy(ax, "Generated against real, ellipses at two standard deviations", *labels)
    ax.legend(frameon=False, fontsize=9)
    return ax


def _plane(X: Float64, columns: Sequence[str] | None) -> tuple[Float64, tuple[str, str]]:
    """(d_r, 2) directions to project on, and what to write at the two axes."""
    if X.shape[1] == 2:
        return np.eye(2), (columns[0], columns[1]) if columns is not None else ("$x_1$", "$x_2$")
    _, s, Vt = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    share = s**2 / max(float(np.sum(s**2)), 1e-300)
    V = to_numpy64(fix_signs(Vt[:2].T))
    if V.shape[1] < 2:  # one sample only: any second direction shows as much
        return np.eye(X.shape[1])[:, :2], ("$x_1$", "$x_2$")
    return V, (
        f"first principal direction of X ({share[0]:.0%} of variance)",
        f"second principal direction ({share[1]:.0%})",
    )


def _ellipse(points: Float64, colour: str) -> Any:
    """Where (x − μ)ᵀ cov⁻¹ (x − μ) = 4."""
    from matplotlib.patches import Ellipse

    values, vectors = np.linalg.eigh(np.cov(points.T, bias=True))
    width, height = 4.0 * np.sqrt(np.clip(values[::-1], 0.0, None))
    angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1]))
    mean = points.mean(axis=0)
    return Ellipse((mean[0], mean[1]), width, height, angle=angle, fill=False, edgecolor=colour, linewidth=2)


# ---------------------------------------------------------------------------------------------- bounds


def bounds(
    solutions: Iterable[Solution], ax: Axes | None = None, labels: Sequence[str] | None = None, title: str = ""
) -> Axes:
    """What each generator attains over what none can beat: along β_d, or one place per solution when labelled.

    Args:
        solutions: for example ``problem.path(betas)``; without ``labels`` all of them under weight decay.
        ax: where to draw; fresh axes when None.
        labels: one name per solution; the horizontal axis then lists them.
        title: first line of the picture.

    Raises:
        InputError: no solutions, a norm bound without labels, or another number of labels.
    """
    found = list(solutions)
    if not found:
        raise InputError("solutions of bounds", found, "hold at least one", "solve something first")
    if labels is not None and len(labels) != len(found):
        raise InputError("labels of bounds", labels, f"be {len(found)} names", "give one for each solution")
    at = np.arange(len(found), dtype=float) if labels is not None else np.array([_beta(one) for one in found])
    ax = axes_or_new(ax)
    _draw_bounds(ax, at, found)
    tidy(ax, title or _bounds_title(found), "" if labels else "discriminator regularisation $β_d$", "objective $R_g$")
    if labels is not None:
        ax.set_xticks(at, labels, rotation=30, ha="right", fontsize=8)
    elif at.min() > 0 and at.max() / at.min() > 30:
        ax.set_xscale("log")
    ax.legend(frameon=False, fontsize=9)
    return ax


def _draw_bounds(ax: Axes, at: Float64, found: Sequence[Solution]) -> None:
    order = np.argsort(at, kind="stable")
    value = np.array([one.value for one in found])[order]
    bound = np.array([one.bound for one in found])[order]
    at, is_infeasible = at[order], np.array([one.status is Status.INFEASIBLE for one in found])[order]
    upper, lower = np.where(np.isfinite(value), value, np.nan), np.where(np.isfinite(bound), bound, np.nan)
    # The two agree to many digits wherever the answer is certified: a wide band below, a thin line above.
    ax.plot(at, lower, color=BAND, linewidth=7, solid_capstyle="round", label="bound: no generator is below")
    ax.plot(at, upper, "o-", color=GENERATED, markersize=4, linewidth=1.2, label="value: what the generator attains")
    if is_infeasible.any():
        crosses = at[is_infeasible]
        label = "no generator is feasible (proven)"
        ax.plot(crosses, np.zeros(len(crosses)), "x", color=THRESHOLD, clip_on=False, label=label)
    if not np.any(lower < 0):
        ax.set_ylim(bottom=0.0)


def _bounds_title(found: Sequence[Solution]) -> str:
    gaps = [one.relative_gap for one in found if math.isfinite(one.value) and math.isfinite(one.relative_gap)]
    return f"Value and bound: largest relative gap {max(gaps):.1e}" if gaps else "Value and bound"


def _beta(solution: Solution) -> float:
    beta = solution.wgan.players[0].beta
    if beta is None:
        raise InputError(
            "solutions of bounds",
            solution.wgan.players[0],
            "be under weight decay with a given beta",
            "give labels= for others",
        )
    return float(beta)


# ---------------------------------------------------------------------------------------------- helpers


def _samples(X: Any) -> Float64:
    return to_numpy64(as_samples(X, "X"))


def _descending(M: Float64) -> Float64:
    return np.asarray(np.linalg.eigvalsh(M)[::-1])


def _generator(solution: Solution) -> FittedGenerator:
    if solution.generator is None:
        raise InputError(
            "generator of the solution", None, f"exist; the status is {solution.status.name}", "plot a feasible problem"
        )
    return solution.generator


def _fresh(generator: FittedGenerator, n: int, rng: int) -> Float64:
    return _samples(generator.sample(n, rng))
