"""ReLU discriminator without bias against few free samples: whole numbers of samples in sectors of the plane."""

from __future__ import annotations

from convexwgan.theory.convex_concave_free_generator import FreePiecewiseMeans
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, Acceptance, Condition, Reduction


class BranchingOverSectors(Reduction):
    """Deal n_f samples to a partition of the plane: every G is dealt in some way, and each way has a bound by measures.

    With k_c samples in sector c, value ≥ ⟨v,h_X⟩ − β_d‖v‖₁ − (w_f/2β_g)Σ_c k_c a_c(v)₊² for every discriminator, where
    a_c(v) is the maximum of Σ_k v_k(θᵀu_k)₊ over the rays of the sector. In narrow sectors little is lost.
    """

    name = "few samples in the plane are dealt to sectors"
    citation = "MATH 4 (ours), the measure bound branched on whole numbers of samples"
    claim = "value = min over deals (k_c) of n_f samples to sectors of min (β_g/2)‖G‖_F² with k_c samples in sector c"
    cost = 1000.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether the convex–concave procedure has the pair too, under weight decay and without bias."""
        if form.stage is Stage.PENALTY or form.discriminator.bias:
            return ELSEWHERE
        return FreePiecewiseMeans().accepts(form)

    def apply(self, form: Form) -> Form:
        return form.at(Stage.SECTOR_TREE)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        rank = len(data.spectrum[0])
        return (Condition(f"d_r = {rank}: sectors are of a line or a plane, rank ≤ 2", rank <= 2),)
