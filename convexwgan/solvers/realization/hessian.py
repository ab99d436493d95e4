"""Newton's direction for the balanced network inside one face, dense or by conjugate gradients.

With T_j = H_jZN_j (n, p_j), N_j the frame of the kinks' subspace, φ_j = H_jZw_j and E the residual, the Hessian of F is

    ww:  ⟨v_i,v_j⟩ T_iᵀT_j + β δ_ij I        wv:  (T_iᵀφ_j) v_iᵀ + δ_ij M_j        vv:  (φ_iᵀφ_j) I + β δ_ij I

with M_j = T_jᵀE: a Gram matrix plus the blocks [[βI, M_j], [M_jᵀ, βI]], positive semidefinite when ‖M_j‖₂ ≤ β, that is
when neuron j cannot be improved in its face. Elsewhere singular values s > β of M_j are replaced by β²/s, so that the
direction is always one of descent, bounded, and Newton's in the limit.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from convexwgan.arrays import Float64
from convexwgan.solvers.realization.state import Network

DENSE_UNKNOWNS = 2500
_SHIFT = 1e-8


def newton_direction(
    Z: Float64, Phi: Float64, E: Float64, beta: float, network: Network, gW: Float64, gV: Float64
) -> tuple[Float64, Float64]:
    """A descent direction (δW, δV): Newton's for the Hessian with tamed M_j."""
    M = tamed_coupling(Z, E, beta, network)
    unknowns = int(network.free.sum()) + network.V.size
    if unknowns <= DENSE_UNKNOWNS:
        return _dense_direction(Z, Phi, M, beta, network, gW, gV)
    return _conjugate_gradients(Z, Phi, M, beta, network, gW, gV)


def tamed_coupling(Z: Float64, E: Float64, beta: float, network: Network) -> Float64:
    """M_j = N_jᵀZᵀH_jE with singular values s > β replaced by β²/s, shape (k, r, d) in the frames' coordinates."""
    k, r = network.W.shape
    products = (Z[:, :, None] * E[:, None, :]).reshape(len(Z), -1)
    M = (network.active.astype(np.float64) @ products).reshape(k, r, E.shape[1])
    M = np.einsum("jab,jac->jbc", network.frames, M)
    if E.shape[1] == 1:
        size = np.linalg.norm(M, axis=1, keepdims=True)
        shrunk: Float64 = M * (beta / np.maximum(size, beta)) ** 2
        return shrunk
    left, s, right = np.linalg.svd(M, full_matrices=False)
    tamed: Float64 = (left * (s * (beta / np.maximum(s, beta)) ** 2)[:, None, :]) @ right
    return tamed


def _dense_direction(
    Z: Float64, Phi: Float64, M: Float64, beta: float, network: Network, gW: Float64, gV: Float64
) -> tuple[Float64, Float64]:
    k, r = network.W.shape
    free = network.free
    gradient = np.concatenate([np.einsum("jab,ja->jb", network.frames, gW)[free], gV.ravel()])
    H = dense_hessian(Z, Phi, M, beta, network)
    step = _solve(H, gradient, _SHIFT * beta)
    m = int(free.sum())
    inner = np.zeros((k, r))
    inner[free] = step[:m]
    return np.einsum("jab,jb->ja", network.frames, inner), step[m:].reshape(k, -1)


def dense_hessian(Z: Float64, Phi: Float64, M: Float64, beta: float, network: Network) -> Float64:
    """The Hessian of F in the frames' free coordinates and V, (Σp_j + kd, Σp_j + kd)."""
    k, d = network.V.shape
    owner, column = np.nonzero(network.free)
    m = len(owner)
    directions = network.frames[owner, :, column]  # (m, r): all frame vectors
    T = np.where(network.active.T[:, owner], Z @ directions.T, 0.0)  # (n, m)
    H = np.empty((m + k * d, m + k * d))
    H[:m, :m] = (T.T @ T) * (network.V @ network.V.T)[owner[:, None], owner[None, :]]
    WV = np.einsum("ai,ac->aic", T.T @ Phi, network.V[owner])
    WV[np.arange(m), owner] += M[owner, column]
    H[:m, m:] = WV.reshape(m, k * d)
    H[m:, :m] = H[:m, m:].T
    H[m:, m:] = np.kron(Phi.T @ Phi, np.eye(d)) if d > 1 else Phi.T @ Phi
    H[np.diag_indices_from(H)] += beta
    return H


def _solve(H: Float64, gradient: Float64, mu: float) -> Float64:
    """−(H + μI)⁻¹g; μ grows until Cholesky accepts (redundant neurons make H singular)."""
    diagonal = H.diagonal().copy()
    while True:
        H[np.diag_indices_from(H)] = diagonal + mu
        factor, info = lapack.dpotrf(H, lower=1, clean=0)
        if info == 0:
            step, _ = lapack.dpotrs(factor, gradient, lower=1)
            return np.asarray(-step)
        mu *= 100.0


def _conjugate_gradients(
    Z: Float64, Phi: Float64, M: Float64, beta: float, network: Network, gW: Float64, gV: Float64, steps: int = 200
) -> tuple[Float64, Float64]:
    """Truncated Newton: preconditioned conjugate gradients on Hx = −g, matrix-free, O(n k (r + d)) a step."""
    shapes = gW.shape, gV.shape
    gradient = np.concatenate([np.einsum("jab,ja->jb", network.frames, gW).ravel(), gV.ravel()])
    diagonal = _preconditioner(Z, Phi, beta, network)
    x, residual = np.zeros_like(gradient), -gradient
    z = residual / diagonal
    p, rz = z.copy(), float(residual @ z)
    goal = 1e-2 * float(np.linalg.norm(gradient))
    for _ in range(steps):
        Hp = hessian_product(Z, Phi, M, beta, network, p)
        alpha = rz / float(p @ Hp)
        x += alpha * p
        residual = residual - alpha * Hp
        if float(np.linalg.norm(residual)) <= goal:
            break
        z = residual / diagonal
        rz, previous = float(residual @ z), rz
        p = z + (rz / previous) * p
    m = gW.size
    dW = np.einsum("jab,jb->ja", network.frames, x[:m].reshape(shapes[0]))
    return dW, x[m:].reshape(shapes[1])


def hessian_product(Z: Float64, Phi: Float64, M: Float64, beta: float, network: Network, vector: Float64) -> Float64:
    """Hessian times (frame coordinates of δW, δV) without the matrix."""
    k, r = network.W.shape
    inner, dV = vector[: k * r].reshape(k, r), vector[k * r :].reshape(k, -1)
    dPhi = np.where(network.active.T, Z @ np.einsum("jab,jb->aj", network.frames, inner), 0.0)
    dE = dPhi @ network.V + Phi @ dV
    pull = np.where(network.active, network.V @ dE.T, 0.0) @ Z
    hW = np.einsum("jab,ja->jb", network.frames, pull) + np.einsum("jbc,jc->jb", M, dV) + beta * inner
    hV = Phi.T @ dE + np.einsum("jbc,jb->jc", M, inner) + beta * dV
    return np.concatenate([hW.ravel(), hV.ravel()])


def _preconditioner(Z: Float64, Phi: Float64, beta: float, network: Network) -> Float64:
    """The diagonal of the Hessian."""
    k, r = network.W.shape
    weight = (network.V**2).sum(axis=1)
    rows = np.empty((k, r))
    for j in range(k):
        rows[j] = ((Z[network.active[j]] @ network.frames[j]) ** 2).sum(axis=0)
    columns = np.repeat((Phi**2).sum(axis=0), network.V.shape[1])
    return np.concatenate([(weight[:, None] * rows).ravel(), columns]) + beta
