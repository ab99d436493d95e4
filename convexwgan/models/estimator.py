"""ConvexWGAN: a certified Wasserstein GAN with scikit-learn's interface."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from convexwgan import storage
from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Status
from convexwgan.errors import ConvexWGANError, FileFormatError, InputError, SolveError
from convexwgan.fitted import FittedGenerator
from convexwgan.geometry.distances import polynomial_distance
from convexwgan.geometry.moments import moments_of
from convexwgan.problem import Problem
from convexwgan.solution import Solution
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import DrawnNoise, Latent, Rng
from convexwgan.spec.validation import count, flag
from convexwgan.spec.wgan import WGAN
from convexwgan.theory.forms import Normalize

Noise = Literal["population", "sampled"]

# Streams of random_state. Two, or the first samples would be the very noise that the generator was fitted on.
_FIT, _SAMPLE = 0, 1
_SAVED = ("latent_dim", "noise", "n_fake", "normalize", "center", "method", "solver", "tol")


class ConvexWGAN(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A Wasserstein GAN fitted to its proven optimum, with scikit-learn's interface.

    Problem:
        min over generators, max over discriminators, of the game on X − 1x̄ᵀ (on X itself with ``center=False``);
        ``sample`` adds the mean x̄ back. See ``Problem`` for the game, and ``problem(X)`` for this very one.

    All is computed in float64 by NumPy; ``Problem`` takes float32, and arrays of other libraries and devices.

    Args:
        wgan: discriminator + generator [+ regulariser]; None is ``Discriminator.quadratic(components=latent_dim)
            + Generator.linear()``: the components that the noise can carry.
        latent_dim: d_f, the dimension of the Gaussian noise; not used by ``Generator.free``.
        noise: "population" (the optimum for z ~ N(0, I) itself; needs ``normalize="mean"``) or "sampled" (the
            optimum for n_fake drawn rows).
        n_fake: n_f, rows of sampled noise or of a free output; None is n_r. Not for population noise.
        normalize: "mean" (β_d comparable between sample sizes) or "sum" (the paper's convention).
        center: fit X − 1x̄ᵀ. A linear generator on noise of mean zero cannot move its mean, so x̄ is taken out
            and put back. A linear discriminator sees means only: give it ``center=False``.
        method, solver, tol: as in ``Problem.solve``.
        random_state: None (fresh entropy), an int, a numpy Generator or RandomState; behind sampled noise and
            ``sample``. With an int, every ``sample(n)`` is the same.

    Attributes:
        solution_: the ``Solution``: value, bound, certificate, discriminator, of the game on the centred data.
        generator_: its generator, in centred coordinates (``sample`` adds ``mean_``).
        status_: its ``Status``; UNVERIFIED after ``load``, until ``verify(model.problem(X), model.solution_)``.
        mean_: x̄ (d_r,), zeros with ``center=False``.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Reference:
        Sahiner et al., Hidden convexity of Wasserstein GANs, ICLR 2022, Theorem 4.1 for the default pair.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 5)) @ np.diag([5.0, 3.0, 1.0, 0.2, 0.1]) + 7.0
    >>> model = ConvexWGAN(Discriminator.quadratic(beta=0.5) + Generator.linear(), latent_dim=3, random_state=0)
    >>> model.fit(X).status_.name, model.sample(100).shape
    ('CERTIFIED', (100, 5))
    """

    solution_: Solution
    mean_: Float64
    n_features_in_: int

    def __init__(
        self,
        wgan: WGAN | None = None,
        *,
        latent_dim: int = 48,
        noise: Noise = "population",
        n_fake: int | None = None,
        normalize: Normalize = "mean",
        center: bool = True,
        method: str = "auto",
        solver: str | None = None,
        tol: float | None = None,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.wgan = wgan
        self.latent_dim = latent_dim
        self.noise = noise
        self.n_fake = n_fake
        self.normalize = normalize
        self.center = center
        self.method = method
        self.solver = solver
        self.tol = tol
        self.random_state = random_state

    # ---- fit -------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> Self:
        """Solve the game on X (n_r, d_r); y is ignored.

        Returns:
            The estimator itself.

        Raises:
            InputError: a parameter is out of range, or no generator satisfies the discriminator; with the remedy.
            SolveError: the method returned no generator.
            NotCoveredError: no theorem covers the pair.
            ValueError: scikit-learn's own, for X that is not a finite numeric table of this shape.

        Warns:
            ConvergenceWarning: the solution is kept, but its bounds do not meet or are not all verified.
        """
        X = validate_data(self, X, **self._wanted)
        self.__dict__.pop("solution_", None)  # a refit that fails leaves no half-new model behind
        X, mean = self._centred(X)
        self.solution_, self.mean_ = self._solve(self._problem(X)), mean
        return self

    def problem(self, X: Any) -> Problem:
        """The game that ``fit(X)`` solves: to ``explain()``, to follow along β_d, to ``verify`` a fit or a file.

        Sampled noise is drawn again, so verifying needs an int as ``random_state``.
        """
        return self._problem(self._centred(check_array(X, **self._wanted))[0])

    @property
    def _wanted(self) -> dict[str, Any]:
        """What X must be. One centred sample is zero, and nothing can be learned from it."""
        flag("center", self.center, "True subtracts the mean of X before fitting")
        return {"dtype": np.float64, "ensure_min_samples": 2 if self.center else 1}

    def _centred(self, X: Float64) -> tuple[Float64, Float64]:
        """(X − 1x̄ᵀ, x̄)."""
        if not self.center:
            return X, np.zeros(X.shape[1])
        mean = X.mean(axis=0)
        X = X - mean
        # Rounding leaves a mean of eps·|x̄|, not small where x̄ is far from 0; a second pass leaves eps·|X − 1x̄ᵀ|.
        rest = X.mean(axis=0)
        X -= rest
        return X, mean + rest

    def _problem(self, X: Float64) -> Problem:
        wgan: Any = self._wgan()  # Problem refuses what is not a WGAN
        if isinstance(wgan, WGAN) and not wgan.players[1].needs_noise:
            return Problem(wgan, X, n_fake=self.n_fake, normalize=self.normalize)
        return Problem(wgan, X, self._noise(len(X)), normalize=self.normalize)

    def _wgan(self) -> WGAN:
        if self.wgan is not None:
            return self.wgan
        return Discriminator.quadratic(components=self._latent().dim) + Generator.linear()

    def _latent(self) -> Latent:
        return Latent.normal(count("latent_dim", self.latent_dim, "it is the dimension of the noise"))

    def _noise(self, n_real: int) -> Latent | DrawnNoise:
        latent = self._latent()
        if self.noise == "sampled":
            return latent.draw(self._count_fake(n_real), self._rng(_FIT))
        if self.noise != "population":
            raise InputError("noise", self.noise, 'be "population" or "sampled"', "choose one of the two")
        if self.n_fake is not None:
            remedy = 'a population has no rows; set noise="sampled", or leave n_fake out'
            raise InputError("n_fake", self.n_fake, "not be given for population noise", remedy)
        return latent

    def _count_fake(self, n_real: int) -> int:
        return n_real if self.n_fake is None else count("n_fake", self.n_fake, "it is the number of noise rows n_f")

    def _solve(self, problem: Problem) -> Solution:
        solution = problem.solve(method=self.method, solver=self.solver, tol=self.tol)
        if solution.generator is None:
            raise self._no_generator(solution, problem)
        if solution.status is not Status.CERTIFIED:
            warnings.warn(_shortfall(solution), ConvergenceWarning, stacklevel=3)
        return solution

    def _no_generator(self, solution: Solution, problem: Problem) -> ConvexWGANError:
        """Why there is no generator, and the parameter to change."""
        proof = solution.certificate.infeasibility
        if proof is None:
            remedy = "no generator was found, nor a proof that there is none; try another method= or solver="
            return SolveError(f"{remedy}: {solution}")
        why = f"({solution.status.name}: {proof.text})"
        fewer = "or keep fewer components (components=k or a larger beta=)"
        if not self.center and proof.kind in ("zero_mean", "ray"):
            must = f"be True for a generator that reaches the mean of the data {why}"
            return InputError("center", self.center, must, "set center=True")
        if proof.kind == "weyl" and problem.wgan.players[1].needs_noise:
            must, too = f"carry all components that stay {why}", " and n_fake" if self.noise == "sampled" else ""
            return InputError("latent_dim", self.latent_dim, must, f"raise latent_dim{too}, {fewer}")
        if proof.kind == "weyl":
            must = f"carry all components that stay {why}"
            return InputError("n_fake", problem.n_fake, must, f"raise n_fake, {fewer}")
        return InputError("wgan", problem.wgan, f"leave some generator within β_d {why}", "raise beta=")

    # ---- the fitted model ------------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "solution_")

    @property
    def generator_(self) -> FittedGenerator:
        """The generator in centred coordinates."""
        if self.solution_.generator is None:
            raise AssertionError("a fitted model without a generator")
        return self.solution_.generator

    @property
    def status_(self) -> Status:
        """What the fit has earned."""
        return self.solution_.status

    def sample(self, n: int, rng: Rng | None = None) -> Any:
        """``n`` generated samples: fresh noise through the generator (rows of G drawn again when free), plus x̄.

        Args:
            n: how many.
            rng: int seed or numpy Generator; None derives it from ``random_state``.

        Returns:
            (n, d_r) float64 array; a pandas DataFrame when fitted on one.

        Raises:
            NotFittedError: ``fit`` comes first. InputError: n < 1, or rng is neither.
        """
        check_is_fitted(self)
        G = self.generator_.sample(n, self._rng(_SAMPLE) if rng is None else rng) + self.mean_
        names = getattr(self, "feature_names_in_", None)
        return G if names is None else _as_frame(G, names)

    def score(self, X: Any, y: Any = None) -> float:
        """−dist_D(X, what ``sample`` draws from), both as means: the held-out verdict of the discriminator.

        0 is best. For the quadratic discriminator −‖M − S‖₂, with moments about ``mean_``; nothing is sampled.
        Comparable between models of the same kind of discriminator; a skip's s = m is not part of it.

        Raises:
            NotFittedError: ``fit`` comes first. ValueError: X is not a table like the one fitted.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        real = moments_of(X - self.mean_, normalize="mean")
        # Without its own Z the generator answers for fresh noise; a free one answers with its rows either way.
        fake = replace(self.generator_, noise=None, normalize="mean").moments
        activation = self.solution_.wgan.players[0].activation
        return -polynomial_distance(real.second, fake.second, real.first, fake.first, 0.0, activation).value

    def _rng(self, stream: int) -> np.random.Generator:
        state = self.random_state
        if state is None:
            return np.random.default_rng()
        if isinstance(state, np.random.Generator):
            return state
        if isinstance(state, np.random.RandomState):
            return np.random.default_rng(state.randint(2**31 - 1))
        seed = count("random_state", state, "give a seed, a numpy Generator or RandomState, or None", least=0)
        return np.random.default_rng([seed, stream])

    # ---- files -----------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the fitted model as safetensors; an existing file is replaced at once or not at all.

        The file is a solution file with the model's mean and parameters added: ``Solution.load`` reads it too.
        A ``random_state`` that is not an int is saved as None.

        Raises:
            NotFittedError: ``fit`` comes first. InputError: the folder does not exist, or the path is a folder.
        """
        check_is_fitted(self)
        with TemporaryDirectory() as folder:
            written = self.solution_.save(Path(folder) / "solution.safetensors")
            header, tensors = storage._read(written, "solution")
        return storage._write(path, {**header, "estimator": self._description()}, {**tensors, "mean": self.mean_})

    def _description(self) -> dict[str, Any]:
        names = getattr(self, "feature_names_in_", None)
        state = self.random_state
        parameters = {name: getattr(self, name) for name in _SAVED}
        parameters["random_state"] = int(state) if isinstance(state, int | np.integer) else None
        return {
            "parameters": {name: _plain(value) for name, value in parameters.items()},
            "default_wgan": self.wgan is None,
            "feature_names": None if names is None else list(names),
        }

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A saved model, ready to ``sample``. Its status is UNVERIFIED: what a file says is a claim.

        ``verify(model.problem(X), model.solution_)`` looks at it again, on the data that it was fitted on.

        Raises:
            InputError: no such file. FileFormatError: not a model file, another version, or damaged.
        """
        header, tensors = storage._read(path, "solution")
        if "estimator" not in header:
            raise FileFormatError(f"{path} holds a solution without its model: open it with Solution.load.")
        solution = Solution.load(path)
        try:
            model = cls._restored(header["estimator"], tensors["mean"], solution)
        except (KeyError, TypeError) as error:
            raise FileFormatError(f"{path} is damaged: its header lacks or garbles {error}; save it again.") from error
        if solution.generator is None or model.mean_.shape != (solution.generator.weights.shape[1],):
            raise FileFormatError(f"{path} is damaged: its mean does not fit its weights; save the model again.")
        return model

    @classmethod
    def _restored(cls, description: Mapping[str, Any], mean: Float64, solution: Solution) -> Self:
        wgan = None if description["default_wgan"] else solution.wgan
        model = cls(wgan, **description["parameters"])
        model.solution_, model.mean_ = solution, np.asarray(mean, dtype=np.float64)
        model.n_features_in_ = len(model.mean_)
        if description["feature_names"] is not None:
            model.feature_names_in_ = np.asarray(description["feature_names"], dtype=object)
        return model


def _shortfall(solution: Solution) -> str:
    """What keeps a solution from CERTIFIED."""
    text = f"{solution.status.name}: value {solution.value:.6g}, bound {solution.bound:.6g}, relative gap "
    text += f"{solution.relative_gap:.2g} against tol = {solution.tol:.0e}"
    failed = "; ".join(str(check) for check in solution.certificate.failed_checks)
    return text + (f"; {failed}" if failed else "") + ". The generator is kept; see solution_.certificate."


def _as_frame(G: Float64, names: Any) -> Any:
    try:
        import pandas as pd
    except ImportError:  # fitted on a table of another library
        return G
    return pd.DataFrame(G, columns=list(names))


def _plain(value: Any) -> Any:
    """NumPy scalars as Python's, for JSON."""
    return value.item() if isinstance(value, np.generic) else value
