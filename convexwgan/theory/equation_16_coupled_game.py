"""Equation 16 on one feature: ReLU neurons by activation patterns, a convex–concave game with coupled constraints."""

from __future__ import annotations

from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Reduction
from convexwgan.theory.theorem_2_2_relu_one_dimension import accepted_on_the_line


class CoupledGame(Reduction):
    """Every pair of patterns (A of the data, B of the outputs) has two linear neurons; outputs sorted, as in 2.2.

    The multipliers of the coupled constraints are tuned outside. On the line they have an optimum that does not
    depend on w (ours), so that the tuning ends at the game's own value.
    """

    name = "neurons by activation patterns, coupling multipliers tuned"
    citation = "Sahiner et al. 2022, eq 16 and Appendix D.3; optimal multipliers on the line ours"
    claim = "for fixed multipliers the game is bilinear up to R_g and bounds the value from above"
    cost = 1000.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether the samples can be repeated n_f/n_r times, under Regularizer.output."""
        plain = form.line == "nested" and form.regularizer.kind == "output"
        return YES if plain and accepted_on_the_line(form) else ELSEWHERE

    def apply(self, form: Form) -> Form:
        return form.at(Stage.LINE_SADDLE)
