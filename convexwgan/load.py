"""From a problem file to a Problem."""

from __future__ import annotations

import os
from typing import cast

from convexwgan.problem import Problem
from convexwgan.spec.instance import load_instance
from convexwgan.theory.forms import Normalize


def load_problem(path_or_name: str | os.PathLike[str]) -> Problem:
    """The problem that a TOML file, or a shipped instance of that name, describes.

    Raises:
        InputError, FileFormatError: no such file, or the key whose value is wrong.

    >>> load_problem("quadratic_free_output").solve().status.name
    'CERTIFIED'
    """
    built = load_instance(path_or_name).build()
    return Problem(built.wgan, built.X, built.Z, n_fake=built.n_fake, normalize=cast(Normalize, built.normalize))
