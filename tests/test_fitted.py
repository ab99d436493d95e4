"""Fitted generators and discriminators: called, sampled, exported, refused."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, FittedDiscriminator, FittedGenerator, Generator, Latent, Problem
from convexwgan.arrays import to_numpy64
from convexwgan.errors import InputError

ACTIVATION = (1.0, 0.5, 0.2)
LATENT = Latent.normal(3)


def sigma(T: Any) -> Any:
    a, b, c = ACTIVATION
    return a * T**2 + b * T + c


def fitted(
    kind: str, library: ModuleType = np, dtype: Any = np.float64, latent: Latent | None = LATENT
) -> FittedGenerator:
    rng = np.random.default_rng(7)
    rows = {"free": 6, "linear": 3, "polynomial": 10}[kind]
    weights = library.asarray(rng.standard_normal((rows, 4)).astype(dtype))
    spec = {"free": Generator.free(), "linear": Generator.linear(), "polynomial": Generator.polynomial(*ACTIVATION)}[
        kind
    ]
    return FittedGenerator(spec, weights, None if kind == "free" else latent)


# ---- calling ---------------------------------------------------------------------------------------------------


def test_a_linear_generator_is_a_matrix_product(array_library: ModuleType, rng: np.random.Generator) -> None:
    generator, Z = fitted("linear", array_library), rng.standard_normal((5, 3))
    G = generator(array_library.asarray(Z))
    assert type(G) is type(generator.weights)
    np.testing.assert_allclose(to_numpy64(G), Z @ to_numpy64(generator.weights), rtol=1e-14)


def test_a_polynomial_generator_is_the_two_layer_network_of_its_hidden_weights(
    array_library: ModuleType, rng: np.random.Generator
) -> None:
    generator, Z = fitted("polynomial", array_library), rng.standard_normal((5, 3))
    W1, W2 = generator.hidden_weights
    assert W1.shape == (3, W2.shape[0])
    assert W2.shape == (10, 4)
    np.testing.assert_allclose(to_numpy64(generator(array_library.asarray(Z))), sigma(Z @ W1) @ W2, atol=1e-10)
    assert generator.latent_dim == 3


def test_numpy_noise_and_lists_travel_to_the_library_of_the_weights(array_library: ModuleType) -> None:
    generator = fitted("linear", array_library)
    Z = np.arange(6.0).reshape(2, 3)
    expected = Z @ to_numpy64(generator.weights)
    for noise in (Z, Z.tolist(), Z.astype(int), np.asfortranarray(Z)):
        G = generator(noise)
        assert type(G) is type(generator.weights)
        np.testing.assert_allclose(to_numpy64(G), expected, rtol=1e-14)


def test_drawn_noise_can_be_given_as_it_is() -> None:
    generator, drawn = fitted("linear"), LATENT.draw(4, rng=1)
    np.testing.assert_array_equal(generator(drawn), generator(drawn.array))


@pytest.mark.parametrize("kind", ["linear", "polynomial"])
def test_float32_weights_give_float32_output(kind: str, array_library: ModuleType, rng: np.random.Generator) -> None:
    generator = fitted(kind, array_library, np.float32)
    assert "float32" in str(generator(rng.standard_normal((5, 3))).dtype)
    assert "float32" in str(generator.sample(5, rng=0).dtype)


def test_a_free_generator_is_no_function_of_noise(rng: np.random.Generator) -> None:
    with pytest.raises(
        InputError, match=r"Z of Generator.free = .* must not be given: .*use .output or .sample\(n, rng\)"
    ):
        fitted("free")(rng.standard_normal((5, 3)))


@pytest.mark.parametrize("kind", ["linear", "polynomial"])
def test_noise_of_another_dimension_is_refused(kind: str, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match=r"Z = .* must have 3 columns"):
        fitted(kind)(rng.standard_normal((5, 2)))


@pytest.mark.parametrize("bad", [np.full((2, 3), np.nan), np.zeros(3), np.zeros((0, 3)), np.array([["a", "b", "c"]])])
def test_noise_that_is_no_table_of_finite_numbers_is_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="Z = "):
        fitted("linear")(bad)


# ---- output and moments ----------------------------------------------------------------------------------------


def solved(
    wgan: Any, library: ModuleType, rng: np.random.Generator, normalize: Any = "sum"
) -> tuple[FittedGenerator, Any]:
    X, Z = rng.standard_normal((12, 4)), rng.standard_normal((10, 3))
    noise = library.asarray(Z) if wgan.players[1].needs_noise else None
    generator = Problem(wgan, library.asarray(X), noise, normalize=normalize).solve().generator
    assert generator is not None
    return generator, Z


@pytest.mark.parametrize("normalize", ["sum", "mean"])
@pytest.mark.parametrize(
    "generator", [Generator.linear(), Generator.polynomial(*ACTIVATION), Generator.free()], ids=repr
)
def test_output_is_the_generator_on_the_problems_own_noise_and_moments_are_its_moments(
    generator: Generator, array_library: ModuleType, rng: np.random.Generator, normalize: str
) -> None:
    found, Z = solved(Discriminator.quadratic(components=2) + generator, array_library, rng, normalize)
    G = to_numpy64(found.output)
    if generator.kind == "free":
        assert G.shape == (12, 4)
    else:
        np.testing.assert_allclose(G, to_numpy64(found(array_library.asarray(Z))), rtol=1e-13)
    weight = 1.0 if normalize == "sum" else 1.0 / len(G)
    moments = found.moments
    assert moments.mass == pytest.approx(weight * len(G))
    np.testing.assert_allclose(to_numpy64(moments.first), weight * G.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(to_numpy64(moments.second), weight * G.T @ G, atol=1e-12)


def test_population_noise_has_moments_but_no_output(array_library: ModuleType, rng: np.random.Generator) -> None:
    X = rng.standard_normal((12, 4))
    wgan = Discriminator.quadratic(components=2) + Generator.polynomial(*ACTIVATION)
    generator = Problem(wgan, array_library.asarray(X), Latent.normal(2), normalize="mean").solve().generator
    assert generator is not None
    with pytest.raises(InputError, match=r"use .moments for population noise"):
        _ = generator.output
    G = to_numpy64(generator.sample(400_000, rng=0))
    moments = generator.moments
    assert moments.mass == 1.0
    np.testing.assert_allclose(to_numpy64(moments.first), G.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(to_numpy64(moments.second), G.T @ G / len(G), atol=0.05)


def test_without_noise_or_recipe_there_are_no_output_and_no_moments() -> None:
    generator = fitted("linear", latent=None)
    for ask in ("output", "moments"):
        with pytest.raises(InputError, match=f"{ask} of the generator = None must be asked where"):
            getattr(generator, ask)


# ---- sampling --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["free", "linear", "polynomial"])
def test_a_seed_and_a_generator_of_that_seed_draw_the_same_samples(kind: str, array_library: ModuleType) -> None:
    generator = fitted(kind, array_library)
    by_seed = to_numpy64(generator.sample(7, rng=3))
    assert by_seed.shape == (7, 4)
    np.testing.assert_array_equal(by_seed, to_numpy64(generator.sample(7, rng=np.random.default_rng(3))))
    np.testing.assert_array_equal(by_seed, to_numpy64(generator.sample(7, rng=np.int64(3))))  # type: ignore[arg-type]
    assert np.any(by_seed != to_numpy64(generator.sample(7, rng=4)))


def test_a_generator_object_goes_on_where_it_stood() -> None:
    generator, rng = fitted("linear"), np.random.default_rng(3)
    first, second = generator.sample(4, rng), generator.sample(4, rng)
    assert np.all(first != second)


@pytest.mark.parametrize("kind", ["free", "linear", "polynomial"])
def test_every_array_library_draws_the_samples_of_numpy(kind: str, array_library: ModuleType) -> None:
    samples = fitted(kind, array_library).sample(9, rng=5)
    assert type(samples) is type(fitted(kind, array_library).weights)
    np.testing.assert_allclose(to_numpy64(samples), fitted(kind).sample(9, rng=5), rtol=1e-13)


def test_samples_are_fresh_noise_through_the_generator() -> None:
    generator = fitted("linear")
    Z = np.random.default_rng(5).standard_normal((9, 3))
    np.testing.assert_array_equal(generator.sample(9, rng=5), Z @ generator.weights)


def test_free_samples_are_rows_of_the_output(array_library: ModuleType) -> None:
    generator = fitted("free", array_library)
    rows = {tuple(row) for row in to_numpy64(generator.output)}
    samples = to_numpy64(generator.sample(200, rng=0))
    assert {tuple(row) for row in samples} == rows


def test_a_generator_fitted_on_an_array_of_unknown_origin_asks_for_the_latent() -> None:
    generator = fitted("linear", latent=None)
    with pytest.raises(InputError, match=r"latent of sample = None must be given: .*latent=Latent.normal\(dim\)"):
        generator.sample(3, rng=0)
    np.testing.assert_array_equal(generator.sample(3, 0, latent=LATENT), fitted("linear").sample(3, 0))


def test_a_latent_of_another_dimension_is_refused() -> None:
    with pytest.raises(InputError, match=r"latent of sample = Latent.normal\(2\) must have dimension 3"):
        fitted("linear").sample(3, rng=0, latent=Latent.normal(2))


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_the_number_of_samples_is_a_whole_number(n: Any) -> None:
    for kind in ("free", "linear"):
        with pytest.raises(InputError, match=r"n of sample = .* must be a whole number >= 1"):
            fitted(kind).sample(n, rng=0)


@pytest.mark.parametrize("rng", [None, -1, 0.5, "seed", True])
def test_the_source_of_randomness_is_named(rng: Any) -> None:
    for kind in ("free", "linear"):
        with pytest.raises(InputError, match=r"rng = .* must be a whole number"):
            fitted(kind).sample(3, rng=rng)


def test_data_that_came_as_a_dataframe_are_sampled_as_one(rng: np.random.Generator) -> None:
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(rng.standard_normal((20, 3)), columns=["height", "weight", "age"])
    for generator, Z in ((Generator.free(), None), (Generator.linear(), Latent.normal(4).draw(20, rng=0))):
        found = Problem(Discriminator.quadratic(components=2) + generator, table, Z).solve().generator
        assert found is not None
        samples = found.sample(5, rng=0)
        assert isinstance(samples, pd.DataFrame)
        assert list(samples.columns) == ["height", "weight", "age"]
        assert samples.shape == (5, 3)


def test_the_latent_of_drawn_noise_is_remembered_for_sampling(rng: np.random.Generator) -> None:
    wgan = Discriminator.quadratic(components=2) + Generator.linear()
    found = Problem(wgan, rng.standard_normal((20, 3)), Latent.normal(4).draw(20, rng=0)).solve().generator
    assert found is not None
    assert found.sample(5, rng=0).shape == (5, 3)


# ---- torch -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "polynomial"])
def test_the_torch_module_has_the_same_output(kind: str, array_library: ModuleType, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    generator, Z = fitted(kind, array_library), rng.standard_normal((50, 3))
    module = generator.to_torch()
    assert isinstance(module, torch.nn.Module)
    with torch.no_grad():
        G = module(torch.asarray(Z)).numpy()
    scale = np.abs(G).max()
    np.testing.assert_allclose(G, to_numpy64(generator(Z)), atol=1e-8 * scale)


def test_the_torch_module_of_float32_weights_is_float32() -> None:
    torch = pytest.importorskip("torch")
    module = fitted("linear", dtype=np.float32).to_torch()
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_the_torch_module_takes_noise_of_another_dtype_as_the_generator_does(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    X, Z = (torch.tensor(rng.standard_normal(shape), dtype=torch.float32) for shape in ((9, 2), (8, 3)))
    generator = Problem(Discriminator.quadratic(beta=1.0) + Generator.linear(), X, Z).solve().generator
    assert generator is not None
    noise = Z.to(torch.float64)
    torch.testing.assert_close(generator.to_torch()(noise), generator(noise))


@pytest.mark.parametrize("kind", ["linear", "polynomial"])
def test_a_state_dict_goes_round(kind: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    module, other = fitted(kind).to_torch(), fitted(kind).to_torch()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    Z = torch.asarray(rng.standard_normal((5, 3)))
    assert not torch.equal(module(Z), other(Z))
    other.load_state_dict(module.state_dict())
    assert torch.equal(module(Z), other(Z))


def test_training_the_torch_module_changes_nothing_in_the_solution(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    generator = fitted("linear", torch)
    before = generator.weights.clone()
    module = generator.to_torch()
    module(torch.asarray(rng.standard_normal((5, 3)))).sum().backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert torch.equal(generator.weights, before)


def test_a_free_generator_is_no_torch_module() -> None:
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=r"to_torch of Generator.free"):
        fitted("free").to_torch()


def test_hidden_weights_belong_to_polynomial_generators() -> None:
    with pytest.raises(InputError, match=r"hidden_weights of the generator = .* must be asked of Generator.polynomial"):
        _ = fitted("linear").hidden_weights


# ---- discriminators --------------------------------------------------------------------------------------------

SPECS = [
    Discriminator.linear(beta=1.0),
    Discriminator.quadratic(beta=1.0),
    Discriminator.quadratic(beta=1.0, skip=True),
    Discriminator.polynomial(*ACTIVATION, beta=1.0),
]


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_a_discriminator_is_the_sum_of_its_neurons(
    spec: Discriminator, array_library: ModuleType, rng: np.random.Generator
) -> None:
    u, v, X = rng.standard_normal((3, 4)), rng.standard_normal(3), rng.standard_normal((6, 4))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    y = rng.standard_normal(4) if spec.skip else None
    D = FittedDiscriminator(spec, u, v, y)(array_library.asarray(X))
    assert type(D) is type(array_library.asarray(X))
    a, b, c = spec.activation
    T = X @ u.T
    expected = (a * T**2 + b * T + c) @ v + (0.0 if y is None else X @ y)
    np.testing.assert_allclose(to_numpy64(D), expected, atol=1e-12)


def test_total_weight_is_the_sum_of_absolute_values() -> None:
    D = FittedDiscriminator(Discriminator.linear(beta=1.0), np.eye(2), np.array([1.5, -2.0]))
    assert D.total_weight == 3.5


def test_a_discriminator_refuses_samples_of_another_dimension() -> None:
    with pytest.raises(InputError, match=r"X = .* must have 2 columns"):
        FittedDiscriminator(Discriminator.linear(beta=1.0), np.eye(2), np.ones(2))(np.ones((3, 4)))


def test_without_neurons_the_discriminator_is_zero() -> None:
    D = FittedDiscriminator(Discriminator.quadratic(beta=1.0), np.zeros((0, 2)), np.zeros(0))
    np.testing.assert_array_equal(D(np.ones((3, 2))), np.zeros(3))


@pytest.mark.parametrize("skip", [False, True])
def test_the_solved_discriminator_earns_the_value_of_the_game(skip: bool, rng: np.random.Generator) -> None:
    """At the saddle point 1ᵀD(X) − 1ᵀD(G) = β_d Σ|v_j|, and G minimises R_g − 1ᵀD(G): the value is the bound."""
    X, Z = rng.standard_normal((12, 4)) + 0.2, np.column_stack([rng.standard_normal((10, 4)), np.ones(10)])
    beta = 6.0
    solution = Problem(Discriminator.quadratic(beta=beta, skip=skip) + Generator.linear(), X, Z).solve()
    D, generator = solution.discriminator, solution.generator
    assert D is not None
    assert generator is not None
    earned = float(D(X).sum() - D(generator.output).sum())
    assert earned == pytest.approx(beta * D.total_weight, rel=1e-9)
    assert float(D(X).sum()) - beta * D.total_weight - float(D(generator.output).sum()) == pytest.approx(0.0, abs=1e-8)
