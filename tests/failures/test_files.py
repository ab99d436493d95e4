"""Files that are not ours, truncated, or of another format; exports that cannot be written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, FittedGenerator, Generator, Problem, Solution
from convexwgan.errors import (
    ConvexWGANError,
    FileFormatError,
    InputError,
)

X = np.random.default_rng(0).standard_normal((8, 3)) + 0.3
Z = np.random.default_rng(1).standard_normal((7, 4)) + 0.3
PAIR = Discriminator.quadratic(beta=2.0) + Generator.linear()
FREE = Discriminator.quadratic(beta=2.0) + Generator.free()


@pytest.mark.parametrize("path", [5, None, b"problem.cbf", 1.5])
def test_export_to_what_is_no_path_is_refused(path: Any, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(FREE, X).export(path)
    refuses(error, "path of export")


def test_export_into_a_folder_that_cannot_be_written_is_refused(tmp_path: Any, monkeypatch: Any, refuses: Any) -> None:
    def forbidden(**_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", forbidden)
    with pytest.raises(InputError) as error:
        Problem(FREE, X).export(tmp_path / "problem.cbf")
    refuses(error, "path of export", "Permission denied")


def test_files_that_are_not_ours_are_refused(tmp_path: Any, refuses: Any) -> None:
    missing, text, folder = tmp_path / "none.safetensors", tmp_path / "text.safetensors", tmp_path
    text.write_text("not a file of ours")
    for path in (missing, folder):
        with pytest.raises(ConvexWGANError):
            Solution.load(path)
    with pytest.raises(FileFormatError, match="not a safetensors file"):
        Solution.load(text)
    with pytest.raises(FileFormatError):
        FittedGenerator.load(text)
    from safetensors.numpy import save_file

    foreign = tmp_path / "foreign.safetensors"
    save_file({"weights": np.ones((2, 2))}, foreign)
    with pytest.raises(FileFormatError, match="not written by convexwgan"):
        Solution.load(foreign)
    solution = Problem(PAIR, X, Z).solve()
    assert solution.generator is not None
    generator = solution.generator.save(tmp_path / "generator.safetensors")
    with pytest.raises(FileFormatError, match="holds a generator"):
        Solution.load(generator)
    for bad in (tmp_path / "no" / "folder.safetensors", tmp_path):
        with pytest.raises(InputError) as error:
            solution.save(bad)
        refuses(error, "path")


def test_truncated_files_are_refused_at_every_length(tmp_path: Any) -> None:
    path = Problem(PAIR, X, Z).solve().save(tmp_path / "solution.safetensors")
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 40).astype(int):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError):
            Solution.load(path)


@pytest.mark.parametrize("suffix", ["program.mps", "program", "program.CBFX"])
def test_export_to_another_format_is_refused(suffix: str, tmp_path: Any, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z).export(tmp_path / suffix)
    refuses(error, ".cbf")
    with pytest.raises(InputError):
        Problem(PAIR, X, Z).export(tmp_path / "none" / "x.cbf")
