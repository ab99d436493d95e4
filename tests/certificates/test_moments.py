"""Evidence is the moments by their definition, whatever the library, dtype or size of the data."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from convexwgan.certificates import gather, latents, moments
from convexwgan.errors import InputError
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import Latent
from convexwgan.spec.regularizer import Regularizer

QUADRATIC = Discriminator.quadratic(beta=1.0)


@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_moments_and_rho_follow_their_definition(witness: object, normalize: str) -> None:
    X, Z = witness.X, witness.Z
    evidence = gather(QUADRATIC + Generator.linear(), X, Z=Z, normalize=normalize)
    w_r, w_f = (1.0, 1.0) if normalize == "sum" else (1 / len(X), 1 / len(Z))
    np.testing.assert_allclose(evidence.real.M, w_r * X.T @ X, rtol=1e-13)
    np.testing.assert_allclose(evidence.real.m, w_r * X.sum(axis=0), rtol=1e-13)
    assert evidence.latents.rho == pytest.approx(w_f * witness.rho, rel=1e-12)
    assert evidence.latents.rho <= evidence.latents.rho_upper <= evidence.latents.mass * (1 + 1e-14)
    W = np.ones((6, 4))
    S, s = evidence.latents.output_moments(W)
    np.testing.assert_allclose(S, w_f * (Z @ W).T @ (Z @ W), rtol=1e-13)
    np.testing.assert_allclose(s, w_f * (Z @ W).sum(axis=0), rtol=1e-13)


def test_a_constant_column_gives_rho_equal_to_the_mass(rng: np.random.Generator) -> None:
    Z = np.column_stack([rng.standard_normal((20, 3)), np.ones(20)])
    evidence = gather(QUADRATIC + Generator.linear(), np.eye(4), Z=Z)
    assert evidence.latents.rho == pytest.approx(20.0, rel=1e-12)


def test_a_free_generator_is_the_identity_feature(rng: np.random.Generator) -> None:
    evidence = gather(QUADRATIC + Generator.free(), np.eye(3), n_fake=5, normalize="mean")
    G = rng.standard_normal((5, 3))
    S, s = evidence.latents.output_moments(G)
    np.testing.assert_allclose(S, G.T @ G / 5)
    np.testing.assert_allclose(s, G.mean(axis=0))
    assert (evidence.latents.rho, evidence.latents.rank, evidence.mass_gap) == (1.0, 5, 0.0)
    np.testing.assert_allclose(evidence.latents.frame.weights(evidence.latents.frame.coordinates(G)), G)


def test_blocks_change_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    X, Z = rng.standard_normal((50, 3)).astype(np.float32), rng.standard_normal((40, 2)).astype(np.float32)
    wgan, W = QUADRATIC + Generator.polynomial(1, 1, 1), rng.standard_normal((6, 3))
    whole = gather(wgan, X, Z=Z)
    monkeypatch.setattr(moments, "BLOCK_NUMBERS", 20)
    monkeypatch.setattr(latents, "BLOCK_NUMBERS", 20)
    split = gather(wgan, X, Z=Z)
    np.testing.assert_allclose(split.real.M, whole.real.M, rtol=1e-13)
    np.testing.assert_allclose(split.latents.z_bar, whole.latents.z_bar, rtol=1e-12)
    np.testing.assert_allclose(split.latents.second, whole.latents.second, rtol=1e-12)
    for ours, theirs in zip(split.latents.output_moments(W), whole.latents.output_moments(W), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)
    assert split.latents.rho == pytest.approx(whole.latents.rho, rel=1e-9)
    np.testing.assert_allclose(split.latents.output(W), whole.latents.output(W))


def test_every_array_library_gives_the_same_evidence(array_library: ModuleType, witness: object) -> None:
    X, Z = array_library.asarray(witness.X), array_library.asarray(witness.Z)
    evidence = gather(QUADRATIC + Generator.linear(), X, Z=Z)
    np.testing.assert_allclose(evidence.real.M, witness.M, rtol=1e-13)
    assert evidence.latents.rho == pytest.approx(witness.rho, rel=1e-12)


def test_float32_data_are_summed_in_float64(rng: np.random.Generator) -> None:
    X = (rng.standard_normal((2000, 3)) + 100).astype(np.float32)
    exact = X.astype(np.float64).T @ X.astype(np.float64)
    evidence = gather(QUADRATIC + Generator.free(), X)
    np.testing.assert_allclose(evidence.real.M, exact, rtol=1e-13)
    assert evidence.real.eps == np.finfo(np.float32).eps


def test_components_set_beta_above_the_next_eigenvalue(witness: object) -> None:
    evidence = gather(Discriminator.quadratic(components=2) + Generator.free(), witness.X)
    following = np.linalg.eigvalsh(witness.M)[::-1][2]
    assert following < evidence.beta < following * (1 + 1e-10)


def test_another_beta_shares_every_factorisation(witness: object) -> None:
    evidence = gather(QUADRATIC + Generator.linear(), witness.X, Z=witness.Z)
    values = evidence.real.eigenvalues
    other = evidence.with_beta(7.0)
    assert (other.beta, other.discriminator.beta, evidence.beta) == (7.0, 7.0, 1.0)
    assert other.real.eigenvalues is values
    assert other.latents is evidence.latents
    assert other.wgan == Discriminator.quadratic(beta=7.0) + Generator.linear()


def test_population_noise_has_the_moments_of_its_law(rng: np.random.Generator) -> None:
    linear = gather(QUADRATIC + Generator.linear(), np.eye(3), latent=Latent.normal(4), normalize="mean")
    assert (linear.latents.rho, linear.latents.rank) == (0.0, 4)
    lifted = gather(QUADRATIC + Generator.polynomial(1, 1, 1), np.eye(3), latent=Latent.normal(2), normalize="mean")
    assert lifted.latents.rho == pytest.approx(1.0, rel=1e-12)  # the lift has a constant column
    W = rng.standard_normal((6, 3))
    sampled = gather(
        QUADRATIC + Generator.polynomial(1, 1, 1),
        np.eye(3),
        Z=rng.standard_normal((200_000, 2)),
        normalize="mean",
    )
    np.testing.assert_allclose(
        lifted.latents.output_moments(W)[0], sampled.latents.output_moments(W)[0], rtol=0.1, atol=0.1
    )
    with pytest.raises(InputError, match="population"):
        linear.latents.output(np.zeros((4, 3)))


def test_bad_evidence_is_refused_with_a_remedy(witness: object) -> None:
    with pytest.raises(InputError, match="normalize"):
        gather(QUADRATIC + Generator.free(), witness.X, normalize="median")
    with pytest.raises(InputError, match="exactly one"):
        gather(QUADRATIC + Generator.linear(), witness.X)
    with pytest.raises(InputError, match="mean"):
        gather(QUADRATIC + Generator.linear(), witness.X, latent=Latent.normal(2))
    with pytest.raises(InputError, match="moment bounds"):
        gather(Discriminator.relu(beta=1.0) + Generator.free(), witness.X)
    with pytest.raises(InputError, match="finite"):
        gather(QUADRATIC + Generator.free() + Regularizer.output(), np.array([[np.nan]]))
