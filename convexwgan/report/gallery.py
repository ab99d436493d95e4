"""The pictures of the demo: faces fitted, and everything that there is to see about the fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.errors import SolveError
from convexwgan.problem import Problem
from convexwgan.report import images, metrics, plots, routes, style
from convexwgan.report.page import Figure
from convexwgan.report.results import Run, run_instance
from convexwgan.solution import Solution
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.instance import Expected, Instance, load_instance
from convexwgan.spec.recipes import Samples
from convexwgan.spec.wgan import WGAN

FACES = "quadratic_linear_output_faces_population"
FACES_WITH_SKIP = "quadratic_skip_linear_output_faces"
COMPONENTS = 40
"""Enough for eyes, mouths and light; with 20, the instance's own number, samples are close to the mean face."""


@dataclass(frozen=True)
class Fit:
    """A solved face problem with the images it is about."""

    run: Run
    problem: Problem
    solution: Solution
    samples: Samples

    def generated(self, n: int, rng: int = 0) -> Float64:
        """Fresh faces, the mean face added back: (n, pixels)."""
        assert self.solution.generator is not None
        return self._shown(to_numpy64(self.solution.generator.sample(n, rng)))

    @property
    def real(self) -> Float64:
        """The faces as photographed, in [0, 1]."""
        return self._shown(self.samples.X)

    def _shown(self, X: Float64) -> Float64:
        return X if self.samples.centre is None else X + self.samples.centre

    @property
    def metrics(self) -> dict[str, float]:
        """How far 2,000 fresh samples are from the faces in first and second moments."""
        fake = self.generated(2000)
        return {
            "covariance_error": metrics.covariance_error(self.real, fake),
            "kept_variance": metrics.kept_variance(self.real, fake),
            "mean_error": metrics.mean_error(self.real, fake),
        }


def faces_instance(components: int = COMPONENTS) -> Instance:
    """The shipped face instance with Gaussian noise in population, with another number of components."""
    shipped = load_instance(FACES)
    _, generator = shipped.wgan.players
    wgan = WGAN(Discriminator.quadratic(components=components), generator, shipped.wgan.chosen_regularizer)
    expected = Expected(None, "certified", None, 1e-6)
    return replace(shipped, name=f"faces_{components}_components", wgan=wgan, expected=expected)


def fit(instance: Instance) -> Fit:
    """The instance solved, with its images.

    Raises:
        SolveError: there is no generator to show.
    """
    run = run_instance(instance)
    if run.problem is None or run.solution is None or run.solution.generator is None:
        raise SolveError(f"{instance.name} gave no generator to draw: {run.result.status}. {run.result.note}")
    return Fit(run, run.problem, run.solution, instance.samples())


def draw_all(main: Fit, folder: Path) -> list[Figure]:
    """Every picture of the demo, written to ``folder`` as PNG."""
    makers: tuple[Callable[[Fit, Path], Figure], ...] = (
        draw_faces, draw_spectrum, draw_scatter, draw_bounds, draw_route, draw_faces_with_skip,
    )  # fmt: skip
    return [make(main, folder) for make in makers]


def draw_faces(main: Fit, folder: Path) -> Figure:
    """Generated faces beside real ones."""
    kept = f"{main.metrics['kept_variance']:.0%}"
    _side_by_side(main, folder / "faces.png", f"{COMPONENTS} components, fresh noise")
    return Figure(
        "faces.png",
        "Real faces and generated ones",
        "Left: the first 64 of the 100 face crops that scikit-image ships, 25 × 25 pixels. Right: fresh samples of the "
        f"certified generator, clipped to [0, 1]. The critic sees second moments only, and {COMPONENTS} components "
        f"keep {kept} of the variance: heads, eyes, mouths and the direction of the light are there, edges are "
        "soft, and some samples are ghostly blends of several faces, because no moment of higher order is matched.",
        "Two grids of 64 grey faces: sharp photographs on the left, softer generated faces on the right.",
        is_wide=True,
    )


def draw_faces_with_skip(main: Fit, folder: Path) -> Figure:
    """The shipped instance with a skip connection, whose mean is the data's exactly."""
    other = fit(load_instance(FACES_WITH_SKIP))
    _side_by_side(other, folder / "faces_skip.png", "skip, 20 components, fresh noise")
    return Figure(
        "faces_skip.png",
        "With a skip connection and 20 components",
        f"The instance {FACES_WITH_SKIP}: the critic also sees means, so that on the problem's own noise the generated "
        "mean is the mean face. Fewer components: smoother faces, more alike.",
        "Two grids of 64 grey faces; the generated ones are smoother than in the first picture.",
        is_wide=True,
    )


def draw_spectrum(main: Fit, folder: Path) -> Figure:
    """The eigenvalues of the faces and where they are cut."""
    style.save(plots.spectrum(main.solution, main.problem.X), folder / "spectrum.png")
    return Figure(
        "spectrum.png",
        "Spectrum and threshold",
        "Each eigenvalue of the data above β_d is kept and lowered by β_d, each one below is cut: S = (M − β_d)₊. "
        "On the logarithmic axis small ones fall far.",
        "Eigenvalues falling over three decades, a dashed threshold line, kept ones above it and cut ones below.",
    )


def draw_scatter(main: Fit, folder: Path) -> Figure:
    """Faces and samples on the plane of the first two principal directions."""
    style.save(plots.scatter(main.solution, main.problem.X), folder / "scatter.png")
    return Figure(
        "scatter.png",
        "Generated against real",
        "On the first two principal directions of the faces, with ellipses at two standard deviations: the large "
        "directions are hardly changed by the threshold.",
        "Blue points of real faces and orange points of samples under two nearly equal ellipses.",
    )


def draw_bounds(main: Fit, folder: Path) -> Figure:
    """Value and bound along β_d, from one factorisation."""
    eigenvalues = plots.spectra_of(main.solution, main.problem.X).real
    betas = np.geomspace(0.5 * eigenvalues[COMPONENTS], 1.5 * eigenvalues[0], 14)
    style.save(plots.bounds(main.problem.path(map(float, betas))), folder / "bounds.png")
    return Figure(
        "bounds.png",
        "Value and bound along β_d",
        "What the generator attains lies on what no generator can beat, to rounding. Crosses: more directions exceed "
        "β_d than the noise has dimensions, which proves that no generator is feasible.",
        "A falling curve of values on top of a band of bounds; crosses at small β_d.",
    )


def draw_route(main: Fit, folder: Path) -> Figure:
    """The theorems that were used."""
    style.save(routes.route(main.problem), folder / "route.png")
    return Figure(
        "route.png",
        "Why this is tractable",
        "Forms of the problem in boxes, theorems on the arrows; green is the cheapest chain in the graph of all.",
        "A column of boxes joined by green arrows with theorem names, a grey branch to a semidefinite program.",
    )


def _side_by_side(shown: Fit, path: Path, note: str) -> None:
    shape = shown.samples.image_shape
    assert shape is not None
    left, _ = images.faces_side_by_side(shown.real, shown.generated(64), shape, note=note)
    style.save(left, path)
