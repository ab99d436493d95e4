"""Predicted memory of a solve, in bytes beyond the data."""

from __future__ import annotations

from convexwgan.theory.forms import Form, Stage


def predicted_memory(last: Form, n_fake: int, sizes: tuple[int, int, int]) -> int:
    """Bytes that running ``last`` needs: a few float64 d × d matrices for closed forms, the solver's estimate for conic ones.

    Args:
        last: the last form of the route.
        n_fake: n_f.
        sizes: (n_r, d_r, latent columns before lifting).
    """
    _, d, latent = sizes
    p = (latent + 1) * (latent + 2) // 2 if last.generator.kind == "polynomial" else latent
    p = n_fake if last.is_free else p
    if last.method == "closed_form":
        outputs = n_fake * d if last.is_free else p * d + 3 * n_fake * p
        return 8 * (6 * d * d + outputs)
    from convexwgan.solvers.conic.memory import predict_bytes

    if last.stage is Stage.CONE_PROGRAM:
        quadratic = last.regularizer.is_quadratic
        explicit = last.is_free or (last.regularizer.of == "output" and not quadratic)
        latent_columns = 0 if last.is_free else p
        return predict_bytes("mean" if quadratic else "mean_norm", d, latent=latent_columns, rows=n_fake if explicit else 0)
    return predict_bytes("covariance" if last.stage is Stage.COVARIANCE_PROGRAM else "polynomial", d)
