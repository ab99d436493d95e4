"""Draws docs/figures/arrangement.png: the cells of noise in the plane and the neurons of the cheapest network.

Run it from the root of the repository: python docs/figures/arrangement.py
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convexwgan.certificates import Status
from convexwgan.certificates.realization import certify_realization
from convexwgan.geometry.arrangements import Arrangement, enumerate_cells
from convexwgan.geometry.cones import triangulate
from convexwgan.report.style import BAND, CHOSEN, CUT, GENERATED, REAL, THRESHOLD, new_axes, save
from convexwgan.solvers.conic.ki_neurons import neurons_from_sdp
from convexwgan.solvers.conic.ki_norm import ki_program
from convexwgan.solvers.conic.run import run
from convexwgan.solvers.realization.types import ReluNeurons

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Solved = tuple[np.ndarray, Arrangement, ReluNeurons, np.ndarray]
LIMIT = 1.45


def solved(seed: int = 20, n: int = 7) -> Solved:
    """Noise Z (n, 2), its cells, the neurons and the multiplier of the cheapest network with a planted output."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, 2))
    G = np.maximum(Z @ rng.standard_normal((2, 3)), 0.0) @ rng.standard_normal((3, 2))
    arrangement = enumerate_cells(Z)
    cones = triangulate(arrangement)
    result = run(ki_program(Z, G, cones))
    neurons = neurons_from_sdp(result.values, cones, Z, G)
    R = result.multipliers["R"]
    certificate = certify_realization(Z, G, *neurons.weights(), R)
    assert certificate.status is Status.CERTIFIED, str(certificate)
    size = np.linalg.norm(neurons.v, axis=1)
    kept = size > 1e-3 * size.max()
    return Z, arrangement, ReluNeurons(neurons.u[kept], neurons.v[kept]), R


def draw_cells(ax: Axes, Z: np.ndarray, arrangement: Arrangement, neurons: ReluNeurons) -> None:
    """Cells shaded by how many rows are active, hyperplanes, rows of Z, and the neurons by direction and cost."""
    active = arrangement.patterns.sum(axis=1) / len(Z)
    for rays, share in zip(arrangement.cell_rays, active, strict=True):
        corners = np.concatenate([[[0.0, 0.0]], 4.0 * arrangement.rays[rays]])
        ax.fill(*corners.T, color=BAND, alpha=0.08 + 0.75 * float(share), linewidth=0)
    for x, y in 4.0 * arrangement.rays:
        ax.plot([0.0, x], [0.0, y], color=CUT, linewidth=0.8)
    unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    ax.plot(*(1.25 * unit).T, "o", color=REAL, markersize=5, label="rows of Z (directions)")
    size = np.linalg.norm(neurons.v, axis=1)
    tips = neurons.u * (size / size.max())[:, None]
    for tip in tips:
        ax.annotate("", xy=tip, xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "color": GENERATED, "linewidth": 2.2})
    ax.plot([], [], color=GENERATED, linewidth=2.2, label="neurons $u_j$, length $\\propto\\|v_j\\|$")
    ax.plot([], [], color=CUT, linewidth=0.8, label="$z_i^\\top u=0$")
    ax.set_title(f"{arrangement.count} cells, {len(size)} neurons", loc="left", fontsize=11)


def draw_price(ax: Axes, Z: np.ndarray, neurons: ReluNeurons, R: np.ndarray) -> None:
    """The curve ‖Rᵀ(Zu)₊‖ u over the unit circle that it may touch and not cross."""
    angle = np.linspace(0.0, 2 * np.pi, 3001)
    u = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    price = np.linalg.norm(np.maximum(u @ Z.T, 0.0) @ R, axis=1)
    ax.plot(*u.T, color=THRESHOLD, linewidth=1.0, linestyle="--", label="1")
    ax.plot(*(u * price[:, None]).T, color=CHOSEN, linewidth=2.0, label="$\\|R^\\top(Zu)_+\\|$ in direction $u$")
    ax.plot(*neurons.u.T, "D", color=GENERATED, markersize=7, label="neurons $u_j$")
    ax.set_title("the multiplier R touches 1 at the neurons", loc="left", fontsize=11)


def draw(path: Path) -> None:
    """Both panels."""
    Z, arrangement, neurons, R = solved()
    left, right = new_axes(10.0, 5.8, columns=2)
    draw_cells(left, Z, arrangement, neurons)
    draw_price(right, Z, neurons, R)
    for ax in (left, right):
        ax.set_xlim(-LIMIT, LIMIT)
        ax.set_ylim(-LIMIT, LIMIT)
        ax.set_aspect("equal")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, frameon=False, fontsize=8)
    save(left, path)


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".png"))
