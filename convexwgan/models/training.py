"""A run of adversarial training: its whole state, one gradient step, the loop, checkpoints, and what stops it.

The state holds everything that the next iteration depends on, random numbers included, so that a run restored from a
checkpoint goes on as if it had never been interrupted.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.errors import SolveError
from convexwgan.models.networks import arrays_of, put_arrays

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("convexwgan")

Tensors = dict[str, np.ndarray[Any, Any]]
Losses = dict[str, float]
Row = dict[str, float]
FINAL_RATE = 0.02
"""The learning rate is constant for half of the run, then falls linearly to this share of itself."""


@dataclass
class Run:
    """The two networks, their optimisers, the random numbers, and how far the run has come.

    Attributes:
        data: (n_r, d_r) float32 tensor on the device.
        rates: learning rates of generator and discriminator.
        evaluations: optimiser steps so far, generator and discriminator together: the budget that methods share.
        history: one row a report.
    """

    data: torch.Tensor
    generator: torch.nn.Module
    discriminator: torch.nn.Module
    rng: np.random.Generator
    latent_dim: int
    batch_size: int
    iterations: int
    rates: tuple[float, float]
    betas: tuple[float, float]
    iteration: int = 0
    evaluations: int = 0
    history: list[Row] = field(default_factory=list)
    optimizers: tuple[torch.optim.Adam, torch.optim.Adam] = field(init=False)

    def __post_init__(self) -> None:
        import torch

        networks = zip(self.players, self.rates, strict=True)
        first, second = (
            torch.optim.Adam(net.parameters(), lr=rate, betas=self.betas, fused=True) for net, rate in networks
        )
        self.optimizers = first, second

    @property
    def players(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        """Generator, discriminator."""
        return self.generator, self.discriminator

    @property
    def fraction(self) -> float:
        """How much of the run is over, in [0, 1)."""
        return self.iteration / self.iterations

    def batch(self) -> torch.Tensor:
        """Rows of the data, drawn with replacement."""
        import torch

        rows = self.rng.integers(len(self.data), size=self.batch_size)
        return self.data[torch.as_tensor(rows, device=self.data.device)]

    def noise(self) -> torch.Tensor:
        """(batch_size, latent_dim) standard normal, drawn by NumPy and then moved."""
        return self.moved(self.rng.standard_normal((self.batch_size, self.latent_dim)))

    def moved(self, array: np.ndarray[Any, Any]) -> torch.Tensor:
        """A NumPy array as a tensor beside the data."""
        import torch

        return torch.as_tensor(array, dtype=self.data.dtype, device=self.data.device)

    def descend_generator(self, loss: torch.Tensor) -> float:
        """One Adam step of the generator; the loss before it."""
        return self._descend(0, loss)

    def descend_discriminator(self, loss: torch.Tensor) -> float:
        """One Adam step of the discriminator; the loss before it."""
        return self._descend(1, loss)

    def _descend(self, player: int, loss: torch.Tensor) -> float:
        import torch

        optimizer, parameters = self.optimizers[player], list(self.players[player].parameters())
        # A discriminator without slope carries no gradient to the generator: that is a gradient of zero.
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.param_groups[0]["lr"] = self.rates[player] * learning_rate_share(self.fraction)
        optimizer.step()
        self.evaluations += 1
        return float(loss.detach())

    # ---- the whole state, to NumPy and back ----------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, Any], Tensors]:
        """Everything that the next iteration depends on, as a JSON-able header and arrays."""
        tensors: Tensors = {}
        for name, network, optimizer in zip(("generator", "discriminator"), self.players, self.optimizers, strict=True):
            tensors.update(arrays_of(network, name))
            for index, moments in optimizer.state_dict()["state"].items():
                for key, value in moments.items():
                    tensors[f"adam.{name}.{index}.{key}"] = np.array(value.detach().cpu().numpy())
        header = {
            "iteration": self.iteration,
            "evaluations": self.evaluations,
            "rng": self.rng.bit_generator.state,
            "history": list(self.history),
        }
        return header, tensors

    def restore(self, header: Mapping[str, Any], tensors: Tensors) -> None:
        """The inverse of ``snapshot``, in place."""
        import torch

        for name, network, optimizer in zip(("generator", "discriminator"), self.players, self.optimizers, strict=True):
            put_arrays(network, tensors, name)
            moments: dict[int, dict[str, Any]] = {}
            for key, array in tensors.items():
                if key.startswith(f"adam.{name}."):
                    index, moment = key.removeprefix(f"adam.{name}.").split(".")
                    moments.setdefault(int(index), {})[moment] = torch.as_tensor(array.copy())
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        self.iteration, self.evaluations = int(header["iteration"]), int(header["evaluations"])
        self.rng.bit_generator.state = header["rng"]
        self.history = [dict(row) for row in header["history"]]


def squared_slope(output: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """‖∇_x output(x_i)‖² at every row x_i, itself differentiable; 0 where the output does not depend on x.

    Args:
        output: (n,), row i a function of x_i only. x: (n, d), requiring gradients.

    >>> import torch
    >>> x = torch.tensor([[1.0, 2.0], [0.0, 3.0]], requires_grad=True)
    >>> squared_slope((x**2).sum(1), x).tolist()
    [20.0, 36.0]
    """
    import torch

    (slope,) = torch.autograd.grad(output.sum(), x, create_graph=True, allow_unused=True, materialize_grads=True)
    return (slope**2).sum(1)


def learning_rate_share(fraction: float) -> float:
    """1 for the first half of a run, then linearly down to ``FINAL_RATE``.

    >>> learning_rate_share(0.25), round(learning_rate_share(0.75), 2), learning_rate_share(1.0)
    (1.0, 0.51, 0.02)
    """
    return min(1.0, FINAL_RATE + (1 - FINAL_RATE) * 2 * (1 - fraction))


def train(
    run: Run,
    iterate: Callable[[Run], Losses],
    report: Callable[[Losses], bool],
    *,
    report_every: int,
    checkpoint_every: int,
    write: Callable[[dict[str, Any], Tensors], str | None],
) -> None:
    """Iterate to the end of the run, or until a report asks to stop.

    Args:
        iterate: one iteration; its losses by name.
        report: called with the latest losses; True stops the run.
        write: stores a snapshot; says where.

    Raises:
        SolveError: a loss or a weight is no longer finite. The run is then at its last good snapshot.
    """
    good, place = run.snapshot(), None
    while run.iteration < run.iterations:
        losses = iterate(run)
        run.iteration += 1
        stop = False
        due = run.iteration == run.iterations or run.iteration % checkpoint_every == 0
        if not all(math.isfinite(loss) for loss in losses.values()):
            raise _broken_down(run, good, place, f"a loss is not finite ({_text(losses)})")
        if run.iteration % report_every == 0 or run.iteration == run.iterations:
            stop = report(losses)
        if due or stop:
            candidate = run.snapshot()
            if not all(np.isfinite(array).all() for array in candidate[1].values()):
                raise _broken_down(run, good, place, "a weight is not finite")
            good, place = candidate, write(*candidate)
        if stop:
            logger.info("stopped by the callback after iteration %d", run.iteration)
            return


def _broken_down(run: Run, good: tuple[dict[str, Any], Tensors], place: str | None, reason: str) -> SolveError:
    """The error, with the run back at its last good state."""
    at = run.iteration
    run.restore(*good)
    kept = f"in {place}" if place else "in the model (checkpoint= keeps it on disk as well)"
    kept = f"the state after iteration {run.iteration} is kept {kept}" if run.iteration else "no checkpoint was due yet"
    remedy = "lower learning_rate, or raise clip or penalty where the method has them"
    return SolveError(f"training broke down at iteration {at}: {reason}; {kept}. {remedy}.")


def _text(losses: Losses) -> str:
    return ", ".join(f"{name} {loss:g}" for name, loss in losses.items())
