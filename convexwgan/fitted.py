"""The two players after the game: a generator that can be called, sampled and exported, and the optimal adversary."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from convexwgan.arrays import Array, Float64, as_samples, like, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.moments import Moments, moments_of
from convexwgan.geometry.polynomials import lift, lifted_normal_moments
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import DrawnNoise, Latent, Rng, as_rng
from convexwgan.spec.validation import count

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class FittedGenerator:
    """A solved generator: G = ZW, σ(ZW₁)W₂, or an output G of its own when free.

    Attributes:
        spec: the architecture.
        weights: W (d_f, d_r); W̃ (D, d_r) on lifted noise for polynomial; G (n_f, d_r) for free; W₂ for ReLU.
        first: W₁ (d_f [+ 1], m_g) of a ReLU generator, else None.
        latent: the noise's recipe when it is known; ``sample`` draws from it.
        noise: the problem's own Z, behind ``output``; None for free, for population noise and after loading.
        normalize: the convention of ``moments``.
        columns: column names of the data, when they came as a DataFrame.
    """

    spec: Generator
    weights: Array
    latent: Latent | None = None
    noise: Array | None = field(default=None, repr=False)
    normalize: Literal["sum", "mean"] = "sum"
    columns: tuple[str, ...] | None = None
    first: Array | None = None

    def __call__(self, Z: Array) -> Array:
        """The output for noise Z (n, d_f): shape (n, d_r), in the library and dtype of the weights.

        Raises:
            InputError: a free generator is no function of noise; wrong number of columns; not finite.
        """
        if self.spec.kind == "free":
            raise InputError(
                "Z of Generator.free",
                Z,
                "not be given",
                "a free generator is no function of noise: use .output or .sample(n, rng)",
            )
        Z = as_samples(Z.array if isinstance(Z, DrawnNoise) else Z, "Z")
        if int(Z.shape[1]) != self.latent_dim:
            raise InputError(
                "Z",
                Z,
                f"have {self.latent_dim} columns",
                "give noise of the latent dimension that the generator was fitted on",
            )
        return self._apply(_in_library_of(self.weights, Z))

    def _apply(self, Z: Array) -> Array:
        xp = namespace(self.weights)
        if self.first is not None:
            N = xp.concat([Z, xp.ones_like(Z[:, :1])], axis=1) if self.spec.bias else Z
            return xp.clip(xp.astype(N, self.weights.dtype) @ self.first, min=0.0) @ self.weights
        features = Z if self.spec.coefficients is None else lift(Z, self.spec.coefficients)
        return xp.astype(features, self.weights.dtype) @ self.weights

    @cached_property
    def latent_dim(self) -> int:
        """d_f: how many columns of noise the generator takes (0 for free)."""
        if self.first is not None:
            return int(self.first.shape[0]) - self.spec.bias
        rows = int(self.weights.shape[0])
        if self.spec.kind == "polynomial":
            return next(d for d in range(rows) if (d + 1) * (d + 2) // 2 == rows)
        return 0 if self.spec.kind == "free" else rows

    @property
    def output(self) -> Array:
        """G on the problem's own noise, shape (n_f, d_r).

        Raises:
            InputError: population noise has no samples; a loaded generator does not carry its noise.
        """
        if self.spec.kind == "free":
            return self.weights
        if self.noise is None:
            raise InputError(
                "output of the generator",
                None,
                "be asked where the noise is a stored sample",
                "call generator(Z), or use .moments for population noise",
            )
        return self._apply(_in_library_of(self.weights, self.noise))

    @property
    def moments(self) -> Moments:
        """Mass, s and S of the output, in the problem's convention; exact for population noise."""
        if self.spec.kind == "free" or self.noise is not None:
            return moments_of(self.output, normalize=self.normalize)
        if self.latent is None:
            raise InputError(
                "moments of the generator",
                None,
                "be asked where the noise is known",
                "call generator(Z) and take moments of that",
            )
        W = to_numpy64(self.weights)
        mean, second = _population(self.latent, self.spec)
        return Moments(1.0, W.T @ mean, W.T @ second @ W)

    def sample(self, n: int, rng: Rng, latent: Latent | None = None) -> Any:
        """``n`` generated samples: fresh noise through the generator, or rows of G drawn again when free.

        Args:
            n: how many.
            rng: int seed or numpy Generator; noise is drawn by NumPy and then moved, the same on every device.
            latent: the noise, needed when the generator was fitted on an array of unknown origin.

        Returns:
            (n, d_r) array of the weights' library; a pandas DataFrame when the data came as one.
        """
        n = count("n of sample", n, "it is the number of samples")
        if self.spec.kind == "free":
            rows = as_rng(rng).integers(0, int(self.weights.shape[0]), n)
            xp = namespace(self.weights)
            return self._as_table(xp.take(self.weights, like(self.weights, rows, dtype=xp.int64), axis=0))
        given: Any = latent
        if given is not None and not isinstance(given, Latent):
            raise InputError("latent of sample", given, "be a Latent", "as latent=Latent.normal(dim)")
        source = latent or self.latent
        if source is None:
            raise InputError(
                "latent of sample",
                None,
                "be given",
                "the generator was fitted on an array of unknown origin; say latent=Latent.normal(dim)",
            )
        if source.dim != self.latent_dim:
            raise InputError(
                "latent of sample",
                source,
                f"have dimension {self.latent_dim}",
                "match the columns of the Z that was fitted",
            )
        return self._as_table(self(source.sample(n, rng)))

    def _as_table(self, G: Array) -> Any:
        if self.columns is None:
            return G
        try:
            import pandas as pd
        except ImportError:
            return G
        return pd.DataFrame(to_numpy64(G), columns=list(self.columns))

    @cached_property
    def hidden_weights(self) -> tuple[Float64, Float64]:
        """(W₁, W₂) of a polynomial or ReLU generator, G = σ(ZW₁)W₂, in float64 (Theorem 4.2, Lemma C.1)."""
        from convexwgan.theory.theorem_4_2_polynomial_generator import hidden_weights

        if self.first is not None:
            return to_numpy64(self.first), to_numpy64(self.weights)
        if self.spec.kind != "polynomial":
            raise InputError(
                "hidden_weights of the generator",
                self.spec,
                "be asked of Generator.polynomial or relu",
                "other generators have one matrix, .weights",
            )
        return hidden_weights(to_numpy64(self.weights))

    def to_torch(self) -> torch.nn.Module:
        """The generator as a ``torch.nn.Module`` with the same output (a copy: training it changes nothing here).

        It takes noise of any floating dtype and computes in the dtype of its weights, as the generator does.
        """
        from convexwgan.torch_module import generator_module

        return generator_module(self)

    def save(self, path: str | Path) -> Path:
        """Write the generator alone (no certificate) as safetensors; a file is replaced whole or not at all."""
        from convexwgan.storage import save_generator

        return save_generator(self, path)

    @staticmethod
    def load(path: str | Path) -> FittedGenerator:
        """The generator of a file written by ``FittedGenerator.save`` or ``Solution.save``."""
        from convexwgan.storage import load_generator

        return load_generator(path)


@dataclass(frozen=True, eq=False)
class FittedDiscriminator:
    """The optimal adversary D(x) = Σ_j σ(xᵀu_j + b_j) v_j + xᵀy, read off the dual.

    Attributes:
        spec: the architecture.
        u: neurons as rows, (k, d_r), ‖u_j‖ ≤ 1.
        v: their weights, (k,).
        skip: y (d_r,), or None without a skip connection.
        b: biases (k,) of a ReLU discriminator that has them, else None.
    """

    spec: Discriminator
    u: Float64
    v: Float64
    skip: Float64 | None = None
    b: Float64 | None = None

    def __call__(self, X: Array) -> Array:
        """D on each row of X (n, d_r): shape (n,), in the library of X."""
        X = as_samples(X, "X")
        if int(X.shape[1]) != int(self.u.shape[1]):
            raise InputError("X", X, f"have {self.u.shape[1]} columns", "give samples with the features of the data")
        T = X @ like(X, self.u.T)
        if self.spec.kind == "relu":
            T = T if self.b is None else T + like(X, self.b)
            return namespace(X).clip(T, min=0.0) @ like(X, self.v)
        a, b, c = self.spec.activation
        value = (a * T**2 + b * T + c) @ like(X, self.v)
        return value if self.skip is None else value + X @ like(X, self.skip)

    @property
    def total_weight(self) -> float:
        """Σ_j |v_j|: under weight decay −d value/d β_d."""
        return float(abs(self.v).sum())


def fitted_discriminator(spec: Discriminator, dual: dict[str, Float64]) -> FittedDiscriminator:
    """The adversary of named dual arrays; the last column of ``u`` is the bias where neurons have one."""
    u, v = dual["u"], dual["v"]
    if "b" in dual:
        return FittedDiscriminator(spec, u, v, dual.get("skip"), dual["b"])
    if spec.kind == "relu" and spec.bias:
        return FittedDiscriminator(spec, u[:, :-1], v, None, u[:, -1])
    return FittedDiscriminator(spec, u, v, dual.get("skip"))


def _population(latent: Latent, spec: Generator) -> tuple[Float64, Float64]:
    import numpy as np

    if spec.coefficients is None:
        return np.zeros(latent.dim), np.eye(latent.dim)
    return lifted_normal_moments(latent.dim, spec.coefficients)


def _in_library_of(reference: Array, array: Array) -> Array:
    """``array`` moved to the library and device of ``reference`` (only NumPy arrays travel by themselves)."""
    if type(array) is type(reference):
        return array
    return like(reference, to_numpy64(array))
