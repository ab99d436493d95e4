"""The judge of a ReLU generator's second problem: the least weights for the output that the game asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Certificate, Check, Status
from convexwgan.certificates.evidence import Evidence
from convexwgan.certificates.features import FEW_CELLS, ReluLatents
from convexwgan.certificates.pricing import PriceBound
from convexwgan.certificates.realization import certify_realization
from convexwgan.certificates.relaxation import Multipliers
from convexwgan.certificates.relu_bounds import factor_bracket
from convexwgan.geometry.spectra import EPS

TARGET, MULTIPLIER = "target", "R"
EVIDENCE = ("D", "N_aa", "N_bb", "N_ab")
ALL_FACTORS = "bracket over all factors"


def judge_weights(evidence: Evidence, W1: Float64, W2: Float64, dual: Mapping[str, Float64], tol: float) -> Certificate:
    """What a network and its dual arrays prove about the least weights for the target that they come with.

    ½(‖W₁‖_F² + ‖W₂‖_F²)  ≥  min s.t. (NW₁)₊W₂ = G  ≥  ⟨R, G⟩ / max_{‖u‖≤1} ‖Rᵀ(Nu)₊‖₂

    Under a quadratic discriminator the factor of G is free (MATH 3.8), and a last check states the bracket over all
    outputs with the same GᵀG: at least Σ_iσ_i(G) / max_{‖u‖≤1}‖(Nu)₊‖₂, at most the weights of this network.

    Args:
        evidence: of a game with a ReLU generator.
        W1: (d_f [+ 1], k). W2: (k, d_r).
        dual: "target" G (n_f, d_r), "R" (n_f, d_r), and above rank 4 "D" (n_f,), "N_aa", "N_bb", "N_ab" (n_f, n_f).
        tol: the tolerance of the status.

    Returns:
        Certificate, with a failed check where an array is missing or malformed.
    """
    latents = evidence.latents
    assert isinstance(latents, ReluLatents)
    N, shape = latents.network_input, (len(latents.network_input), evidence.dim)
    G = _array(dual, TARGET, shape)
    if G is None:
        failed = Check("the target of the weights is well formed", False, f"a finite array of shape {shape}")
        return Certificate(0.0, math.inf, math.inf, "priced", (failed,), tol=tol)
    fits = W1.ndim == W2.ndim == 2 and W1.shape == (N.shape[1], len(W2)) and W2.shape[1] == evidence.dim
    if not fits:
        failed = Check("the network is well formed", False, f"shapes {W1.shape} and {W2.shape}")
        return Certificate(0.0, math.inf, math.inf, "priced", (failed,), tol=tol)
    R = _array(dual, MULTIPLIER, shape)
    multipliers = None if R is None else _multipliers(dual, R)
    certificate = certify_realization(N, G, W1, W2, R, tol=tol, multipliers=multipliers)
    if evidence.discriminator.kind != "quadratic" or certificate.infeasibility is not None:
        return certificate
    return replace(certificate, checks=(*certificate.checks, _over_all_factors(N, G, certificate)))


def least_over_all_factors(N: Float64, G: Float64) -> tuple[float, PriceBound]:
    """Σ_iσ_i(G) / max_{‖u‖≤1}‖(Nu)₊‖₂ ≤ the weights of every network whose output G' has G'ᵀG' = GᵀG, and the divisor.

    R = the polar factor of G' has ⟨R, G'⟩ = ‖G'‖_* = ‖G‖_* and ‖Rᵀ(Nu)₊‖ ≤ ‖(Nu)₊‖ (MATH 3.8).
    """
    bracket = factor_bracket(N, np.linalg.svd(G, compute_uv=False) ** 2, max_cells=FEW_CELLS)
    return bracket.lower, bracket.length


def _over_all_factors(N: Float64, G: Float64, certificate: Certificate) -> Check:
    lower, length = least_over_all_factors(N, G)
    text = f"{lower:.9g} ≤ least weights over all outputs with the same GᵀG ≤ {certificate.upper:.9g}"
    text += f" (features are no longer than {length.upper:.6g})"
    return Check(ALL_FACTORS, lower <= certificate.upper * (1.0 + certificate.tol), text)


def weight_checks(
    evidence: Evidence, hidden: tuple[Any, Any] | None, realization: Any, precision: float
) -> tuple[Check, ...]:
    """Whether a stored realization is what it says: the generator's own network, its weights, its bound, its status.

    Args:
        evidence: of the game. hidden: (W₁, W₂) of the solution's generator.
        realization: the claimed Solution of the weight problem.
        precision: how well claimed numbers can be reproduced.
    """
    own = getattr(realization.claim, "hidden", None)
    if not isinstance(evidence.latents, ReluLatents) or hidden is None or own is None:
        return (Check("the realization belongs to a ReLU network", False, "there is no such network"),)
    W1, W2 = (np.asarray(part, dtype=np.float64) for part in own)
    pairs = zip(own, hidden, strict=True)
    is_same = all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
    found = judge_weights(evidence, W1, W2, realization.dual, float(realization.tol))
    value, bound = float(realization.value), float(realization.bound)
    sizes = [abs(x) for x in (found.upper, found.lower) if math.isfinite(x)]
    allowance = max(precision, 64 * EPS) * max([*sizes, 0.0])
    claims_more = realization.status is Status.CERTIFIED and found.status is not Status.CERTIFIED
    infeasible = realization.status is Status.INFEASIBLE and found.status is not Status.INFEASIBLE
    return (
        Check("the weights judged are the generator's", is_same),
        Check(
            "the weights cost what the realization says",
            value == found.upper or abs(value - found.upper) <= allowance,
            f"claimed {value:.12g}, recomputed {found.upper:.12g}",
        ),
        Check(
            "the bound of the weights is proven",
            bound == found.lower or bound <= found.lower + allowance,
            f"claimed {bound:.12g}, recomputed {found.lower:.12g}",
        ),
        Check(
            "the status of the weights is earned",
            not (claims_more or infeasible),
            f"claimed {realization.status.name}, recomputed {found.status.name}",
        ),
    )


def _array(dual: Mapping[str, Float64], name: str, shape: tuple[int, ...]) -> Float64 | None:
    """The array where it is there, well formed and finite."""
    array = np.asarray(dual[name], dtype=np.float64) if name in dual else None
    return array if array is not None and array.shape == shape and bool(np.isfinite(array).all()) else None


def _multipliers(dual: Mapping[str, Float64], R: Float64) -> Multipliers | None:
    """N₁ = N_aa, N₂ = 2N_ab − diag(D), N₃ = N_bb for R/‖R‖_F: (y_i² − w_i²)/4 = −a_ib_i. None without D."""
    n, square = len(R), float(np.sum(R**2))
    D = _array(dual, "D", (n,))
    if D is None or square == 0.0:
        return None
    pairs = {name: _array(dual, name, (n, n)) for name in EVIDENCE[1:]}
    ab = pairs["N_ab"]
    second = (np.zeros((n, n)) if ab is None else 2.0 * ab) - np.diag(D)
    first, third = (np.zeros((n, n)) if N is None else N / square for N in (pairs["N_aa"], pairs["N_bb"]))
    return Multipliers(second / square, first, third)
