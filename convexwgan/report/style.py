"""How every picture looks: colours that colour-blind readers tell apart, and files without a time stamp."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from convexwgan.errors import InputError
from convexwgan.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette; markers and dashes differ too, so that no picture relies on colour alone.
REAL = "#0072B2"
GENERATED = "#D55E00"
CUT = "#8C8C8C"
THRESHOLD = "#111111"
BAND = "#9BC8E3"
CHOSEN = "#009E73"


def new_axes(width: float = 6.4, height: float = 4.2, rows: int = 1, columns: int = 1) -> list[Axes]:
    """Fresh axes on a figure of their own (inches), outside pyplot's list of open figures.

    To see a picture in a window, make the axes with ``plt.subplots()`` and pass them as ``ax``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", "plot", "drawing")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return list(figure.subplots(rows, columns, squeeze=False).flat)


def axes_or_new(ax: Axes | None, width: float = 6.4, height: float = 4.2) -> Axes:
    """``ax`` itself, or fresh axes of this size."""
    return new_axes(width, height)[0] if ax is None else ax


def tidy(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    """Title and axis labels; only the two spines that carry a scale; a quiet grid behind the data."""
    ax.set_title(title, loc="left", fontsize=11)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="#E3E3E3", linewidth=0.7)
    ax.set_axisbelow(True)


def save(ax: Axes, path: str | Path, dpi: int = 150) -> Path:
    """Write the figure of ``ax`` as PNG; the same picture gives the same bytes every time.

    Raises:
        InputError: the folder does not exist, or the name does not end in .png.
    """
    target = Path(path)
    if target.suffix != ".png" or not target.parent.is_dir():
        raise InputError(
            "path of a picture", str(target), "be a .png file in an existing folder", "make the folder first"
        )
    figure = ax.get_figure(root=True)
    assert figure is not None
    # matplotlib signs its files with its version; without the signature two versions can agree as well.
    figure.savefig(target, dpi=dpi, metadata={"Software": None})
    return target
