"""Theorem 2.2: one feature, ReLU neurons with bias: the game is convex in the sorted outputs, for every β_d."""

from __future__ import annotations

from convexwgan.arrays import to_numpy64
from convexwgan.geometry.least_spread import least_spread
from convexwgan.spec.user_functions import TRIALS, sees_order
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.line_adversary import line_neurons
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no


class SortedOutputs(Reduction):
    """dist ≤ β ⇔ |T_k(w) − T_k(x)| ≤ β and |B_k(w) − B_k(x)| ≤ β for all k: linear in w once w is sorted.

    dist and every permutation-invariant R_g see w as a set, so that it may be sorted. The paper's inequalities
    (its eq 7) are those of β_d ≤ min gap, where the order of x is kept. Unequal counts: integrated quantiles.
    """

    name = "the outputs are sorted: integrated quantiles are matched"
    citation = "Sahiner et al. 2022, Theorem 2.2; every β_d and unequal counts MATH 1.6 (ours)"
    claim = "dist_D = max_t |∫_0^t q_w − ∫_0^t q_x|, also from above, q the quantile functions"
    cost = 100.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether the outputs are numbers that may be sorted."""
        return accepted_on_the_line(form)

    def apply(self, form: Form) -> Form:
        return form.at(Stage.LINE_PROGRAM)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        return symmetry_conditions(form, data)

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        return with_adversary(candidate, data)


class LeastSpreadOutput(Reduction):
    """w = the isotonic regression of (x_1 + β, x_2, …, x_{n−1}, x_n − β), moved towards 0 where it has one sign.

    It is majorised by every feasible output, so that one w is the best for Σw_i² and every p-norm. With n_f a
    multiple of n_r the samples are repeated, which leaves the quantiles as they are. A custom cost that no order
    changes is Schur-convex: among outputs of one sum the regression is still the best, and the sum is searched for.
    """

    name = "one isotonic regression has the least spread"
    citation = "MATH 1.6 (ours), after Sahiner et al. 2022, Theorem 2.2"
    claim = "the same sorted w is optimal for every convex R_g that permutations and changes of sign leave alone"

    def accepts(self, form: Form) -> Acceptance:
        """Whether the outputs may be sorted, n_f is a multiple of n_r and the cost has its minimiser in closed form."""
        answer = accepted_on_the_line(form)
        if answer and form.line != "nested":
            return no("n_f is no multiple of n_r, so that the largest convex function has kinks between the outputs")
        if answer and form.discriminator.norm_bound and form.regularizer.kind != "output":
            return no("under a norm bound the balance of cost and dist is in closed form for Regularizer.output only")
        if answer and form.regularizer.kind == "custom" and form.regularizer.value is None:
            return no("the best sum of the outputs is searched for with the custom cost's value=, which is not given")
        return answer

    def apply(self, form: Form) -> Form:
        return form.at(Stage.LEAST_SPREAD)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        copies = data.n_fake // data.n_real
        counts = Condition(f"n_f = {data.n_fake} = {copies}·n_r", copies * data.n_real == data.n_fake)
        return (counts, *symmetry_conditions(form, data))

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        return with_adversary(candidate, data)


def accepted_on_the_line(form: Form) -> Acceptance:
    """One feature, ReLU with bias, an output that any order of numbers can be, and a cost that sees no order."""
    if form.stage not in (Stage.DISTANCE, Stage.PENALTY) or not form.line:
        return ELSEWHERE
    if form.generator.kind not in ("free", "relu"):
        return no(f"{form.generator!r} does not reach its outputs in every order, so that they cannot be sorted")
    if form.population:
        return no("the outputs are numbers on sampled noise; draw a sample with Latent.normal(dim).draw(n, rng)")
    if form.regularizer.of == "weights":
        return no("the weights see the order of the outputs; Regularizer.output does not")
    return YES


def symmetry_conditions(form: Form, data: GameData) -> tuple[Condition, ...]:
    """Sorting is free where no order of the outputs changes R_g: known of norms, tried on a custom value."""
    value = form.regularizer.value
    if form.regularizer.kind != "custom" or value is None:
        return ()
    is_blind = not sees_order(value, data.n_fake, data.largest)
    return (Condition(f"{TRIALS} permutations of outputs left the custom cost alone (the rest is assumed)", is_blind),)


def with_adversary(candidate: Candidate, data: GameData) -> Candidate:
    """The discriminator of the population game, which has n_r levels; exact where n_f is a multiple of n_r.

    A custom cost has none in closed form: its multipliers of the quantiles come from the solver.
    """
    if "beta" not in candidate.multipliers or data.wgan.regularizer.kind == "custom":
        return candidate
    beta = float(to_numpy64(candidate.multipliers["beta"]).ravel()[0])
    x = to_numpy64(data.X)[:, 0]
    spread = least_spread(x, beta / data.real_weight)
    return candidate.having(neurons=line_neurons(spread, x, data))
