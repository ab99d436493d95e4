"""One feature, ReLU neurons with bias: Theorem 2.2 for every β_d, its certificates, its discriminator, its weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Solution, Status, verify
from convexwgan.certificates.certify import certify
from convexwgan.certificates.claim import PlainClaim
from convexwgan.errors import InputError, NotCoveredError
from convexwgan.theory.laws import check_weak_duality


def line_problem(x, beta, regularizer=None, normalize="sum", n_fake=None, norm_bound=False):
    regularizer = regularizer or Regularizer.output(2.0)
    D = Discriminator.relu(bias=True, norm_bound=True) if norm_bound else Discriminator.relu(bias=True, beta=beta)
    X = np.asarray(x, dtype=float)[:, None]
    return Problem(D + Generator.free() + regularizer, X, n_fake=n_fake, normalize=normalize)


@pytest.mark.parametrize(("beta", "output", "value"), [(0.1, 0.9, 1.62), (0.5, 0.5, 0.5), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize("method", ["closed_form", "conic"])
def test_paper_figure_1_shrinks_two_points_and_collapses_at_one(beta, output, value, method) -> None:
    problem = line_problem([-1.0, 1.0], beta)
    solution = problem.solve(method=method)
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert np.abs(solution.generator.output).ravel() == pytest.approx([output, output], abs=1e-5)
    assert verify(problem, solution).status is Status.CERTIFIED


def test_three_points_are_feasible_exactly_on_the_paper_s_polytope_equation_19() -> None:
    """x = (−1, 0, 1), β_d = 0.1, sorted w: each end within β_d, each pair of neighbours, and the sum."""
    problem, rng, beta = line_problem([-1.0, 0.0, 1.0], 0.1), np.random.default_rng(0), 0.1
    for _ in range(300):
        w = np.sort(np.array([-1.0, 0.0, 1.0]) + rng.uniform(-0.15, 0.15, 3))
        ends = max(abs(w[0] + 1), abs(w[2] - 1))
        pairs = max(abs(w[0] + w[1] + 1), abs(w[1] + w[2] - 1))
        inside = max(ends, pairs, abs(w.sum())) <= beta
        assert (problem.dist(w[:, None]).value <= beta) == inside
    assert problem.solve().generator.output.ravel() == pytest.approx([-0.9, 0.0, 0.9])


REGULARIZERS = (
    Regularizer.output(0.7),
    Regularizer.norm(1, 1.3),
    Regularizer.norm(1.5, 1.0),
    Regularizer.norm(2, 1.0),
    Regularizer.norm(3, 0.4),
    Regularizer.norm(np.inf, 2.0),
)


@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
@pytest.mark.parametrize(("normalize", "copies"), [("sum", 1), ("mean", 1), ("mean", 3)])
def test_every_symmetric_cost_is_certified_at_any_beta(regularizer, normalize, copies) -> None:
    rng = np.random.default_rng(3)
    for trial in range(4):
        n = int(rng.integers(1, 7))
        x = rng.standard_normal(n) + (0.0, 3.0, -3.0, 0.0)[trial]
        x = np.round(x, 1) if trial == 3 else x
        for beta in (0.01, 0.3, 2.0):
            problem = line_problem(x, beta, regularizer, normalize, copies * n)
            solution = problem.solve()
            assert solution.status is Status.CERTIFIED, (x, beta, str(solution.certificate))
            assert problem.dist(solution.generator.output).value <= beta * (1 + 1e-9)
            assert verify(problem, solution).status is Status.CERTIFIED
            check_weak_duality(problem, solution)


@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_norm_bound_balances_cost_and_dist(normalize) -> None:
    rng = np.random.default_rng(4)
    for shift in (0.0, 2.0, -2.0):
        x = rng.standard_normal(5) + shift
        problem = line_problem(x, None, Regularizer.output(0.6), normalize, norm_bound=True)
        solution = problem.solve()
        assert solution.status is Status.CERTIFIED
        assert np.abs(solution.dual["v"]).sum() <= 1 + 1e-12
        check_weak_duality(problem, solution)
        decays = [line_problem(x, b, Regularizer.output(0.6), normalize).solve().value + b for b in (0.1, 0.5, 1.0, 3)]
        assert solution.value <= min(decays) + 1e-9


@pytest.mark.parametrize("regularizer", [Regularizer.output(0.7), Regularizer.norm(1, 1.3)], ids=repr)
def test_value_falls_with_beta_by_the_total_weight_of_the_discriminator(regularizer) -> None:
    x, h = np.array([-1.3, -0.2, 0.4, 1.9, 2.5]), 1e-5
    for shift in (0.0, 4.0):
        solution = line_problem(x + shift, 0.6, regularizer).solve()
        lower, upper = (line_problem(x + shift, 0.6 + s, regularizer).solve().value for s in (-h, h))
        assert solution.sensitivity == pytest.approx((upper - lower) / (2 * h), rel=1e-6)


def test_discriminator_is_the_one_of_the_dual_and_no_norm_above_one_claims_any() -> None:
    solution = line_problem([-1.0, 0.0, 1.0], 0.1).solve()
    D = solution.discriminator
    t = np.linspace(-2, 2, 9)[:, None]
    assert D(t) == pytest.approx(np.maximum(t @ D.u.T + D.b, 0.0) @ D.v)
    assert line_problem([-1.0, 0.0, 1.0], 0.1, Regularizer.norm(3, 1.0)).solve().discriminator is None


@pytest.mark.parametrize("counts", [(3, 5), (5, 3), (4, 1), (7, 10)])
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
def test_unequal_counts_of_means_are_certified_above_the_population(counts, regularizer) -> None:
    n, m = counts
    x = np.random.default_rng(5).standard_normal(n)
    problem = line_problem(x, 0.45, regularizer, normalize="mean", n_fake=m)
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED
    assert verify(problem, solution).status is Status.CERTIFIED
    assert problem.dist(solution.generator.output).value <= 0.45 * (1 + 1e-6)
    if regularizer.kind == "output":
        refined = line_problem(np.repeat(x, m), 0.45, regularizer, normalize="mean", n_fake=n * m).solve()
        assert solution.value >= refined.value * (1 - 1e-9)  # the population's optimum


@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
def test_norm_bound_is_certified_for_unequal_counts_and_every_norm(regularizer) -> None:
    problem = line_problem([-1.0, 0.2, 3.0], None, regularizer, "mean", 4, norm_bound=True)
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED
    assert verify(problem, solution).status is Status.CERTIFIED
    decays = [line_problem([-1.0, 0.2, 3.0], b, regularizer, "mean", 4).solve().value + b for b in (0.5, 1.0, 2.0)]
    assert solution.value <= min(decays) * (1 + 1e-6)


@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
def test_cvxpy_form_is_in_the_user_s_units(regularizer, tmp_path) -> None:
    pytest.importorskip("cvxpy")
    problem = line_problem([-3.0, 0.2, 1.0, 4.0], 0.5, regularizer)
    assert problem.to_cvxpy().solve(solver="CLARABEL") == pytest.approx(problem.solve().value, rel=1e-5)
    if regularizer.kind == "output":
        assert problem.export(tmp_path / "line.cbf").stat().st_size > 0


def test_unequal_counts_of_sums_are_refused_and_infinitely_far() -> None:
    problem = line_problem([0.0, 1.0, 2.0], 0.5, n_fake=2)
    with pytest.raises(InputError, match='normalize="mean"'):
        problem.solve()
    assert problem.dist(np.zeros((2, 1))).value == np.inf


@pytest.mark.parametrize("n_fake", [1, 2, 4])
def test_too_close_for_the_number_of_outputs_is_proven_infeasible_and_only_then(n_fake) -> None:
    cp = pytest.importorskip("cvxpy")
    x = np.array([-1.0, 0.0, 5.0])
    copies = np.repeat(x, n_fake)  # the same quantiles with 3·n_fake numbers
    w = cp.Variable(n_fake)
    repeated = np.repeat(np.eye(n_fake), 3, axis=0) @ w
    gaps = [cp.cumsum(repeated) - np.cumsum(copies), cp.cumsum(repeated[::-1]) - np.cumsum(copies[::-1])]
    sizes = cp.max(cp.abs(cp.hstack(gaps))) / len(copies)
    least = cp.Problem(cp.Minimize(sizes), [cp.diff(w) >= 0] if n_fake > 1 else []).solve(solver="CLARABEL")
    for beta, status in ((0.99 * least, Status.INFEASIBLE), (1.01 * least, Status.CERTIFIED)):
        problem = line_problem(x, beta, normalize="mean", n_fake=n_fake)
        solution = problem.solve()
        assert solution.status is status
        assert verify(problem, solution).status is status


@pytest.mark.parametrize("bias", [False, True])
def test_relu_generator_gets_its_weights_by_the_second_program(bias) -> None:
    x = np.random.default_rng(6).standard_normal(6)
    D = Discriminator.relu(beta=0.5, bias=True)
    problem = Problem(D + Generator.relu(bias=bias), x[:, None], Latent.normal(2).draw(6, rng=0))
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED
    assert solution.realization.status is Status.CERTIFIED
    assert np.sort(solution.generator.output.ravel()) == pytest.approx(
        np.sort(line_problem(x, 0.5).solve().generator.output.ravel()), abs=1e-6
    )
    assert verify(problem, solution).status is Status.CERTIFIED


def test_relu_generator_on_parallel_noise_is_refused() -> None:
    Z = np.array([[1.0], [2.0], [-1.0]])
    problem = Problem(Discriminator.relu(beta=0.5, bias=True) + Generator.relu(), np.eye(3)[:, :1], Z)
    with pytest.raises(InputError, match="reach every output"):
        problem.solve()


def test_pairs_beyond_the_theorem_are_refused_with_a_reason() -> None:
    x = np.zeros((3, 1)) + 1.0
    D = Discriminator.relu(beta=0.5, bias=True)
    for generator, regularizer, reason in [
        (Generator.linear(), Regularizer.norm(1), "cannot be sorted"),
        (Generator.relu(), Regularizer.weights(), "see the order"),
    ]:
        Z = np.eye(3) if generator.needs_noise else None
        with pytest.raises(NotCoveredError, match=reason):
            Problem(D + generator + regularizer, x, Z).solve()


def test_tampered_neurons_or_outputs_are_never_certified(tmp_path) -> None:
    problem = line_problem([-1.0, 0.3, 1.0, 2.0], 0.2)
    solution = problem.solve()
    good = solution.claim
    for worse in (
        replace(good, neurons_v=-good.neurons_v),
        replace(good, neurons_b=good.neurons_b + 0.3),
        replace(good, weights=good.weights * 0.9),
        replace(good, neurons_b=None),
        replace(good, neurons_u=np.full_like(good.neurons_u, np.nan)),
        PlainClaim(weights=good.weights),
    ):
        assert certify(problem.evidence, worse, tol=1e-6, repair=False).certificate.status is not Status.CERTIFIED
    loaded = Solution.load(solution.save(tmp_path / "line.safetensors"))
    assert verify(problem, loaded).status is Status.CERTIFIED
    assert verify(line_problem([-1.0, 0.3, 1.0, 2.1], 0.2), loaded).status is not Status.CERTIFIED


def test_an_output_slightly_too_far_is_repaired_towards_the_data() -> None:
    problem = line_problem([-1.0, 0.3, 1.0, 2.0], 0.2)
    good = problem.solve().claim
    claim = replace(good, weights=good.weights * (1 - 1e-4))
    audit = certify(problem.evidence, claim, tol=1e-2)
    assert audit.repaired
    assert audit.certificate.violation == 0.0
    assert problem.dist(audit.weights).value <= 0.2 * (1 + 1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_game_on_the_line_does_not_see_the_scale(scale) -> None:
    x = np.random.default_rng(7).standard_normal(9)
    small, large = line_problem(x, 0.4).solve(), line_problem(scale * x, scale * 0.4).solve()
    assert large.status is Status.CERTIFIED
    assert large.value == pytest.approx(scale**2 * small.value, rel=1e-9)


def test_real_data_with_ties_ten_thousand_at_once() -> None:
    x = np.random.default_rng(8).standard_normal(10_000).round(1)
    problem = line_problem(x, 5.0)
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED
    assert solution.stats.seconds < 5.0


def test_single_precision_and_a_path_of_betas() -> None:
    x = np.random.default_rng(9).standard_normal((8, 1)).astype(np.float32)
    problem = Problem(Discriminator.relu(beta=0.3, bias=True) + Generator.free(), x)
    assert problem.solve().status is Status.CERTIFIED
    values = [solution.value for solution in line_problem(x.ravel(), 0.3).path([0.1, 0.5, 1.0])]
    assert values == sorted(values, reverse=True)
