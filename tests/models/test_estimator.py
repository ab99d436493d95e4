"""ConvexWGAN: scikit-learn's own checks, what a fit attains, what a failed fit says, files and pickles."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Status
from convexwgan.certificates.verify import verify
from convexwgan.errors import FileFormatError, InputError, NotCoveredError, SolveError
from convexwgan.models.estimator import ConvexWGAN
from convexwgan.problem import Problem
from convexwgan.solution import Solution
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import Latent
from convexwgan.spec.regularizer import Regularizer

SPREAD = np.array([5.0, 3.0, 2.0, 0.5, 0.1])
QUADRATIC = Discriminator.quadratic(beta=0.5) + Generator.linear()


def table(n: int = 300, seed: int = 0) -> Float64:
    """Correlated Gaussian data far from the origin, (n, 5)."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    X: Float64 = (rng.normal(size=(n, 5)) * SPREAD) @ mixing + np.array([7.0, -3.0, 0.0, 40.0, 1.0])
    return X


def covariance(X: Any) -> Float64:
    """M of the centred data, as a mean."""
    return np.asarray(np.cov(np.asarray(X, dtype=np.float64), rowvar=False, bias=True))


# ---------------------------------------------------------------------------------------------- scikit-learn


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        ConvexWGAN(),
        ConvexWGAN(noise="sampled", latent_dim=7, normalize="sum"),
        ConvexWGAN(Discriminator.quadratic(components=1) + Generator.free(), center=False),
    ]
)
def test_estimator_passes_every_check_of_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_parameters_are_validated_in_fit_and_not_in_the_constructor() -> None:
    model = ConvexWGAN(latent_dim=-1)
    with pytest.raises(InputError, match="latent_dim = -1 must be a whole number >= 1"):
        model.fit(table())


def test_grid_search_over_specifications_prefers_the_one_that_matches_the_data() -> None:
    loose = Discriminator.quadratic(beta=20.0) + Generator.linear()
    tight = Discriminator.quadratic(beta=0.01) + Generator.linear()
    search = GridSearchCV(ConvexWGAN(), {"wgan": [loose, tight]}, cv=3).fit(table())
    assert search.best_params_ == {"wgan": tight}


def test_estimator_ends_a_pipeline() -> None:
    pipeline = make_pipeline(StandardScaler(), ConvexWGAN(random_state=0)).fit(table())
    assert pipeline[-1].mean_ == pytest.approx(np.zeros(5), abs=1e-12)
    assert pipeline.score(table()) == pytest.approx(0.0, abs=1e-9)


def test_clone_forgets_the_fit_and_keeps_the_specification() -> None:
    copy = clone(ConvexWGAN(QUADRATIC, latent_dim=5, random_state=0).fit(table()))
    assert copy.get_params() == ConvexWGAN(QUADRATIC, latent_dim=5, random_state=0).get_params()
    with pytest.raises(NotFittedError):
        copy.sample(1)


# ---------------------------------------------------------------------------------------------- what a fit is


def test_fit_is_the_certified_problem_on_centred_data() -> None:
    X = table()
    direct = Problem(QUADRATIC, X - X.mean(axis=0), Latent.normal(5), normalize="mean").solve()
    model = ConvexWGAN(QUADRATIC, latent_dim=5).fit(X)
    assert model.status_ is Status.CERTIFIED
    assert model.solution_.value == pytest.approx(direct.value, rel=1e-12)
    assert model.solution_.generator is model.generator_


def test_generated_covariance_is_the_soft_thresholded_covariance_of_the_data() -> None:
    X = table()
    model = ConvexWGAN(QUADRATIC, latent_dim=5, random_state=0).fit(X)
    values, V = np.linalg.eigh(covariance(X))
    assert model.generator_.moments.second == pytest.approx((V * np.maximum(values - 0.5, 0.0)) @ V.T, abs=1e-9)


def test_samples_have_the_mean_and_covariance_of_the_data() -> None:
    X, n = table(), 20_000
    G = ConvexWGAN(random_state=0).fit(X).sample(n)
    assert np.linalg.norm(covariance(G) - covariance(X), 2) < 0.05 * np.linalg.norm(covariance(X), 2)
    # Standard errors of the mean are σ/√n; five of them are out of reach.
    assert np.linalg.norm(G.mean(axis=0) - X.mean(axis=0)) < 5 * np.sqrt(np.trace(covariance(X)) / n)


def test_default_keeps_as_many_components_as_the_noise_carries() -> None:
    model = ConvexWGAN(latent_dim=2).fit(table())
    assert np.linalg.matrix_rank(model.generator_.moments.second, tol=1e-8) == 2
    assert model.status_ is Status.CERTIFIED


def test_without_centring_the_mean_stays_in_the_game() -> None:
    X = table()
    model = ConvexWGAN(Discriminator.linear(beta=1.0) + Generator.free(), center=False).fit(X)
    shrunk = X.mean(axis=0) * (1 - 1 / np.linalg.norm(X.mean(axis=0)))
    assert model.mean_.tolist() == [0.0] * 5
    assert model.sample(1, rng=0)[0] == pytest.approx(shrunk, rel=1e-9)


@pytest.mark.parametrize(
    "wgan",
    [
        Discriminator.quadratic(beta=0.5) + Generator.linear() + Regularizer.output(3.0),
        Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(0.5),
        Discriminator.quadratic(beta=0.5, skip=True) + Generator.linear(),
        Discriminator.quadratic(components=2) + Generator.free(),
        Discriminator.quadratic(beta=0.5) + Generator.polynomial(1, 1, 0),
        Discriminator.linear(beta=0.5) + Generator.linear(),
        Discriminator.polynomial(1, 2, 3, beta=0.5) + Generator.linear(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("noise", ["population", "sampled"])
def test_covered_pairs_fit_to_a_certificate(wgan: Any, noise: Any) -> None:
    model = ConvexWGAN(wgan, latent_dim=6, noise=noise, random_state=0).fit(table(60))
    assert model.status_ is Status.CERTIFIED
    assert np.isfinite(model.sample(4)).all()


def test_sampled_noise_fits_its_own_rows_exactly() -> None:
    X = table(50)
    model = ConvexWGAN(latent_dim=5, noise="sampled", n_fake=80, random_state=3).fit(X)
    G = np.asarray(model.generator_.output)
    assert G.shape == (80, 5)
    second = G.T @ G / 80
    assert second == pytest.approx(covariance(X), abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8])
def test_data_of_any_precision_are_fitted_in_double(dtype: Any) -> None:
    X = table().astype(dtype)
    model = ConvexWGAN(random_state=0).fit(X)
    assert model.status_ is Status.CERTIFIED
    assert model.generator_.moments.second == pytest.approx(covariance(X), abs=1e-9)
    assert model.sample(3).dtype == np.float64


def test_centring_leaves_a_mean_of_zero_however_far_away_the_data_are() -> None:
    skip = Discriminator.quadratic(beta=0.5, skip=True) + Generator.linear()
    X = table() + 1e6
    model = ConvexWGAN(skip, latent_dim=6).fit(X)
    assert model.status_ is Status.CERTIFIED
    assert model.mean_ == pytest.approx(X.mean(axis=0), rel=1e-14)


def test_fit_leaves_the_data_alone() -> None:
    X = table()
    before = X.copy()
    ConvexWGAN().fit(X)
    assert np.array_equal(X, before)


# ---------------------------------------------------------------------------------------------- randomness


def test_samples_repeat_with_a_seed_and_follow_a_given_rng() -> None:
    model = ConvexWGAN(random_state=0).fit(table())
    assert np.array_equal(model.sample(4), model.sample(4))
    assert np.array_equal(model.sample(4, rng=9), model.sample(4, rng=np.random.default_rng(9)))
    assert not np.array_equal(model.sample(4), model.sample(4, rng=9))
    stream = np.random.default_rng(9)
    assert not np.array_equal(model.sample(4, rng=stream), model.sample(4, rng=stream))


def test_seeded_samples_are_not_the_noise_that_was_fitted() -> None:
    model = ConvexWGAN(latent_dim=5, noise="sampled", n_fake=20, random_state=0, center=False).fit(table())
    assert not np.allclose(model.sample(20), np.asarray(model.generator_.output))


@pytest.mark.parametrize("kind", ["generator", "legacy", "none"])
def test_every_kind_of_random_state_draws(kind: str) -> None:
    state: Any = {"generator": np.random.default_rng(1), "legacy": np.random.RandomState(1), "none": None}[kind]
    model = ConvexWGAN(noise="sampled", latent_dim=5, random_state=state).fit(table())
    assert not np.array_equal(model.sample(3), model.sample(3))


# ---------------------------------------------------------------------------------------------- tables


def test_data_frame_keeps_its_columns_through_fit_sample_and_file(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(table(), columns=list("abcde"))
    model = ConvexWGAN(random_state=0).fit(frame)
    assert model.feature_names_in_.tolist() == list("abcde")
    loaded = ConvexWGAN.load(model.save(tmp_path / "model.safetensors"))
    pd.testing.assert_frame_equal(loaded.sample(3), model.sample(3))
    assert model.sample(3).columns.tolist() == list("abcde")


def test_score_refuses_a_frame_with_other_columns() -> None:
    pd = pytest.importorskip("pandas")
    model = ConvexWGAN().fit(pd.DataFrame(table(), columns=list("abcde")))
    with pytest.raises(ValueError, match="feature names should match"):
        model.score(pd.DataFrame(table(), columns=list("abcdf")))


# ---------------------------------------------------------------------------------------------- score


def test_score_on_the_fitted_data_is_minus_beta() -> None:
    X = table()
    assert ConvexWGAN(QUADRATIC, latent_dim=5).fit(X).score(X) == pytest.approx(-0.5, rel=1e-9)


@pytest.mark.parametrize(
    "discriminator",
    [Discriminator.linear(beta=0.5), Discriminator.quadratic(beta=0.5), Discriminator.polynomial(1, 2, 3, beta=0.5)],
    ids=repr,
)
def test_score_is_minus_the_distance_by_its_definition(discriminator: Discriminator) -> None:
    X, fresh = table(), table(40, seed=5)
    model = ConvexWGAN(discriminator + Generator.free(), center=False).fit(X)
    problem = Problem(discriminator + Generator.free(), fresh, normalize="mean")
    assert model.score(fresh) == pytest.approx(-problem.dist(np.asarray(model.generator_.output)).value, rel=1e-8)


# ---------------------------------------------------------------------------------------------- failures


def test_too_small_latent_dimension_is_an_input_error_with_the_remedy_and_no_model() -> None:
    model = ConvexWGAN(QUADRATIC, latent_dim=1)
    with pytest.raises(InputError, match=r"latent_dim = 1 must .*Weyl.* raise latent_dim, or keep fewer components"):
        model.fit(table())
    with pytest.raises(NotFittedError):
        model.sample(1)


def test_failed_refit_leaves_no_earlier_model_behind() -> None:
    model = ConvexWGAN(QUADRATIC, latent_dim=5).fit(table())
    with pytest.raises(InputError):
        model.set_params(latent_dim=1).fit(table())
    assert not hasattr(model, "solution_")


def test_too_few_free_rows_name_n_fake() -> None:
    wgan = Discriminator.quadratic(beta=0.01) + Generator.free()
    with pytest.raises(InputError, match=r"n_fake = 2 must .* raise n_fake"):
        ConvexWGAN(wgan, n_fake=2).fit(table())


def test_mean_that_the_noise_cannot_reach_names_center() -> None:
    wgan = Discriminator.linear(beta=0.5) + Generator.linear()
    with pytest.raises(InputError, match=r"center = False must .* set center=True"):
        ConvexWGAN(wgan, center=False).fit(table())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"wgan": "quadratic"}, "wgan = 'quadratic' must be a composed WGAN"),
        ({"wgan": Discriminator.linear(beta=1.0) + Regularizer.output(1.0)}, "must have a generator"),
        ({"noise": "uniform"}, "noise = 'uniform' must be"),
        ({"n_fake": 5}, "n_fake = 5 must not be given for population noise"),
        ({"n_fake": 0, "noise": "sampled"}, "n_fake = 0 must be a whole number >= 1"),
        ({"normalize": "sum"}, "normalize = 'sum' must be .* for population noise"),
        ({"center": "yes"}, "center = 'yes' must be True or False"),
        ({"random_state": "seed", "noise": "sampled"}, "random_state = 'seed' must be a whole number >= 0"),
        ({"tol": -1.0}, "tol = -1.0 must be > 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_parameter_is_refused_with_its_range(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConvexWGAN(**parameters).fit(table())


def test_uncovered_pair_is_refused_and_not_approximated() -> None:
    with pytest.raises(NotCoveredError):
        ConvexWGAN(Discriminator.relu(beta=1.0) + Generator.polynomial(1, 1, 1)).fit(table())


def test_one_sample_has_nothing_left_once_centred_but_is_data_otherwise() -> None:
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        ConvexWGAN().fit(table(1))
    assert ConvexWGAN(center=False).fit(table(1)).status_ is Status.CERTIFIED


def test_constant_data_generate_their_constant() -> None:
    model = ConvexWGAN(QUADRATIC, latent_dim=2, random_state=0).fit(np.full((6, 3), 2.5))
    assert model.sample(4) == pytest.approx(np.full((4, 3), 2.5))


def test_method_that_returns_nothing_is_a_solve_error(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = Problem.solve

    def nothing(problem: Problem, *args: Any, **options: Any) -> Solution:
        return replace(solve(problem, *args, **options), status=Status.FAILED, generator=None)

    monkeypatch.setattr(Problem, "solve", nothing)
    with pytest.raises(SolveError, match="no generator was found"):
        ConvexWGAN().fit(table())


@pytest.mark.parametrize("status", ["BRACKETED", "UNVERIFIED"])
def test_solution_short_of_a_certificate_is_kept_with_a_warning_that_names_the_gap(
    status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve = Problem.solve

    def short(problem: Problem, *args: Any, **options: Any) -> Solution:
        return replace(solve(problem, *args, **options), status=Status[status])

    monkeypatch.setattr(Problem, "solve", short)
    with pytest.warns(ConvergenceWarning, match=f"{status}: value .* relative gap .* against tol"):
        model = ConvexWGAN(QUADRATIC, latent_dim=5, random_state=0).fit(table())
    assert model.sample(2).shape == (2, 5)


# ---------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("noise", ["population", "sampled"])
def test_loaded_model_samples_and_scores_as_the_saved_one_and_verifies(noise: Any, tmp_path: Path) -> None:
    X, seed = table(), np.int64(4)
    model = ConvexWGAN(QUADRATIC, latent_dim=5, noise=noise, random_state=seed).fit(X)  # type: ignore[arg-type]
    loaded = ConvexWGAN.load(model.save(tmp_path / "model.safetensors"))
    assert np.array_equal(loaded.sample(7), model.sample(7))
    assert loaded.score(X) == model.score(X)
    assert repr(loaded.get_params()) == repr(model.set_params(random_state=4).get_params())
    assert loaded.status_ is Status.UNVERIFIED
    assert verify(loaded.problem(X), loaded.solution_).status is Status.CERTIFIED


def test_default_specification_is_still_the_default_after_loading(tmp_path: Path) -> None:
    loaded = ConvexWGAN.load(ConvexWGAN(random_state=0).fit(table()).save(tmp_path / "model.safetensors"))
    assert loaded.wgan is None
    assert loaded.fit(table()).status_ is Status.CERTIFIED


def test_model_file_is_a_solution_file_too(tmp_path: Path) -> None:
    model = ConvexWGAN(QUADRATIC, latent_dim=5).fit(table())
    solution = Solution.load(model.save(tmp_path / "model.safetensors"))
    assert solution.fingerprint == model.solution_.fingerprint == model.problem(table()).fingerprint()


def test_other_files_are_refused(tmp_path: Path) -> None:
    model = ConvexWGAN(QUADRATIC, latent_dim=5).fit(table())
    with pytest.raises(FileFormatError, match="without its model"):
        ConvexWGAN.load(model.solution_.save(tmp_path / "solution.safetensors"))
    save_file({"mean": np.zeros(5)}, tmp_path / "other.safetensors")
    with pytest.raises(FileFormatError, match="not written by convexwgan"):
        ConvexWGAN.load(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="must be an existing file"):
        ConvexWGAN.load(tmp_path / "missing.safetensors")
    with pytest.raises(InputError, match="must be a file in an existing folder"):
        model.save(tmp_path / "nowhere" / "model.safetensors")


@pytest.mark.parametrize(
    "damage",
    [
        {"estimator": "text"},
        {"estimator": {"parameters": {}}},
        {"estimator": {"parameters": {"layers": 3}, "default_wgan": True, "feature_names": None}},
    ],
)
def test_damaged_header_is_a_format_error(damage: dict[str, Any], tmp_path: Path) -> None:
    path = ConvexWGAN().fit(table()).save(tmp_path / "model.safetensors")
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["convexwgan"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata={"convexwgan": json.dumps({**header, **damage})})
    with pytest.raises(FileFormatError, match="damaged"):
        ConvexWGAN.load(path)


def test_mean_of_another_size_is_a_format_error(tmp_path: Path) -> None:
    model = ConvexWGAN().fit(table())
    model.mean_ = np.zeros(3)
    with pytest.raises(FileFormatError, match="its mean does not fit its weights"):
        ConvexWGAN.load(model.save(tmp_path / "model.safetensors"))


def test_unfitted_model_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        ConvexWGAN().save(tmp_path / "model.safetensors")


def test_pickled_model_samples_the_same_and_carries_no_training_data() -> None:
    X = table(20_000)
    model = ConvexWGAN(random_state=0).fit(X)
    packed = pickle.dumps(model)
    assert len(packed) < X.nbytes / 20
    assert np.array_equal(pickle.loads(packed).sample(5), model.sample(5))
