"""Sums over the rows of a table that need not fit in memory: one block at a time, any array library."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from convexwgan.arrays import Array, Float64, device_of, namespace, to_numpy64
from convexwgan.errors import InputError

BlockSum = Callable[..., tuple[Array, ...]]
"""A function (block, *arguments) → arrays, to be summed over the blocks; it must be importable by its name."""

BLOCK_BYTES = 1 << 26
"""64 MiB a block: large enough for a fast matrix product, small against a data set."""


class Rows(Protocol):
    """A table X (n, d) that can sum functions of its row blocks; all that a streamed algorithm needs of it."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        ...

    def map_sum(self, function: BlockSum, *arguments: Any) -> tuple[Float64, ...]:
        """Σ over row blocks of ``function(block, *arguments)``, summed in float64, as NumPy arrays."""
        ...


class LocalRows:
    """Rows read by this process, block after block, computed with on ``device``.

    Args:
        read: (start, stop) → rows start, …, stop − 1 as an array (stop − start, d), floating.
        shape: (n, d).
        block_rows: rows in a block.
        device: None: where ``read`` puts them; else a torch device ("cuda", "cpu"), to which blocks are moved.
        is_parallel: whether ``read`` may run in several threads. Then as many blocks are worked on at once as BLAS has
            threads, each with one: casts run in parallel too, and no two BLAS threads wait for each other.

    >>> rows = LocalRows(lambda a, b: np.ones((b - a, 2)), (5, 2), block_rows=2)
    >>> rows.map_sum(row_sum)[0].tolist()
    [5.0, 5.0]
    """

    def __init__(
        self,
        read: Callable[[int, int], Array],
        shape: tuple[int, int],
        block_rows: int,
        device: Any = None,
        is_parallel: bool = False,
    ) -> None:
        self.read, self.shape, self.block_rows, self.device = read, shape, max(1, block_rows), device
        self.is_parallel = is_parallel and device is None
        self.passes = 0

    def map_sum(self, function: BlockSum, *arguments: Any) -> tuple[Float64, ...]:
        """Σ over row blocks of ``function(block, *arguments)``; one pass over the data."""
        self.passes += 1
        totals: list[Array] = []
        for parts in self._parallel(function, arguments) if self.is_parallel else self._serial(function, arguments):
            _add(totals, parts)
        return tuple(to_numpy64(total) for total in totals)

    def _serial(self, function: BlockSum, arguments: tuple[Any, ...]) -> Iterator[tuple[Array, ...]]:
        placed: tuple[Any, ...] | None = None
        for start in range(0, self.shape[0], self.block_rows):
            block = self._block(start, self.block_rows)
            placed = tuple(_beside(block, value) for value in arguments) if placed is None else placed
            yield function(block, *placed)

    def _parallel(self, function: BlockSum, arguments: tuple[Any, ...]) -> Iterator[tuple[Array, ...]]:
        """In the order of the blocks, so that sums do not depend on who finishes first."""
        from threadpoolctl import ThreadpoolController

        controller = ThreadpoolController().select(user_api="blas")
        workers = max([int(library.num_threads) for library in controller.lib_controllers], default=1)
        step = max(1, self.block_rows // workers)  # together no more rows in flight than one block
        waiting: deque[Future[tuple[Array, ...]]] = deque()
        with controller.limit(limits=1), ThreadPoolExecutor(workers) as pool:
            for start in range(0, self.shape[0], step):
                waiting.append(pool.submit(lambda at: function(self._block(at, step), *arguments), start))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _block(self, start: int, rows: int) -> Array:
        return self._place(self.read(start, min(start + rows, self.shape[0])))

    def _place(self, block: Array) -> Array:
        return block if self.device is None else to_device(block, self.device)


def array_rows(X: Array, block_rows: int | None = None, device: Any = None) -> LocalRows:
    """The rows of an array in memory; blocks are views.

    >>> array_rows(np.ones((3, 2))).shape
    (3, 2)
    """
    if X.ndim != 2 or 0 in tuple(X.shape):
        raise InputError("X", X, "be a non-empty matrix", "one sample a row, one feature a column")
    n, d = int(X.shape[0]), int(X.shape[1])
    itemsize = int(namespace(X).finfo(X.dtype).bits) // 8
    rows = block_rows or max(1, BLOCK_BYTES // (d * itemsize))
    return LocalRows(lambda a, b: X[a:b, :], (n, d), rows, device, isinstance(X, np.ndarray))


def to_device(block: Array, device: Any) -> Array:
    """A block as a torch tensor on ``device``; from pinned memory, so that the copy to a GPU is asynchronous."""
    import torch

    tensor = block if isinstance(block, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(block))
    target = torch.device(device)
    if target.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(target, non_blocking=True)


def _beside(block: Array, value: Any) -> Any:
    """A NumPy argument in the block's library, on its device, in its own dtype."""
    if not isinstance(value, np.ndarray) or isinstance(block, np.ndarray):
        return value
    return namespace(block).asarray(np.ascontiguousarray(value), device=device_of(block))


def _add(totals: list[Array], parts: tuple[Array, ...]) -> None:
    """totals += parts, in float64 and in place."""
    if not totals:
        for part in parts:
            xp = namespace(part)
            totals.append(xp.astype(part, xp.float64, copy=True))
        return
    for total, part in zip(totals, parts, strict=True):
        total += part


# ---- functions to sum --------------------------------------------------------------------------------------------


def row_sum(block: Array) -> tuple[Array, ...]:
    """Xᵀ1, shape (d,), in float64."""
    xp = namespace(block)
    return (xp.sum(block, axis=0, dtype=xp.float64),)


def centred_gram(block: Array, mean: Array) -> tuple[Array, ...]:
    """X_cᵀX_c, shape (d, d), with X_c = X − 1·meanᵀ, in float64."""
    xp = namespace(block)
    X = xp.astype(block, xp.float64) - mean
    return (X.T @ X,)


def centred_gram_product(block: Array, mean: Array, Q: Array) -> tuple[Array, ...]:
    """X_cᵀ(X_c Q), shape (d, b), in the dtype of Q; X_c = X − 1·meanᵀ is not formed."""
    xp = namespace(block)
    X = xp.astype(block, Q.dtype, copy=False)
    Y = X @ Q - mean @ Q
    return (X.T @ Y - mean[:, None] * xp.sum(Y, axis=0)[None, :],)
