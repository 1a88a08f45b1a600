"""Records: what is packed comes back, and nothing else is ever taken for a record."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.redis_tier.record import (
    RecordShape,
    is_sound,
    pack,
    pack_deleted,
    unpack,
    unpack_block,
)
from tests.service.conftest import UNHURRIED

SHAPE = RecordShape("0123456789abcdef", rows=3, dim=4)
ROWS = np.arange(12, dtype=np.uint8).reshape(3, 4)
# What layout 1 made of `packed()`: readers of every later version must understand it.
LAYOUT_1 = bytes.fromhex(
    "454c4d52010102030123456789abcdef17000000000000000500000000000000"
    "04000000b8d73806000102030405060708090a0b"
)
U64 = st.integers(0, 2**64 - 1)


def packed(**changes) -> bytes:
    said = {"content_hash": 23, "source_version": 5, "token_count": 2, "truncated": True}
    return pack(SHAPE, ROWS, **(said | changes))


@UNHURRIED
@given(content_hash=U64, source_version=U64, token_count=st.integers(0, 3), truncated=st.booleans())
def test_what_was_packed_comes_back(content_hash, source_version, token_count, truncated) -> None:
    value = pack(
        SHAPE,
        ROWS,
        content_hash=content_hash,
        source_version=source_version,
        token_count=token_count,
        truncated=truncated,
    )

    record = unpack(SHAPE, value)

    assert record is not None
    assert (record.content_hash, record.source_version) == (content_hash, source_version)
    assert (record.token_count, record.truncated) == (token_count, truncated)
    assert np.array_equal(record.rows, ROWS)


def test_a_deletion_comes_back_as_one() -> None:
    record = unpack(SHAPE, pack_deleted(SHAPE, source_version=9))

    assert record is not None
    assert record.is_deleted
    assert record.source_version == 9


def test_the_released_layout_is_still_written_and_read() -> None:
    assert packed() == LAYOUT_1
    assert unpack(SHAPE, LAYOUT_1) is not None


@UNHURRIED
@given(bit=st.integers(0, 8 * len(LAYOUT_1) - 1))
def test_a_flipped_bit_anywhere_makes_a_record_missing(bit) -> None:
    value = bytearray(LAYOUT_1)
    value[bit // 8] ^= 1 << bit % 8

    assert not is_sound(SHAPE, bytes(value))


@UNHURRIED
@given(value=st.binary(max_size=80) | st.integers(0, 51).map(lambda end: LAYOUT_1[:end]))
def test_foreign_and_cut_bytes_are_no_record(value) -> None:
    assert unpack(SHAPE, value) is None


def test_a_record_of_another_bundle_or_shape_is_missing() -> None:
    for other in (
        RecordShape("fedcba9876543210", rows=3, dim=4),
        RecordShape("0123456789abcdef", rows=4, dim=3),
        RecordShape("0123456789abcdef", rows=3, dim=5),
    ):
        assert unpack(other, LAYOUT_1) is None


def test_a_block_tells_found_deleted_absent_and_damaged_apart() -> None:
    damaged = LAYOUT_1[:-1] + b"\xff"

    block = unpack_block(SHAPE, [None, LAYOUT_1, pack_deleted(SHAPE, source_version=1), damaged])

    assert block.is_found.tolist() == [False, True, False, False]
    assert block.is_deleted.tolist() == [False, False, True, False]
    assert block.is_refused.tolist() == [False, False, False, True]
    assert np.array_equal(block.rows[1], ROWS)
    assert (block.token_counts[1], block.truncated[1]) == (2, True)
    assert (block.content_hashes[1], block.source_versions[1]) == (23, 5)


def test_a_block_of_no_values_is_empty() -> None:
    block = unpack_block(SHAPE, [])

    assert len(block.rows) == len(block.is_found) == 0
