"""Routes: the cheapest chain of theorems from the game to a form that something runs, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from convexwgan.errors import InputError, NotCoveredError
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.wgan import WGAN
from convexwgan.theory.forms import Form, Line, Normalize, Stage
from convexwgan.theory.reduction import Acceptance, Reduction
from convexwgan.theory.theorems import THEOREMS

if TYPE_CHECKING:
    import networkx as nx

METHODS = ("auto", "closed_form", "conic", "column_generation", "convex_concave", "saddle", "global")


@dataclass(frozen=True)
class Step:
    """One theorem applied to one form."""

    form: Form
    theorem: Reduction


@dataclass(frozen=True)
class Route:
    """The chain of theorems and the last form, which ``method`` runs."""

    steps: tuple[Step, ...]
    last: Form

    @property
    def method(self) -> str:
        """closed_form, conic or saddle."""
        assert self.last.method is not None
        return self.last.method


def first_form(wgan: WGAN, normalize: Normalize = "sum", population: bool = False, line: Line = "") -> Form:
    """The game as the user wrote it."""
    _ = wgan.players  # refuses an incomplete one
    return Form(Stage.GAME, wgan, normalize, population, line=line)


def reduction_graph(root: Form, theorems: Sequence[Reduction] = THEOREMS) -> nx.DiGraph[Form]:
    """All forms reachable from ``root``; each edge carries its theorem, citation and cost as plain data.

    >>> pair = Discriminator.quadratic(beta=2.0) + Generator.linear()
    >>> [data["theorem"].name for _, _, data in reduction_graph(first_form(pair)).edges(data=True)][:2]
    ['weight decay becomes a constraint', 'a quadratic discriminator matches second moments']
    """
    import networkx as nx

    graph: nx.DiGraph[Form] = nx.DiGraph()
    graph.add_node(root)
    frontier = [root]
    while frontier:
        form = frontier.pop()
        for theorem in theorems:
            if not theorem.accepts(form):
                continue
            reduced = theorem.apply(form)
            if reduced not in graph:
                frontier.append(reduced)
            graph.add_edge(form, reduced, theorem=theorem, citation=theorem.citation, cost=theorem.cost)
    return graph


def plan(root: Form, method: str = "auto", theorems: Sequence[Reduction] = THEOREMS) -> Route:
    """The cheapest route from ``root`` to a form that ``method`` runs.

    Raises:
        NotCoveredError: no theorem covers the pair; with the reason and the nearest pair that works.
        InputError: the pair is covered, but not by ``method``.
    """
    graph = reduction_graph(root, theorems)
    ends = [form for form in graph if form.method is not None]
    if not ends:
        raise NotCoveredError(_refusal(root, graph, theorems))
    given: Any = method
    chosen = [form for form in ends if isinstance(given, str) and given in ("auto", *form.methods)]
    if not chosen:
        offered = ", ".join(sorted({name for form in ends for name in form.methods}))
        remedy = f"{root.wgan!r} is solved that way; {_why_not(given, root)}"
        raise InputError("method", method, f"be one of auto, {offered}", remedy)
    return _cheapest(graph, root, chosen)


def _cheapest(graph: nx.DiGraph[Form], root: Form, ends: Iterable[Form]) -> Route:
    import networkx as nx

    lengths, paths = nx.single_source_dijkstra(graph, root, weight="cost")
    path = paths[min(ends, key=lambda form: (lengths[form], form.stage.name))]
    steps = tuple(Step(here, graph.edges[here, there]["theorem"]) for here, there in pairwise(path))
    return Route(steps, path[-1])


def _why_not(method: Any, root: Form) -> str:
    if not isinstance(method, str) or method not in METHODS:
        return 'leave it at "auto" for the cheapest'
    if method == "conic" and root.regularizer.kind == "weights":
        return "with weights there is a duality gap, so no conic program is exact (MATH 3.3)"
    if method == "saddle" and root.discriminator.kind == "relu" and root.regularizer.kind != "output":
        return "the paper's game is played under Regularizer.output, whose strong convexity its steps rest on"
    return "the other methods belong to other pairs"


def is_covered(
    wgan: WGAN, normalize: Normalize = "sum", population: bool = False, theorems: Sequence[Reduction] = THEOREMS
) -> bool:
    """Whether some chain of theorems solves the pair."""
    return any(form.method for form in reduction_graph(first_form(wgan, normalize, population), theorems))


def _refusal(root: Form, graph: nx.DiGraph[Form], theorems: Sequence[Reduction]) -> str:
    """Why no route exists: where the chains end, what the theorems there object to, and the nearest covered pair."""
    dead_ends = [form for form in graph if graph.out_degree(form) == 0]
    reasons, remedy = [], None
    for form in dead_ends:
        refusals = [answer for answer in (theorem.accepts(form) for theorem in theorems) if _explains(answer)]
        reasons += [answer.reason for answer in refusals] or [_missing_theorem(form)]
        remedy = remedy or next((answer.remedy for answer in refusals if answer.remedy is not None), None)
    nearest = (
        remedy
        if remedy is not None and is_covered(remedy, root.normalize, root.population, theorems)
        else nearest_covered(root, theorems)
    )
    advice = f" The nearest pair that works: {nearest!r}." if nearest is not None else ""
    return f"{root.wgan!r} is not covered by any theorem here: {'; '.join(dict.fromkeys(reasons))}.{advice}"


def _explains(answer: Acceptance) -> bool:
    return not answer.holds and answer.is_about


def _missing_theorem(form: Form) -> str:
    discriminator, generator = form.discriminator, form.generator
    if discriminator.kind == "relu":
        return (
            "a ReLU discriminator matches piecewise means (Corollary 3.4), a game that this version does not solve yet "
            "with these outputs"
        )
    if generator.kind == "relu":
        return "a ReLU generator needs a second convex program (Theorem 2.1) that this version does not solve yet"
    if generator.kind == "distribution":
        return "a distribution, the population limit of Generator.free(), is not solved by this version yet"
    return f"no theorem continues from “{form.stage.value}” with {generator!r} and {form.regularizer!r}"


def nearest_covered(root: Form, theorems: Sequence[Reduction] = THEOREMS) -> WGAN | None:
    """The covered pair with the fewest parts changed: regulariser first, then generator, then discriminator."""
    discriminator, generator = root.wgan.players
    regularizers = _distinct([root.regularizer, Regularizer.output(1.0)])
    generators = _distinct([generator, Generator.linear() if generator.needs_noise else Generator.free()])
    discriminators = _distinct([discriminator, *_simpler(discriminator)])
    options = [
        ((i > 0) + (j > 0) + (k > 0), i + 2 * j + 4 * k, D, G, R)
        for i, R in enumerate(regularizers)
        for j, G in enumerate(generators)
        for k, D in enumerate(discriminators)
        if not (R.of == "weights" and not G.has_weights)
    ]
    for _, _, D, G, R in sorted(options, key=lambda option: option[:2]):
        pair = WGAN(D, G, R if Regularizer.output(1.0) != R else None)
        if is_covered(pair, root.normalize, root.population, theorems):
            return pair
    return None


def _simpler(discriminator: Discriminator) -> list[Discriminator]:
    """Discriminators of the same regularisation, from the nearest in strength to the weakest."""
    rule: dict[str, Any] = {"norm_bound": True} if discriminator.norm_bound else {"beta": discriminator.beta}
    if discriminator.components is not None:
        return [replace(discriminator, skip=False)]
    return [Discriminator.quadratic(**rule), Discriminator.linear(**rule)]


def _distinct(parts: list[Any]) -> list[Any]:
    return [part for i, part in enumerate(parts) if part not in parts[:i]]
