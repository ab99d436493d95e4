"""What LagrangianGAN does beyond its defaults: shared density, measured widths, discriminator steps, slope penalty."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from convexwgan.baselines.adversarial import WGANGP, NonSaturatingGAN
from convexwgan.errors import InputError
from convexwgan.models.lagrangian_gan import LagrangianGAN
from convexwgan.models.networks import bounded_output, kernel_density
from convexwgan.models.neural_gan import NeuralGAN
from convexwgan.models.training import Losses, Run
from convexwgan.report.quality import gaussian_frechet
from convexwgan.spec.divergence import Divergence

torch = pytest.importorskip("torch")

METHODS = (LagrangianGAN, NonSaturatingGAN, WGANGP)
SMALL: dict[str, Any] = {"hidden": (8,), "latent_dim": 2, "iterations": 12, "batch_size": 8, "random_state": 0}
POINTS = np.random.default_rng(3).normal([5.0, -1.0], size=(20, 2))
IMAGES: dict[str, Any] = {"density": "assigned", "bandwidth": "auto", "generator_steps": 1, "slope_penalty": 1.0}


class Plain(LagrangianGAN):
    """The iteration of the page, written again: the method without any of its options."""

    def _iterate(self, run: Run) -> Losses:
        f, sigma = Divergence.named("jensen-shannon"), math.sqrt(2) * self.bandwidth_at(run.fraction)
        with torch.no_grad():
            generated = run.generator(run.noise())
        real, fake = run.discriminator(run.batch())[:, 0], run.discriminator(generated)[:, 0]
        D_real, D_fake = bounded_output(real, f, 1e-3), bounded_output(fake, f, 1e-3)
        drift = 0.01 * ((real**2).mean() + (fake**2).mean()) / 2
        run.descend_discriminator(drift - (f.f0(D_real).mean() + f.f1(D_fake).mean()))
        x, z = run.batch(), run.noise()

        def f1(points: Any) -> Any:
            return f.f1(bounded_output(run.discriminator(points)[:, 0], f, 1e-3))

        with torch.no_grad():
            target = kernel_density(x, run.generator(z), sigma) - 0.1 * f1(x)
        for _ in range(4):
            G = run.generator(z)
            run.descend_generator(f1(G).mean() + 100.0 * ((target - kernel_density(x, G, sigma)) ** 2).mean())
        return {}


def test_defaults_are_bit_for_bit_the_method_without_options() -> None:
    assert np.array_equal(LagrangianGAN(**SMALL).fit(POINTS).sample(9), Plain(**SMALL).fit(POINTS).sample(9))


# ---------------------------------------------------------------------------------------------- images


def test_on_digits_the_generator_outruns_one_discriminator_step_and_the_image_settings_stay_with_the_data() -> None:
    X = load_digits().data / 16.0
    given: dict[str, Any] = {"hidden": (64, 64), "latent_dim": 16, "batch_size": 32, "random_state": 0}
    outrun = LagrangianGAN(iterations=150, **given).fit(X).sample(1000)
    held = LagrangianGAN(iterations=400, kernel_weight=10.0, **IMAGES, **given).fit(X).sample(1000)
    spread = float(X.var(axis=0).sum())
    assert gaussian_frechet(X, outrun) > 50 * spread
    assert gaussian_frechet(X, held) < spread


def test_as_many_discriminator_steps_hold_several_generator_steps() -> None:
    X = load_digits().data / 16.0
    given: dict[str, Any] = {"hidden": (64, 64), "latent_dim": 16, "batch_size": 32, "random_state": 0}
    G = LagrangianGAN(iterations=80, discriminator_steps=4, **given).fit(X).sample(1000)
    assert gaussian_frechet(X, G) < 3 * float(X.var(axis=0).sum())


# ---------------------------------------------------------------------------------------------- options


def test_slope_penalty_flattens_the_discriminator_at_the_data() -> None:
    def slope(method: type[NeuralGAN], penalty: float) -> float:
        given = {**SMALL, "iterations": 60, "learning_rate": (1e-6, 0.02), "slope_penalty": penalty}
        model = method(**given).fit(POINTS)
        x = torch.as_tensor((POINTS - model.mean_) / model.scale_, dtype=torch.float32).requires_grad_(True)
        assert model.discriminator_ is not None
        (gradient,) = torch.autograd.grad(model.discriminator_(x).sum(), x)
        return float((gradient**2).sum(1).mean())

    for method in (LagrangianGAN, NonSaturatingGAN):
        assert slope(method, 10.0) < 0.2 * slope(method, 0.0)


def test_slope_penalty_of_a_discriminator_without_slope_is_zero() -> None:
    class Sign(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.height = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: Any) -> Any:
            return self.height * torch.sign(x.detach()[:, :1])

    for method in (LagrangianGAN, NonSaturatingGAN):
        samples = [
            method(**SMALL, discriminator=lambda d: Sign(), slope_penalty=penalty).fit(POINTS).sample(4)
            for penalty in (0.0, 5.0)
        ]
        assert np.array_equal(*samples)


@pytest.mark.parametrize("steps", [1, 3])
def test_evaluations_count_every_discriminator_step(steps: int) -> None:
    model = LagrangianGAN(**SMALL, generator_steps=2, discriminator_steps=steps).fit(POINTS)
    assert model.n_evaluations_ == 12 * (2 + steps)


def test_measured_widths_are_in_the_units_of_bandwidth() -> None:
    gap = np.repeat([[0.0, 0.0], [0.0, 4.0]], 20, axis=0)  # half a distance is 2, so is the distance from the mean
    assert LagrangianGAN(**SMALL, bandwidth="auto").fit(gap).bandwidth_ == pytest.approx((1.0, 1.0))
    raw = LagrangianGAN(**SMALL, bandwidth="auto", standardize=False).fit(gap)
    assert raw.bandwidth_ == pytest.approx((2.0, 2.0))
    measured = LagrangianGAN(**SMALL, bandwidth="auto").fit(POINTS)
    given = LagrangianGAN(**SMALL, bandwidth=measured.bandwidth_).fit(POINTS)
    assert np.array_equal(given.sample(5), measured.sample(5))


@pytest.mark.parametrize("factor", [2.0**-40, 2.0**40])
def test_image_settings_do_not_depend_on_the_unit_of_the_data(factor: float) -> None:
    samples = [LagrangianGAN(**SMALL, **IMAGES).fit(unit * POINTS).sample(5) / unit for unit in (1.0, factor)]
    assert samples[1] == pytest.approx(samples[0], rel=1e-6)


def test_image_settings_repeat_resume_and_come_back_from_a_file(tmp_path: Path) -> None:
    path, given = tmp_path / "run.safetensors", {**SMALL, **IMAGES}
    whole = LagrangianGAN(**given).fit(POINTS)
    LagrangianGAN(**given, checkpoint=path, report_every=5, callback=lambda progress: True).fit(POINTS)
    assert np.array_equal(LagrangianGAN(**given).fit(POINTS, resume=path).sample(5), whole.sample(5))
    loaded = LagrangianGAN.load(whole.save(tmp_path / "model.safetensors"))
    assert loaded.bandwidth_at(0.3) == whole.bandwidth_at(0.3)
    assert loaded.get_params() == whole.get_params()


def test_measured_widths_come_with_the_data() -> None:
    with pytest.raises(NotFittedError):
        LagrangianGAN(bandwidth="auto").bandwidth_at(0.0)


@pytest.mark.parametrize("X", [[[7.0]], np.full((6, 3), 0.1), POINTS[:, :1], np.repeat(POINTS[:2], 30, axis=0)])
def test_image_settings_train_on_one_sample_one_column_constants_and_copies(X: Any) -> None:
    assert np.isfinite(LagrangianGAN(**SMALL, **IMAGES).fit(X).sample(4)).all()


# ---------------------------------------------------------------------------------------------- one constructor


@pytest.mark.parametrize("method", METHODS)
def test_constructor_has_explicit_keywords_kept_as_they_are(method: type[NeuralGAN]) -> None:
    parameters = inspect.signature(method).parameters
    assert not any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters.values())
    assert set(parameters) == set(method().get_params())
    assert {*NeuralGAN._common, *method._own} <= set(parameters)
    hidden = (3, 5)
    assert clone(method(hidden=hidden, batch_size=7)).get_params() == method(hidden=hidden, batch_size=7).get_params()
    with pytest.raises(TypeError, match="unexpected keyword"):
        method(**{"latent_dimension": 3})
    with pytest.raises(NotFittedError):
        method().sample(1)


# ---------------------------------------------------------------------------------------------- resume


def narrow(d: int) -> Any:
    return torch.nn.Linear(d, 1)


def test_resume_with_another_discriminator_says_so_and_with_the_same_one_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"

    def wide(d: int) -> Any:
        return torch.nn.Sequential(torch.nn.Linear(d, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))

    def fixed(d: int) -> Any:
        torch.manual_seed(0)
        return wide(d)

    whole = LagrangianGAN(**SMALL, discriminator=fixed).fit(POINTS)
    given: dict[str, Any] = {"report_every": 6, "checkpoint": path, "callback": lambda progress: True}
    LagrangianGAN(**SMALL, discriminator=fixed, **given).fit(POINTS)
    for other in (None, narrow):
        with pytest.raises(InputError, match="must be a checkpoint of a run with this discriminator: resume with the"):
            LagrangianGAN(**SMALL, discriminator=other).fit(POINTS, resume=path)
    resumed = LagrangianGAN(**SMALL, discriminator=fixed).fit(POINTS, resume=path)
    assert np.array_equal(resumed.sample(5), whole.sample(5))
