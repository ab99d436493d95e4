"""Routes: the theorems of every covered pair, the reason of every refusal, what a missing theorem changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import networkx as nx
import pytest

from convexwgan import Discriminator, Generator, Regularizer
from convexwgan.errors import InputError, NotCoveredError
from convexwgan.spec.wgan import WGAN
from convexwgan.theory.covariance_program import CovarianceProgram
from convexwgan.theory.covariance_saddle import CovarianceSaddle
from convexwgan.theory.forms import Form, Line
from convexwgan.theory.reduction import Reduction
from convexwgan.theory.routes import METHODS, first_form, is_covered, nearest_covered, plan, reduction_graph
from convexwgan.theory.theorem_4_1_linear_generator import LinearThreshold
from convexwgan.theory.theorems import THEOREMS

OUTPUT, WEIGHTS, NORM = Regularizer.output(0.7), Regularizer.weights(0.7), Regularizer.norm(1, 0.7)
NORM_OF_WEIGHTS = Regularizer.norm(2, 0.7, of="weights")
FREE, LINEAR, POLYNOMIAL = Generator.free(), Generator.linear(), Generator.polynomial(1, 0.5, 0.2)
RELU = Generator.relu()
GENERATORS = (FREE, LINEAR, POLYNOMIAL, RELU)

MEAN = Discriminator.linear(beta=2.0), Discriminator.linear(norm_bound=True)
SECOND = Discriminator.quadratic(beta=2.0), Discriminator.quadratic(norm_bound=True)
SKIP = Discriminator.quadratic(beta=2.0, skip=True), Discriminator.quadratic(norm_bound=True, skip=True)
JOINT = Discriminator.polynomial(1, 0.5, 0, beta=2.0), Discriminator.polynomial(1, 0.5, 0, norm_bound=True)

# One feature, biased ReLU neurons: what the data's shape tells the theorems.
LINE = Discriminator.relu(beta=2.0, bias=True), Discriminator.relu(norm_bound=True, bias=True)
LINE_OF: dict[str, Line] = {"relu": "nested"}

Chain = tuple[str, ...]


def custom(of: str) -> Regularizer:
    return Regularizer.custom(lambda W: W, of)  # type: ignore[arg-type]


def chain(
    wgan: WGAN, method: str = "auto", population: bool = False, theorems: Sequence[Reduction] = THEOREMS
) -> Chain:
    line: Line = LINE_OF.get(wgan.players[0].kind, "") if wgan.players[0].bias else ""
    root = first_form(wgan, "mean" if population else "sum", population, line)
    return tuple(type(step.theorem).__name__ for step in plan(root, method, theorems).steps)


def expected(discriminator: Discriminator, generator: Generator, matching: str, last: str) -> Chain:
    first = "NormBound" if discriminator.norm_bound else "WeightDecay"
    lifting = {"polynomial": ("PolynomialGenerator",), "relu": ("ReluGenerator",)}.get(generator.kind, ())
    return (first, matching, *lifting, last)


def closed_form_pairs() -> Iterator[tuple[WGAN, Chain]]:
    """Every pair with a closed form, and the chain of theorems that MATH 3.1–3.7 gives it."""
    for D in MEAN:
        first = "NormBound" if D.norm_bound else "WeightDecay"
        yield D + RELU + WEIGHTS, (first, "MeanMatching", "MeanZonotope")
    for G in GENERATORS:
        regularizers = (OUTPUT, WEIGHTS) if G in (LINEAR, POLYNOMIAL) else (OUTPUT,)
        for D in MEAN:
            for R in regularizers:
                yield D + G + R, expected(D, G, "MeanMatching", "MeanShrinkage")
        for D in (*SECOND, Discriminator.quadratic(components=3)):
            threshold = (
                "NormBoundThreshold" if D.norm_bound else "LinearThreshold" if G.has_weights else "FreeThreshold"
            )
            yield D + G + OUTPUT, expected(D, G, "CovarianceMatching", threshold)
            if G in (LINEAR, POLYNOMIAL):
                yield D + G + WEIGHTS, expected(D, G, "CovarianceMatching", "MatchedSpectra")
        for D in (*SKIP, Discriminator.quadratic(components=3, skip=True)):
            yield D + G + OUTPUT, expected(D, G, "MeanAndCovarianceMatching", "ShiftedThreshold")


def conic_pairs() -> Iterator[tuple[WGAN, Chain]]:
    """Every pair with a conic form (exact), and its chain."""
    for G in GENERATORS:
        of_weights = (WEIGHTS, NORM_OF_WEIGHTS, custom("weights")) if G in (LINEAR, POLYNOMIAL) else ()
        for D in MEAN:
            for R in (OUTPUT, NORM, custom("output"), *of_weights):
                yield D + G + R, expected(D, G, "MeanMatching", "ConvexInWeights")
        for D in SECOND:
            yield D + G + OUTPUT, expected(D, G, "CovarianceMatching", "CovarianceProgram")
        for D in SKIP:
            yield D + G + OUTPUT, expected(D, G, "MeanAndCovarianceMatching", "CovarianceProgram")
        for D in JOINT:
            yield D + G + OUTPUT, expected(D, G, "MomentMatching", "MomentProgram")


def line_pairs(last: str) -> Iterator[tuple[WGAN, Chain]]:
    for D in LINE:
        first = "NormBound" if D.norm_bound else "WeightDecay"
        for G in (FREE, RELU):
            for R in (OUTPUT,) if D.norm_bound else (OUTPUT, NORM):
                yield D + G + R, (first, last)
            if last == "SortedOutputs":
                yield D + G + custom("output"), (first, last)


ON_THE_LINE, ON_THE_LINE_CONIC = tuple(line_pairs("LeastSpreadOutput")), tuple(line_pairs("SortedOutputs"))
CLOSED, CONIC = tuple(closed_form_pairs()), tuple(conic_pairs())
MEASURES = (
    (Discriminator.relu(beta=1.0) + Generator.distribution(), ("WeightDecay", "PopulationGame")),
    (Discriminator.relu(norm_bound=True, bias=True) + Generator.distribution(), ("NormBound", "PopulationGame")),
)
PLAIN, BIASED = Discriminator.relu(beta=1.0), Discriminator.relu(norm_bound=True, bias=True)
CONVEX_CONCAVE = (
    (PLAIN + FREE, ("WeightDecay", "FreePiecewiseMeans")),
    (BIASED + FREE, ("NormBound", "FreePiecewiseMeans")),
    (PLAIN + LINEAR + WEIGHTS, ("WeightDecay", "LinearPiecewiseMeans")),
    (BIASED + LINEAR, ("NormBound", "LinearPiecewiseMeans")),
    (PLAIN + POLYNOMIAL, ("WeightDecay", "PolynomialGenerator", "LinearPiecewiseMeans")),
    (PLAIN + RELU, ("WeightDecay", "ReluGenerator", "LinearPiecewiseMeans")),
)
GAUSSIAN = tuple(
    (Discriminator.relu(beta=1.0) + LINEAR + R, ("WeightDecay", "GaussianNoise")) for R in (OUTPUT, WEIGHTS)
)
SECTORS = ((PLAIN + FREE, ("WeightDecay", "BranchingOverSectors")),)
BRACKETED = tuple(
    (D + RELU + WEIGHTS, ("NormBound" if D.norm_bound else "WeightDecay", "CovarianceMatching", "JointReluWeights"))
    for D in (*SECOND, Discriminator.quadratic(components=3))
)
SADDLE = tuple(
    (D + G + OUTPUT, expected(D, G, "CovarianceMatching", "CovarianceSaddle")) for D in SECOND for G in GENERATORS
)
SADDLE += tuple((LINE[0] + G + OUTPUT, ("WeightDecay", "CoupledGame")) for G in (FREE, RELU))
SADDLE += ((LINE[1] + FREE + OUTPUT, ("NormBound", "CoupledGame")),)
OF_WEIGHTS = tuple(G + R for G in (LINEAR, POLYNOMIAL) for R in (OUTPUT, WEIGHTS))
CONES = tuple(
    (D + pair, (rule, "OrderedCones"))
    for D, rule in zip(LINE, ("WeightDecay", "NormBound"), strict=True)
    for pair in OF_WEIGHTS
)
NEEDS_SOLVER = tuple((w, c) for w, c in CONIC if c[-1] == "MomentProgram" or not w.regularizer.is_quadratic)


# ---- routes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wgan", "names"), MEASURES, ids=lambda value: repr(value))
def test_a_distribution_against_relus_is_a_linear_program_over_measures(wgan: WGAN, names: tuple[str, ...]) -> None:
    route = plan(first_form(wgan))
    assert tuple(type(step.theorem).__name__ for step in route.steps) == names
    assert route.method == "column_generation"
    assert "dμ" in route.last.formula or "dν" in route.last.formula


@pytest.mark.parametrize(("wgan", "names"), CONVEX_CONCAVE, ids=lambda value: repr(value))
def test_free_samples_against_relus_are_a_convex_concave_program(wgan: WGAN, names: tuple[str, ...]) -> None:
    for method in ("auto", "convex_concave"):
        route = plan(first_form(wgan), method)
        assert tuple(type(step.theorem).__name__ for step in route.steps) == names
        assert route.method == "convex_concave"
        assert ("h_G(u,b)" if wgan.players[0].bias else "h_G(u)") in route.last.formula


def test_piecewise_means_of_lifted_population_noise_are_refused() -> None:
    for generator in (POLYNOMIAL, RELU):
        with pytest.raises(NotCoveredError, match="draw a sample"):
            plan(first_form(PLAIN + generator, "mean", True))


@pytest.mark.parametrize(("wgan", "names"), GAUSSIAN, ids=lambda value: repr(value))
def test_gaussian_noise_against_relus_is_a_semidefinite_program_in_population_only(
    wgan: WGAN, names: tuple[str, ...]
) -> None:
    assert chain(wgan, population=True) == chain(wgan, "conic", population=True) == names
    route = plan(first_form(wgan, "mean", True))
    assert "uᵀSu/2π" in route.last.formula
    assert "GaussianNoise" not in str(reduction_graph(first_form(wgan)).edges(data=True))


@pytest.mark.parametrize(("wgan", "names"), [*CLOSED, *ON_THE_LINE], ids=lambda value: repr(value))
def test_every_closed_form_pair_takes_its_chain_of_theorems(wgan: WGAN, names: Chain) -> None:
    assert chain(wgan) == chain(wgan, "closed_form") == names


@pytest.mark.parametrize(("wgan", "names"), [*CONIC, *ON_THE_LINE_CONIC], ids=lambda value: repr(value))
def test_every_conic_pair_takes_its_chain_of_theorems(wgan: WGAN, names: Chain) -> None:
    assert chain(wgan, "conic") == names


@pytest.mark.parametrize(("wgan", "names"), SADDLE, ids=lambda value: repr(value))
def test_every_saddle_pair_takes_its_chain_and_only_on_request(wgan: WGAN, names: Chain) -> None:
    assert chain(wgan, "saddle") == names
    assert chain(wgan) != names


@pytest.mark.parametrize(("wgan", "names"), CONES, ids=lambda value: repr(value))
def test_outputs_linear_in_weights_on_the_line_are_searched_over_cones(wgan: WGAN, names: Chain) -> None:
    assert chain(wgan) == chain(wgan, "global") == names


@pytest.mark.parametrize("wgan", [MEAN[0] + LINEAR, SKIP[0] + FREE, JOINT[0] + FREE, LINE[0] + FREE + NORM])
def test_other_pairs_refuse_the_method_saddle(wgan: WGAN) -> None:
    with pytest.raises(InputError, match="method = 'saddle' must be one of auto"):
        chain(wgan, "saddle")


@pytest.mark.parametrize(("wgan", "names"), NEEDS_SOLVER, ids=lambda value: repr(value))
def test_a_pair_without_a_closed_form_goes_to_the_conic_solver_by_itself(wgan: WGAN, names: Chain) -> None:
    assert chain(wgan) == names
    assert plan(first_form(wgan)).method == "conic"
    offered = "auto, column_generation, conic" if wgan.generator == RELU else "auto, conic"
    with pytest.raises(InputError, match=rf"method = 'closed_form' must be one of {offered}"):
        plan(first_form(wgan), "closed_form")


@pytest.mark.parametrize(("wgan", "names"), BRACKETED, ids=lambda value: repr(value))
def test_weights_of_a_relu_network_under_second_moments_are_a_search_that_is_not_called_exact(
    wgan: WGAN, names: Chain
) -> None:
    assert chain(wgan) == chain(wgan, "column_generation") == names
    assert plan(first_form(wgan)).method == "column_generation"
    assert plan(first_form(wgan)).steps[-1].theorem.exactness == "upper"


@pytest.mark.parametrize("discriminator", [*MEAN, *SECOND, *SKIP, *JOINT])
def test_column_generation_is_a_method_where_the_weights_of_a_relu_network_come_second(
    discriminator: Discriminator,
) -> None:
    assert chain(discriminator + RELU + OUTPUT, "column_generation") == chain(discriminator + RELU + OUTPUT)
    with pytest.raises(InputError, match="method = 'column_generation' must be one of auto"):
        plan(first_form(discriminator + LINEAR + OUTPUT), "column_generation")


@pytest.mark.parametrize("generator", [LINEAR, POLYNOMIAL])
def test_weights_have_no_exact_conic_form_with_a_quadratic_discriminator(generator: Generator) -> None:
    for discriminator in SECOND:
        with pytest.raises(InputError, match="duality gap, so no conic program is exact"):
            plan(first_form(discriminator + generator + WEIGHTS), "conic")


@pytest.mark.parametrize(("wgan", "names"), [(w, c) for w, c in CLOSED if w.players[1] in (LINEAR, POLYNOMIAL)])
def test_population_noise_takes_the_same_theorems_as_sampled_noise(wgan: WGAN, names: Chain) -> None:
    assert chain(wgan, population=True) == names


def test_the_order_of_the_sum_does_not_change_the_route() -> None:
    assert chain(OUTPUT + LINEAR + SECOND[0]) == chain(SECOND[0] + LINEAR + OUTPUT)


def test_every_theorem_is_on_some_route() -> None:
    pairs = (*CLOSED, *CONIC, *BRACKETED, *ON_THE_LINE, *ON_THE_LINE_CONIC, *SADDLE, *MEASURES, *CONVEX_CONCAVE, *CONES)
    pairs += (*GAUSSIAN, *SECTORS)
    used = {name for _, names in pairs for name in names}
    assert used == {type(theorem).__name__ for theorem in THEOREMS}


def test_a_route_starts_at_the_game_and_each_theorem_continues_where_the_last_one_ended() -> None:
    for wgan, _ in (*CLOSED, *CONIC):
        route = plan(first_form(wgan))
        ends = [*(step.form for step in route.steps[1:]), route.last]
        assert route.steps[0].form == first_form(wgan)
        assert [step.theorem.apply(step.form) for step in route.steps] == ends
        assert all(form.method is None for form in (step.form for step in route.steps))
        assert route.last.method == route.method


def test_an_unknown_method_is_refused_with_the_list_of_methods() -> None:
    with pytest.raises(InputError, match="method = 'newton' must be one of auto, closed_form, conic"):
        plan(first_form(SECOND[0] + LINEAR), "newton")


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("auto", "closed_form", "conic", "saddle")])
def test_methods_of_other_pairs_are_refused_with_the_ones_that_work(method: str) -> None:
    with pytest.raises(InputError, match="be one of auto, closed_form, conic"):
        plan(first_form(SECOND[0] + LINEAR), method)


# ---- the graph as plain data -----------------------------------------------------------------------------------


def test_edges_carry_theorem_citation_and_cost_as_plain_data() -> None:
    graph = reduction_graph(first_form(SECOND[0] + POLYNOMIAL))
    for here, there, edge in graph.edges(data=True):
        assert set(edge) == {"theorem", "citation", "cost"}
        assert isinstance(here, Form)
        assert edge["theorem"].accepts(here)
        assert edge["theorem"].apply(here) == there
        assert (edge["citation"], edge["cost"]) == (edge["theorem"].citation, edge["theorem"].cost)
        assert isinstance(edge["citation"], str)
        assert edge["cost"] > 0


def test_the_graph_of_every_pair_has_no_cycle() -> None:
    for wgan, _ in (*CLOSED, *CONIC):
        assert nx.is_directed_acyclic_graph(reduction_graph(first_form(wgan)))


def test_a_closed_form_is_cheaper_than_a_semidefinite_program() -> None:
    root = first_form(SECOND[0] + LINEAR)
    lengths = nx.single_source_dijkstra_path_length(reduction_graph(root), root, weight="cost")
    cheapest = {
        method: min(v for form, v in lengths.items() if form.method == method) for method in ("closed_form", "conic")
    }
    assert cheapest["closed_form"] < cheapest["conic"]


def test_every_theorem_says_what_it_claims_and_where_it_stands() -> None:
    for theorem in THEOREMS:
        assert theorem.name
        assert theorem.claim
        assert "Sahiner" in theorem.citation or "MATH" in theorem.citation
        assert theorem.exactness == ("upper" if type(theorem).__name__ == "JointReluWeights" else "exact")


# ---- refusals --------------------------------------------------------------------------------------------------


def refusal(wgan: WGAN, population: bool = False, theorems: Sequence[Reduction] = THEOREMS) -> str:
    with pytest.raises(NotCoveredError) as caught:
        plan(first_form(wgan, "mean" if population else "sum", population), theorems=theorems)
    return str(caught.value)


def without(*names: str) -> tuple[Reduction, ...]:
    return tuple(theorem for theorem in THEOREMS if type(theorem).__name__ not in names)


NOT_CONVEX = "is convex in S = GᵀG, not in G or W"
REFUSED = [
    (SECOND[0] + LINEAR + NORM, NOT_CONVEX, SECOND[0] + LINEAR + Regularizer.output()),
    (SECOND[1] + FREE + NORM, NOT_CONVEX, SECOND[1] + FREE + Regularizer.output()),
    (SECOND[0] + POLYNOMIAL + NORM, NOT_CONVEX, SECOND[0] + POLYNOMIAL + Regularizer.output()),
    (SKIP[0] + LINEAR + NORM, NOT_CONVEX, SKIP[0] + LINEAR + Regularizer.output()),
    (SKIP[0] + LINEAR + WEIGHTS, "compete for the same noise directions", SECOND[0] + LINEAR + WEIGHTS),
    (SKIP[0] + RELU + WEIGHTS, "one non-convex problem", SKIP[0] + RELU),
    (JOINT[0] + RELU + WEIGHTS, "not a function of the output moments", JOINT[0] + RELU),
    (SECOND[0] + RELU + NORM_OF_WEIGHTS, "no function of", SECOND[0] + RELU),
    (JOINT[0] + LINEAR + WEIGHTS, "not a function of the output moments", JOINT[0] + LINEAR),
    (JOINT[1] + FREE + NORM, "not a function of the output moments", JOINT[1] + FREE),
    (PLAIN + FREE + NORM, "is no second moment", PLAIN + FREE),
    (BIASED + LINEAR + NORM, "is no second moment", BIASED + LINEAR),
    (PLAIN + RELU + WEIGHTS, "one non-convex problem", PLAIN + RELU),
    (SECOND[0] + Generator.distribution(), "distribution", SECOND[0] + FREE),
]


@pytest.mark.parametrize(("wgan", "reason", "nearest"), REFUSED, ids=lambda value: repr(value))
def test_an_uncovered_pair_is_refused_with_the_reason_and_the_nearest_pair(
    wgan: WGAN, reason: str, nearest: WGAN
) -> None:
    message = refusal(wgan)
    assert message.startswith(f"{wgan!r} is not covered")
    assert reason in message
    assert message.endswith(f"The nearest pair that works: {nearest!r}.")
    assert is_covered(nearest)
    assert not is_covered(wgan)


RELU_GENERATORS = [
    (SECOND[0] + RELU, "ReLU generator", SECOND[0] + LINEAR),
    (SECOND[0] + RELU + WEIGHTS, "ReLU generator", SECOND[0] + LINEAR + WEIGHTS),
    (MEAN[1] + Generator.relu(width=5, bias=True), "ReLU generator", MEAN[1] + LINEAR),
    (PLAIN + RELU, "ReLU discriminator", PLAIN + LINEAR),
]


@pytest.mark.parametrize(("wgan", "reason", "nearest"), RELU_GENERATORS, ids=lambda value: repr(value))
def test_without_theorem_2_1_a_relu_generator_is_refused_and_the_linear_one_named(
    wgan: WGAN, reason: str, nearest: WGAN
) -> None:
    message = refusal(wgan, theorems=without("ReluGenerator", "JointReluWeights"))
    assert message.startswith(f"{wgan!r} is not covered")
    assert reason in message
    assert "this version does not solve yet" in message
    assert message.endswith(f"The nearest pair that works: {nearest!r}.")


def test_a_norm_of_the_output_is_refused_for_population_noise_which_has_no_output() -> None:
    message = refusal(MEAN[0] + LINEAR + NORM, population=True)
    assert "population noise has none; sample it with Latent.normal(dim).draw" in message
    assert is_covered(MEAN[0] + LINEAR + NORM)
    assert is_covered(MEAN[0] + LINEAR + NORM_OF_WEIGHTS, "mean", population=True)


def test_an_incomplete_pair_is_refused_by_what_is_missing() -> None:
    with pytest.raises(InputError, match="have a generator"):
        first_form(WGAN(discriminator=SECOND[0]))


# ---- one theorem less ------------------------------------------------------------------------------------------


def test_without_the_threshold_theorem_the_route_goes_through_the_semidefinite_program() -> None:
    wgan = SECOND[0] + LINEAR
    assert chain(wgan) == ("WeightDecay", "CovarianceMatching", "LinearThreshold")
    less = without("LinearThreshold")
    assert len(less) == len(THEOREMS) - 1
    assert chain(wgan, theorems=less) == ("WeightDecay", "CovarianceMatching", "CovarianceProgram")
    assert plan(first_form(wgan), theorems=less).method == "conic"
    with pytest.raises(InputError, match="be one of auto, conic"):
        plan(first_form(wgan), "closed_form", less)


def test_without_threshold_and_program_the_pair_is_refused_where_the_chain_ends() -> None:
    wgan = SECOND[0] + LINEAR
    gone = (LinearThreshold, CovarianceProgram, CovarianceSaddle)
    less = tuple(t for t in THEOREMS if not isinstance(t, gone))
    message = refusal(wgan, theorems=less)
    assert "no theorem continues from “covariance matching”" in message
    assert message.endswith(f"The nearest pair that works: {Discriminator.linear(beta=2.0) + LINEAR!r}.")
    assert is_covered(wgan)  # nothing global has changed


def test_without_lemma_3_1_nothing_under_weight_decay_is_covered() -> None:
    less = without("WeightDecay")
    assert not any(is_covered(w, theorems=less) for w, _ in (*CLOSED, *CONIC) if not w.players[0].norm_bound)
    assert all(is_covered(w, theorems=less) for w, _ in (*CLOSED, *CONIC) if w.players[0].norm_bound)
    assert nearest_covered(first_form(SECOND[0] + LINEAR), less) is None
    assert "nearest pair" not in refusal(SECOND[0] + LINEAR, theorems=less)


@pytest.mark.parametrize("name", [type(theorem).__name__ for theorem in THEOREMS])
def test_each_theorem_carries_weight_some_route_or_refusal_changes_without_it(name: str) -> None:
    def answer(wgan: WGAN, method: str, theorems: Sequence[Reduction]) -> object:
        try:
            return chain(wgan, method, any(wgan == pair for pair, _ in GAUSSIAN), theorems)
        except (NotCoveredError, InputError) as error:
            return type(error)

    pairs = [(w, "auto") for w, _ in (*CLOSED, *BRACKETED, *ON_THE_LINE, *MEASURES, *CONVEX_CONCAVE, *CONES, *GAUSSIAN)]
    pairs += [(w, "conic") for w, _ in (*CONIC, *ON_THE_LINE_CONIC)]
    pairs += [(w, "saddle") for w, _ in SADDLE] + [(w, "global") for w, _ in SECTORS]
    assert any(answer(w, m, THEOREMS) != answer(w, m, without(name)) for w, m in pairs)


def test_a_cheaper_theorem_wins_and_the_route_follows_the_prices() -> None:
    class Cheap(CovarianceProgram):
        cost = 0.1

    theorems = (*without("CovarianceProgram"), Cheap())
    assert chain(SECOND[0] + LINEAR, theorems=theorems)[-1] == "Cheap"


def test_components_is_the_same_route_as_the_beta_it_stands_for() -> None:
    by_count = Discriminator.quadratic(components=3)
    assert chain(by_count + LINEAR) == chain(replace(by_count, components=None, beta=1.0) + LINEAR)
