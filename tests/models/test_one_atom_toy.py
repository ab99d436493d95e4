"""One atom, and a discriminator without slope at the generated points: who still moves? (docs/lagrangian_gan.md)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan.baselines.adversarial import WGANGP, NonSaturatingGAN
from convexwgan.models.lagrangian_gan import LagrangianGAN

torch = pytest.importorskip("torch")

ATOM, WIDTH, HALF = 3.0, 0.2, 50
GIVEN: dict[str, Any] = {
    "latent_dim": 1,
    "hidden": (),
    "standardize": False,
    "learning_rate": 0.02,
    "batch_size": 16,
}


def cells(columns: int) -> Any:
    """D(x) = t[cell of x]: cells of width 0.2, one of them centred on the atom; ∇D = 0 almost everywhere."""

    class Cells(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Parameter(torch.zeros(2 * HALF + 1))

        def forward(self, x: Any) -> Any:
            return self.table[torch.round((x - ATOM) / WIDTH).long().clamp(-HALF, HALF) + HALF]

    return Cells()


def trained(method: type[Any], seed: int, **given: Any) -> Any:
    return method(discriminator=cells, random_state=seed, **GIVEN, **given).fit([[ATOM]])


@pytest.mark.parametrize("seed", [0, 1])
def test_samples_reach_the_atom_within_a_tenth_for_the_documented_bandwidths(seed: int) -> None:
    start = trained(LagrangianGAN, seed, iterations=1, bandwidth=(3.0, 0.1)).sample(300)
    assert np.abs(start - ATOM).max() > 1.0
    G = trained(LagrangianGAN, seed, iterations=100, bandwidth=(3.0, 0.1)).sample(300)
    assert np.abs(G - ATOM).max() < 0.1


@pytest.mark.parametrize("method", [NonSaturatingGAN, WGANGP])
def test_baselines_stay_exactly_where_they_start(method: type[Any]) -> None:
    start = trained(method, 0, iterations=1)
    end = trained(method, 0, iterations=60)
    assert np.array_equal(start.sample(300), end.sample(300))
    assert np.abs(end.sample(300) - ATOM).max() > 1.0
    # It is not for want of a discriminator: D has learned to tell the atom from the samples.
    x = torch.tensor([[ATOM], [0.0]])
    at_atom, at_start = end.discriminator_(x)[:, 0].tolist()
    assert at_atom > at_start + 0.1


def test_narrow_kernel_gives_no_gradient_so_annealing_matters() -> None:
    first, last = (trained(LagrangianGAN, 0, iterations=n, bandwidth=(0.05, 0.05)).sample(300) for n in (1, 60))
    assert np.abs(first - last).max() < 1e-3
