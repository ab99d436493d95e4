"""LagrangianGAN and its baselines behind one interface: repeatable, resumable, safe on disk, loud when broken."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from convexwgan.baselines.adversarial import WGANGP, NonSaturatingGAN
from convexwgan.errors import FileFormatError, InputError, MissingExtraError, SolveError
from convexwgan.models.lagrangian_gan import LagrangianGAN
from convexwgan.models.neural_gan import NeuralGAN, Progress
from convexwgan.models.training import Losses, Run
from convexwgan.spec.divergence import NAMES, Divergence

torch = pytest.importorskip("torch")

METHODS = (LagrangianGAN, NonSaturatingGAN, WGANGP)
SMALL: dict[str, Any] = {"hidden": (8,), "latent_dim": 2, "iterations": 12, "batch_size": 8, "random_state": 0}
POINTS = np.random.default_rng(3).normal([5.0, -1.0], size=(20, 2))


def small(method: type[Any] = LagrangianGAN, **given: Any) -> Any:
    return method(**{**SMALL, **given})


# ---------------------------------------------------------------------------------------------- repeatable


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_gives_identical_samples_whatever_the_global_random_numbers_are(method: type[Any]) -> None:
    torch.manual_seed(1)
    first = small(method).fit(POINTS)
    torch.manual_seed(2)
    np.random.seed(7)  # noqa: NPY002  # the global state must not matter
    second = small(method).fit(POINTS)
    assert np.array_equal(first.sample(9), second.sample(9))
    assert first.history_ == second.history_
    assert not np.array_equal(first.sample(9), small(method, random_state=1).fit(POINTS).sample(9))


def test_training_leaves_the_global_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    small().fit(POINTS)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["generator", "legacy", "none"])
def test_every_kind_of_random_state_trains_and_draws_anew(kind: str) -> None:
    state: Any = {"generator": np.random.default_rng(1), "legacy": np.random.RandomState(1), "none": None}[kind]
    model = small(random_state=state).fit(POINTS)
    assert not np.array_equal(model.sample(3), model.sample(3))


@pytest.mark.parametrize("method", METHODS)
def test_interrupted_and_resumed_run_equals_the_uninterrupted_one(method: type[Any], tmp_path: Path) -> None:
    whole = small(method, report_every=3).fit(POINTS)
    path = tmp_path / "run.safetensors"
    stop = small(method, report_every=3, checkpoint=path, callback=lambda progress: progress.iteration == 6)
    assert stop.fit(POINTS).n_iter_ == 6
    resumed = small(method, report_every=3).fit(POINTS, resume=path)
    assert np.array_equal(resumed.sample(9), whole.sample(9))
    assert resumed.history_ == whole.history_
    assert (resumed.n_iter_, resumed.n_evaluations_) == (12, whole.n_evaluations_)


def test_checkpoint_of_other_data_parameters_or_method_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    model = small(checkpoint=path).fit(POINTS)
    with pytest.raises(InputError, match="be a checkpoint of the same data and parameters"):
        small().fit(POINTS + 1e-9, resume=path)
    with pytest.raises(InputError, match="be a checkpoint of the same data and parameters"):
        small(alpha=0.2).fit(POINTS, resume=path)
    with pytest.raises(FileFormatError, match="a checkpoint of LagrangianGAN, not of WGANGP"):
        small(WGANGP).fit(POINTS, resume=path)
    with pytest.raises(FileFormatError, match="not a checkpoint"):
        small().fit(POINTS, resume=model.save(tmp_path / "model.safetensors"))


# ---------------------------------------------------------------------------------------------- broken runs


@pytest.mark.parametrize("method", METHODS)
def test_diverging_run_stops_with_a_clear_error_and_no_model(method: type[Any]) -> None:
    model = small(method, learning_rate=1e25)
    with pytest.raises(SolveError, match=r"broke down at iteration \d+: .* not finite.*lower learning_rate"):
        model.fit(POINTS)
    with pytest.raises(NotFittedError):
        model.sample(1)


@pytest.mark.parametrize("broken", ["loss", "weight"])
def test_last_good_checkpoint_is_kept_in_the_model_and_on_disk(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterate, path = LagrangianGAN._iterate, tmp_path / "run.safetensors"

    def poisoned(model: LagrangianGAN, run: Run) -> Losses:
        losses = iterate(model, run)
        if run.iteration < 9:
            return losses
        if broken == "loss":
            return {**losses, "generator": float("nan")}
        with torch.no_grad():
            next(run.discriminator.parameters()).fill_(float("inf"))
        return {"generator": 0.0}

    monkeypatch.setattr(LagrangianGAN, "_iterate", poisoned)
    model = small(checkpoint=path, checkpoint_every=4)
    with pytest.raises(SolveError, match=f"state after iteration 8 is kept in {path}"):
        model.fit(POINTS)
    assert model.n_iter_ == 8
    assert np.isfinite(model.sample(5)).all()
    monkeypatch.undo()
    resumed = small().fit(POINTS, resume=path)
    assert np.array_equal(resumed.sample(5), small().fit(POINTS).sample(5))


def test_refit_that_is_refused_leaves_no_earlier_model_behind() -> None:
    model = small().fit(POINTS)
    with pytest.raises(InputError):
        model.set_params(alpha=-1.0).fit(POINTS)
    with pytest.raises(NotFittedError):
        model.sample(1)


# ---------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("method", METHODS)
def test_loaded_model_is_the_saved_one(method: type[Any], tmp_path: Path) -> None:
    model = small(method, report_every=5).fit(POINTS)
    loaded = method.load(model.save(tmp_path / "model.safetensors"))
    assert np.array_equal(loaded.sample(9), model.sample(9))
    assert loaded.get_params() == {**model.get_params(), "report_every": 100}
    assert (loaded.n_iter_, loaded.n_evaluations_, loaded.history_) == (12, model.n_evaluations_, model.history_)
    x = torch.ones(3, 2)
    assert torch.equal(loaded.discriminator_(x), model.discriminator_(x))


def test_divergence_comes_back_by_its_name_and_a_custom_one_must_be_given_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    f = Divergence.named("wasserstein", epsilon=0.5)
    assert LagrangianGAN.load(small(divergence=f).fit(POINTS).save(path)).divergence.epsilon == 0.5
    custom = Divergence.custom(lambda D: -((1 - D) ** 2), lambda D: 0.25 - D**2, 0.5)
    loaded = LagrangianGAN.load(small(divergence=custom).fit(POINTS).save(path))
    assert loaded.sample(2).shape == (2, 2)
    with pytest.raises(InputError, match="divergence = 'custom' must be one of"):
        loaded.fit(POINTS)


def test_files_of_other_models_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    path = small().fit(POINTS).save(tmp_path / "model.safetensors")
    with pytest.raises(FileFormatError, match=r"open it with LagrangianGAN\.load"):
        WGANGP.load(path)
    with pytest.raises(InputError, match="must be an existing file"):
        LagrangianGAN.load(tmp_path / "missing.safetensors")
    with pytest.raises(NotFittedError):
        small().save(path)
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["convexwgan"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for damage in ({"mean": np.zeros(3)}, {"mean": np.array([np.nan, 0.0])}, {"generator.0.weight": np.zeros((8, 5))}):
        save_file({**tensors, **damage}, path, metadata={"convexwgan": json.dumps(header)})
        with pytest.raises(FileFormatError, match="damaged"):
            LagrangianGAN.load(path)
    del header["parameters"]["alpha"]
    save_file(tensors, path, metadata={"convexwgan": json.dumps(header)})
    with pytest.raises(FileFormatError, match="damaged"):
        LagrangianGAN.load(path)


def test_data_frame_keeps_its_columns(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    model = small().fit(pd.DataFrame(POINTS, columns=["a", "b"]))
    loaded = LagrangianGAN.load(model.save(tmp_path / "model.safetensors"))
    pd.testing.assert_frame_equal(loaded.sample(3), model.sample(3))
    assert model.sample(3).columns.tolist() == ["a", "b"]


# ---------------------------------------------------------------------------------------------- what it is given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"divergence": "total-variation"}, "divergence = 'total-variation' must be one of"),
        ({"latent_dim": 0}, "latent_dim = 0 must be a whole number >= 1"),
        ({"hidden": 64}, "hidden = 64 must be a tuple"),
        ({"hidden": (8, 0)}, "width in hidden = 0 must"),
        ({"bandwidth": (0.1, 0.5)}, "must not increase"),
        ({"bandwidth": (0.5, 0.0)}, "bandwidth = 0.0 must be > 0"),
        ({"bandwidth": 0.5}, "bandwidth = 0.5 must be a tuple"),
        ({"bandwidth": (0.5, 0.3, 0.1)}, "must be two numbers"),
        ({"alpha": 0.0}, "alpha = 0.0 must be > 0"),
        ({"kernel_weight": float("nan")}, "kernel_weight = nan must be a finite number > 0"),
        ({"generator_steps": 0}, "generator_steps = 0 must be a whole number >= 1"),
        ({"bandwidth": "wide"}, "bandwidth = 'wide' must be .first, last. σ or \"auto\""),
        ({"density": "histogram"}, "density = 'histogram' must be one of kernel, assigned"),
        ({"density": ["kernel"]}, "density = .* must be one of kernel, assigned"),
        ({"discriminator_steps": 0}, "discriminator_steps = 0 must be a whole number >= 1"),
        ({"slope_penalty": -1.0}, "slope_penalty = -1.0 must be at least 0"),
        ({"slope_penalty": float("inf")}, "slope_penalty = inf must be"),
        ({"clip": 0.5}, "clip = 0.5 must be at least 1e-06 and below 0.5"),
        ({"drift": -0.1}, "drift = -0.1 must be at least 0"),
        ({"iterations": 2.5}, "iterations = 2.5 must be a whole number"),
        ({"batch_size": True}, "batch_size = True must be a whole number"),
        ({"learning_rate": -1e-3}, "learning_rate = -0.001 must be > 0"),
        ({"learning_rate": (1e-3,)}, "must be one number or two"),
        ({"betas": (0.5,)}, "must be two numbers"),
        ({"betas": (0.5, 1.0)}, "betas = 1.0 must be at least 0 and below 1"),
        ({"standardize": 1}, "standardize = 1 must be True or False"),
        ({"discriminator": "mlp"}, "discriminator = 'mlp' must be a function or None"),
        ({"random_state": -1}, "random_state = -1 must be a whole number >= 0"),
        ({"device": "abacus"}, "device = 'abacus' must be a device of torch"),
        ({"checkpoint_every": 0}, "checkpoint_every = 0 must"),
        ({"callback": 3}, "callback = 3 must be a function or None"),
        ({"modes": [[0.0]], "mode_radius": 1.0}, "must have 2 columns"),
        ({"modes": [[0.0, 0.0]]}, "mode_radius = None must"),
        ({"mode_radius": 1.0}, "must come with modes"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_parameter_is_refused_with_its_range(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**given).fit(POINTS)


@pytest.mark.parametrize(
    ("given", "message"),
    [({"discriminator_steps": 0}, "discriminator_steps = 0 must"), ({"penalty": 0.0}, "penalty = 0.0 must be > 0")],
)
def test_bad_parameter_of_the_baseline_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(WGANGP, **given).fit(POINTS)


TABLES = [
    [1.0, 2.0],
    [[np.nan]],
    [[np.inf]],
    [["a"]],
    [[1j]],
    [[None]],
    None,
    np.zeros((0, 2)),
    np.zeros((2, 2, 2)),
]


@pytest.mark.parametrize("bad", TABLES, ids=range(len(TABLES)))
def test_data_that_are_no_finite_table_are_refused_with_subject_and_reason(bad: Any) -> None:
    reason = "array|NaN|infinity|convert|real number"
    with pytest.raises(InputError, match=rf"^X = (.|\n)* must be a finite numeric table \(n, d\): .*({reason})"):
        small().fit(bad)


@pytest.mark.parametrize(("size", "standardize"), [(1e71, True), (1e19, False)])
def test_data_beyond_single_precision_are_refused_before_training(size: float, standardize: bool) -> None:
    with pytest.raises(InputError, match=r"X = array of shape \(2, 1\).* must have entries of size at most"):
        small(standardize=standardize).fit([[size], [0.0]])


def test_missing_cuda_names_the_device() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(InputError, match="device = 'cuda' must be present"):
        small(device="cuda").fit(POINTS)


def test_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"LagrangianGAN needs the package torch.*convexwgan\[torch\]"):
        small().fit(POINTS)


@pytest.mark.parametrize("n", [0, -1, 2.0])
def test_sample_counts_are_whole_and_positive(n: Any) -> None:
    with pytest.raises(InputError, match="must be a whole number >= 1"):
        small().fit(POINTS).sample(n)


@pytest.mark.parametrize("method", METHODS)
def test_one_sample_one_column_and_constant_data_train_to_finite_samples(method: type[Any]) -> None:
    for X in ([[7.0]], np.full((6, 3), 0.1), POINTS[:, :1]):
        assert np.isfinite(small(method).fit(X).sample(4)).all()


@pytest.mark.parametrize("factor", [2.0**-40, 2.0**40])
def test_training_does_not_depend_on_the_unit_of_the_data(factor: float) -> None:
    assert small().fit(factor * POINTS).sample(5) == pytest.approx(factor * small().fit(POINTS).sample(5), rel=1e-6)


def test_clone_has_the_parameters_and_no_model() -> None:
    model = small().fit(POINTS)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "generator_")


# ---------------------------------------------------------------------------------------------- progress


def test_progress_carries_losses_and_mode_coverage(caplog: pytest.LogCaptureFixture) -> None:
    shown: list[Progress] = []
    model = small(report_every=6, modes=POINTS[:4], mode_radius=100.0, callback=shown.append)
    with caplog.at_level(logging.INFO, logger="convexwgan"):
        model.fit(POINTS)
    assert [progress.iteration for progress in shown] == [6, 12]
    assert set(shown[0].losses) == {"discriminator", "generator", "kernel"}
    assert shown[1].coverage is not None
    assert shown[1].coverage.quality == 1.0
    assert shown[1].sample(3).shape == (3, 2)
    assert [set(row) for row in model.history_] == [
        {"iteration", "discriminator", "generator", "kernel", "covered", "quality"}
    ] * 2
    assert "LagrangianGAN 12/12" in caplog.text
    assert "high quality 100%" in caplog.text


def test_reports_do_not_change_the_course_of_training() -> None:
    watched = small(report_every=1, modes=POINTS[:4], mode_radius=1.0, callback=lambda progress: progress.sample(5))
    assert np.array_equal(watched.fit(POINTS).sample(5), small().fit(POINTS).sample(5))


@pytest.mark.parametrize(("method", "steps"), [(LagrangianGAN, 5), (NonSaturatingGAN, 2), (WGANGP, 6)])
def test_evaluations_count_the_optimiser_steps_of_both_players(method: type[NeuralGAN], steps: int) -> None:
    assert small(method).fit(POINTS).n_evaluations_ == 12 * steps


# ---------------------------------------------------------------------------------------------- the method


@pytest.mark.parametrize("name", NAMES)
def test_every_divergence_trains_to_finite_samples(name: str) -> None:
    model = small(divergence=name).fit(POINTS)
    assert np.isfinite(model.sample(5)).all()
    assert all(np.isfinite(list(row.values())).all() for row in model.history_)


def test_bandwidth_falls_geometrically() -> None:
    model = LagrangianGAN(bandwidth=(1.0, 0.0625))
    assert [model.bandwidth_at(t) for t in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 0.25, 0.0625])


def test_drift_bounds_what_a_discriminator_says_of_separable_data() -> None:
    def loudest(drift: float) -> float:
        given: dict[str, Any] = {"iterations": 60, "learning_rate": (1e-6, 0.05), "generator_steps": 1}
        model = small(drift=drift, **given).fit([[0.0, 0.0], [1e-3, 0.0]])
        with torch.no_grad():
            return float(model.discriminator_(model.generator_(torch.ones(1, 2))).abs().max())

    assert loudest(1.0) < 1.0 < loudest(0.0)


def test_two_far_modes_are_both_reached_from_a_start_between_them() -> None:
    X = np.repeat([[-1.0, 0.0], [1.0, 0.0]], 20, axis=0)
    given: dict[str, Any] = {"hidden": (16, 16), "latent_dim": 2, "batch_size": 32, "clip": 0.05}
    model = LagrangianGAN(
        bandwidth=(1.0, 0.2), iterations=200, learning_rate=(2e-3, 5e-3), random_state=0, **given
    ).fit(X)
    G = model.sample(400)
    nearest = np.linalg.norm(G[:, None] - X[None, [0, -1]], axis=2)
    assert (nearest.min(axis=1) < 0.5).mean() > 0.6
    assert np.bincount(nearest.argmin(axis=1), minlength=2).min() > 100


@pytest.mark.parametrize("wrong", ["no module", "three outputs", "other inputs"])
def test_own_discriminator_of_another_shape_is_refused_before_training(wrong: str) -> None:
    torch = pytest.importorskip("torch")
    makers = {
        "no module": lambda d: 5,
        "three outputs": lambda d: torch.nn.Linear(d, 3),
        "other inputs": lambda d: torch.nn.Linear(d + 1, 1),
    }
    model = LagrangianGAN(discriminator=makers[wrong], iterations=1, random_state=0)
    with pytest.raises(InputError, match="discriminator"):
        model.fit(np.random.default_rng(0).normal(size=(9, 2)))
