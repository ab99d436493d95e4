"""LagrangianGAN: a neural generator trained along the dual updates of a convex program.

A reconstruction from the abstract of Chen, Wang, Ge (2018), arXiv:1802.01765, which states the idea (discriminator
outputs as primal, generated distribution as dual variables; an objective that moves the generated distribution along
the primal–dual subgradient direction). The formulas, the schedule and every default below are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sklearn.utils.validation import check_is_fitted

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.models.generated_density import DENSITIES, widths_of
from convexwgan.models.networks import bounded_output
from convexwgan.models.neural_gan import NeuralGAN
from convexwgan.models.neural_parameters import sequence, within
from convexwgan.models.training import Losses, Run, Tensors, squared_slope
from convexwgan.spec.divergence import Divergence, as_divergence
from convexwgan.spec.validation import count, positive, real

if TYPE_CHECKING:
    import torch


@dataclass(kw_only=True, eq=False, repr=False)
class LagrangianGAN(NeuralGAN):
    """A GAN whose generator moves its distribution *at the data points*, also where it has no sample yet.

    Problem:
        the saddle point of L(D, p_g) = Σ p_d f₀(D) + Σ p_g f₁(D), the Lagrangian of max Σ p_d f₀(D) s.t. f₁(D) ≥ 0.
        Each iteration, with x_i a batch of data, g_j = G(z_j) and p_g(x_i) = mean_j exp(−‖x_i − g_j‖²/(2σ²)):
            discriminator_steps ascent steps on
                mean_i f₀(D(x_i)) + mean_j f₁(D(g_j)) − δ mean t² − γ/2 mean_i ‖∇t(x_i)‖²,   t the raw output,
            the dual target, frozen:
                p̃_i = p_g(x_i) − α f₁(D(x_i)),
            generator_steps descent steps on
                mean_j f₁(D(g_j)) + λ mean_i (p̃_i − p_g(x_i))².
        σ falls geometrically from bandwidth[0] to bandwidth[1] in the course of the run.

    Ordinary training follows ∇D at generated samples only. The second term sees a data point that the generator
    misses: there D(x_i) > D*, f₁(D(x_i)) < 0, and the target asks for more p_g.

    Args:
        divergence: one of the seven names, or a ``Divergence``.
        latent_dim: dimension of the noise z ~ N(0, I).
        hidden: widths of the hidden layers of both networks.
        bandwidth: (first, last) σ, in units of the root-mean-square distance of the data from their mean
            (of X itself with ``standardize=False``). Start about as wide as the gaps between modes. Or "auto":
            from half the median distance between data points to half that of nearest neighbours in a batch.
        density: "kernel", p_g(x_i) as above, or "assigned": each sample shares its mass among the x_i of the batch,
            so that n·p_g has mean 1 in any dimension (``generated_density.assigned_density``).
        alpha: α > 0, the dual step.
        kernel_weight: λ > 0.
        generator_steps: descent steps for each frozen target; with one alone the squared term's gradient is
            α times a constant; several need about as many discriminator_steps, or the generator outruns it.
        discriminator_steps: ascent steps of the discriminator for each target.
        clip: c in (0, 0.5): how near D may come to the ends of its domain, see ``networks.bounded_output``.
        drift: δ ≥ 0 on the squares of the discriminator's raw outputs t (D = D* at t = 0, so the saddle stays):
            without it D grows sure of itself, its slope dies, and samples that left the data never return.
        slope_penalty: γ ≥ 0 on the squared slope of t at the data (the R1 penalty of Mescheder, Geiger, Nowozin 2018).
        iterations, batch_size, learning_rate, betas: of Adam; learning_rate is one number or (generator,
            discriminator), constant for half of the run and then falling linearly.
        standardize: train on (X − x̄)/scale, one scale for all columns.
        discriminator: d ↦ torch module of one real output, instead of a perceptron; not saved.
        random_state: None, an int, a numpy Generator or RandomState. With an int, fits and samples repeat exactly
            on a CPU.
        device: "cpu", "cuda", …
        checkpoint, checkpoint_every: file that holds the whole state of the run, and how often it is replaced.
        report_every: iterations between reports to the log "convexwgan", ``history_`` and the callback.
        modes, mode_radius: centres (k, d_r) whose coverage a report tells.
        callback: shown a ``Progress``; returning True stops the run.

    Attributes:
        bandwidth_: (first, last) σ as used, in the units of ``bandwidth``.

    For images: ``density="assigned", bandwidth="auto", generator_steps=1, slope_penalty=1.0``, docs/lagrangian_gan.md.

    Reference:
        Chen, Wang, Ge, Training Generative Adversarial Networks via Primal-Dual Subgradient Methods: A Lagrangian
        Perspective on GAN, 2018 (its abstract); docs/lagrangian_gan.md.

    >>> import numpy as np
    >>> X = np.repeat([[-1.0, 0.0], [1.0, 0.0]], 50, axis=0)
    >>> model = LagrangianGAN(iterations=20, hidden=(16,), batch_size=32, random_state=0).fit(X)
    >>> model.sample(5).shape, model.n_evaluations_
    ((5, 2), 100)
    """

    _own: ClassVar[tuple[str, ...]] = (
        "bandwidth", "density", "alpha", "kernel_weight", "generator_steps", "discriminator_steps", "clip", "drift",
        "slope_penalty",
    )  # fmt: skip

    divergence: str | Divergence = field(default="jensen-shannon", kw_only=False)
    bandwidth: tuple[float, float] | str = (0.5, 0.05)
    density: str = "kernel"
    alpha: float = 0.1
    kernel_weight: float = 100.0
    generator_steps: int = 4
    discriminator_steps: int = 1
    clip: float = 1e-3
    drift: float = 0.01
    slope_penalty: float = 0.0

    bandwidth_: tuple[float, float] = field(init=False)

    def _check_own(self) -> None:
        as_divergence(self.divergence)
        _check_bandwidth(self.bandwidth)
        if self.density not in tuple(DENSITIES):
            raise InputError("density", self.density, f"be one of {', '.join(DENSITIES)}", "it is how p_g is read")
        positive("alpha", self.alpha, "it is the dual step α")
        positive("kernel_weight", self.kernel_weight, "it is the weight λ of the squared term")
        count("generator_steps", self.generator_steps, "it is the number of descent steps a target")
        count("discriminator_steps", self.discriminator_steps, "it is the number of ascent steps an iteration")
        within("drift", self.drift, 0.0, math.inf, "it is the weight δ on the discriminator's squared outputs")
        within("clip", self.clip, 1e-6, 0.5, "it is how near D may come to the ends of its domain")
        within("slope_penalty", self.slope_penalty, 0.0, math.inf, "it is the weight γ on the discriminator's slope")

    def bandwidth_at(self, fraction: float) -> float:
        """σ after this share of a run: first^(1−t) · last^t, in the units of ``bandwidth``.

        Raises:
            InputError: fraction is no number. NotFittedError: "auto" needs the data, so ``fit`` comes first.

        >>> round(LagrangianGAN(bandwidth=(1.0, 0.01)).bandwidth_at(0.5), 9)
        0.1
        """
        t = real("fraction", fraction, "be a number", "0 is the start of a run, 1 its end")
        if isinstance(self.bandwidth, str):
            check_is_fitted(self, "bandwidth_")
            first, last = self.bandwidth_
        else:
            first, last = self.bandwidth
        return float(first ** (1 - t) * last**t)

    def _run(self, X: Float64) -> Run:
        if isinstance(self.bandwidth, str):
            first, last = (width / self._unit(X.shape[1]) for width in widths_of(X, self.batch_size))
        else:
            first, last = self.bandwidth
        self.bandwidth_ = float(first), float(last)
        return super()._run(X)

    def _unit(self, d: int) -> float:
        """The unit of ``bandwidth``: standardised data have root-mean-square distance √d from their mean."""
        return math.sqrt(d) if self.standardize else 1.0

    def _iterate(self, run: Run) -> Losses:
        f, ascent = as_divergence(self.divergence), 0.0
        for _ in range(self.discriminator_steps):
            ascent = self._discriminator_step(run, f)
        sigma = self._unit(run.data.shape[1]) * self.bandwidth_at(run.fraction)
        return {"discriminator": ascent, **self._generator_steps(run, f, sigma)}

    def _discriminator_step(self, run: Run, f: Divergence) -> float:
        """max mean f₀(D(x)) + mean f₁(D(G(z))) − δ mean t² − γ/2 mean ‖∇t(x)‖²."""
        import torch

        with torch.no_grad():
            generated = run.generator(run.noise())
        x = run.batch().requires_grad_(self.slope_penalty > 0)
        real, fake = run.discriminator(x)[:, 0], run.discriminator(generated)[:, 0]
        game = f.f0(bounded_output(real, f, self.clip)).mean() + f.f1(bounded_output(fake, f, self.clip)).mean()
        loss = self.drift * ((real**2).mean() + (fake**2).mean()) / 2 - game
        if self.slope_penalty > 0:
            loss = loss + self.slope_penalty / 2 * squared_slope(real, x).mean()
        return run.descend_discriminator(loss)

    def _generator_steps(self, run: Run, f: Divergence, sigma: float) -> Losses:
        """min mean f₁(D(G(z))) + λ mean (p̃ − p_g)², p̃ = p_g − α f₁(D(x)) frozen."""
        import torch

        def f1_of(points: torch.Tensor) -> Any:
            return f.f1(bounded_output(run.discriminator(points)[:, 0], f, self.clip))

        p_g = DENSITIES[self.density]
        x, z = run.batch(), run.noise()
        with torch.no_grad():
            target = p_g(x, run.generator(z), sigma) - self.alpha * f1_of(x)
        first = second = 0.0
        for _ in range(self.generator_steps):
            generated = run.generator(z)
            game = f1_of(generated).mean()
            square = ((target - p_g(x, generated, sigma)) ** 2).mean()
            run.descend_generator(game + self.kernel_weight * square)
            first, second = float(game.detach()), float(square.detach())
        return {"generator": first, "kernel": second}

    # ---- files: a divergence by its name -------------------------------------------------------------------------

    def _own_description(self) -> dict[str, Any]:
        f = as_divergence(self.divergence)
        return {
            **super()._own_description(),
            "divergence": f.name,
            "epsilon": f.epsilon,
            "widths": list(self.bandwidth_),
        }

    def _own_from(self, parameters: dict[str, Any]) -> dict[str, Any]:
        name, epsilon = parameters["divergence"], parameters["epsilon"]
        f: str | Divergence = name if epsilon is None else Divergence.named(name, epsilon=epsilon)
        return {**super()._own_from(parameters), "divergence": f}

    @classmethod
    def _restored(cls, header: Mapping[str, Any], tensors: Tensors) -> Self:
        model = super()._restored(header, tensors)
        first, last = header["parameters"]["widths"]
        model.bandwidth_ = first, last
        return model


def _check_bandwidth(bandwidth: Any) -> None:
    if isinstance(bandwidth, str):
        if bandwidth != "auto":
            raise InputError("bandwidth", bandwidth, 'be (first, last) σ or "auto"', '"auto" measures the data')
        return
    if len(sequence("bandwidth", bandwidth, "as (first, last) σ")) != 2:
        raise InputError("bandwidth", bandwidth, "be two numbers", "as (first, last) σ")
    for sigma in bandwidth:
        positive("bandwidth", sigma, "it is σ of the Gaussian kernel, first and last")
    if bandwidth[1] > bandwidth[0]:
        raise InputError("bandwidth", bandwidth, "not increase", "σ is annealed from wide to narrow")
