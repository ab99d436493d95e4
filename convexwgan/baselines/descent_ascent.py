"""Gradient descent–ascent on a two-layer Wasserstein GAN: what is done where nobody solves the convex program."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.certificates.certify import certify
from convexwgan.certificates.claim import PlainClaim
from convexwgan.certificates.features import ReluLatents
from convexwgan.errors import InputError, SolveError
from convexwgan.extras import require
from convexwgan.problem import Problem
from convexwgan.spec.validation import count, real
from convexwgan.spec.wgan import WGAN

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class DescentAscentSettings:
    """Settings of descent–ascent; the defaults are those of the paper's App. B.1 but for β_d, which the problem has.

    Attributes:
        generator_neurons: m_g of a ReLU generator.
        discriminator_neurons: m_d.
        learning_rate: μ of Adam, for both players.
        betas: of Adam.
        steps: simultaneous steps of both players.
        seconds: stop after this time, if the steps are not done before.
        record_every: steps between two records, and between two looks for NaN.
        spread: standard deviation factor of the initial weights; each layer starts N(0, spread²/rows).
        seed: behind the initial weights; nothing else is random.
    """

    generator_neurons: int = 150
    discriminator_neurons: int = 150
    learning_rate: float = 4e-6
    betas: tuple[float, float] = (0.9, 0.999)
    steps: int = 20_000
    seconds: float | None = None
    record_every: int = 50
    spread: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("generator_neurons", "discriminator_neurons", "steps", "record_every"):
            count(name, getattr(self, name), "see DescentAscentSettings")
        for name in ("learning_rate", "spread", "seconds"):
            value = getattr(self, name)
            if value is not None and not real(name, value, "be > 0", "see DescentAscentSettings") > 0:
                raise InputError(name, value, "be > 0", "see DescentAscentSettings")


PAPER = DescentAscentSettings()
"""App. B.1: (m_g, m_d, μ) = (150, 150, 4e-6); its β_d is 1e-3."""

OURS = DescentAscentSettings(learning_rate=1e-3, betas=(0.5, 0.9))
"""Steps that get somewhere within thousands of them."""


@dataclass(frozen=True)
class Verdict:
    """How far a trained generator is from what is certified.

    Attributes:
        violation: max(0, dist − β_d)/β_d of the generator as trained; the constraint of the convex program.
        cost: R_g that it pays as trained; below the optimum only where it violates.
        repaired_cost: R_g after the least repair that makes it feasible, +inf where none is known.
        bound: what no generator can beat, from a certified solution.
        excess: repaired_cost/bound − 1: the distance from the certified bound, ≥ 0.
    """

    violation: float
    cost: float
    repaired_cost: float
    bound: float

    @property
    def excess(self) -> float:
        return self.repaired_cost / self.bound - 1.0 if self.bound > 0 else math.inf


@dataclass(frozen=True, eq=False)
class DescentAscentRun:
    """The end of a run, in the form that ``verify(problem, run)`` judges.

    Attributes:
        wgan, fingerprint, tol: of the problem, as a solution carries them.
        generator: W (d_f, d_r), G (n_f, d_r) for free, or (W₁, W₂) for ReLU.
        neurons: (U (k, d_r), b (k,) or None, v (k,), skip (d_r,) or None) of the discriminator, as trained.
        output: G on the problem's noise.
        records: (r, 4): step, 1ᵀD(X), 1ᵀD(G), R_g.
        outputs: (r, n_f, d_r): G at the recorded steps.
        seconds, steps, stopped: how the run went; stopped is "steps" or "seconds".
    """

    wgan: WGAN
    fingerprint: str
    generator: Any
    neurons: tuple[Float64, Float64 | None, Float64, Float64 | None] = field(repr=False)
    output: Float64 = field(repr=False)
    records: Float64 = field(repr=False)
    outputs: Float64 = field(repr=False)
    seconds: float
    steps: int
    stopped: str
    tol: float = 1e-6

    @property
    def claim(self) -> PlainClaim:
        """The generator as a claim. The discriminator of a run is no dual point and is not claimed."""
        if isinstance(self.generator, tuple):
            return PlainClaim(hidden=self.generator)
        return PlainClaim(weights=self.generator)

    @cached_property
    def oscillation(self) -> float:
        """How much the generator still moves: the largest distance of its outputs in the last quarter of the run from
        their mean there, over the norm of that mean (per output matrix)."""
        last = self.outputs[-max(2, len(self.outputs) // 4) :]
        centre = last.mean(axis=0)
        size = float(np.linalg.norm(centre))
        moved = float(np.linalg.norm((last - centre).reshape(len(last), -1), axis=1).max())
        return moved / size if size > 0 else math.inf if moved > 0 else 0.0

    def _repairable(self, problem: Problem) -> PlainClaim:
        """The claim to repair: a network by its output, where the output is what is paid for and some network has any
        output that the noise allows."""
        latents = problem.evidence.latents
        if not isinstance(latents, ReluLatents) or self.wgan.regularizer.of != "output":
            return self.claim
        return PlainClaim(weights=latents.coordinates_of(self.output))

    def distance(self, problem: Problem, bound: float) -> Verdict:
        """How far from a certified bound the generator is, judged by ``certificates/``.

        Args:
            problem: the problem that was trained on.
            bound: ``Solution.bound`` of a certified solution.
        """
        if problem.fingerprint() != self.fingerprint or problem.wgan != self.wgan:
            raise InputError("problem", problem.wgan, "be the one trained on", "same architecture, same data")
        trained = certify(problem.evidence, self.claim, tol=self.tol, repair=False).certificate
        repaired = certify(problem.evidence, self._repairable(problem), tol=self.tol).certificate
        feasible = repaired.violation <= self.tol
        return Verdict(trained.violation, trained.upper, repaired.upper if feasible else math.inf, bound)


def descend_ascend(problem: Problem, settings: DescentAscentSettings = OURS) -> DescentAscentRun:
    """Simultaneous gradient descent–ascent with Adam, full batch, in float64.

    Problem:
        min over generators max over discriminators of w(1ᵀD(X)) − w(1ᵀD(G)) + R_g − β_d·R,  with the scaled decay
        R = ½Σ(‖u_j‖² + v_j²) for ReLU and linear, ⅓Σ(2‖u_j‖³ + |v_j|³) for quadratic neurons.

    Whose minimum over rescalings of a neuron is Σ‖u_j‖^p|v_j|, so this is the weight decay of Lemma 3.1. Biases and
    the skip are not penalised, as there.

    Args:
        problem: linear, quadratic or ReLU discriminator with ``beta=`` or ``components=``; free, linear or ReLU
            generator on sampled noise; regulariser ``output`` or ``weights``.
        settings: ``PAPER`` or ``OURS``, or your own.

    Returns:
        DescentAscentRun, for ``verify(problem, run)`` and ``run.distance(problem, bound)``.

    Raises:
        InputError: a pair that this baseline does not train.
        SolveError: the players became NaN or infinite.
        MissingExtraError: torch is not installed.

    Reference:
        Sahiner et al., ICLR 2022, App. B.1.

    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), np.diag([3.0, 2.0, 1.0]))
    >>> run = descend_ascend(problem, DescentAscentSettings(learning_rate=1e-2, steps=20))
    >>> run.output.shape, run.stopped
    ((3, 3), 'steps')
    """
    require("torch", "torch", "gradient descent–ascent")
    _check_trainable(problem)
    return _Game(problem, settings).play()


class _Game:
    """Both players as torch tensors."""

    def __init__(self, problem: Problem, settings: DescentAscentSettings) -> None:
        import torch

        self.problem, self.settings = problem, settings
        self.rng = torch.Generator().manual_seed(settings.seed)
        self.X = torch.as_tensor(to_numpy64(problem.X))
        self.Z = None if problem.Z is None else torch.as_tensor(to_numpy64(problem.Z))
        discriminator, generator = problem.wgan.players
        self.kind, self.of, d = discriminator.kind, generator.kind, int(self.X.shape[1])
        self.beta = problem.data.beta
        self.players = self._generator_weights(d)
        m = settings.discriminator_neurons
        self.U, self.v = self._normal(d, m), self._normal(m)
        self.b = torch.zeros(m, dtype=torch.float64).requires_grad_() if discriminator.bias else None
        self.skip = torch.zeros(d, dtype=torch.float64).requires_grad_() if discriminator.skip else None
        critic = [part for part in (self.U, self.v, self.b, self.skip) if part is not None]
        rate, betas = settings.learning_rate, settings.betas
        self.adams = [torch.optim.Adam(side, lr=rate, betas=betas) for side in (self.players, critic)]

    def _normal(self, *shape: int) -> torch.Tensor:
        import torch

        drawn = torch.randn(*shape, generator=self.rng, dtype=torch.float64)
        return (drawn * (self.settings.spread / math.sqrt(shape[0]))).requires_grad_()

    def _generator_weights(self, d: int) -> list[torch.Tensor]:
        if self.of == "free":
            n_fake = self.problem.n_fake
            assert n_fake is not None
            return [self._normal(n_fake, d)]
        assert self.Z is not None
        if self.of == "linear":
            return [self._normal(int(self.Z.shape[1]), d)]
        entry = int(self.Z.shape[1]) + self.problem.wgan.players[1].bias
        return [self._normal(entry, self.settings.generator_neurons), self._normal(self.settings.generator_neurons, d)]

    def output(self) -> torch.Tensor:
        """G."""
        import torch

        if self.of == "free":
            return self.players[0]
        assert self.Z is not None
        if self.of == "linear":
            return self.Z @ self.players[0]
        Z = torch.cat([self.Z, torch.ones_like(self.Z[:, :1])], dim=1) if self.problem.wgan.players[1].bias else self.Z
        return torch.relu(Z @ self.players[0]) @ self.players[1]

    def score(self, points: torch.Tensor) -> torch.Tensor:
        """w·1ᵀD(points), w = 1 or 1/n."""
        import torch

        T = points @ self.U if self.b is None else points @ self.U + self.b
        activated = {"linear": lambda t: t, "quadratic": torch.square, "relu": torch.relu}[self.kind](T)
        D: torch.Tensor = activated @ self.v
        if self.skip is not None:
            D = D + points @ self.skip
        return D.sum() if self.problem.normalize == "sum" else D.mean()

    def cost(self, G: torch.Tensor) -> torch.Tensor:
        """R_g."""
        import torch

        regularizer = self.problem.wgan.regularizer
        if regularizer.of == "weights":
            total = torch.stack([part.square().sum() for part in self.players]).sum()
        else:
            total = G.square().sum() / (1 if self.problem.normalize == "sum" else len(G))
        return 0.5 * regularizer.strength * total

    def decay(self) -> torch.Tensor:
        """R: its least value over rescalings of a neuron is Σ‖u_j‖^p|v_j|."""
        squares = self.U.square().sum(dim=0)
        if self.kind == "quadratic":
            return (2.0 * squares**1.5 + self.v.abs() ** 3).sum() / 3.0
        return 0.5 * (squares + self.v.square()).sum()

    def play(self) -> DescentAscentRun:
        """Both gradients at the same point, then both steps."""
        settings, start, step = self.settings, time.perf_counter(), 0
        records: list[list[float]] = []
        outputs: list[Float64] = []
        while step < settings.steps and (not step or _within(settings.seconds, start)):
            numbers, G = self.step()
            step += 1
            if step % settings.record_every == 0 or step in (1, settings.steps):
                records.append([float(step), *(float(number) for number in numbers)])
                outputs.append(np.array(G.detach().numpy()))
                self.refuse_nan(records[-1])
        return self.run(records, outputs, step, time.perf_counter() - start)

    def step(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        G = self.output()
        on_real, on_fake, cost = self.score(self.X), self.score(G), self.cost(G)
        game = on_real - on_fake + cost - self.beta * self.decay()
        for adam in self.adams:
            adam.zero_grad(set_to_none=True)
        game.backward()  # type: ignore[no-untyped-call]
        for part in self.adams[1].param_groups[0]["params"]:
            part.grad.neg_()  # ascent
        for adam in self.adams:
            adam.step()
        return [on_real.detach(), on_fake.detach(), cost.detach()], G

    def refuse_nan(self, record: list[float]) -> None:
        if not all(math.isfinite(number) for number in record):
            raise SolveError(
                f"descent–ascent diverged by step {record[0]:.0f}: D(X), D(G), R_g = {record[1:]}; "
                "lower learning_rate, or scale the data to size 1."
            )

    def run(self, records: list[list[float]], outputs: list[Float64], steps: int, seconds: float) -> DescentAscentRun:
        parts = tuple(np.array(part.detach().numpy()) for part in self.players)
        final = np.array(self.output().detach().numpy())
        self.refuse_nan([float(steps), float(np.abs(final).max()), 0.0, 0.0])
        optional = [None if part is None else np.array(part.detach().numpy()) for part in (self.b, self.skip)]
        neurons = (np.array(self.U.detach().numpy().T), optional[0], np.array(self.v.detach().numpy()), optional[1])
        return DescentAscentRun(
            wgan=self.problem.wgan,
            fingerprint=self.problem.fingerprint(),
            generator=parts if len(parts) == 2 else parts[0],
            neurons=neurons,
            output=final,
            records=np.asarray(records),
            outputs=np.asarray(outputs),
            seconds=seconds,
            steps=steps,
            stopped="steps" if steps == self.settings.steps else "seconds",
        )


def _within(limit: float | None, start: float) -> bool:
    return limit is None or time.perf_counter() - start < limit


def _check_trainable(problem: Problem) -> None:
    discriminator, generator = problem.wgan.players
    regularizer = problem.wgan.regularizer
    remedy = "this baseline trains linear, quadratic and ReLU discriminators with beta= or components="
    if discriminator.kind not in ("linear", "quadratic", "relu") or discriminator.norm_bound:
        raise InputError("discriminator", discriminator, "be trainable by descent–ascent", remedy)
    if generator.kind not in ("free", "linear", "relu") or problem.is_population:
        remedy = "this baseline trains free, linear and ReLU generators on sampled noise"
        raise InputError("generator", generator, "be trainable by descent–ascent", remedy)
    if regularizer.kind not in ("output", "weights"):
        remedy = "use Regularizer.output or Regularizer.weights"
        raise InputError("regularizer", regularizer, "be differentiable", remedy)
