"""Forms: the nodes of the reduction graph. A form is what a WGAN looks like after some theorems; it holds no data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.wgan import WGAN

Normalize = Literal["sum", "mean"]
Line = Literal["", "nested", "general"]


class Stage(Enum):
    """How far a form has been reduced; the value is how it is printed."""

    GAME = "two-player game"
    DISTANCE = "one player, constrained by dist_D"
    PENALTY = "one player, penalised by dist_D"
    MEAN = "mean matching"
    COVARIANCE = "covariance matching"
    MEAN_COVARIANCE = "mean and covariance matching"
    MOMENTS = "joint moment matching"
    # Last forms: something runs them.
    MEAN_SHRINKAGE = "closed form: the mean shrinks"
    THRESHOLD = "closed form: eigenvalues are thresholded"
    SHIFTED_THRESHOLD = "closed form: centred eigenvalues are thresholded"
    MATCHED_SPECTRA = "closed form: spectra are matched, largest with largest"
    MEAN_ZONOTOPE = "closed form: one neuron at the farthest vertex of the zonotope"
    LEAST_SPREAD = "closed form: sorted samples are regressed towards each other"
    LINE_PROGRAM = "convex program in the sorted outputs"
    GAUSSIAN_PROGRAM = "semi-infinite semidefinite program in S"
    JOINT_WEIGHTS = "search over networks with the thresholded moments"
    CONE_PROGRAM = "second-order cone program in W"
    COVARIANCE_PROGRAM = "semidefinite program in S"
    MOMENT_PROGRAM = "semidefinite program in (S, s)"
    COVARIANCE_SADDLE = "game in second moments"
    LINE_CONES = "search over cones of weights, closed by bounds"
    LINE_SADDLE = "game of neurons by activation patterns"
    MEASURE_GAME = "linear program over measures"
    CONVEX_CONCAVE = "convex–concave program in the output"
    SECTOR_TREE = "whole numbers of samples in sectors of the plane"


CLOSED_FORMS = frozenset(
    {
        Stage.MEAN_SHRINKAGE,
        Stage.THRESHOLD,
        Stage.SHIFTED_THRESHOLD,
        Stage.MATCHED_SPECTRA,
        Stage.MEAN_ZONOTOPE,
        Stage.LEAST_SPREAD,
    }
)
CONIC_FORMS = frozenset(stage for stage in Stage if stage.name.endswith("_PROGRAM"))
NOT_CONVEX = frozenset({Stage.JOINT_WEIGHTS, Stage.CONVEX_CONCAVE, Stage.SECTOR_TREE, Stage.LINE_CONES})
SADDLE_FORMS = frozenset({Stage.COVARIANCE_SADDLE, Stage.LINE_SADDLE})


@dataclass(frozen=True)
class Form:
    """A WGAN at one stage of its reduction.

    ``lifted``: a polynomial generator has become a linear one on lifted noise Z̃ (Theorem 4.2), a ReLU one a
    linear one on a basis of its reachable outputs (Theorem 2.1).
    ``population``: the noise is a distribution, not a sample.
    ``line``: samples of one feature under a ReLU discriminator with bias: "nested" where n_f is a multiple of n_r,
    "general" otherwise, "" for everything else.
    """

    stage: Stage
    wgan: WGAN
    normalize: Normalize = "sum"
    population: bool = False
    lifted: bool = False
    line: Line = ""

    @property
    def discriminator(self) -> Discriminator:
        """The discriminator of the pair."""
        return self.wgan.players[0]

    @property
    def generator(self) -> Generator:
        """The generator of the pair."""
        return self.wgan.players[1]

    @property
    def regularizer(self) -> Regularizer:
        """The generator's regulariser R_g."""
        return self.wgan.regularizer

    @property
    def is_free(self) -> bool:
        """Whether the output G itself is the variable."""
        return self.generator.kind == "free"

    @property
    def is_linear(self) -> bool:
        """Whether the output is linear in its weights: G = ZW, or once lifted Z̃W̃, or F's basis times weights."""
        return self.generator.kind == "linear" or (self.generator.kind in ("polynomial", "relu") and self.lifted)

    @property
    def is_piecewise(self) -> bool:
        """Whether what is left is the distance of piecewise means, which ReLU neurons see (Corollary 3.4)."""
        return self.discriminator.kind == "relu" and self.stage in (Stage.DISTANCE, Stage.PENALTY)

    @property
    def method(self) -> str | None:
        """What runs this form: closed_form, conic, column_generation, convex_concave, saddle, global, or None."""
        if self.stage in CLOSED_FORMS:
            return "closed_form"
        if self.stage in SADDLE_FORMS:
            return "saddle"
        if self.stage in (Stage.MEASURE_GAME, Stage.JOINT_WEIGHTS):
            return "column_generation"
        if self.stage is Stage.CONVEX_CONCAVE:
            return "convex_concave"
        if self.stage in (Stage.LINE_CONES, Stage.SECTOR_TREE):
            return "global"
        return "conic" if self.stage in CONIC_FORMS else None

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that a user may ask for here: its own, and column generation where weights come second."""
        if self.method is None:
            return ()
        is_second = self.generator.kind == "relu" and self.lifted
        return (self.method, "column_generation") if is_second else (self.method,)

    def at(self, stage: Stage) -> Form:
        """The same WGAN at another stage."""
        return replace(self, stage=stage)

    @property
    def formula(self) -> str:
        """The optimisation problem that this form stands for."""
        return _formula(self)


def _formula(form: Form) -> str:
    """The problem in the notation of MATH: cost of the generator first, then what the discriminator became."""
    discriminator, output = form.discriminator, form.generator.output_text
    mean = form.normalize == "mean"
    letter = output if form.regularizer.of == "output" else ("W̃" if form.generator.kind == "polynomial" else "W")
    cost = form.regularizer.text(letter, mean)
    if form.generator.kind == "relu" and form.regularizer.kind == "weights":
        cost = f"({form.regularizer.strength:g}/2)(‖W₁‖_F² + ‖W₂‖_F²)"
    if form.stage is Stage.GAME:
        value = "1ᵀD(X) − 1ᵀD(G)" if not mean else "mean D(X) − mean D(G)"
        decay = "" if discriminator.norm_bound else f" − {discriminator.beta_text} Σ_j |v_j|"
        return f"min_G max_D {value} + {cost}{decay}"
    if form.stage in (Stage.LEAST_SPREAD, Stage.LINE_PROGRAM, Stage.LINE_CONES, Stage.LINE_SADDLE):
        return _with_distance(form, cost, "max_k |T_k(w) − T_k(x)|, |B_k(w) − B_k(x)|")
    if form.stage in (Stage.DISTANCE, Stage.PENALTY):
        return _with_distance(form, cost, f"max_{{‖u‖≤1}} |1ᵀσ(Xu) − 1ᵀσ({output}u)|")
    if form.stage in (Stage.CONVEX_CONCAVE, Stage.SECTOR_TREE):
        u, at = ("‖u‖≤1,b", "u,b") if discriminator.bias else ("‖u‖≤1", "u")
        return _with_distance(form, cost, f"max_{{{u}}} |h_X({at}) − h_G({at})|")
    if form.stage is Stage.MEASURE_GAME:
        return _with_distance(form, *_measure_texts(form))
    if form.stage is Stage.GAUSSIAN_PROGRAM:
        trace = f"({form.regularizer.strength:g}/2) tr S"
        return _with_distance(form, trace, "max_{‖u‖≤1} |h_X(u) − √(uᵀSu/2π)|") + ",  S ⪰ 0"
    if form.stage in (Stage.MEAN, Stage.MEAN_SHRINKAGE, Stage.MEAN_ZONOTOPE, Stage.CONE_PROGRAM):
        return _with_distance(form, cost, "‖m − s‖₂")
    trace = f"({form.regularizer.strength:g}/2) tr S"
    if form.stage in (Stage.MOMENTS, Stage.MOMENT_PROGRAM):
        return _with_distance(form, trace, "dist_D(S, s)") + ",  S ⪰ ssᵀ/ρ"
    if form.stage is Stage.COVARIANCE_SADDLE:
        decay = ",  ‖R‖_* ≤ 1" if discriminator.norm_bound else f" − {discriminator.beta_text} ‖R‖_*"
        return f"min_{{S ⪰ 0}} max_R {trace} + ⟨R, M − S⟩{decay}"
    cost = trace if form.regularizer.kind == "output" else cost
    equal = ",  s = m" if discriminator.skip else ""
    return _with_distance(form, cost, "‖M − S‖₂") + equal


def _measure_texts(form: Form) -> tuple[str, str]:
    """Cost and distance of a measure: on the sphere, or with bias on all of ℝ^d."""
    half = f"({form.regularizer.strength:g}/2)"
    if form.discriminator.bias:
        return f"{half}∫‖g‖²dν", "max_{‖u‖≤1,b} |h_X(u,b) − ∫(gᵀu+b)₊dν|"
    return f"{half}μ(S)²/N_f", "max_{‖u‖≤1} |h_X(u) − ∫(θᵀu)₊dμ|"


def _with_distance(form: Form, cost: str, distance: str) -> str:
    if form.discriminator.norm_bound:
        return f"min {cost} + {distance}"
    return f"min {cost}  s.t.  {distance} ≤ {form.discriminator.beta_text}"
