"""The nuclear-norm relaxation of the weight problem: cells as whole subspaces instead of cones (MATH 2.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.errors import InputError, SolveError
from convexwgan.geometry.moments import require_matrix
from convexwgan.geometry.spectra import EPS, rank_tolerance
from convexwgan.solvers.conic.ki_norm import ReluBlock, relu_program
from convexwgan.solvers.conic.model import ConicModel
from convexwgan.solvers.conic.run import run


@dataclass(frozen=True, eq=False)
class NuclearBound:
    """⟨R, G⟩ with ‖RᵀH_iZ‖₂ ≤ 1 on the given cells, R the evidence.

    ``is_lower_bound``: the caller vouched that all cells were given. Then ‖Rᵀ(Zu)₊‖ = ‖RᵀH_iZu‖ ≤ 1 for every
    unit u, and the value is below the weight of every network with output G. On sampled cells it bounds nothing
    (the relaxed problem over fewer cells is larger): it is only the relaxation's estimate.
    """

    value: float
    multiplier: Float64
    is_lower_bound: bool


def nuclear_program(
    Z: Float64, G: Float64, patterns: npt.NDArray[np.bool_], *, beta: float | None = None, natural: bool = False
) -> ConicModel:
    """The weight problem with each neuron free to leave the cell in which it is counted.

    Problem:  min Σ_i ‖V_i‖_*  s.t.  Σ_i H_iZV_i = G      (soft: ½‖Σ_i H_iZV_i − G‖_F² + β Σ_i ‖V_i‖_*)
    Dual:     max ⟨R, G⟩ (soft: − ½‖R‖_F²)  s.t.  ‖RᵀH_iZ‖₂ ≤ 1 (soft: β)

    Args:
        Z: latent samples, shape (n, d_f).
        G: target output, shape (n, d_r).
        patterns: the diagonals of the H_i, shape (cells, n).
        beta, natural: as in ``ki_program``.

    Returns:
        ConicModel: as ``ki_program``, with V_i = QY_i, Q an orthonormal basis of the row space of Z.

    Raises:
        InputError: shapes that do not fit, no cells, or a target out of reach.
        MemoryLimitError: before anything is built.

    Reference: Sahiner et al., ICLR 2022, Section 3 (the relaxation that sampled-pattern codes solve); MATH 2.4.
    """
    require_matrix(Z, "Z")
    require_matrix(G, "G")
    if patterns.ndim != 2 or len(patterns) == 0 or patterns.shape[1] != len(Z) or len(G) != len(Z):
        must = f"be (cells, {len(Z)}), and G and Z have as many rows"
        raise InputError("shape of patterns", patterns.shape, must, "take the patterns of enumerate_cells(Z)")
    _, singular, Vt = np.linalg.svd(Z, full_matrices=False)
    rank = int(np.sum(singular > rank_tolerance(float(np.max(singular, initial=0.0)), *Z.shape)))
    ZQ = Z @ Vt[:rank].T
    blocks = [ReluBlock(np.eye(rank), active[:, None] * ZQ) for active in patterns]
    return relu_program("nuclear", blocks, G, beta, False, natural, None)


def nuclear_bound(Z: Float64, G: Float64, patterns: npt.NDArray[np.bool_], *, is_exhaustive: bool) -> NuclearBound:
    """The value of the nuclear relaxation by its multiplier, scaled to feasibility on the given cells.

    Args:
        Z, G, patterns: as in ``nuclear_program``.
        is_exhaustive: whether ``patterns`` are all the cells (up to the ones whose H_iZ repeats).

    Returns:
        NuclearBound.

    Raises:
        InputError: as ``nuclear_program``.
        SolveError: the solver returned no multiplier.

    >>> from convexwgan.geometry.arrangements import enumerate_cells
    >>> Z = np.eye(2)
    >>> patterns = enumerate_cells(Z).patterns
    >>> round(nuclear_bound(Z, np.array([[3.0], [4.0]]), patterns, is_exhaustive=True).value, 5)
    5.0
    """
    result = run(nuclear_program(Z, G, patterns))
    if "R" not in result.multipliers:
        raise SolveError(f"the nuclear relaxation over {len(patterns)} cells ended with {result.solver_status}.")
    R = result.multipliers["R"]
    gain = max(float(np.linalg.norm((R * active[:, None]).T @ Z, 2)) for active in patterns)
    R = R / (gain * (1 + 16 * sum(Z.shape) * EPS)) if gain > 0 else R
    return NuclearBound(float(np.sum(R * G)), R, is_exhaustive)
