"""ProCoGAN: images from coarse to fine, every stage a closed form with a certificate (paper, Section 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Certificate, Check, Status
from convexwgan.certificates.stage import StageClaim, stage_certificate
from convexwgan.errors import InputError
from convexwgan.geometry.top_spectra import TopSpectrum, top_eigenpairs
from convexwgan.models import procogan_files as files
from convexwgan.models.fit_progress import Callback, Reporter
from convexwgan.models.image_source import as_image_source
from convexwgan.models.procogan_settings import Settings, read_settings
from convexwgan.models.progressive import ProgressiveGenerator, Stage, agreeing_signs, noise_moments, solve_codes
from convexwgan.models.pyramid import Level, build_levels
from convexwgan.spec.latent import Rng, as_rng
from convexwgan.spec.validation import count, real

if TYPE_CHECKING:
    import torch

_SPECTRUM, _SAMPLE = 1_000, 2_000
_SOLVER_SHARE = 0.1
"""The spectrum is iterated to a tenth of the tolerance that the certificate asks for."""


class ProCoGAN(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A progressive generator of images in closed form; every stage is solved and certified.

    Problem, at each resolution i:
        min ½‖G_i‖_F²  s.t.  ‖X_iᵀX_i − G_iᵀG_i‖₂ ≤ β_i, G_i = Z_iW_i

    with Z_i = [upsampled G_{i−1}, r_i fresh normal columns, 1], X_i the images average-pooled to the resolution,
    minus their mean, and β_i = σ²_{k_i+1}: k_i components stay. A linear stage cannot raise the rank, so a stage that
    needs more components than the one before gets fresh noise.

    Args:
        resolutions: sides in pixels, ascending, each dividing the next, the last that of the images; None halves the
            side down to at least 4.
        components: k_i for each stage; None: the last of (20, 30, 40, 100, 175), as far as the stage has pixels.
        betas: β_i for each stage, in sums over the images (the paper's convention), instead of ``components``.
        latent_dim: columns of noise of the first stage.
        fresh_noise: "auto" (r_i as many as the stage needs), or r_i for the stages after the first; 0 refuses
            stages whose components the noise cannot carry.
        bias: whether Z_i has the constant column; then no component is spent on the mean (G ⟂ 1).
        skip: the discriminator has a linear skip: G's mean must match, and the certificate checks it.
        random_state: None (fresh entropy) or an int; behind the noise, the spectra and ``sample``.
        device: None: NumPy, or where torch images are; else a torch device on which blocks are multiplied.
        dtype: "float32" or "float64", of pixels and products; sums, small matrices and certificates are float64.
        memory_budget: bytes for working arrays beside the images given; None is half of the free memory.
        tol: relative violation and gap that CERTIFIED asks for.
        checkpoint: folder in which every finished stage is saved; a later fit with the same settings and data
            goes on from there. Needs an int ``random_state``.
        progress: "bar", or a function of ``FitProgress``; the log has it anyway.

    Attributes:
        generator_: the ``ProgressiveGenerator``. stages_: its stages (components, β_d, vectors, …).
        certificates_: one ``Certificate`` a stage. status_: the worst of their statuses.
        resolutions_, mean_image_ (height, width, channels), n_samples_. plans_: how each spectrum was computed.

    Reference:
        Sahiner et al., Hidden convexity of Wasserstein GANs, ICLR 2022, Section 5.2, Appendix B.2, Theorem 4.1.

    >>> images = np.random.default_rng(0).random((50, 8, 8))
    >>> model = ProCoGAN(components=(3, 6), random_state=0).fit(images)
    >>> model.status_.name, model.sample(2).shape
    ('CERTIFIED', (2, 8, 8, 1))
    """

    generator_: ProgressiveGenerator
    certificates_: tuple[Certificate, ...]

    def __init__(
        self,
        resolutions: Sequence[int] | None = None,
        components: Sequence[int] | None = None,
        betas: Sequence[float] | None = None,
        *,
        latent_dim: int = 48,
        fresh_noise: Literal["auto"] | int | Sequence[int] = "auto",
        bias: bool = True,
        skip: bool = False,
        random_state: int | None = None,
        device: Any = None,
        dtype: Literal["float32", "float64"] = "float32",
        memory_budget: int | None = None,
        tol: float = 1e-3,
        checkpoint: str | Path | None = None,
        progress: Callback | Literal["bar"] | None = None,
    ) -> None:
        self.resolutions = resolutions
        self.components = components
        self.betas = betas
        self.latent_dim = latent_dim
        self.fresh_noise = fresh_noise
        self.bias = bias
        self.skip = skip
        self.random_state = random_state
        self.device = device
        self.dtype = dtype
        self.memory_budget = memory_budget
        self.tol = tol
        self.checkpoint = checkpoint
        self.progress = progress

    # ---- fit -------------------------------------------------------------------------------------------------

    def fit(self, images: Any, y: Any = None) -> Self:
        """Solve and certify every stage; y is ignored.

        Args:
            images: (n, height, width[, channels]) in [0, 1] or uint8: NumPy, memory map, torch, Dask; or an
                ``ImageSource``, or the path of a folder (resized to the last of ``resolutions``). Square.

        Raises:
            InputError: a parameter out of range, images of another kind, components that the noise cannot carry.
            FileFormatError: a checkpoint of other settings or other data.
        """
        source = as_image_source(images, None if self.resolutions is None else self.resolutions[-1])
        settings = read_settings(self, source.shape)
        self.__dict__.pop("generator_", None)  # a refit that fails leaves no half-new model behind
        sides, n = settings.sides, source.shape[0]
        generator = ProgressiveGenerator((), n, settings.seed)
        certificates: list[Certificate] = []
        plans = []
        with Reporter(sides, settings.work, self.progress) as reporter:
            reporter.tell(0, "moments")
            levels, fingerprint = build_levels(
                source, sides, dtype=self.dtype, device=self.device, budget=settings.budget
            )
            saved = files.Checkpoint(self.checkpoint, settings.described(self), fingerprint)
            for i, level in enumerate(levels):
                found = saved.load(i)
                stage, Q, P = self._solve(i, level, generator, settings, reporter) if found is None else found
                if found is None:
                    saved.save(i, stage, Q, P)
                generator = ProgressiveGenerator((*generator.stages, stage), n, settings.seed)
                reporter.tell(i, "certificate")
                certificates.append(self._certify(level, generator, Q, P))
                plans.append(f"{settings.plans[i].text}, {level.text}")
                reporter.tell(i, "done", residual=certificates[-1].violation)
        self.generator_, self.certificates_, self.plans_ = generator, tuple(certificates), tuple(plans)
        self.resolutions_, self.n_samples_, self.fingerprint_ = sides, n, fingerprint
        return self

    def _solve(
        self, i: int, level: Level, generator: ProgressiveGenerator, settings: Settings, reporter: Reporter
    ) -> tuple[Stage, Float64, Float64]:
        """Spectrum, then the codes that carry it: (stage, proposed basis Q, claimed MQ)."""
        spectrum = top_eigenpairs(
            level.rows,
            level.mean,
            count=None if settings.components is None else settings.components[i],
            beta=None if settings.betas is None else settings.betas[i],
            tol=_SOLVER_SHARE * self.tol,
            rng=np.random.default_rng([settings.seed, _SPECTRUM, i]),
            plan=settings.plans[i],
            dtype=self.dtype,
            progress=lambda passes, excess: reporter.tell(i, "spectrum", passes, excess),
        )
        stage = next_stage(generator, level, spectrum, settings, bias=self.bias, skip=self.skip)
        return stage, spectrum.vectors, spectrum.product

    def _certify(self, level: Level, generator: ProgressiveGenerator, Q: Float64, P: Float64) -> Certificate:
        stage = generator.stages[-1]
        codes = generator.training_codes(len(generator.stages))
        claim = StageClaim(stage.beta, stage.factor, codes, Q, P, mean_matched=self.skip)
        return stage_certificate(level.rows, level.mean, claim, self.tol)

    def verify(self, images: Any) -> tuple[Certificate, ...]:
        """The certificates of all stages again, from the images: for a loaded model, or other data."""
        check_is_fitted(self)
        source = as_image_source(images)
        self._require_shape(source.shape)
        settings = read_settings(self, source.shape, self.generator_.seed)
        levels, _ = build_levels(
            source, self.resolutions_, dtype=self.dtype, device=self.device, budget=settings.budget
        )
        found = []
        for i, (level, stage) in enumerate(zip(levels, self.generator_.stages, strict=True)):
            rng = np.random.default_rng([settings.seed, _SPECTRUM, i])
            plan = settings.plans[i]
            if plan.method == "krylov":
                spectrum = top_eigenpairs(level.rows, stage.mean, beta=stage.beta, rng=rng, plan=plan, dtype=self.dtype)
                # Only a proposal: what of the stage's own vectors lies outside, the judge counts as an error.
                Q, P = spectrum.vectors, spectrum.product
            else:
                Q, P = np.eye(level.dim), np.eye(level.dim)
            part = ProgressiveGenerator(self.generator_.stages[: i + 1], self.generator_.n, self.generator_.seed)
            # The mean is part of the model: the game is judged with it, and it is compared with the data's own.
            kept = Level(level.rows, level.shape, stage.mean, level.text)
            certificate = self._certify(kept, part, Q, P)
            checks = (*certificate.checks, *stage_checks(stage, level.mean, certificate, source.shape[0]))
            found.append(replace(certificate, checks=checks))
        return tuple(found)

    def explain(self, images: Any) -> str:
        """What ``fit(images)`` would do, stage by stage: components, method, memory; nothing is computed."""
        source = as_image_source(images)
        settings = read_settings(self, source.shape)
        n, _, _, channels = source.shape
        lines = [f"{n:,} images of {source.shape[1:]}, memory budget {settings.budget / 2**20:,.0f} MiB"]
        for i, side in enumerate(settings.sides):
            plan, d = settings.plans[i], side * side * channels
            kept = f"k = {settings.components[i]}" if settings.components else f"β_d = {settings.betas[i]:.4g}"  # type: ignore[index]
            judge = "dense" if d <= 1024 else "randomised"
            lines.append(f"stage {i + 1}: {side} px, d = {d:,}, {kept}; {plan.text}; certificate {judge}")
        return "\n".join(lines)

    # ---- the fitted model --------------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "generator_")

    @property
    def stages_(self) -> tuple[Stage, ...]:
        """The stages of the generator."""
        return self.generator_.stages

    @property
    def status_(self) -> Status:
        """CERTIFIED when every stage is; else the first status that is not."""
        check_is_fitted(self)
        wrong = [c.status for c in self.certificates_ if c.status is not Status.CERTIFIED]
        if wrong:
            return wrong[0]
        return Status.CERTIFIED if self.certificates_ else Status.UNVERIFIED

    @property
    def mean_image_(self) -> Float64:
        """The mean image at full resolution, (height, width, channels)."""
        return self.stages_[-1].mean.reshape(self.stages_[-1].shape)

    def sample(self, n: int, rng: Rng | None = None, *, stage: int = -1) -> Float64:
        """``n`` images (n, height, width, channels) of fresh noise through all stages up to ``stage``; not clipped.

        The same ``rng`` shows the same images at every stage.

        Raises:
            NotFittedError: ``fit`` comes first. InputError: n < 1.
        """
        check_is_fitted(self)
        n = count("n of sample", n, "it is the number of images")
        generator = np.random.default_rng([self.generator_.seed, _SAMPLE]) if rng is None else as_rng(rng)
        return self.generator_.sample(n, generator, self._stage(stage))

    def transform(self, images: Any) -> Float64:
        """Codes of real images, (n, k): √n_r (x − μ) V (σ² − β_d)^(−½), so that samples have unit variance.

        ``inverse_transform`` gives back their orthogonal projection on the generator's images.
        """
        check_is_fitted(self)
        rows, stage = self._rows(images), self.stages_[-1]
        if not np.isfinite(rows).all():
            raise InputError("images", images, "hold finite numbers only", "it has NaN or infinity; drop those images")
        codes: Float64 = np.sqrt(self.generator_.n) * ((rows - stage.mean) @ stage.vectors) / stage.scale
        return codes

    def inverse_transform(self, codes: Any) -> Float64:
        """Images (n, height, width, channels) of codes (n, k)."""
        check_is_fitted(self)
        L = np.atleast_2d(np.asarray(codes, dtype=np.float64))
        k = self.stages_[-1].components
        if L.ndim != 2 or L.shape[1] != k:
            raise InputError("codes", L, f"have {k} columns", "give what transform() returns")
        if not np.isfinite(L).all():
            raise InputError("codes", L, "hold finite numbers only", "give what transform() returns")
        return self.generator_.images(L / np.sqrt(self.generator_.n))

    def score(self, images: Any, y: Any = None) -> float:
        """−‖M − S‖₂ in means about ``mean_image_``: the discriminator's verdict on other images; 0 is best."""
        check_is_fitted(self)
        from scipy.sparse.linalg import LinearOperator, eigsh

        X, stage = self._rows(images) - self.stages_[-1].mean, self.stages_[-1]
        n, d = X.shape
        R = stage.factor / np.sqrt(self.generator_.n)

        def difference(v: Any) -> Any:
            return X.T @ (X @ v) / n - R.T @ (R @ v)

        if d <= 64:
            return -float(np.abs(np.linalg.eigvalsh(difference(np.eye(d)))).max())
        start: Any = np.random.default_rng(0).standard_normal((d,))
        operator: Any = LinearOperator((d, d), matvec=difference, dtype=np.float64)
        values, _ = eigsh(operator, k=1, which="LM", tol=1e-6, v0=start)
        return -float(abs(values[0]))

    def walk(self, component: int, steps: int = 7, span: float = 3.0) -> Float64:
        """Images (steps, height, width, channels) along one component, ±``span`` standard deviations about the mean."""
        check_is_fitted(self)
        k = self.stages_[-1].components
        if count("component", component, "components count from 0, by size", least=0) >= k:
            raise InputError("component", component, f"be 0 to {k - 1}", "components count from 0, by size")
        span = real("span", span, "be a finite number", "it counts standard deviations about the mean")
        codes = np.zeros((count("steps", steps, "it is the number of images"), k))
        codes[:, component] = np.linspace(-span, span, len(codes))
        return self.inverse_transform(codes)

    def interpolate(self, first: Any, second: Any, steps: int = 7) -> Float64:
        """Images on the way from one code (k,) to another; for codes of real images take ``transform``."""
        check_is_fitted(self)
        a, b = (np.asarray(code, dtype=np.float64).reshape(-1) for code in (first, second))
        t = np.linspace(0.0, 1.0, count("steps", steps, "it is the number of images"))[:, None]
        if a.shape != b.shape:
            raise InputError("second code", b, f"have the shape of the first, {a.shape}", "use one model for both")
        return self.inverse_transform((1.0 - t) * a + t * b)

    def to_torch(self) -> torch.nn.Module:
        """The generator as ``torch.nn.Module``: see ``ProgressiveGenerator.to_torch``."""
        check_is_fitted(self)
        return self.generator_.to_torch()

    def _rows(self, images: Any) -> Float64:
        source = as_image_source(images)
        self._require_shape(source.shape)
        from convexwgan.models.pyramid import ReadLevel

        rows = ReadLevel(1, "float64")(source.blocks(0, len(source)))
        return rows if isinstance(rows, np.ndarray) else np.asarray(rows.cpu().numpy())

    def _require_shape(self, shape: tuple[int, ...]) -> None:
        if tuple(shape[1:]) != self.stages_[-1].shape:
            must = f"have images of {self.stages_[-1].shape}"
            raise InputError("shape of images", tuple(shape), must, "the model was fitted on that size")

    def _stage(self, stage: int) -> int:
        total = len(self.stages_)
        number: Any = stage
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not -total <= number < total:
            raise InputError("stage", stage, f"be {-total} to {total - 1}", "stages count from 0, coarse to fine")
        return range(total)[int(stage)]

    # ---- files -----------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the model as safetensors, replaced at once or not at all; the certificates become claims."""
        check_is_fitted(self)
        return files.save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A saved model; UNVERIFIED until ``verify(images)`` has seen the data.

        Raises:
            InputError: no such file. FileFormatError: not a model file, another version, or damaged.
        """
        return files.load_model(cls, path)


def stage_checks(stage: Stage, mean: Float64, certificate: Certificate, n: int) -> tuple[Check, Check]:
    """‖μ − x̄‖ ≤ tol·√(tr M/n) + rounding, and σ_i² = scale_i² + β_d: what the bounds of the game do not look at."""
    gap = float(np.linalg.norm(stage.mean - mean))
    size = certificate.tol * np.sqrt(2.0 * certificate.scale / n) + 1e-12 * float(np.linalg.norm(mean))
    squares = stage.scale**2 + stage.beta
    agree = stage.values.shape == squares.shape and np.allclose(stage.values, squares, rtol=1e-6, atol=0.0)
    return (
        Check("mean of the data", bool(gap <= size), f"‖μ − x̄‖ = {gap:.2g} of at most {size:.2g}"),
        Check("values belong to the scales", bool(agree), "σ_i² = scale_i² + β_d"),
    )


def next_stage(
    generator: ProgressiveGenerator, level: Level, spectrum: TopSpectrum, settings: Settings, *, bias: bool, skip: bool
) -> Stage:
    """The stage after those of ``generator`` that attains S = Σ (σ_i² − β_d) v_iv_iᵀ over the first k pairs."""
    k = spectrum.count
    fresh = settings.fresh_columns(len(generator.stages), k, generator)
    gram, total = noise_moments(generator, fresh)
    sizes, before, factor = np.ones(len(total)), None, 1
    if generator.stages:
        before = generator.stages[-1]
        factor = level.shape[0] // before.shape[0]
        sizes[: before.components] = factor * before.scale
    T, shift = solve_codes(gram, total, generator.n, sizes, k, bias=bias, skip=skip)
    signs = agreeing_signs(before, T, spectrum.vectors[:, :k], factor)
    scale = np.sqrt(spectrum.values[:k] - spectrum.beta)
    return Stage(
        level.shape,
        fresh,
        T * signs,
        shift * signs,
        spectrum.vectors[:, :k],
        scale,
        level.mean,
        spectrum.beta,
        spectrum.values[:k],
    )
