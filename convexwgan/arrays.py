"""The only door to array libraries: namespace, device, dtype, and validated conversion (array-api-compat)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, is_array_api_obj
from array_api_compat import device as _device
from array_api_compat import to_device as _to_device

from convexwgan.errors import InputError

Array = Any
"""An array of any library that array-api-compat knows: NumPy, PyTorch, CuPy, JAX, array-api-strict."""

Float64 = npt.NDArray[np.float64]


def namespace(*arrays: Array) -> Any:
    """The array-API namespace that all of the arrays share."""
    return array_namespace(*arrays)


def device_of(array: Array) -> Any:
    """The device that the array lives on."""
    return _device(array)


def eps_of(array: Array) -> float:
    """Machine epsilon of the array's floating dtype."""
    return float(namespace(array).finfo(array.dtype).eps)


def to_numpy64(array: Array) -> Float64:
    """The array as a NumPy float64 array on the host: what certificates compute with."""
    if isinstance(array, np.ndarray):
        return np.asarray(array, dtype=np.float64)
    if hasattr(array, "detach"):  # torch: leave the graph and the device first
        array = array.detach().cpu()
        return np.asarray(array.numpy(), dtype=np.float64)
    if hasattr(array, "__dlpack__") and hasattr(array, "__cuda_array_interface__"):
        array = _to_device(array, "cpu")
    return np.asarray(array, dtype=np.float64)


def like(reference: Array, values: Any, dtype: Any = None) -> Array:
    """``values`` (NumPy) as an array of the library, device and (unless given) dtype of ``reference``."""
    xp = namespace(reference)
    return xp.asarray(np.ascontiguousarray(values), dtype=dtype or reference.dtype, device=device_of(reference))


def is_frame(table: Any) -> bool:
    """Whether ``table`` is a DataFrame (pandas, polars): it has columns and can become a NumPy array."""
    return hasattr(table, "columns") and hasattr(table, "to_numpy")


def column_names(table: Any) -> tuple[str, ...] | None:
    """The column names of a DataFrame, None for a plain array."""
    return tuple(str(name) for name in table.columns) if is_frame(table) else None


def as_samples(table: Any, name: str) -> Array:
    """A validated table of samples, shape (n, d), floating, finite, of the library that it came from.

    Integers and booleans become float64; float16 becomes float32; lists and DataFrames become NumPy arrays.

    Args:
        table: one sample a row.
        name: how messages call it ("X", "Z").

    Returns:
        An array of shape (n, d) with n, d >= 1, dtype float32 or float64.

    Raises:
        InputError: wrong number of axes, empty, not numeric, complex, or not finite.

    >>> as_samples([[1, 2], [3, 4]], "X").dtype
    dtype('float64')
    """
    array = _as_array(table, name)
    if 0 in tuple(array.shape):
        raise InputError(
            name, array, "have at least one sample and one feature", "it is empty; check how it was read or filtered"
        )
    if array.ndim != 2:
        given = table if array.ndim == 0 else array
        raise InputError(name, given, "have two axes (samples, features)", _axes_remedy(array.ndim, name))
    array = _as_real_floating(array, name)
    _check_size(array, name)
    return array


LARGEST = 1e70
"""Entries beyond this, or all below its inverse, would leave float64 when squared and summed twice."""


def _check_size(array: Array, name: str) -> None:
    xp = namespace(array)
    if not bool(xp.all(xp.isfinite(array))):
        remedy = f"it has NaN or infinity first {_first_bad(array)}; drop or impute them"
        raise InputError(name, array, "hold finite numbers only", remedy)
    top = float(xp.max(xp.abs(array)))
    if top > LARGEST or 0.0 < top < 1.0 / LARGEST:
        remedy = f"its largest entry has size {top:.3g}; rescale {name} (and β_d by the square)"
        raise InputError(name, array, f"have entries of size {1 / LARGEST:g} to {LARGEST:g}", remedy)


def _as_array(table: Any, name: str) -> Array:
    if is_frame(table):
        table = table.to_numpy()
    if hasattr(table, "toarray") and hasattr(table, "nnz"):
        raise InputError(name, table, "be a dense array", f"convert it first: {name}.toarray()")
    if _is_masked(table):
        given = "list of masked arrays" if isinstance(table, (list, tuple)) else table
        raise InputError(name, given, "have no mask", f"fill or drop masked entries, as {name}.filled(0.0)")
    if hasattr(table, "detach"):  # a torch tensor that carries a graph: the data are numbers, not a function
        table = _checked_tensor(table.detach(), name)
    if is_array_api_obj(table):
        return _checked_kind(table, name)
    try:
        return _checked_kind(np.asarray(table), name)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(name, table, "be a rectangular table of numbers", str(error)) from error


def _is_masked(table: Any) -> bool:
    """Whether NumPy would read the numbers under a mask, of an array or of the rows of a list."""
    masked = np.ma.MaskedArray
    return isinstance(table, masked) or (
        isinstance(table, (list, tuple)) and any(isinstance(row, masked) for row in table)
    )


def _checked_tensor(tensor: Array, name: str) -> Array:
    if "strided" not in str(tensor.layout):
        raise InputError(name, f"{tensor.layout} tensor", "be a dense array", f"convert it first: {name}.to_dense()")
    if tensor.device.type == "meta":
        raise InputError(name, tensor, "hold numbers", "a meta tensor has a shape only; make it on a real device")
    return tensor


def _checked_kind(array: Array, name: str) -> Array:
    if isinstance(array, np.ndarray) and array.dtype.kind in "mM":
        raise InputError(
            name, array, "hold numbers", "dates and durations need a unit: divide by np.timedelta64(1, 'D')"
        )
    if isinstance(array, np.ndarray) and array.dtype.kind not in "fiub":
        if array.dtype.kind == "c":
            raise InputError(name, array, "be real", "take the real part, or stack real and imaginary parts as columns")
        try:
            return np.asarray(array, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                name, array, "hold numbers", f"encode text and dates as numbers first ({error})"
            ) from error
    return array


def _as_real_floating(array: Array, name: str) -> Array:
    xp = namespace(array)
    if xp.isdtype(array.dtype, "complex floating"):
        raise InputError(name, array, "be real", "take the real part, or stack real and imaginary parts as columns")
    if array.dtype in (xp.float32, xp.float64):
        return array
    if isinstance(array, np.ndarray):
        narrow = array.dtype == np.float16
        with np.errstate(over="ignore"):  # a long double beyond float64 becomes the infinity that is refused
            return array.astype(np.float32 if narrow else np.float64)
    return xp.astype(array, xp.float64 if not xp.isdtype(array.dtype, "real floating") else xp.float32)


def _axes_remedy(ndim: int, name: str) -> str:
    if ndim == 0:
        return "give a table of numbers, one sample a row"
    if ndim == 1:
        return f"reshape it: {name}.reshape(-1, 1) for one feature, {name}.reshape(1, -1) for one sample"
    return f"flatten each sample: {name}.reshape(len({name}), -1)"


def _first_bad(array: Array) -> str:
    rows, columns = np.nonzero(~np.isfinite(to_numpy64(array)))
    return f"at row {rows[0]}, column {columns[0]}"


def movable(array: Array, device: Any) -> None:
    """Refuse a device that the array's library cannot reach.

    Raises:
        InputError: NumPy arrays live on the CPU; PyTorch without CUDA has no "cuda"; "meta" holds no numbers.
    """
    if isinstance(array, np.ndarray):
        raise InputError("device", device, 'be "cpu" for NumPy arrays', "give PyTorch tensors to compute on a GPU")
    try:
        moved = _to_device(array, device)
    except (RuntimeError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise InputError(
            "device", device, f"be reachable by {type(array).__module__}", str(error).splitlines()[0]
        ) from error
    if str(_device(moved)) == "meta":
        raise InputError("device", device, "hold numbers", "on the meta device there are shapes only")
