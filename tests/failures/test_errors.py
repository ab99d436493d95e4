"""One family of exceptions, and a missing extra that names itself."""

from __future__ import annotations

import pytest

from convexwgan.errors import (
    ConvexWGANError,
    FileFormatError,
    InputError,
    MemoryLimitError,
    MissingExtraError,
    NotConicError,
    NotCoveredError,
    SolverUnavailableError,
)


def test_every_exception_of_the_package_is_of_one_family() -> None:
    for error in (
        InputError,
        NotCoveredError,
        NotConicError,
        MissingExtraError,
        SolverUnavailableError,
        MemoryLimitError,
        FileFormatError,
    ):
        assert issubclass(error, ConvexWGANError)


def test_missing_extra_names_the_extra() -> None:
    from convexwgan.extras import require

    with pytest.raises(MissingExtraError, match=r"no_such_package.*pip install 'convexwgan\[plot\]'"):
        require("no_such_package", "plot", "drawing")
