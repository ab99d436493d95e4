"""X and Z that are no finite table of numbers: refused at once, with the place and the way out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Problem, Status
from convexwgan.errors import (
    InputError,
)

X = np.random.default_rng(0).standard_normal((8, 3)) + 0.3
Z = np.random.default_rng(1).standard_normal((7, 4)) + 0.3
PAIR = Discriminator.quadratic(beta=2.0) + Generator.linear()
FREE = Discriminator.quadratic(beta=2.0) + Generator.free()


def with_entry(value: Any, dtype: Any = float) -> np.ndarray[Any, Any]:
    table = X.astype(dtype)
    table[2, 1] = value
    return table


BAD_TABLES = {
    "nan": (with_entry(math.nan), "row 2, column 1"),
    "infinity": (with_entry(-math.inf), "row 2, column 1"),
    "float32 nan": (with_entry(math.nan, np.float32), "row 2, column 1"),
    "no rows": (np.zeros((0, 3)), "at least one sample"),
    "no columns": (np.zeros((3, 0)), "at least one sample"),
    "empty list": ([], "empty"),
    "a number": (3.0, "one sample a row"),
    "nothing": (None, "one sample a row"),
    "masked": (np.ma.masked_greater(X, 1.0), "fill or drop masked entries"),
    "masked rows": ([np.ma.masked_greater(row, 1.0) for row in X], "fill or drop masked entries"),
    "one axis": (np.arange(5.0), "reshape"),
    "three axes": (np.zeros((4, 2, 2)), "flatten"),
    "text": (np.array([["a", "b"], ["c", "d"]]), "numbers"),
    "objects": (np.array([[object(), 1], [2, 3]], dtype=object), "numbers"),
    "None inside": ([[1.0, None], [2.0, 3.0]], "must"),
    "dates": (np.array([["2020-01-01"], ["2021-01-01"]], dtype="datetime64[D]"), "must"),
    "complex": (X + 1j, "real"),
    "complex objects": (np.array([[1j, 1], [2, 3]], dtype=object), "must"),
    "ragged": ([[1.0, 2.0], [3.0]], "must"),
    "a string": ("data.csv", "must"),
    "None": (None, "must"),
    "a dictionary": ({"a": [1, 2]}, "must"),
    "structured": (np.zeros(3, dtype=[("a", float)]), "must"),
    "masked beyond float64": (np.full((3, 2), 1e200), "rescale"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
@pytest.mark.parametrize("pair", [FREE, Discriminator.linear(beta=1.0) + Generator.free()], ids=["quadratic", "linear"])
def test_data_that_are_no_finite_table_are_refused(name: str, pair: Any, refuses: Any) -> None:
    table, word = BAD_TABLES[name]
    with pytest.raises(InputError) as error:
        Problem(pair, table).solve()
    refuses(error, "X", word)


@pytest.mark.parametrize("name", [name for name in BAD_TABLES if name != "None"])
def test_noise_that_is_no_finite_table_is_refused(name: str, refuses: Any) -> None:
    table, _ = BAD_TABLES[name]
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, table).solve()
    refuses(error, "Z")


def test_problems_check_their_data_at_once_and_not_in_solve() -> None:
    for table in (with_entry(math.nan), np.zeros((0, 3)), "text"):
        with pytest.raises(InputError, match="X"):
            Problem(FREE, table)


def test_sparse_matrices_are_refused_with_the_way_out(refuses: Any) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    for table in (sparse.csr_matrix(X), sparse.csc_array(X), sparse.coo_matrix(X)):
        with pytest.raises(InputError) as error:
            Problem(FREE, table)
        refuses(error, "dense", "toarray")


def test_data_frames_with_text_are_refused_and_numeric_ones_keep_their_columns(refuses: Any) -> None:
    pd = pytest.importorskip("pandas")
    with pytest.raises(InputError) as error:
        Problem(FREE, pd.DataFrame({"height": [1.0, 2.0], "name": ["a", "b"]}))
    refuses(error, "X", "numbers")
    with pytest.raises(InputError):
        Problem(FREE, pd.DataFrame({"height": [1.0, None], "width": [1, 2]}))
    solution = Problem(FREE, pd.DataFrame({"height": [1.0, 2.0, 0.5], "width": [3, 4, 5]})).solve()
    assert solution.generator is not None
    assert list(solution.generator.sample(4, rng=0).columns) == ["height", "width"]


def test_torch_data_of_other_dtypes_are_refused_or_converted(refuses: Any) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(InputError) as error:
        Problem(FREE, torch.tensor(X + 1j))
    refuses(error, "X", "real")
    with pytest.raises(InputError, match="row 2, column 1"):
        Problem(FREE, torch.tensor(with_entry(math.nan)))
    for dtype in (torch.int64, torch.float16, torch.bfloat16, torch.bool):
        assert Problem(FREE, torch.tensor(np.round(X)).to(dtype)).solve().status is Status.CERTIFIED


def test_noise_of_another_library_is_refused(refuses: Any) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, torch.tensor(Z))
    refuses(error, "Z", "same array library", "convert")
    with pytest.raises(InputError) as error:
        Problem(PAIR, torch.tensor(X), Z)
    refuses(error, "Z", "same array library")


def test_torch_tensors_without_dense_numbers_are_refused(refuses: Any) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(X)
    for table, remedy in ((tensor.to_sparse(), "to_dense"), (tensor.to("meta"), "real device")):
        with pytest.raises(InputError) as error:
            Problem(FREE, table)
        refuses(error, "X", remedy)


@pytest.mark.parametrize("device", ["meta", object()])
def test_torch_devices_that_hold_no_numbers_are_refused(device: Any, refuses: Any) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(InputError) as error:
        Problem(PAIR, torch.tensor(X), torch.tensor(Z)).solve(device=device)
    refuses(error, "device")


def test_long_doubles_beyond_float64_are_refused_as_infinite(refuses: Any) -> None:
    if np.finfo(np.longdouble).max <= np.finfo(np.float64).max:
        pytest.skip("long double is float64 on this machine")
    with pytest.raises(InputError) as error:
        Problem(FREE, np.array([[np.longdouble("1e4000"), 1.0]]))
    refuses(error, "finite", "row 0, column 0")


def test_torch_without_cuda_names_the_device(refuses: Any) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError) as error:
        Problem(PAIR, torch.tensor(X), torch.tensor(Z)).solve(device="cuda")
    refuses(error, "device")
    assert Problem(PAIR, torch.tensor(X), torch.tensor(Z)).solve(device="cpu").status is Status.CERTIFIED
