"""The paper's baseline: its settings, its gradient, its reproducibility, and that it learns at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from convexwgan.baselines.progressive_descent_ascent import (
    ProgressiveDescentAscent,
    ProgressiveSettings,
    _Stage,
)
from convexwgan.errors import InputError, SolveError
from convexwgan.report.metrics import covariance_error

SMALL = ProgressiveSettings(widths=(16, 16), latent_dim=4, steps=30)


def levels(n: int = 60, seed: int = 0) -> list[np.ndarray]:
    """2 × 2 and 4 × 4 images whose variance lies in two directions."""
    rng = np.random.default_rng(seed)
    fine = 0.5 + 0.1 * (rng.normal(size=(n, 2)) @ rng.normal(size=(2, 16))).reshape(n, 4, 4, 1)
    return [fine.reshape(n, 2, 2, 2, 2, 1).mean(axis=(2, 4)), fine]


def test_default_settings_are_those_of_the_paper() -> None:
    s = ProgressiveSettings()
    assert s.widths == (192, 192, 768, 3092, 3092)
    assert (s.learning_rate, s.betas, s.eps, s.average) == (1e-3, (0.0, 0.99), 1e-8, 0.999)
    assert (s.gradient_penalty, s.drift, s.batch, s.steps, s.latent_dim) == (10.0, 1e-3, 16, 15_000, 48)
    assert s.output_penalty == 100.0


def test_scaling_keeps_the_last_stages() -> None:
    s = ProgressiveSettings().scaled(0.5, stages=2)
    assert (s.widths, s.steps) == ((1546, 1546), 7500)


def test_the_same_seed_gives_the_same_images_and_another_one_others() -> None:
    first = ProgressiveDescentAscent(SMALL).fit(levels()).sample(5, rng=0)
    again = ProgressiveDescentAscent(SMALL).fit(levels()).sample(5, rng=0)
    other = ProgressiveDescentAscent(replace(SMALL, seed=1)).fit(levels()).sample(5, rng=0)
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_gradient_by_hand_is_autograds() -> None:
    model = ProgressiveDescentAscent(replace(SMALL, dtype="float64"))
    model.fit(levels())
    stage = _Stage(model, 1, torch.zeros(3, 16, dtype=torch.float64), torch.Generator().manual_seed(0))
    x = torch.randn(7, 16, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(stage.score(x).sum(), x)
    assert torch.allclose(stage.gradient(x), expected, atol=1e-12)


def test_it_learns_the_covariance_of_the_first_stage() -> None:
    rng = np.random.default_rng(0)
    coarse = [0.5 + (rng.normal(size=(400, 2)) @ rng.normal(size=(2, 4))).reshape(400, 2, 2, 1)]
    settings = ProgressiveSettings(
        widths=(64,), latent_dim=4, steps=800, batch=64, output_penalty=0.0, learning_rate=5e-3, average=0.99
    )
    X = coarse[0].reshape(400, -1)
    before = ProgressiveDescentAscent(replace(settings, steps=1)).fit(coarse).sample(4000, rng=0)
    after = ProgressiveDescentAscent(settings).fit(coarse).sample(4000, rng=0)
    assert covariance_error(X, before.reshape(4000, -1)) > 0.9
    assert covariance_error(X, after.reshape(4000, -1)) < 0.3


def test_uint8_images_mean_the_same_as_floats() -> None:
    pixels = [np.round(level * 255).clip(0, 255).astype(np.uint8) for level in levels()]
    from_bytes = ProgressiveDescentAscent(SMALL).fit(pixels).sample(4, rng=0)
    from_floats = ProgressiveDescentAscent(SMALL).fit([p / 255.0 for p in pixels]).sample(4, rng=0)
    assert np.allclose(from_bytes, from_floats, atol=1e-4)


def test_a_time_budget_stops_every_stage_and_says_so() -> None:
    model = ProgressiveDescentAscent(replace(SMALL, steps=None, seconds=0.2)).fit(levels())
    assert [run.stopped for run in model.runs_] == ["seconds", "seconds"]
    assert all(run.steps >= 1 for run in model.runs_)
    assert model.seconds < 2.0
    assert [run.stopped for run in ProgressiveDescentAscent(SMALL).fit(levels()).runs_] == ["steps", "steps"]


def test_records_hold_every_loss_at_the_first_and_the_last_step() -> None:
    run = ProgressiveDescentAscent(replace(SMALL, steps=120)).fit(levels()).runs_[0]
    assert run.records[:, 0].tolist() == [1, 50, 100, 120]
    assert run.records.shape == (4, 6)
    assert np.isfinite(run.records).all()


def test_divergence_stops_with_stage_and_step() -> None:
    wild = replace(SMALL, learning_rate=1e12, steps=500)
    with pytest.raises(SolveError, match="diverged at stage 1, step"):
        ProgressiveDescentAscent(wild).fit(levels())


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"widths": ()}, "steps and seconds"),
        ({"widths": (0,)}, "widths"),
        ({"steps": None}, "steps and seconds"),
        ({"steps": 0}, "steps"),
        ({"average": 1.0}, "average"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"dtype": "int8"}, "dtype"),
        ({"batch": 0}, "batch"),
    ],
)
def test_settings_out_of_range_name_themselves(change: dict[str, object], subject: str) -> None:
    with pytest.raises(InputError, match=subject):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_levels_must_fit_each_other_and_the_settings() -> None:
    coarse, fine = levels()
    model = ProgressiveDescentAscent(SMALL)
    with pytest.raises(InputError, match="levels = 1 must be 2"):
        model.fit([coarse])
    with pytest.raises(InputError, match="multiples of 4 × 4"):
        model.fit([fine, coarse])
    with pytest.raises(InputError, match="the same n"):
        model.fit([coarse[:5], fine])
    with pytest.raises(InputError, match="finite"):
        model.fit([coarse, np.full_like(fine, np.nan)])
    with pytest.raises(InputError, match="be fitted first"):
        ProgressiveDescentAscent(SMALL).sample(3, rng=0)
