"""What every neural GAN here shares: parameters, fit with checkpoints and resume, sample, save, load."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from convexwgan import storage
from convexwgan.arrays import Float64, to_numpy64
from convexwgan.errors import FileFormatError, InputError, SolveError
from convexwgan.extras import require
from convexwgan.geometry.modes import ModeCoverage, mode_coverage
from convexwgan.inputs import data_fingerprint
from convexwgan.models.networks import arrays_of, perceptron, put_arrays, require_judge, require_same_layout
from convexwgan.models.neural_parameters import (
    FIT,
    REPORT,
    SAMPLE,
    check_common,
    checked_modes,
    in_single_range,
    random_stream,
    rates,
    standard,
    torch_device,
)
from convexwgan.models.training import Losses, Run, Tensors, logger, train
from convexwgan.spec.latent import Rng
from convexwgan.spec.validation import count

if TYPE_CHECKING:
    import torch

    MakeDiscriminator = Callable[[int], torch.nn.Module]

REPORT_SAMPLES = 2500


@dataclass(frozen=True)
class Progress:
    """What a callback is shown.

    Attributes:
        iteration, iterations: how far the run is.
        evaluations: optimiser steps so far, generator and discriminator together.
        losses: the latest, by name.
        coverage: of the ``modes`` that the estimator was given, else None.
        sample: n ↦ (n, d_r) samples of the generator as it is now; the same noise each time.
    """

    iteration: int
    iterations: int
    evaluations: int
    losses: Losses
    coverage: ModeCoverage | None
    sample: Callable[[int], Float64]


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralGAN(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """The base of the neural GANs: perceptron generator G and discriminator D, trained by Adam on float32 torch.

    A subclass says what one iteration is (``_iterate``), names its own parameters (``_own``) and checks them. The
    constructor is a dataclass's: explicit keywords, stored as they are, which is what scikit-learn clones by.

    Attributes:
        generator_, discriminator_: the networks, in standardised coordinates.
        mean_, scale_: ``sample`` returns mean_ + scale_·G(z).
        history_: one row a report: iteration, losses, and with ``modes`` the coverage.
        n_iter_, n_evaluations_: iterations, and optimiser steps of both players.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.
    """

    _own: ClassVar[tuple[str, ...]] = ()
    _common: ClassVar[tuple[str, ...]] = (
        "latent_dim", "hidden", "iterations", "batch_size", "learning_rate", "betas", "standardize", "device"
    )  # fmt: skip

    latent_dim: int = 8
    hidden: tuple[int, ...] = (64, 64)
    iterations: int = 3000
    batch_size: int = 128
    learning_rate: float | tuple[float, float] = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    standardize: bool = True
    discriminator: MakeDiscriminator | None = None
    random_state: int | np.random.Generator | np.random.RandomState | None = None
    device: str = "cpu"
    checkpoint: str | Path | None = None
    checkpoint_every: int = 500
    report_every: int = 100
    modes: Any = None
    mode_radius: float | None = None
    callback: Callable[[Progress], bool | None] | None = None

    generator_: torch.nn.Module = field(init=False)
    discriminator_: torch.nn.Module | None = field(init=False)
    mean_: Float64 = field(init=False)
    scale_: float = field(init=False)
    history_: list[dict[str, float]] = field(init=False)
    n_iter_: int = field(init=False)
    n_evaluations_: int = field(init=False)
    n_features_in_: int = field(init=False)

    # ---- what a subclass fills in --------------------------------------------------------------------------------

    def _iterate(self, run: Run) -> Losses:
        """One iteration of training: gradient steps of both players."""
        raise AssertionError(f"{type(self).__name__} defines no iteration")

    def _check_own(self) -> None:
        """The subclass's own parameters, checked."""

    def _own_description(self) -> dict[str, Any]:
        """The subclass's own parameters for a file."""
        return {name: _plain(getattr(self, name)) for name in self._own}

    def _own_from(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The inverse of ``_own_description``."""
        return {name: _untupled(parameters[name]) for name in self._own}

    # ---- fit -----------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, *, resume: str | Path | None = None) -> Self:
        """Train on X (n_r, d_r); y is ignored.

        Args:
            X: one sample a row.
            resume: a checkpoint file of the same parameters and data; training goes on after its iteration and ends
                where an uninterrupted run would have ended, bit for bit on a CPU.

        Returns:
            The estimator itself; after a callback asked to stop, as trained so far.

        Raises:
            InputError: X is no finite numeric table or leaves what float32 holds, a parameter is out of range, or a
                checkpoint is of other data, parameters or discriminator.
            FileFormatError: ``resume`` is no checkpoint.
            SolveError: a loss or weight is no longer finite; the model is left at its last good checkpoint.
            MissingExtraError: torch is not installed.
        """
        require("torch", "torch", type(self).__name__)
        X = in_single_range(self._table(X), self.standardize)
        self._forget()
        check_common(self)
        self._check_own()
        mean, scale = standard(X) if self.standardize else (np.zeros(X.shape[1]), 1.0)
        modes = checked_modes(self.modes, self.mode_radius, X.shape[1])
        run = self._run((X - mean) / scale)
        identity = self._identity(X)
        if resume is not None:
            self._resume(run, resume, identity)
        try:
            self._train(run, mean, scale, modes, identity)
        except SolveError:
            if run.iteration:
                self._keep(run, mean, scale)
            raise
        self._keep(run, mean, scale)
        return self

    def _table(self, X: Any) -> Float64:
        """scikit-learn's own check of X, its sentence carried in an error of ours."""
        try:
            return np.asarray(validate_data(self, X, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise InputError("X", X, "be a finite numeric table (n, d)", " ".join(str(error).split())) from error

    def _train(self, run: Run, mean: Float64, scale: float, modes: Float64 | None, identity: str) -> None:
        noise = np.random.default_rng([REPORT]).standard_normal((REPORT_SAMPLES, self.latent_dim))

        def report(losses: Losses) -> bool:
            return self._report(run, losses, lambda Z: mean + scale * _apply(run.generator, Z), noise, modes)

        def write(header: dict[str, Any], tensors: Tensors) -> str | None:
            if self.checkpoint is None:
                return None
            header = {"content": "checkpoint", "model": type(self).__name__, "identity": identity, **header}
            return str(storage._write(self.checkpoint, header, tensors))

        every = {"report_every": self.report_every, "checkpoint_every": self.checkpoint_every}
        train(run, self._iterate, report, write=write, **every)

    def _report(self, run: Run, losses: Losses, outputs: Any, noise: Float64, modes: Float64 | None) -> bool:
        """Log, remember and show how far the run is; True when the callback wants it stopped."""
        coverage = None
        row = {"iteration": float(run.iteration), **losses}
        text = f"{type(self).__name__} {run.iteration}/{run.iterations}"
        text += "".join(f", {name} {loss:.4g}" for name, loss in losses.items())
        if modes is not None and self.mode_radius is not None:
            G = outputs(noise)
            if np.isfinite(G).all():
                coverage = mode_coverage(G, modes, self.mode_radius)
                row |= {"covered": float(coverage.covered), "quality": coverage.quality}
                text += f", modes {coverage.covered}/{coverage.modes}, high quality {coverage.quality:.0%}"
        run.history.append(row)
        logger.info(text)
        if self.callback is None:
            return False

        def sample(n: int) -> Float64:
            shape = count("n", n, "it is the number of samples"), self.latent_dim
            drawn: Float64 = outputs(np.random.default_rng([REPORT]).standard_normal(shape))
            return drawn

        progress = Progress(run.iteration, run.iterations, run.evaluations, losses, coverage, sample)
        return self.callback(progress) is True

    def _run(self, X: Float64) -> Run:
        """The start of a run: networks drawn by NumPy, so that every device starts alike."""
        import torch

        device, rng = torch_device(self.device), random_stream(self.random_state, FIT)
        d, hidden = X.shape[1], tuple(self.hidden)
        generator = perceptron((self.latent_dim, *hidden, d), rng)
        discriminator = self.discriminator(d) if self.discriminator else perceptron((d, *hidden, 1), rng)
        data = torch.as_tensor(X, dtype=torch.float32, device=device)
        require_judge(discriminator, d)
        sizes = self.latent_dim, self.batch_size, self.iterations
        players = generator.to(device), discriminator.to(device)
        return Run(data, *players, rng, *sizes, rates(self.learning_rate), self.betas)

    def _keep(self, run: Run, mean: Float64, scale: float) -> None:
        self.generator_, self.discriminator_ = run.generator, run.discriminator
        self.mean_, self.scale_ = mean, scale
        self.history_, self.n_iter_, self.n_evaluations_ = run.history, run.iteration, run.evaluations

    def _forget(self) -> None:
        """A refit that fails leaves no half-new model behind."""
        for name in (
            "generator_",
            "discriminator_",
            "mean_",
            "scale_",
            "history_",
            "n_iter_",
            "n_evaluations_",
            "bandwidth_",
        ):
            self.__dict__.pop(name, None)

    # ---- checkpoints ---------------------------------------------------------------------------------------------

    def _identity(self, X: Float64) -> str:
        """SHA-256 of the data and of every parameter that the course of a run depends on."""
        seed = self.random_state if isinstance(self.random_state, int | np.integer) else None
        parameters = {**self._description(), "random_state": None if seed is None else int(seed)}
        return data_fingerprint(X, None, json.dumps(parameters, sort_keys=True))

    def _resume(self, run: Run, path: str | Path, identity: str) -> None:
        header, tensors = storage._read(path, "checkpoint")
        if header.get("model") != type(self).__name__:
            raise FileFormatError(f"{path} is a checkpoint of {header.get('model')}, not of {type(self).__name__}.")
        if header.get("identity") != identity:
            remedy = "resume with the X, the parameters and the random_state that it was started with"
            raise InputError("resume", str(path), "be a checkpoint of the same data and parameters", remedy)
        require_same_layout(run.discriminator, tensors, str(path))
        try:
            run.restore(header, tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FileFormatError(f"{path} is damaged: {error}; go back to an earlier checkpoint.") from error

    # ---- the fitted model ----------------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "generator_")

    def sample(self, n: int, rng: Rng | None = None) -> Any:
        """``n`` generated samples, mean_ + scale_·G(z) with fresh noise z ~ N(0, I).

        Args:
            n: how many.
            rng: int seed or numpy Generator; None derives it from ``random_state``.

        Returns:
            (n, d_r) float64 array; a pandas DataFrame when fitted on one.

        Raises:
            NotFittedError: ``fit`` comes first. InputError: n < 1, or rng is neither.
        """
        from convexwgan.models.estimator import _as_frame

        check_is_fitted(self)
        stream = random_stream(self.random_state, SAMPLE) if rng is None else random_stream(rng, None)
        Z = stream.standard_normal((count("n", n, "it is the number of samples"), self.latent_dim))
        G = self.mean_ + self.scale_ * _apply(self.generator_, Z)
        names = getattr(self, "feature_names_in_", None)
        return G if names is None else _as_frame(G, names)

    # ---- files ---------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the fitted model as safetensors; an existing file is replaced at once or not at all.

        Not saved: functions (``callback``, ``discriminator`` and the network that it made), ``modes``, a
        ``random_state`` that is not an int.

        Raises:
            NotFittedError: ``fit`` comes first. InputError: the folder does not exist, or the path is a folder.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        state = self.random_state
        header = {
            "content": "neural_gan",
            "model": type(self).__name__,
            "parameters": self._description(),
            "random_state": int(state) if isinstance(state, int | np.integer) else None,
            "feature_names": None if names is None else list(names),
            "history": self.history_,
            "counts": [self.n_iter_, self.n_evaluations_],
        }
        tensors: Tensors = {
            "mean": self.mean_,
            "scale": np.array([self.scale_]),
            **arrays_of(self.generator_, "generator"),
        }
        if self.discriminator is None and self.discriminator_ is not None:
            tensors |= arrays_of(self.discriminator_, "discriminator")
        return storage._write(path, header, tensors)

    def _description(self) -> dict[str, Any]:
        return {**{name: _plain(getattr(self, name)) for name in self._common}, **self._own_description()}

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A saved model, ready to ``sample``, on the CPU.

        Raises:
            InputError: no such file. FileFormatError: not a file of this model, another version, or damaged.
            MissingExtraError: torch is not installed.
        """
        require("torch", "torch", cls.__name__)
        header, tensors = storage._read(path, "neural_gan")
        if header.get("model") != cls.__name__:
            raise FileFormatError(f"{path} holds a {header.get('model')}: open it with {header.get('model')}.load.")
        try:
            return cls._restored(header, tensors)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FileFormatError(f"{path} is damaged: {error}; save the model again.") from error

    @classmethod
    def _restored(cls, header: Mapping[str, Any], tensors: Tensors) -> Self:
        given = dict(header["parameters"])
        model = cls.__new__(cls)
        parameters = {name: _untupled(given[name]) for name in cls._common} | model._own_from(given)
        model.__init__(**{**parameters, "device": "cpu", "random_state": header["random_state"]})  # type: ignore[misc]
        check_common(model)
        mean, scale = np.array(tensors["mean"], dtype=np.float64), float(tensors["scale"][0])
        d, hidden, rng = len(mean), tuple(model.hidden), np.random.default_rng(0)
        model.generator_ = perceptron((model.latent_dim, *hidden, d), rng)
        put_arrays(model.generator_, tensors, "generator")
        model.discriminator_ = None
        if any(name.startswith("discriminator.") for name in tensors):
            model.discriminator_ = perceptron((d, *hidden, 1), rng)
            put_arrays(model.discriminator_, tensors, "discriminator")
        if not all(np.isfinite(array).all() for array in tensors.values()) or not scale > 0:
            raise ValueError("its numbers are not finite")
        model.mean_, model.scale_, model.n_features_in_ = mean, scale, d
        model.history_, (model.n_iter_, model.n_evaluations_) = header["history"], header["counts"]
        if header["feature_names"] is not None:
            model.feature_names_in_ = np.asarray(header["feature_names"], dtype=object)
        return model


def _apply(network: torch.nn.Module, Z: Float64) -> Float64:
    """The network's output on NumPy noise, as float64 on the host."""
    import torch

    parameter = next(network.parameters())
    with torch.no_grad():
        return to_numpy64(network(torch.as_tensor(Z, dtype=parameter.dtype, device=parameter.device)))


def _plain(value: Any) -> Any:
    """NumPy scalars and tuples as JSON has them."""
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _untupled(value: Any) -> Any:
    """JSON's lists are the tuples that the parameters were."""
    return tuple(value) if isinstance(value, list) else value
