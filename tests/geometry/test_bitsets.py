"""Packed sets and compressed rows: exact inverses and exact lookups."""

from __future__ import annotations

import numpy as np
import pytest

from convexwgan.geometry.bitsets import Incidence, WordIndex, grouped, one_bit, pack_bits, unpack_bits


@pytest.mark.parametrize("h", [1, 7, 64, 65, 200])
def test_unpacking_inverts_packing_and_one_bit_flips_one_member(h, rng):
    members = rng.random((20, h)) < 0.5
    words = pack_bits(members)
    assert words.shape == (20, -(-h // 64))
    np.testing.assert_array_equal(unpack_bits(words, h), members)
    flipped = unpack_bits(words[0] ^ one_bit(h), h)
    np.testing.assert_array_equal(flipped ^ members[0], np.eye(h, dtype=bool))


@pytest.mark.parametrize("h", [40, 130])
def test_equal_rows_and_only_these_are_grouped(h, rng):
    words = pack_bits(rng.random((50, h)) < 0.5)[rng.integers(50, size=400)]
    order, starts, _ = grouped(words)
    groups = np.split(order, starts[1:])
    assert len(groups) == len(np.unique(words, axis=0))
    assert all((words[group] == words[group[0]]).all() for group in groups)


@pytest.mark.parametrize("h", [40, 130])
def test_index_finds_each_row_and_no_other(h, rng):
    words = np.unique(pack_bits(rng.random((60, h)) < 0.5), axis=0)
    index = WordIndex(words[:30])
    np.testing.assert_array_equal(index.find(words), np.where(np.arange(len(words)) < 30, np.arange(len(words)), -1))


def test_index_refuses_repeated_rows():
    with pytest.raises(ValueError, match="1 repeated"):
        WordIndex(np.zeros((2, 1), dtype=np.uint64))


def test_incidence_keeps_distinct_pairs_and_selects_rows():
    incidence = Incidence.from_pairs(np.array([2, 0, 2, 2]), np.array([5, 1, 3, 5]), 4)
    assert [row.tolist() for row in incidence] == [[1], [], [3, 5], []]
    assert incidence.owners.tolist() == [0, 2, 2]
    assert [row.tolist() for row in incidence.select(np.array([2, 1, 2]))] == [[3, 5], [], [3, 5]]
