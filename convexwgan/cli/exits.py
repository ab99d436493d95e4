"""Exit codes, and how an error of this package becomes one without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from convexwgan.certificates.certificate import Status
from convexwgan.cli.output import Output
from convexwgan.errors import (
    ConvexWGANError,
    MemoryLimitError,
    MissingExtraError,
    NotConicError,
    NotCoveredError,
    SolveError,
    SolverUnavailableError,
)


class Exit(IntEnum):
    """What the exit code of every command means."""

    OK = 0
    """Done; for solve and verify: CERTIFIED."""
    INPUT = 1
    """The input or a file is not as it must be."""
    USAGE = 2
    """The command line itself is wrong (typer's own code)."""
    UNPROVEN = 3
    """BRACKETED or UNVERIFIED; verify: something claimed was not found; solve, demo: something was not as expected."""
    INFEASIBLE = 4
    """Proven: no generator is feasible."""
    REFUSED = 5
    """No theorem covers the pair, or no exact conic form exists."""
    UNAVAILABLE = 6
    """FAILED, or a solver, an extra or the memory is missing."""


EXIT_OF_STATUS = {
    Status.CERTIFIED: Exit.OK,
    Status.BRACKETED: Exit.UNPROVEN,
    Status.UNVERIFIED: Exit.UNPROVEN,
    Status.INFEASIBLE: Exit.INFEASIBLE,
    Status.FAILED: Exit.UNAVAILABLE,
}

_UNAVAILABLE = (SolverUnavailableError, MemoryLimitError, MissingExtraError, SolveError)


def exit_of_error(error: ConvexWGANError) -> Exit:
    """The exit code of an error of this package.

    >>> exit_of_error(NotCoveredError("no theorem")).name
    'REFUSED'
    """
    if isinstance(error, NotCoveredError | NotConicError):
        return Exit.REFUSED
    return Exit.UNAVAILABLE if isinstance(error, _UNAVAILABLE) else Exit.INPUT


@contextmanager
def exits(output: Output) -> Iterator[None]:
    """Turn an error of this package, or of the file system, into a message and an exit code."""
    try:
        yield
    except ConvexWGANError as error:
        code = exit_of_error(error)
        output.error(type(error).__name__, str(error), code)
        raise typer.Exit(code) from error
    except OSError as error:
        output.error("OSError", f"{error.filename or 'file'}: {error.strerror or error}.", Exit.INPUT)
        raise typer.Exit(Exit.INPUT) from error
