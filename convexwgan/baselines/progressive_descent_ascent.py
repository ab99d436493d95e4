"""Progressive gradient descent–ascent: linear generators against quadratic discriminators, the paper's baseline."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError, SolveError
from convexwgan.extras import require
from convexwgan.spec.latent import Rng, as_rng
from convexwgan.spec.validation import count, real

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("convexwgan")

RECORD_EVERY = 50
"""Steps between two records of the losses, and between two looks for NaN."""


@dataclass(frozen=True)
class ProgressiveSettings:
    """Settings of progressive gradient descent–ascent; the defaults are those of the paper's App. B.2.

    Attributes:
        widths: neurons of the discriminator, one entry a stage.
        latent_dim: columns of the noise of the first stage.
        batch: images a step.
        steps: at most so many steps a stage; None for no limit but ``seconds``.
        seconds: time for all stages together, shared equally among them; None for no limit but ``steps``.
        learning_rate, betas, eps: of Adam, for both players.
        gradient_penalty: λ of WGAN-GP, λ·mean (‖∇D(x̂)‖ − 1)².
        drift: ε of the penalty ε·mean D(x)² on real images.
        output_penalty: β_g·d_i, so that stage i pays (output_penalty/d_i)·mean ‖g‖².
        average: decay of the running average of the generator's weights. Ours divides by 1 − decay^t, so that a
            short run is not judged by its random start.
        seed: behind weights, batches and noise.
        device, dtype: of torch.
    """

    widths: tuple[int, ...] = (192, 192, 768, 3092, 3092)
    latent_dim: int = 48
    batch: int = 16
    steps: int | None = 15_000
    seconds: float | None = None
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)
    eps: float = 1e-8
    gradient_penalty: float = 10.0
    drift: float = 1e-3
    output_penalty: float = 100.0
    average: float = 0.999
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for width in self.widths:
            count("widths", width, "each is a number of neurons")
        for name in ("latent_dim", "batch"):
            count(name, getattr(self, name), "it is a number of columns or images")
        if not self.widths or (self.steps is None and self.seconds is None):
            raise InputError("steps and seconds", None, "not both be None", "say when a stage ends, and its width")
        if self.steps is not None:
            count("steps", self.steps, "it is the number of steps a stage")
        for name in ("seconds", "learning_rate", "gradient_penalty", "drift", "output_penalty"):
            value = getattr(self, name)
            if value is not None and real(name, value, "be a number >= 0", "see ProgressiveSettings") < 0:
                raise InputError(name, value, "be >= 0", "see ProgressiveSettings")
        if not 0.0 <= real("average", self.average, "be in [0, 1)", "it is a decay") < 1.0:
            raise InputError("average", self.average, "be in [0, 1)", "it is the decay of the running average")
        if self.dtype not in ("float32", "float64"):
            raise InputError("dtype", self.dtype, 'be "float32" or "float64"', "choose one of the two")

    def scaled(self, factor: float, stages: int | None = None) -> ProgressiveSettings:
        """The same with ``factor`` times the neurons and steps, for the last ``stages`` stages.

        >>> ProgressiveSettings().scaled(0.125, stages=3).widths
        (96, 387, 387)
        """
        widths = self.widths if stages is None else self.widths[-stages:]
        steps = None if self.steps is None else max(1, math.ceil(factor * self.steps))
        return replace(self, widths=tuple(max(1, math.ceil(factor * width)) for width in widths), steps=steps)


@dataclass(frozen=True, eq=False)
class StageRun:
    """What one stage did.

    Attributes:
        steps: how many steps it took.
        seconds: how long.
        records: (k, 6): step, D(real), D(fake), gradient penalty, drift penalty, output penalty; Figure 6's curves.
        stopped: "steps" or "seconds", whichever came first.
    """

    steps: int
    seconds: float
    records: Float64
    stopped: str


class ProgressiveDescentAscent:
    """A chain of linear generators trained stage by stage against two-layer quadratic discriminators.

    Problem, at stage i, the stages before it held fixed:
        min over (W, b) max over (U, v) of mean D(x) − mean D(g) + (c/d_i)·mean ‖g‖² − penalties,
        g = up(g_{i−1})W + 1bᵀ, D(x) = Σ_j (xᵀu_j)²v_j,

    by alternating Adam steps on minibatches with the WGAN-GP and drift penalties (App. B.2). Data are centred.

    Args:
        settings: see ``ProgressiveSettings``.

    Attributes:
        runs_: one ``StageRun`` a stage.
        mean_: mean image of the last level, flattened.

    Reference:
        Sahiner et al., ICLR 2022, App. B.2; Karras et al., Progressive growing of GANs, ICLR 2018, for the settings.

    >>> levels = [np.random.default_rng(0).random((20, r, r, 1)) for r in (2, 4)]
    >>> model = ProgressiveDescentAscent(ProgressiveSettings(widths=(4, 4), latent_dim=2, steps=3)).fit(levels)
    >>> model.sample(5, rng=0).shape, [run.steps for run in model.runs_]
    ((5, 4, 4, 1), [3, 3])
    """

    def __init__(self, settings: ProgressiveSettings | None = None) -> None:
        self.settings = ProgressiveSettings() if settings is None else settings
        self.runs_: list[StageRun] = []
        self._stages: list[tuple[Any, Any]] = []
        self._shapes: list[tuple[int, int, int]] = []

    def fit(self, levels: Sequence[Any]) -> Self:
        """Train all stages.

        Args:
            levels: the same images at every stage's resolution, coarse to fine: (n, h_i, w_i, channels) in [0, 1] or
                uint8, each side a whole multiple of the one before.

        Raises:
            InputError: levels that do not fit each other or the settings.
            SolveError: the losses became NaN or infinite.
            MissingExtraError: torch is not installed.
        """
        require("torch", "torch", "gradient descent–ascent")
        import torch

        shapes = _checked_shapes(levels, self.settings)
        self.runs_, self._stages, self._shapes = [], [], shapes
        generator = torch.Generator(self.settings.device).manual_seed(self.settings.seed)
        for i, level in enumerate(levels):
            X, mean = self._centred(level)
            stage = _Stage(self, i, X, generator)
            run, weights = stage.train()
            self._stages.append(weights)
            self.runs_.append(run)
            self.mean_ = mean
            logger.info("stage %d: %d steps in %.1f s", i + 1, run.steps, run.seconds)
        return self

    def sample(self, n: int, rng: Rng) -> Float64:
        """n images (n, height, width, channels), the mean image added back, not clipped.

        Noise is drawn by NumPy, so every device gives the same samples up to rounding.
        """
        import torch

        if not self._stages:
            raise InputError("model", self.settings, "be fitted first", "call fit(levels)")
        noise = as_rng(rng).normal(size=(count("n of sample", n, "it is a number of images"), self.settings.latent_dim))
        with torch.no_grad():
            G = self._forward(torch.as_tensor(noise, **self._kind))
        return np.asarray(G.cpu().double().numpy() + self.mean_).reshape(n, *self._shapes[-1])

    @property
    def seconds(self) -> float:
        """Time of all stages."""
        return sum(run.seconds for run in self.runs_)

    # ---- the chain -------------------------------------------------------------------------------------------

    @property
    def _kind(self) -> dict[str, Any]:
        import torch

        return {"dtype": getattr(torch, self.settings.dtype), "device": self.settings.device}

    def _centred(self, level: Any) -> tuple[torch.Tensor, Float64]:
        import torch

        images = np.asarray(level)
        scale = 255.0 if images.dtype == np.uint8 else 1.0
        flat = images.reshape(len(images), -1)
        mean = flat.mean(axis=0, dtype=np.float64)
        X = torch.as_tensor(flat, **self._kind)
        X = (X - torch.as_tensor(mean, **self._kind)) / scale
        return X, np.asarray(mean / scale)

    def _forward(self, Z: torch.Tensor) -> torch.Tensor:
        for i in range(len(self._stages)):
            W, b = self._stages[i]
            Z = self.lifted(Z, i) @ W + b
        return Z

    def lifted(self, G: torch.Tensor, stage: int) -> torch.Tensor:
        """The input of a stage: noise for the first, the output before it, upsampled by nearest neighbour, after."""
        if stage == 0:
            return G
        (h, w, c), (height, width, _) = self._shapes[stage - 1], self._shapes[stage]
        images = G.reshape(-1, h, w, c).repeat_interleave(height // h, dim=1).repeat_interleave(width // w, dim=2)
        return images.reshape(-1, height * width * c)


class _Stage:
    """One stage: two players, two Adams, a running average."""

    def __init__(self, model: ProgressiveDescentAscent, index: int, X: torch.Tensor, rng: torch.Generator) -> None:
        import torch

        self.model, self.index, self.X, self.rng = model, index, X, rng
        s = self.settings = model.settings
        d, width = int(X.shape[1]), s.widths[index]
        entry = s.latent_dim if index == 0 else d

        def normal(*shape: int) -> torch.Tensor:
            drawn: torch.Tensor = torch.randn(*shape, generator=rng, **model._kind) / math.sqrt(shape[0])
            return drawn.requires_grad_()

        self.W, self.b = normal(entry, d), torch.zeros(d, **model._kind).requires_grad_()
        self.U, self.v = normal(d, width), normal(width)
        self.of_generator = torch.optim.Adam([self.W, self.b], lr=s.learning_rate, betas=s.betas, eps=s.eps)
        self.of_critic = torch.optim.Adam([self.U, self.v], lr=s.learning_rate, betas=s.betas, eps=s.eps)
        self.averages = [torch.zeros_like(self.W), torch.zeros_like(self.b)]
        self.records: list[list[float]] = []

    def train(self) -> tuple[StageRun, tuple[torch.Tensor, torch.Tensor]]:
        """Steps until the limit, then the averaged (W, b)."""
        s = self.settings
        budget = math.inf if s.seconds is None else s.seconds / len(s.widths)
        start, step = time.perf_counter(), 0
        while (s.steps is None or step < s.steps) and (step == 0 or time.perf_counter() - start < budget):
            losses = [*self.critic_step(), self.generator_step()]
            step += 1
            self.keep_average()
            if step % RECORD_EVERY == 0 or step == 1:
                self.record(step, losses)
        self.record(step, losses)
        seconds = time.perf_counter() - start
        stopped = "steps" if s.steps is not None and step >= s.steps else "seconds"
        W, b = (average / (1.0 - s.average**step) for average in self.averages)
        return StageRun(step, seconds, np.asarray(self.records), stopped), (W, b)

    def critic_step(self) -> list[torch.Tensor]:
        """Ascent on mean D(x) − mean D(g) − λ·mean (‖∇D(x̂)‖ − 1)² − ε·mean D(x)²."""
        import torch

        s = self.settings
        with torch.no_grad():
            fake = self.generate()
        chosen = torch.randint(len(self.X), (s.batch,), generator=self.rng, device=s.device)
        real_images = self.X[chosen]
        on_real, on_fake = self.score(real_images).mean(), self.score(fake).mean()
        drift = s.drift * (self.score(real_images) ** 2).mean()
        mix = torch.rand(s.batch, 1, generator=self.rng, **self.model._kind)
        slope = self.gradient(mix * real_images + (1.0 - mix) * fake).norm(dim=1)
        penalty = s.gradient_penalty * ((slope - 1.0) ** 2).mean()
        self.of_critic.zero_grad(set_to_none=True)
        (on_fake - on_real + penalty + drift).backward()
        self.of_critic.step()
        return [on_real.detach(), on_fake.detach(), penalty.detach(), drift.detach()]

    def generator_step(self) -> torch.Tensor:
        """Descent on −mean D(g) + (c/d)·mean ‖g‖²."""
        fake = self.generate()
        cost = self.settings.output_penalty * (fake**2).mean()
        self.of_generator.zero_grad(set_to_none=True)
        (cost - self.score(fake).mean()).backward()  # type: ignore[no-untyped-call]
        self.of_generator.step()
        return cost.detach()

    def generate(self) -> torch.Tensor:
        import torch

        s = self.settings
        noise = torch.randn(s.batch, s.latent_dim, generator=self.rng, **self.model._kind)
        with torch.no_grad():
            before = self.model.lifted(self.model._forward(noise), self.index)
        return before @ self.W + self.b

    def score(self, images: torch.Tensor) -> torch.Tensor:
        """D(x) = Σ_j (xᵀu_j)²v_j."""
        return (images @ self.U) ** 2 @ self.v

    def gradient(self, images: torch.Tensor) -> torch.Tensor:
        """∇D(x) = 2 Σ_j v_j (xᵀu_j) u_j: by hand, so that no graph of second derivatives is built."""
        return 2.0 * ((images @ self.U) * self.v) @ self.U.T

    def keep_average(self) -> None:
        decay = self.settings.average
        for average, current in zip(self.averages, (self.W, self.b), strict=True):
            average.mul_(decay).add_(current.detach(), alpha=1.0 - decay)

    def record(self, step: int, losses: Sequence[torch.Tensor]) -> None:
        numbers = [float(loss) for loss in losses]
        if not all(math.isfinite(number) for number in numbers):
            raise SolveError(
                f"progressive descent–ascent diverged at stage {self.index + 1}, step {step}: losses {numbers}; "
                "lower learning_rate or raise gradient_penalty."
            )
        if not self.records or self.records[-1][0] != step:
            self.records.append([float(step), *numbers])


def _checked_shapes(levels: Sequence[Any], settings: ProgressiveSettings) -> list[tuple[int, int, int]]:
    """(height, width, channels) of every level."""
    if len(levels) != len(settings.widths):
        remedy = f"widths has {len(settings.widths)} entries: one stage a level"
        raise InputError("levels", len(levels), f"be {len(settings.widths)} arrays", remedy)
    found: list[tuple[int, int, int]] = []
    for level in levels:
        images = np.asarray(level)
        if images.ndim != 4 or len(images) != len(np.asarray(levels[0])) or 0 in images.shape:
            raise InputError(
                "level", images, "have shape (n, height, width, channels), the same n on each", "reshape it"
            )
        if images.dtype.kind == "f" and not np.isfinite(images).all():
            raise InputError("level", images, "hold finite numbers only", "look for NaN in the images")
        height, width, channels = images.shape[1:]
        if found and (height % found[-1][0] or width % found[-1][1] or channels != found[-1][2]):
            must = f"have sides that are multiples of {found[-1][0]} × {found[-1][1]}, and the same channels"
            raise InputError("level", images, must, "go from coarse to fine, as 4, 8, 16")
        found.append((height, width, channels))
    return found
