"""Image metrics: equal to closed forms, blind to nothing they claim to see, honest about what they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torchmetrics")

from convexwgan.errors import InputError, MissingExtraError
from convexwgan.report import image_features, quality
from convexwgan.report.image_features import InceptionFeatures, as_images, edge_features, features_of
from convexwgan.report.quality import (
    frechet_distance,
    gaussian_frechet,
    image_quality,
    memorization,
    precision_recall,
)

# ---------------------------------------------------------------------------------------------- Fréchet


@given(seed=st.integers(0, 10**6), d=st.integers(1, 6), scale=st.sampled_from([1e-6, 1.0, 1e6]))
@settings(max_examples=20)
def test_torchmetrics_and_our_formula_agree(seed: int, d: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    X, G = scale * rng.normal(size=(50, d)), scale * (rng.normal(size=(70, d)) @ rng.normal(size=(d, d)) + 1.0)
    ours = gaussian_frechet(X, G)
    assert frechet_distance(X, G) == pytest.approx(ours, rel=1e-7, abs=1e-9 * scale**2)


def test_frechet_of_commuting_covariances_is_the_distance_of_means_and_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.normal(size=(300, 4)) - rng.normal(size=(300, 4)).mean(axis=0))
    Q, _ = np.linalg.qr(Q - Q.mean(axis=0))
    Q -= Q.mean(axis=0)
    Q, _ = np.linalg.qr(Q)
    white = Q * np.sqrt(299.0)
    X, G = white * [1.0, 2.0, 3.0, 0.0], white * [2.0, 2.0, 1.0, 1.0] + [0.0, 1.0, 0.0, 2.0]
    expected = (1.0 + 4.0) + (1.0 + 0.0 + 4.0 + 1.0)
    assert gaussian_frechet(X, G) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(X, G) == pytest.approx(expected, rel=1e-6)


def test_frechet_survives_a_mean_far_from_the_origin() -> None:
    rng = np.random.default_rng(1)
    X, G = rng.normal(size=(200, 3)), rng.normal(size=(200, 3)) + 0.1
    near = frechet_distance(X, G)
    assert frechet_distance(X + 1e6, G + 1e6) == pytest.approx(near, rel=1e-5)


def test_frechet_is_symmetric_zero_on_itself_and_defined_for_fewer_samples_than_features() -> None:
    rng = np.random.default_rng(2)
    X, G = rng.normal(size=(10, 30)), rng.normal(size=(12, 30))
    assert frechet_distance(X, X) < 1e-5
    assert frechet_distance(X, G) == pytest.approx(frechet_distance(G, X), rel=1e-6)
    assert frechet_distance(X, G) == pytest.approx(gaussian_frechet(X, G), rel=1e-6)


@pytest.mark.parametrize("measure", [frechet_distance, gaussian_frechet, memorization, precision_recall])
def test_unequal_features_nan_and_single_samples_are_refused(measure: object) -> None:
    assert callable(measure)
    X = np.random.default_rng(0).normal(size=(10, 3))
    with pytest.raises(InputError, match="columns"):
        measure(X, X[:, :2])
    with pytest.raises(InputError, match="finite"):
        measure(X, np.full((10, 3), np.nan))
    with pytest.raises(InputError, match="two rows"):
        measure(X, X[:1])


# ---------------------------------------------------------------------------------------------- precision, recall


def brute_force(X: np.ndarray, G: np.ndarray, k: int) -> tuple[float, float]:
    def covered(A: np.ndarray, B: np.ndarray) -> float:
        radii = [np.sort(np.linalg.norm(B - b, axis=1))[k] for b in B]
        return float(np.mean([any(np.linalg.norm(a - b) <= r for b, r in zip(B, radii, strict=True)) for a in A]))

    return covered(G, X), covered(X, G)


@given(seed=st.integers(0, 10**6), k=st.integers(1, 4))
@settings(max_examples=20)
def test_precision_and_recall_equal_their_definition(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    X, G = rng.normal(size=(12, 2)), 0.5 * rng.normal(size=(9, 2))
    assert precision_recall(X, G, k) == pytest.approx(brute_force(X, G, k))


def test_a_collapsed_generator_has_precision_without_recall_and_noise_the_reverse() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    collapsed = X[0] + 1e-3 * rng.normal(size=(300, 2))
    precision, recall = precision_recall(X, collapsed)
    assert precision == 1.0
    assert recall < 0.05
    precision, recall = precision_recall(X, 30.0 * rng.normal(size=(300, 2)))
    assert precision < 0.05
    assert recall > 0.9


def test_duplicates_have_radius_zero_and_cover_only_themselves() -> None:
    X = np.repeat([[0.1, 0.7], [5.3, -2.2]], 4, axis=0)
    assert precision_recall(X, X, k=3) == (1.0, 1.0)
    assert precision_recall(X, X + 1e-6, k=3) == (0.0, 0.0)


def test_k_must_be_smaller_than_both_sets() -> None:
    X = np.random.default_rng(0).normal(size=(5, 2))
    with pytest.raises(InputError, match="more than k = 5 rows"):
        precision_recall(X, X, k=5)
    with pytest.raises(InputError, match="k = 0"):
        precision_recall(X, X, k=0)


# ---------------------------------------------------------------------------------------------- memorisation


def test_copies_are_found_fresh_draws_are_not() -> None:
    rng = np.random.default_rng(3)
    X, fresh = rng.normal(size=(2000, 5)), rng.normal(size=(1000, 5))
    found = memorization(X, X[100:200] + 1e-9)
    assert found.share == 1.0
    assert found.nearest.tolist() == list(range(100, 200))
    honest = memorization(X, fresh)
    assert honest.share == pytest.approx(0.01, abs=0.01)
    assert honest.median_ratio == pytest.approx(1.0, abs=0.05)
    half = memorization(X, np.concatenate([fresh[:500], X[:500]]))
    assert half.share == pytest.approx(0.5, abs=0.02)


def test_nearest_neighbours_equal_brute_force_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    X, G = rng.normal(size=(30, 3)), rng.normal(size=(23, 3))
    expected = memorization(X, G)
    monkeypatch.setattr(quality, "_blocks", lambda A, B: [slice(i, i + 4) for i in range(0, len(A), 4)])
    blocked = memorization(X, G)
    D = np.linalg.norm(G[:, None] - X[None], axis=2)
    assert np.array_equal(expected.nearest, D.argmin(axis=1))
    assert np.allclose(expected.distance, D.min(axis=1))
    assert np.array_equal(blocked.nearest, expected.nearest)
    assert blocked.median_ratio == pytest.approx(expected.median_ratio)


def test_data_of_copies_set_no_scale() -> None:
    with pytest.raises(InputError, match="distinct"):
        memorization(np.zeros((5, 2)), np.ones((5, 2)))


# ---------------------------------------------------------------------------------------------- images and features


def test_grey_colour_uint8_and_floats_mean_the_same_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 6, 3), dtype=np.uint8)
    assert np.array_equal(as_images(pixels, "x"), as_images(pixels / 255.0, "x"))
    assert as_images(pixels[..., 0], "x").shape == (3, 5, 6, 1)
    assert as_images(np.full((1, 4, 4), 1.3), "x").max() == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((3, 8)),
        np.zeros((2, 4, 4, 2)),
        np.zeros((0, 4, 4)),
        np.full((2, 4, 4), np.nan),
        np.full((2, 4, 4), 200.0),
        np.zeros((2, 4, 4), dtype=int),
    ],
)
def test_what_is_no_image_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="real"):
        image_quality(wrong, wrong)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (25, 25, 3), (64, 48, 3), (5, 9, 1)])
def test_default_features_see_edges_and_place_on_images_of_any_size(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).random((4, *shape))
    found = edge_features(images)
    assert np.isfinite(found).all()
    assert not np.allclose(found, edge_features(images[:, ::-1]))
    flat = edge_features(np.full((1, *shape), 0.5))[0]
    assert np.allclose(flat[: 16 * shape[2]], 0.5)
    assert np.allclose(flat[16 * shape[2] :], 0.0)


def test_default_features_tell_images_from_the_gaussian_with_their_moments() -> None:
    """A linear feature could not: mean and covariance of the pixels agree."""
    rng = np.random.default_rng(0)
    bars = np.zeros((400, 8, 8))
    for image in bars:
        image[:, rng.integers(0, 7)] = 1.0
    flat = bars.reshape(400, -1)
    root = np.linalg.cholesky(np.cov(flat.T) + 1e-12 * np.eye(64))
    gaussian = (flat.mean(axis=0) + rng.normal(size=(400, 64)) @ root.T).reshape(400, 8, 8)
    half = gaussian_frechet(edge_features(bars[:200, ..., None]), edge_features(bars[200:, ..., None]))
    other = gaussian_frechet(edge_features(bars[:200, ..., None]), edge_features(gaussian[:200, ..., None]))
    assert other > 3 * half


def test_quality_states_counts_and_features() -> None:
    rng = np.random.default_rng(0)
    X, G = rng.random((30, 8, 8)), rng.random((20, 8, 8))
    found = image_quality(X, G).as_dict()
    assert (found["n_real"], found["n_fake"], found["k"], found["features"]) == (30, 20, 3, "edge_features")
    assert found["frechet"] == pytest.approx(found["frechet_witness"], rel=1e-5)


def test_an_extractor_of_ones_own_replaces_the_features_and_is_checked() -> None:
    X = np.random.default_rng(0).random((10, 4, 4))

    def corner(images: np.ndarray) -> np.ndarray:
        return images[:, :2, 0, 0]

    assert image_quality(X, X, extractor=corner).features == "corner"
    for wrong in (
        lambda images: images,
        lambda images: images[:1, :, 0, 0],
        lambda images: images[:, :, 0, 0] * np.nan,
    ):
        with pytest.raises(InputError, match="extractor"):
            image_quality(X, X, extractor=wrong)


def test_features_do_not_depend_on_the_blocks() -> None:
    X = np.random.default_rng(0).random((10, 8, 8))
    assert np.array_equal(features_of(X, None, "x", block=3), features_of(X, None, "x"))


def test_inception_without_its_file_or_its_package_says_what_to_get(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="existing file"):
        InceptionFeatures(f"{tmp_path}/none.pth")

    def missing(package: str, extra: str, purpose: str) -> None:
        raise MissingExtraError(package, extra, purpose)

    monkeypatch.setattr(image_features, "require", missing)
    with pytest.raises(MissingExtraError, match="torch_fidelity"):
        InceptionFeatures(__file__)
