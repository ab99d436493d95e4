"""Networks, the range of D, the kernel: each against its formula."""

from __future__ import annotations

import numpy as np
import pytest

from convexwgan.models.networks import LEAK, arrays_of, bounded_output, kernel_density, perceptron, put_arrays
from convexwgan.spec.divergence import NAMES, Divergence

torch = pytest.importorskip("torch")


def test_perceptron_computes_its_formula_in_numpy() -> None:
    net = perceptron([3, 5, 2], np.random.default_rng(0))
    state = arrays_of(net, "net")
    x = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
    h = x @ state["net.0.weight"].T + state["net.0.bias"]
    expected = np.maximum(h, LEAK * h) @ state["net.2.weight"].T + state["net.2.bias"]
    assert net(torch.as_tensor(x)).detach().numpy() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_perceptron_without_hidden_layers_is_linear() -> None:
    assert [type(layer).__name__ for layer in perceptron([3, 2], np.random.default_rng(0))] == ["Linear"]


def test_arrays_of_a_network_restore_another_one() -> None:
    first, second = (perceptron([2, 4, 1], np.random.default_rng(seed)) for seed in (0, 1))
    put_arrays(second, arrays_of(first, "a"), "a")
    x = torch.ones(3, 2)
    assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("clip", [1e-4, 0.1, 0.4])
@pytest.mark.parametrize("name", NAMES)
def test_output_stays_inside_the_domain_increases_and_is_the_optimum_at_zero_where_that_is_the_middle(
    name: str, clip: float
) -> None:
    f = Divergence.named(name)
    t = torch.linspace(-60.0, 60.0, 241, dtype=torch.float64)
    D = bounded_output(t, f, clip)
    assert (torch.diff(D) >= 0).all()
    assert f.domain[0] < float(D.min()) < float(D.max()) < f.domain[1]
    assert torch.isfinite(f.f0(D)).all()
    assert torch.isfinite(f.f1(D)).all()
    assert float(D[120]) == pytest.approx(f.optimum, abs=1e-12)


def test_mirrored_half_line_is_bounded_too() -> None:
    f = Divergence.custom(lambda D: D, lambda D: np.log(-D), -1.0, domain=(-np.inf, 0.0))
    D = bounded_output(torch.tensor([-1e6, 0.0, 1e6], dtype=torch.float64), f, 0.1)
    assert D.numpy() == pytest.approx([-10.0, -1.0, -0.1])


def test_kernel_density_is_the_mean_of_gaussians_of_peak_one() -> None:
    rng = np.random.default_rng(0)
    x, g, sigma = rng.normal(size=(6, 3)), rng.normal(size=(9, 3)), 0.7
    squares = ((x[:, None] - g[None]) ** 2).sum(axis=2)
    expected = np.exp(-squares / (2 * sigma**2)).mean(axis=1)
    assert kernel_density(torch.as_tensor(x), torch.as_tensor(g), sigma).numpy() == pytest.approx(expected)


def test_first_gradient_on_a_frozen_target_is_alpha_times_a_constant() -> None:
    x, f1 = torch.linspace(-1.0, 1.0, 5)[:, None], torch.tensor([0.3, -0.2, 0.5, -1.0, 0.1])

    def gradient(alpha: float) -> torch.Tensor:
        g = torch.linspace(-0.5, 2.0, 7)[:, None].requires_grad_(True)
        density = kernel_density(x, g, 0.8)
        loss = ((density.detach() - alpha * f1 - density) ** 2).mean()
        return torch.autograd.grad(loss, g)[0]

    assert torch.allclose(gradient(0.6), 3 * gradient(0.2), rtol=1e-4, atol=1e-8)
