"""ProCoGAN: every stage is optimal, certified, and the same through files, blocks and checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA

from convexwgan import ProCoGAN, Status
from convexwgan.errors import FileFormatError, InputError
from convexwgan.models.progressive import training_noise
from convexwgan.models.pyramid import average_pool

Images = np.ndarray[Any, Any]


def smooth_images(n: int, side: int, channels: int = 1, seed: int = 0) -> Images:
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0.5, 0.2, (n, side // 4, side // 4, channels))
    fine = rng.normal(0.0, 0.05, (n, side, side, channels))
    return coarse.repeat(4, axis=1).repeat(4, axis=2) + fine


@pytest.fixture(scope="module")
def images() -> Images:
    return smooth_images(300, 16, 3)


@pytest.fixture(scope="module")
def model(images: Images) -> ProCoGAN:
    return ProCoGAN(components=(10, 20, 45), latent_dim=12, random_state=0, dtype="float64").fit(images)


def dense_latents(model: ProCoGAN) -> list[tuple[Images, Images]]:
    """(Z_i, G_i) of every stage, formed in full from the paper's definition."""
    stages, found = model.stages_, []
    widths = [stage.fresh for stage in stages]
    noise = np.vstack(list(training_noise(model.n_samples_, widths, model.generator_.seed)))
    edges = np.cumsum([0, *widths])
    output = np.zeros((len(noise), 0))
    for i, stage in enumerate(stages):
        fresh = noise[:, edges[i] : edges[i + 1]]
        ones = np.ones((len(noise), 1))
        Z = np.hstack([fresh, ones]) if i == 0 else model.generator_.latent(i, output, fresh)
        output = np.vstack(list(model.generator_.training_codes(i + 1))) @ stage.factor
        found.append((Z, output))
    return found


def test_every_stage_is_certified_and_attains_its_beta(model: ProCoGAN, images: Images) -> None:
    assert model.status_ is Status.CERTIFIED
    for stage, (_, G) in zip(model.stages_, dense_latents(model), strict=True):
        X = average_pool(images, 16 // stage.shape[0]).reshape(len(images), -1)
        M = (X - X.mean(axis=0)).T @ (X - X.mean(axis=0))
        assert np.linalg.norm(M - G.T @ G, 2) == pytest.approx(stage.beta, rel=1e-9)
        assert stage.beta == pytest.approx(np.linalg.eigvalsh(M)[-stage.components - 1], rel=1e-9)


def test_output_of_every_stage_lies_in_the_span_of_its_latent_and_has_mean_zero(model: ProCoGAN) -> None:
    for Z, G in dense_latents(model):
        W = np.linalg.lstsq(Z, G, rcond=1e-10)[0]
        assert np.abs(Z @ W - G).max() <= 1e-8 * np.abs(G).max()
        assert np.abs(G.sum(axis=0)).max() <= 1e-9 * np.abs(G).max() * len(G)


def test_weights_are_least_among_generators_with_the_same_moments(model: ProCoGAN) -> None:
    # Theorem 4.1 matches largest with largest: Σ (σ_i² − β)/λ_i over the top eigenvalues λ of the centred ZᵀZ.
    for (Z, G), stage in zip(dense_latents(model), model.stages_, strict=True):
        Zc = (Z - Z.mean(axis=0))[:, :-1]
        W = np.linalg.pinv(Zc, rcond=1e-10) @ G
        eigenvalues = np.linalg.svd(Zc, compute_uv=False)[: stage.components] ** 2
        assert np.sum(W**2) == pytest.approx(np.sum(stage.scale**2 / eigenvalues), rel=1e-6)


def test_rank_grows_through_fresh_noise_only(model: ProCoGAN) -> None:
    assert [stage.fresh for stage in model.stages_] == [12, 10, 25]


@pytest.mark.parametrize("fresh", [0, (10, 24)])
def test_components_beyond_the_rank_are_refused_without_enough_fresh_noise(fresh: Any, images: Images) -> None:
    with pytest.raises(InputError, match="linear stage cannot raise rank"):
        ProCoGAN(components=(10, 20, 45), fresh_noise=fresh, random_state=0).fit(images)


def test_first_stage_beyond_the_latent_dimension_is_refused(images: Images) -> None:
    with pytest.raises(InputError, match="latent_dim"):
        ProCoGAN(components=(10, 20, 45), latent_dim=9, random_state=0).fit(images)


@pytest.mark.parametrize(("bias", "skip"), [(True, True), (False, True), (False, False)])
def test_other_latents_are_certified_too(bias: bool, skip: bool, images: Images) -> None:
    fitted = ProCoGAN(components=(5, 9, 12), bias=bias, skip=skip, random_state=1).fit(images)
    assert [c.status.name for c in fitted.certificates_] == ["CERTIFIED"] * 3
    means = [abs(G.sum(axis=0)).max() for _, G in dense_latents(fitted)]
    assert (max(means) < 1e-6) == (bias or skip)


def test_betas_keep_what_exceeds_them(model: ProCoGAN, images: Images) -> None:
    betas = [1.01 * stage.beta for stage in model.stages_]
    fitted = ProCoGAN(betas=betas, latent_dim=12, random_state=0, dtype="float64").fit(images)
    assert fitted.status_ is Status.CERTIFIED
    assert [s.beta for s in fitted.stages_] == betas
    assert all(np.all(s.values > s.beta) for s in fitted.stages_)


def test_one_stage_equals_probabilistic_pca_with_the_same_noise_variance() -> None:
    X = smooth_images(500, 8)
    n, k = len(X), 10
    stage = ProCoGAN((8,), (k,), random_state=0, dtype="float64").fit(X).stages_[0]
    pca = PCA(k).fit(X.reshape(n, -1))
    ours = (stage.factor.T @ stage.factor + stage.beta * np.eye(64)) / n
    pca.noise_variance_ = stage.beta / (n - 1)  # scikit-learn: the mean of what is left out, and n − 1
    theirs = pca.get_covariance() * (n - 1) / n
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()


@pytest.fixture(scope="module")
def graded() -> ProCoGAN:
    """A model of many images whose components have clearly different sizes."""
    rng = np.random.default_rng(1)
    x, y = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    waves = [np.cos(np.pi * (x + 0.5) * a / 8) * np.cos(np.pi * (y + 0.5) * b / 8) for a, b in WAVES]
    sizes = 0.5 ** np.arange(len(waves))
    X = np.einsum("nk,kxy->nxy", rng.standard_normal((5000, len(waves))) * sizes, np.array(waves))
    return ProCoGAN(components=(3, 5), latent_dim=4, random_state=0).fit(X + 0.001 * rng.standard_normal(X.shape))


WAVES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (2, 2), (0, 3))


def test_samples_have_the_covariance_that_was_certified(graded: ProCoGAN) -> None:
    # Up to √(noise columns / n): the fit is optimal for the noise that it drew, samples are of fresh noise.
    stage = graded.stages_[-1]
    drawn = graded.sample(20_000, rng=1).reshape(20_000, -1)
    expected = stage.factor.T @ stage.factor / graded.n_samples_
    assert np.linalg.norm(np.cov(drawn.T, bias=True) - expected, 2) <= 0.1 * np.linalg.norm(expected, 2)
    assert np.abs(drawn.mean(axis=0) - stage.mean).max() < 0.05
    assert np.abs(graded.transform(drawn.reshape(-1, 8, 8)).std(axis=0) - 1.0).max() < 0.1


def test_one_seed_shows_the_same_images_at_every_stage(graded: ProCoGAN) -> None:
    fine, coarse = graded.sample(50, rng=3), graded.sample(50, rng=3, stage=0)
    pooled = average_pool(fine, 2)
    a, b = (x.reshape(50, -1) - x.reshape(50, -1).mean(axis=0) for x in (pooled, coarse))
    assert np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2)) > 0.8


def test_inverse_transform_projects_on_the_images_of_the_generator(model: ProCoGAN, images: Images) -> None:
    once = model.inverse_transform(model.transform(images))
    assert np.abs(model.inverse_transform(model.transform(once)) - once).max() < 1e-9
    assert np.linalg.norm(once - images) < 0.5 * np.linalg.norm(images - images.mean(axis=0))


def test_walks_and_interpolations_pass_through_the_mean_and_the_ends(model: ProCoGAN, images: Images) -> None:
    assert np.abs(model.walk(0, steps=5)[2] - model.mean_image_).max() < 1e-12
    codes = model.transform(images[:2])
    between = model.interpolate(codes[0], codes[1], steps=3)
    assert np.allclose(between[[0, 2]], model.inverse_transform(codes))
    with pytest.raises(InputError, match="component = 45"):
        model.walk(45)


def test_score_is_minus_the_distance_of_moments_and_best_on_the_training_images(
    model: ProCoGAN, images: Images
) -> None:
    assert model.score(images) == pytest.approx(-model.stages_[-1].beta / len(images), rel=1e-6)
    assert model.score(smooth_images(300, 16, 3, seed=5)) < model.score(images)


def test_file_gives_the_same_samples_and_is_unverified_until_verified(
    model: ProCoGAN, images: Images, tmp_path: Path
) -> None:
    loaded = ProCoGAN.load(model.save(tmp_path / "model.safetensors"))
    assert np.array_equal(loaded.sample(5, rng=2), model.sample(5, rng=2))
    assert loaded.status_ is Status.UNVERIFIED
    assert [c.status for c in loaded.verify(images)] == [Status.CERTIFIED] * 3
    assert Status.CERTIFIED not in {c.status for c in loaded.verify(1.2 * images)[1:]}


def test_damaged_files_are_refused(model: ProCoGAN, tmp_path: Path) -> None:
    path = model.save(tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError):
        ProCoGAN.load(path)


def test_killed_fit_goes_on_from_its_last_stage_to_the_same_model(
    model: ProCoGAN, images: Images, tmp_path: Path
) -> None:
    def kill(news: Any) -> None:
        if (news.stage, news.step) == (2, "done"):
            raise KeyboardInterrupt

    resumed = clone(model).set_params(checkpoint=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        clone(resumed).set_params(progress=kill).fit(images)
    solver_calls: list[int] = []
    original = ProCoGAN._solve

    def counted(self: ProCoGAN, i: int, *rest: Any) -> Any:
        solver_calls.append(i)
        return original(self, i, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProCoGAN, "_solve", counted)
        resumed.fit(images)
    assert solver_calls == [2]
    assert resumed.status_ is Status.CERTIFIED
    assert np.array_equal(resumed.sample(3, rng=0), model.sample(3, rng=0))


@pytest.mark.parametrize("change", ["data", "settings"])
def test_changed_fit_refuses_to_go_on(change: str, images: Images, tmp_path: Path) -> None:
    first = ProCoGAN(components=(3, 4, 5), random_state=0, checkpoint=tmp_path)
    first.fit(images)
    other = images + 1e-3 * (np.arange(300) == 7)[:, None, None, None] if change == "data" else images
    k = 6 if change == "settings" else 5
    with pytest.raises(FileFormatError, match="images" if change == "data" else r"components \(\[3, 4, 5\]"):
        clone(first).set_params(components=(3, 4, k)).fit(other)


def test_torch_module_computes_the_samples(model: ProCoGAN) -> None:
    torch = pytest.importorskip("torch")
    noise = np.random.default_rng(0).standard_normal((6, model.generator_.noise_dim))
    expected = model.generator_.images(model.generator_.codes(noise))
    module = model.to_torch()
    with torch.no_grad():
        images = module(torch.from_numpy(noise)).permute(0, 2, 3, 1).numpy()
        sides = [int(x.shape[-1]) for x in module.outputs(torch.from_numpy(noise))]
    assert np.abs(images - expected).max() < 1e-5
    assert sides == [4, 8, 16]


def test_torch_images_and_device_give_the_same_model(images: Images) -> None:
    torch = pytest.importorskip("torch")
    plain = ProCoGAN(components=(4, 5, 6), random_state=0, dtype="float64").fit(images)
    for given, device in ((torch.from_numpy(images), None), (images, "cpu")):
        fitted = ProCoGAN(components=(4, 5, 6), random_state=0, dtype="float64", device=device).fit(given)
        assert fitted.status_ is Status.CERTIFIED
        assert np.abs(fitted.sample(4, rng=0) - plain.sample(4, rng=0)).max() < 1e-8


def test_bytes_are_read_as_fractions_of_255(images: Images) -> None:
    raw = np.clip(255 * images, 0, 255).astype(np.uint8)
    a = ProCoGAN(components=(4, 5, 6), random_state=0, dtype="float64").fit(raw)
    b = ProCoGAN(components=(4, 5, 6), random_state=0, dtype="float64").fit(raw / 255.0)
    assert np.abs(a.sample(4, rng=0) - b.sample(4, rng=0)).max() < 1e-8


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scale_of_the_pixels_does_not_matter(scale: float, images: Images) -> None:
    fitted = ProCoGAN(components=(4, 5, 6), random_state=0).fit(scale * images)
    assert fitted.status_ is Status.CERTIFIED


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_images_than_components_keep_what_there_is(n: int) -> None:
    fitted = ProCoGAN(components=(4, 6), random_state=0, dtype="float64").fit(smooth_images(n, 8))
    assert [s.components for s in fitted.stages_] == [min(4, n - 1), min(6, n - 1)]
    assert np.all(np.isfinite(fitted.sample(3)))


def test_constant_and_repeated_images_are_no_trouble() -> None:
    constant = ProCoGAN(components=(3, 4), random_state=0).fit(np.full((20, 8, 8), 0.5))
    assert [s.components for s in constant.stages_] == [0, 0]
    assert np.allclose(constant.sample(2), 0.5)
    twice = np.repeat(smooth_images(10, 8), 5, axis=0)
    assert ProCoGAN(components=(3, 4), random_state=0).fit(twice).status_ is Status.CERTIFIED


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"components": (3,)}, "components"),
        ({"components": (3, 4), "betas": (1.0, 1.0)}, "betas"),
        ({"betas": (1.0, -1.0)}, "betas"),
        ({"components": (3, 65)}, "at most 64"),
        ({"resolutions": (3, 8)}, "resolutions"),
        ({"dtype": "float16"}, "dtype"),
        ({"tol": 0.5}, "tol"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"bias": 1}, "bias"),
        ({"memory_budget": 10}, "memory_budget"),
        ({"fresh_noise": "none"}, "fresh_noise"),
        ({"random_state": -1}, "random_state"),
        ({"checkpoint": "somewhere"}, "random_state"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        ProCoGAN(**parameters).fit(smooth_images(20, 8))


def test_bad_images_are_named() -> None:
    holed = smooth_images(20, 8)
    holed[3, 2, 2] = np.nan
    for wrong in (holed, np.zeros((5, 8)), np.zeros((5, 8, 4)), np.zeros((5, 8, 8, 4)), np.zeros((5, 8, 8), complex)):
        with pytest.raises(InputError, match="images"):
            ProCoGAN(components=(3, 4)).fit(wrong)


def test_explain_says_the_method_of_every_stage(images: Images) -> None:
    text = ProCoGAN(components=(10, 20, 45)).explain(images)
    assert text.count("stage") == 3
    assert "dense" in text
    assert "krylov" in ProCoGAN((64,), (40,)).explain(np.zeros((100, 64, 64, 3), np.uint8))


def test_histograms_are_matched_to_the_reference() -> None:
    pytest.importorskip("skimage")
    from convexwgan.models.display import match_histograms

    rng = np.random.default_rng(0)
    matched = match_histograms(rng.normal(size=(10, 8, 8, 1)), rng.random((10, 8, 8, 1)))
    assert 0.0 <= matched.min() <= matched.max() <= 1.0
    assert abs(matched.mean() - 0.5) < 0.05


def saved_with(model: ProCoGAN, folder: Path, name: str, change: Any) -> ProCoGAN:
    """The model after one of its arrays was changed in its file."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = model.save(folder / "model.safetensors")
    with safe_open(path, "np") as file:
        header = file.metadata()
    tensors = load_file(path)
    tensors[name] = np.ascontiguousarray(change(tensors[name]))
    save_file(tensors, path, header)
    return ProCoGAN.load(path)


@pytest.mark.parametrize("name", ["0.mean", "1.mean", "0.values", "1.values"])
def test_edited_mean_or_spectrum_of_a_stage_is_never_certified(tmp_path: Path, name: str) -> None:
    pictures = np.random.default_rng(9).random((20, 8, 8))
    model = ProCoGAN(components=(3, 6), random_state=0).fit(pictures)
    untouched = saved_with(model, tmp_path, name, lambda a: a)
    assert [c.status for c in untouched.verify(pictures)] == [Status.CERTIFIED] * 2
    edited = saved_with(model, tmp_path, name, lambda a: 1.01 * a)
    assert edited.verify(pictures)[int(name[0])].status is Status.UNVERIFIED


@pytest.mark.parametrize(
    "parameters", [{"components": 3}, {"betas": 1.0}, {"fresh_noise": None}, {"device": "nowhere"}]
)
def test_parameters_of_another_kind_are_refused_by_name(parameters: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(parameters))):
        ProCoGAN(**{"resolutions": (4,), **parameters}).fit(np.zeros((5, 4, 4)) + np.eye(4))


def test_images_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        ProCoGAN(components=(1,)).fit([np.zeros((4, 4)), np.zeros((8, 8))])


def test_nan_in_images_codes_or_span_is_refused_after_the_fit_too(model: ProCoGAN, images: Images) -> None:
    wrong = images[:2].copy()
    wrong[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="images"):
        model.transform(wrong)
    with pytest.raises(InputError, match="codes"):
        model.inverse_transform(np.full((2, 45), np.nan))
    with pytest.raises(InputError, match="span"):
        model.walk(0, span=np.nan)
