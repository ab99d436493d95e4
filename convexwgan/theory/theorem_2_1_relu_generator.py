"""Theorem 2.1: a ReLU generator under an output regulariser is two successive convex problems."""

from __future__ import annotations

from convexwgan.arrays import namespace
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.equation_4_free_generator import count_above
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no
from convexwgan.theory.relu_factor import missing_columns

_MATCHING = (Stage.MEAN, Stage.COVARIANCE, Stage.MEAN_COVARIANCE, Stage.MOMENTS)


class ReluGenerator(Reduction):
    """The outputs (ZW₁)₊W₂ fill F ⊗ ℝ^{d_r}, F = span{(Zu)₊}: first G* over F, then its weights (Lemma C.1).

    F is all of ℝ^{n_f} unless rows of Z are parallel, zero, or antipodal in linearly dependent directions; so
    the first problem is that of a free generator, or of a linear one on a basis of F.
    """

    name = "a ReLU generator reaches a subspace of outputs"
    citation = "Sahiner et al. 2022, Theorem 2.1 and Lemma C.1; the subspace MATH 2.4 (ours)"
    claim = "first the output G*, then the least weights with (ZW₁)₊W₂ = G*"

    def accepts(self, form: Form) -> Acceptance:
        """Whether a ReLU generator has outputs to be found first, on sampled noise."""
        if form.generator.kind != "relu" or form.lifted or not (form.stage in _MATCHING or form.is_piecewise):
            return ELSEWHERE
        if form.line:  # one feature: Theorem 2.2 sorts the outputs
            return ELSEWHERE
        if form.population:
            return no("the weights of a ReLU generator are matched to an output on sampled noise; draw a sample")
        if form.regularizer.of == "weights":
            return ELSEWHERE if form.stage in (Stage.MEAN, Stage.COVARIANCE) else no(_JOINT)
        return YES

    def apply(self, form: Form) -> Form:
        return Form(form.stage, form.wgan, form.normalize, form.population, lifted=True)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        if data.is_free:
            reach = Condition(f"every output is reachable: rank of {{(Zu)₊}} = n_f = {data.n_fake}", True)
        else:
            reach = Condition(f"reachable outputs have rank {data.rank} of n_f = {data.n_fake}", data.rank > 0)
        factor = form.generator.factor
        if form.stage is Stage.MEAN or form.is_piecewise or not isinstance(factor, str):
            return (reach,)
        return (reach, _latent_condition(form, data))

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        """Coordinates in the basis of F back to the output G; the weights are the second problem."""
        if candidate.weights is None or data.is_free or data.features is None:
            return candidate
        xp = namespace(candidate.weights)
        return candidate.having(weights=xp.astype(data.features, candidate.weights.dtype) @ candidate.weights)


def _latent_condition(form: Form, data: GameData) -> Condition:
    """Whether the range of the noise carries all components, or other outputs complete it."""
    centred = form.discriminator.skip or form.stage is Stage.MOMENTS
    values = data.centred_spectrum[0] if form.discriminator.skip else data.spectrum[0]
    if form.discriminator.norm_bound or form.stage is Stage.MOMENTS:
        k, name = min(data.dim, data.rank), "components at most"
    else:
        k, name = count_above(values, data.beta + data.spectral_tolerance), "components"
    missing = missing_columns(k, centred, data)
    if missing == 0:
        return Condition(f"factor {form.generator.factor}: the range of the noise carries {k} {name}", True)
    text = f"factor latent: {k} {name}, {missing} of them outside the range of the noise: completed by the leading "
    return Condition(text + "directions of all ReLU features", True)


_JOINT = (
    "with weights the output and the weights of a ReLU generator are one non-convex problem, bracketed for "
    "Discriminator.quadratic without skip only; Regularizer.output makes them two convex ones"
)
