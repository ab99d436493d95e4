"""Predicted memory of a solve, in bytes beyond the data."""

from __future__ import annotations

from typing import Literal

from convexwgan.theory.forms import Form, Stage


def predicted_memory(last: Form, n_fake: int, dim: int, features: int) -> int:
    """Bytes that running ``last`` needs: a few float64 matrices for closed forms, the solver's estimate for conic ones.

    Args:
        last: the last form of the route.
        n_fake: n_f.
        dim: d_r.
        features: columns that the weights act on, after lifting; 0 for a free generator.
    """
    if last.method == "column_generation":  # networks of about 3n neurons, their features and factors
        return 8 * 30 * n_fake * (n_fake + features + dim)
    if last.method == "closed_form":
        output = n_fake * dim if last.is_free else features * dim + 3 * n_fake * features
        return 8 * (6 * dim * dim + output)
    if last.stage is Stage.LINE_SADDLE:
        return 8 * 4 * (n_fake + 1) * (n_fake + 2) * (n_fake + 12)  # blocks by outputs, and a few numbers a block
    if last.stage is Stage.COVARIANCE_SADDLE:
        return 8 * 12 * dim * dim
    from convexwgan.solvers.conic.memory import predict_bytes

    return predict_bytes(*conic_shapes(last, n_fake, dim, features))


def conic_shapes(
    last: Form, n_fake: int, dim: int, features: int
) -> tuple[Literal["mean", "mean_norm", "covariance", "polynomial"], dict[str, int]]:
    """The kind of conic program behind ``last`` and the sizes that its memory depends on."""
    if last.stage in (Stage.COVARIANCE_PROGRAM, Stage.GAUSSIAN_PROGRAM):
        return "covariance", {"d": dim}
    if last.stage is Stage.MOMENT_PROGRAM:
        return "polynomial", {"d": dim}
    if last.stage is Stage.LINE_PROGRAM:
        return "mean_norm", {"d": 1, "n": 2 * n_fake}
    shapes = {"d": dim} if last.is_free else {"d": dim, "p": features}
    quadratic = last.regularizer.is_quadratic
    if last.is_free or (last.regularizer.of == "output" and not quadratic):
        shapes["n"] = n_fake  # the output itself is a variable
    return "mean" if quadratic else "mean_norm", shapes
