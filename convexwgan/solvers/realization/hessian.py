"""Newton's direction for the balanced network inside one face, dense or by conjugate gradients.

With T_j = H_jZ (n, r), φ_j = H_jZw_j and E the residual, the Hessian of F is

    ww:  ⟨v_i,v_j⟩ T_iᵀT_j + β δ_ij I        wv:  (T_iᵀφ_j) v_iᵀ + δ_ij T_iᵀE        vv:  (φ_iᵀφ_j) I + β δ_ij I,

restricted to the kinks' subspaces by the projectors P_j. At a minimum it is positive semidefinite: the blocks
[[βI, T_jᵀE], [·, βI]] are, exactly when no neuron can be improved in its face.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from convexwgan.arrays import Float64
from convexwgan.solvers.realization.state import Network

_DENSE_UNKNOWNS = 1600


def newton_direction(
    Z: Float64, Phi: Float64, E: Float64, beta: float, network: Network, gW: Float64, gV: Float64
) -> tuple[Float64, Float64]:
    """A descent direction (δW, δV): Newton's, shifted where the Hessian is not positive definite."""
    k, r = network.W.shape
    d = network.V.shape[1]
    gradient = np.concatenate([gW.ravel(), gV.ravel()])
    if k * (r + d) <= _DENSE_UNKNOWNS:
        step = _solve_shifted(dense_hessian(Z, Phi, E, beta, network), gradient, beta)
    else:
        step = _conjugate_gradients(Z, Phi, E, beta, network, gradient)
    dW = np.einsum("jab,jb->ja", network.projectors, step[: k * r].reshape(k, r))
    return dW, step[k * r :].reshape(k, d)


def dense_hessian(Z: Float64, Phi: Float64, E: Float64, beta: float, network: Network) -> Float64:
    """The Hessian of F at the network, (k(r+d), k(r+d)); identity on the directions that the kinks forbid."""
    k, r = network.W.shape
    d = network.V.shape[1]
    T = np.where(network.active[:, :, None], Z[None, :, :], 0.0) @ network.projectors  # (k, n, r)
    flat = np.ascontiguousarray(T.transpose(1, 0, 2)).reshape(Z.shape[0], k * r)
    gram_v = network.V @ network.V.T
    WW = ((flat.T @ flat).reshape(k, r, k, r) * gram_v[:, None, :, None]).reshape(k * r, k * r)
    cross = (flat.T @ Phi).reshape(k, r, k)
    WV = np.einsum("jai,jc->jaic", cross, network.V)
    j = np.arange(k)
    WV[j, :, j, :] += (flat.T @ E).reshape(k, r, d)
    VV = np.einsum("ij,cd->icjd", Phi.T @ Phi, np.eye(d)).reshape(k * d, k * d)
    H = np.empty((k * (r + d), k * (r + d)))
    m = k * r
    H[:m, :m], H[m:, m:] = WW, VV
    H[:m, m:] = WV.reshape(m, k * d)
    H[m:, :m] = H[:m, m:].T
    H[np.diag_indices_from(H)] += beta
    blocks = H[:m, :m].reshape(k, r, k, r)
    blocks[j, :, j, :] += np.eye(r) - network.projectors
    return H


def _solve_shifted(H: Float64, gradient: Float64, beta: float) -> Float64:
    """−(H + μI)⁻¹g with the first μ = 1e-10 β, 1e-4 β, 1e-2 β, … that makes H + μI positive definite."""
    diagonal = H.diagonal().copy()
    mu = 1e-10 * beta
    while True:
        H[np.diag_indices_from(H)] = diagonal + mu
        try:
            factor = scipy.linalg.cho_factor(H, lower=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            mu = max(10.0 * mu, 1e-4 * beta)
            continue
        step: Float64 = -scipy.linalg.cho_solve(factor, gradient, check_finite=False)
        return step


def hessian_product(Z: Float64, Phi: Float64, E: Float64, beta: float, network: Network, vector: Float64) -> Float64:
    """Hessian times vector without the matrix: O(n k (r + d))."""
    k, r = network.W.shape
    dW = np.einsum("jab,jb->ja", network.projectors, vector[: k * r].reshape(k, r))
    dV = vector[k * r :].reshape(k, network.V.shape[1])
    dPhi = np.where(network.active.T, Z @ dW.T, 0.0)
    dE = dPhi @ network.V + Phi @ dV
    pull = np.where(network.active, network.V @ dE.T + dV @ E.T, 0.0)
    hW = np.einsum("jab,jb->ja", network.projectors, pull @ Z) + beta * vector[: k * r].reshape(k, r)
    hV = Phi.T @ dE + dPhi.T @ E + beta * dV
    return np.concatenate([hW.ravel(), hV.ravel()])


def _conjugate_gradients(
    Z: Float64, Phi: Float64, E: Float64, beta: float, network: Network, gradient: Float64, steps: int = 150
) -> Float64:
    """Truncated Newton: conjugate gradients on Hx = −g, left at a direction of negative curvature (Steihaug)."""
    diagonal = _preconditioner(Z, Phi, beta, network)
    x = np.zeros_like(gradient)
    residual = -gradient
    z = residual / diagonal
    p = z.copy()
    rz = float(residual @ z)
    goal = min(0.1, float(np.sqrt(np.linalg.norm(gradient)))) * float(np.linalg.norm(gradient))
    for step in range(steps):
        Hp = hessian_product(Z, Phi, E, beta, network, p)
        curvature = float(p @ Hp)
        if curvature <= 0:
            return x if step else p
        alpha = rz / curvature
        x += alpha * p
        residual = residual - alpha * Hp
        if float(np.linalg.norm(residual)) <= goal:
            break
        z = residual / diagonal
        rz, previous = float(residual @ z), rz
        p = z + (rz / previous) * p
    return x


def _preconditioner(Z: Float64, Phi: Float64, beta: float, network: Network) -> Float64:
    """The diagonal of JᵀJ + βI."""
    weight = (network.V**2).sum(axis=1)
    rows = network.active.astype(float) @ (Z**2)  # (k, r)
    d = network.V.shape[1]
    columns = np.repeat((Phi**2).sum(axis=0), d)
    return np.concatenate([(weight[:, None] * rows).ravel(), columns]) + beta
