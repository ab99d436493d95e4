"""Outputs linear in the weights, on the line: the bound that a tree of cones of weights proves.

G = ZW with W = Ec. With Q_w(t) = ∫_0^t q_w and U_w = Q_w(1) − Q_w, dist ≤ β_d says |Q_w − Q_x|, |U_w − U_x| ≤ β_d. As
functions of c, −Q_w and U_w are convex and homogeneous. On the cone c = Rα, α ≥ 0, a feasible c has

    Σ_j α_j Q_w(t; r_j) ≤ Q_w(t; c) ≤ Q_x(t) + β_d,   Σ_j α_j U_w(t; r_j) ≥ U_w(t; c) ≥ U_x(t) − β_d   at kinks of Q_x,
    Σ_{i ∈ first k} w_fg_i ≥ Q_w(k/n_f; c) ≥ Q_x − β_d,   Σ_{i ∉ first k} w_fg_i ≤ U_w ≤ U_x + β_d     for any order,

linear in α: a_i·α ≥ b_i. Prices u ≥ 0 and any d with dᵀr_j ≥ Σu_ia_ij prove ½‖c‖_K² ≥ (bᵀu)₊²/(2‖d‖²_{K⁻¹}) there;
under a norm bound, b without β_d, ½‖c‖_K² + dist/β_g ≥ s·bᵀu − ½s²‖d‖²_{K⁻¹} for 0 ≤ s ≤ 1/(β_gΣu). The cones of
a tree that starts at the orthants and halves edges cover every c; rays are halved exactly in binary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Check, Infeasibility
from convexwgan.certificates.features import SampledLatents
from convexwgan.certificates.latents import EPS
from convexwgan.certificates.line_games import LineEvidence
from convexwgan.geometry.majorization import bottom_sums

_DEEPEST = 50
"""Halvings of one ray that stay exact in 53 bits."""
_WELL = 1e-8
_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class TreeBound:
    """A proven lower bound on R_g, or a proof that nothing is feasible, and what was checked."""

    value: float
    infeasibility: Infeasibility | None
    checks: tuple[Check, ...]


@dataclass(frozen=True, eq=False)
class _Game:
    """B (m, r), the root L (r, r) of the cost, ‖c‖_K = ‖Lc‖, and the quantile functions of the data."""

    evidence: LineEvidence
    B: Float64
    L: Float64
    kinks: Float64
    at_kinks: Float64
    at_nodes: Float64
    largest: float

    def sums(self, outputs: Float64) -> Float64:
        """Partial sums (m + 1, k) of the rows of outputs (m, k), from 0."""
        total = np.cumsum(self.evidence.latents.weight * outputs, axis=0)
        return np.concatenate([np.zeros_like(total[:1]), total])


def tree_bound(evidence: LineEvidence, table: Float64 | None) -> TreeBound:
    """What the tree in ``table`` proves: rows E_1, …, E_r (p columns), then one code a node, parents first.

    Args:
        evidence: a game whose outputs are linear in its weights.
        table: (r + N, p); the code of a node in its first column is 0 for a leaf and 1 + ir + j for a halved edge.
    """
    if not isinstance(evidence.latents, SampledLatents):
        return TreeBound(0.0, None, ())
    rank = evidence.latents.rank
    if rank == 0:
        return _of_zero_noise(evidence)
    if table is None:
        return TreeBound(0.0, None, ())
    codes = table[rank:, 0] if table.ndim == 2 and table.shape[1] == evidence.latents.width else np.zeros(0)
    game = _game(evidence, table[:rank].T) if len(codes) and bool(np.isfinite(table).all()) else None
    leaves = None if game is None else _leaves(codes, rank)
    if game is None or leaves is None:
        detail = f"shape {table.shape} for rank {rank}, or no tree of cones that covers every direction"
        return TreeBound(0.0, None, (Check("the tree of cones is well formed", False, detail),))
    proofs = [_leaf(game, rays) for rays in leaves]
    least, slack = min(proof[0] for proof in proofs), min(proof[1] for proof in proofs)
    decided = not evidence.latents.is_rank_ambiguous
    covers = Check(f"{len(leaves)} cones cover every direction of the weights", decided, evidence.latents.rank_text)
    found = None
    if slack > 0.0 and evidence.beta is not None:
        beta, text = evidence.beta, f"every direction of the weights, in {len(leaves)} cones, has dist ≥"
        found = Infeasibility("ray", f"{text} {beta + slack:.6g} > β_d = {beta:.6g}", slack, 0.0)
    strength = evidence.regularizer.strength
    return TreeBound(strength * least if math.isfinite(least) else 0.0, found, (covers,))


def _of_zero_noise(evidence: LineEvidence) -> TreeBound:
    """The only output is 0."""
    if evidence.beta is None:
        dist = evidence.dist(np.zeros(evidence.n_fake))
        return TreeBound(dist - evidence.roundoff * evidence.size, None, ())
    dist, beta = evidence.dist(np.zeros(evidence.n_fake)), evidence.beta or 0.0
    tolerance = evidence.roundoff * (evidence.size + beta)
    text = f"the noise is 0, and the output 0 has dist {dist:.6g} > β_d = {beta:.6g}"
    found = Infeasibility("ray", text, dist - beta, tolerance) if dist - beta > tolerance else None
    return TreeBound(0.0, found, ())


def _game(evidence: LineEvidence, E: Float64) -> _Game | None:
    """The game in c; None where the columns of E do not span what the noise can do."""
    latents, x, beta = evidence.latents, evidence.x, evidence.beta or 0.0
    m, n = evidence.n_fake, len(x)
    B = latents.output(E)
    lengths = np.linalg.norm(B, axis=0)
    if not bool((lengths > 0.0).all()) or np.linalg.svd(B / lengths, compute_uv=False)[-1] <= _WELL:
        return None
    is_output = evidence.regularizer.of == "output"
    # The least weights of an output lie in the row space of Z: what E has beside it costs nothing here.
    own = math.sqrt(latents.weight) * B if is_output else latents.frame.weights(latents.frame.coordinates(E))
    try:
        L = np.linalg.cholesky(own.T @ own).T
    except np.linalg.LinAlgError:
        return None
    reach = 1.0 if is_output else 1.0 / float(latents.frame.roots.min())
    largest = reach * math.sqrt(latents.weight * m) * (evidence.size + beta) / latents.weight
    jumps = np.append(np.flatnonzero(np.diff(x) > 0.0) + 1, n) / n
    Q, places = evidence.real_weight * bottom_sums(x), np.arange(n + 1) / n
    nodes: Float64 = np.interp(np.arange(1, m + 1) / m, places, Q).astype(np.float64)
    return _Game(evidence, B, np.asarray(L, dtype=np.float64), jumps, np.interp(jumps, places, Q), nodes, largest)


def _leaves(codes: Float64, rank: int) -> list[Float64] | None:
    """The cones (r, r) at the leaves of the trees under the 2^r orthants; None where the codes are no such trees."""
    stack = [(np.diag(signs), 0) for signs in product((1.0, -1.0), repeat=rank)][::-1]
    leaves = []
    for code in codes:
        if not stack:
            return None
        rays, depth = stack.pop()
        if code == 0.0:
            leaves.append(rays)
            continue
        i, j = divmod(int(code) - 1, rank)
        if code != int(code) or not 0 <= i < rank or i == j or depth >= _DEEPEST:
            return None
        middle = 0.5 * (rays[:, i] + rays[:, j])
        for k in (j, i):
            half = rays.copy()
            half[:, k] = middle
            stack.append((half, depth + 1))
    return None if stack else leaves


def _leaf(game: _Game, rays: Float64) -> tuple[float, float]:
    """(lower bound on ½‖c‖_K² in the cone, how much β_d could grow before anything in it is feasible or ≤ 0)."""
    reverse, b_reverse = _reverse_half(game, rays)
    order = np.argsort(game.B @ rays.sum(axis=1), kind="stable")
    V, b = [reverse], [b_reverse]
    best, slack = 0.0, -math.inf
    for _ in range(3):
        cut, b_cut = _convex_half(game, rays, order)
        V.append(cut)
        b.append(b_cut)
        proof, proven_slack, c = _priced(game, rays, np.concatenate(V), np.concatenate(b))
        best, slack = max(best, proof), max(slack, proven_slack)
        if c is None or slack > 0.0:
            break
        order = np.argsort(game.B @ c, kind="stable")
    return (math.inf if slack > 0.0 else best), slack


def _reverse_half(game: _Game, rays: Float64) -> tuple[Float64, Float64]:
    """−Σα_jQ_w(t; r_j) ≥ −Q_x − β and Σα_jU_w(t; r_j) ≥ U_x − β at the kinks t of Q_x: values at the rays."""
    beta, m = game.evidence.beta or 0.0, len(game.B)
    sums = game.sums(np.sort(game.B @ rays, axis=0))
    Q = np.stack([np.interp(game.kinks * m, np.arange(m + 1), column) for column in sums.T], axis=1)
    values = np.concatenate([-Q, Q[-1] - Q[:-1]])
    real = game.at_kinks
    return values, np.concatenate([-real - beta, real[-1] - real[:-1] - beta])


def _convex_half(
    game: _Game, rays: Float64, order: np.ndarray[tuple[int, ...], np.dtype[np.intp]]
) -> tuple[Float64, Float64]:
    """Sums of the first k of any order are ≥ Q_w ≥ Q_x − β, of the others ≤ U_w ≤ U_x + β: values at the rays."""
    beta, real = game.evidence.beta or 0.0, game.at_nodes
    sums = game.sums((game.B @ rays)[order])[1:]
    values = np.concatenate([sums, sums[:-1] - sums[-1]])
    return values, np.concatenate([real - beta, real[:-1] - real[-1] - beta])


def _priced(game: _Game, rays: Float64, V: Float64, b: Float64) -> tuple[float, float, Float64 | None]:
    """The proof of the best prices that least-distance solves find, and the point where they end."""
    try:
        inverse = np.linalg.inv(game.L @ rays)
        A = np.concatenate([V @ inverse, inverse])
    except np.linalg.LinAlgError:
        A = np.full((1, 1), math.nan)
    if not bool(np.isfinite(A).all()):  # a cone too narrow, or a basis too skewed, for float64: nothing is proven
        return 0.0, -math.inf, None
    free = np.zeros(len(inverse))
    if game.evidence.beta is not None:
        u, point, _ = _least_distance(A, np.concatenate([b, free]), len(b))
    else:
        u, point = _balanced(A, np.concatenate([b, free]), len(b), 1.0 / game.evidence.regularizer.strength)
    bound, slack = _proven(game, rays, V, b, u, A.T @ u)
    return bound, slack, None if point is None else np.asarray(np.linalg.solve(game.L, point), dtype=np.float64)


def _balanced(A: Float64, b: Float64, constraints: int, price: float) -> tuple[Float64, Float64 | None]:
    """Prices of min ½‖y‖² + price·t s.t. Ay ≥ b − t (constraints), by halving t: their total is the price.

    It jumps where the active constraints change: then prices on both sides of the jump are mixed. Where nothing is
    nearer than t those of a nearer t are a ray, of which as much is added as the price allows.
    """
    paid = np.arange(len(b)) < constraints
    low, high = 0.0, float(np.maximum(b, 0.0).max())
    below, above = (_least_distance(A, b - level * paid, constraints) for level in (low, high))
    if below[2] <= price:
        return below[0], below[1]
    for _ in range(_HALVINGS):
        level = 0.5 * (low + high)
        found = _least_distance(A, b - level * paid, constraints)
        low, below, high, above = (level, found, high, above) if found[2] > price else (low, below, level, found)
    own, other = (_of_total(one[0], one[2], constraints) for one in (above, below))
    if below[1] is None:
        return own + (price - above[2]) * other, above[1]
    share = min(1.0, max(0.0, (price - above[2]) / (below[2] - above[2]))) if below[2] > above[2] else 0.0
    return own + share * (other - own), above[1]


def _of_total(u: Float64, total: float, constraints: int) -> Float64:
    """u scaled so that the prices of the constraints sum to ``total``, to 1 where that is infinite."""
    found = float(u[:constraints].sum())
    return u * ((total if math.isfinite(total) else 1.0) / found) if found > 0.0 else u


def _proven(game: _Game, rays: Float64, V: Float64, b: Float64, u: Float64, d: Float64) -> tuple[float, float]:
    """What prices u prove: (a bound on ½‖c‖_K² [+ dist/β_g], how much β_d could grow before anything is feasible).

    Σα_j = ‖c‖₁ ≤ √r‖c‖ ≤ √r‖c‖_K/σ_min(L) on rays of ‖r_j‖₁ = 1 in one orthant: so much may an error of dᵀr_j cost.
    """
    evidence, prices, variation = game.evidence, u[: len(b)], float(u[: len(b)].sum())
    size = evidence.size + (evidence.beta or 0.0)
    terms = np.abs(evidence.latents.weight * (game.B @ rays)).sum(axis=0).max()
    excess = V.T @ prices - (game.L @ rays).T @ d
    error = float(np.maximum(excess, 0.0).max()) + 2.0 * evidence.roundoff * terms * variation
    smallest = float(np.linalg.svd(game.L, compute_uv=False)[-1]) * (1.0 - 64.0 * len(d) * EPS)
    length = float(np.linalg.norm(d)) * (1.0 + 16.0 * EPS) + error * math.sqrt(len(d)) / smallest
    gain = float(b @ prices) - 4.0 * evidence.roundoff * size * variation
    if not (gain > 0.0 and variation > 0.0):
        return 0.0, -math.inf
    if evidence.beta is not None:
        slack = (gain - length * game.largest) / variation
        return (0.5 * (gain / length) ** 2 if length > 0.0 else 0.0), slack
    most = 1.0 / (evidence.regularizer.strength * variation)
    s = min(most, gain / length**2) if length > 0.0 else most
    return s * gain - 0.5 * (s * length) ** 2, -math.inf


def _least_distance(A: Float64, b: Float64, constraints: int) -> tuple[Float64, Float64 | None, float]:
    """(prices, the point y of min ½‖y‖² s.t. Ay ≥ b or None, what the constraints cost at the margin)."""
    lengths = np.linalg.norm(A, axis=1)
    lengths[lengths == 0.0] = 1.0
    right = b / lengths
    unit = float(np.abs(right).max()) or 1.0
    u = _least_distance_prices(A / lengths[:, None], right / unit) / lengths
    room = 1.0 - float(b @ u) / unit
    if room <= 1e-12:
        return u, None, math.inf
    return u, unit * (A.T @ u) / room, unit * float(u[:constraints].sum()) / room


def _least_distance_prices(A: Float64, b: Float64) -> Float64:
    """u ≥ 0 of min ½‖y‖² s.t. Ay ≥ b, by nonnegative least squares on a growing set of rows; 0 where that fails.

    Whatever it finds is priced by the caller: nothing rests on its being the best.
    """
    from scipy.optimize import nnls

    inside = np.zeros(len(b), dtype=bool)
    inside[:: max(1, len(b) // 48)] = True
    target = np.append(np.zeros(A.shape[1]), 1.0)
    for _ in range(60):
        u = np.zeros(len(b))
        try:
            u[inside] = nnls(np.vstack([A[inside].T, b[inside]]), target, maxiter=400)[0]
        except RuntimeError:
            return np.zeros(len(b))
        room = 1.0 - float(b @ u)
        missing = b * room - A @ (A.T @ u)
        missing[inside] = 0.0
        if room <= 1e-12 or not bool((missing > 1e-13 * room).any()):
            break
        worst = np.argpartition(missing, -min(len(b), 16))[-16:]
        inside[worst[missing[worst] > 0.0]] = True
    return u
