"""Sets as bits and lists of lists as two arrays: what makes a long list of cells small and quick to search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


def pack_bits(members: Bools) -> Words:
    """Rows of booleans as rows of 64-bit words, member j in bit j mod 64 of word j // 64.

    Args:
        members: shape (k, h).

    Returns:
        shape (k, ⌈h/64⌉), the bits beyond h zero.

    >>> pack_bits(np.array([[True, False, True]])).tolist()
    [[5]]
    """
    k, h = members.shape
    packed = np.zeros((k, 8 * -(-h // 64)), dtype=np.uint8)
    packed[:, : -(-h // 8)] = np.packbits(members, axis=1, bitorder="little")
    return np.asarray(packed.view("<u8"), dtype=np.uint64)


def unpack_bits(words: Words, h: int) -> Bools:
    """The inverse of ``pack_bits``: shape (k, h).

    >>> unpack_bits(np.array([[5]], dtype=np.uint64), 3).tolist()
    [[True, False, True]]
    """
    octets = np.ascontiguousarray(words, dtype="<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, count=h, bitorder="little").astype(np.bool_)


def one_bit(h: int) -> Words:
    """Row j holds bit j alone, shape (h, ⌈h/64⌉): flip member j of a set by ``set ^ one_bit(h)[j]``."""
    j = np.arange(h)
    bits = np.zeros((h, -(-h // 64)), dtype=np.uint64)
    bits[j, j // 64] = np.uint64(1) << (j % 64).astype(np.uint64)
    return bits


@dataclass(frozen=True, eq=False)
class Incidence:
    """For each of k things the others that touch it: compressed sparse rows, ``incidence[i]`` an index array."""

    indptr: Integers
    indices: Integers

    @classmethod
    def from_pairs(cls, first: Integers, second: Integers, k: int) -> Incidence:
        """The distinct pairs (first, second), first < k, sorted."""
        width = int(second.max(initial=0)) + 1
        codes = np.sort(first * width + second)
        codes = codes[np.diff(codes, prepend=-1) > 0]
        indptr = np.searchsorted(codes, np.arange(k + 1) * width)
        return cls(indptr.astype(np.int64), codes % width)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, i: int) -> Integers:
        return self.indices[self.indptr[i] : self.indptr[i + 1]]

    def __iter__(self) -> Iterator[Integers]:
        return (self[i] for i in range(len(self)))

    @property
    def counts(self) -> Integers:
        """How many touch each thing, shape (k,)."""
        return np.diff(self.indptr)

    @property
    def owners(self) -> Integers:
        """The thing that each entry of ``indices`` touches, same shape."""
        return np.repeat(np.arange(len(self)), self.counts)

    def repeated(self) -> Incidence:
        """Every row twice: things 0 … k−1, then as many that touch the same."""
        indptr = np.concatenate([self.indptr, self.indptr[1:] + self.indptr[-1]])
        return Incidence(indptr, np.tile(self.indices, 2))

    def select(self, things: Integers) -> Incidence:
        """The rows of the chosen things, renumbered 0, 1, …"""
        counts = self.counts[things]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(indptr[-1]) - np.repeat(indptr[:-1], counts)
        return Incidence(indptr, self.indices[np.repeat(self.indptr[things], counts) + within])


class WordIndex:
    """Where each of k distinct rows of words stands: an exact lookup by hash and comparison.

    Raises:
        ValueError: two rows are equal.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        order, starts, self._seed = grouped(words)
        if len(starts) != len(words):
            raise ValueError(f"words hold {len(words) - len(starts)} repeated rows")
        self._order, self._hashes = order, _hashes(words, self._seed)[order]

    def find(self, words: Words) -> Integers:
        """The position of each given row, −1 where it is not listed."""
        hashes = _hashes(words, self._seed)
        slot = np.minimum(np.searchsorted(self._hashes, hashes), len(self._order) - 1)
        position = self._order[slot]
        return np.where((self._words[position] == words).all(axis=1), position, -1)


def grouped(words: Words) -> tuple[Integers, Integers, int]:
    """An order of the rows in which equal rows are neighbours, and where each group starts in that order.

    Sorted by one 64-bit hash a row. Neighbours of equal hash are compared word by word, and in the (never yet
    seen) event of a collision another hash is drawn, so that the grouping is exact.

    Returns:
        order (k,), starts (groups,), and the seed of the hash that told all the rows apart.
    """
    for seed in count():
        hashes = _hashes(words, seed)
        order = np.argsort(hashes, kind="stable")
        is_new = np.ones(len(words), dtype=np.bool_)
        is_new[1:] = hashes[order[1:]] != hashes[order[:-1]]
        repeated = np.flatnonzero(~is_new)
        if np.array_equal(words[order[repeated]], words[order[repeated - 1]]):
            break
    return order, np.flatnonzero(is_new), seed


def _hashes(words: Words, seed: int) -> Words:
    """Zobrist's hash: a random word for each value of each octet, combined by exclusive or."""
    if words.shape[1] == 1:
        return words[:, 0]
    octets = np.ascontiguousarray(words).view(np.uint8)
    table = np.random.default_rng(seed).integers(2**64, size=(octets.shape[1], 256), dtype=np.uint64)
    hashes = np.zeros(len(words), dtype=np.uint64)
    for column in range(octets.shape[1]):
        hashes ^= table[column, octets[:, column]]
    return hashes
