"""The index built part by part on disk is the one made in memory; ids that come twice are found."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.errors import BadInput
from relevance.generation import ID_BUCKETS, ID_HASHES, ID_OFFSETS, ID_ROWS, IDS
from service.store.flat_ids import FlatIds, encode_ids
from service.store.id_index import IdIndex, hash_ids
from service.store.index_files import repeated_entries, write_id_index
from tests.service.conftest import FEW

IDS_OF_A_SHOP = st.lists(st.text(max_size=3), min_size=1, max_size=80)


def two_hashes(encoded: list[bytes]) -> np.ndarray:
    """Hashes that collide: an even one and an odd one, at both ends of all there are."""
    return np.array([(len(one) % 2) * (2**64 - 1) for one in encoded], np.uint64)


def written(folder: Path, item_ids: list[str]) -> FlatIds:
    ids = FlatIds.of(encode_ids(item_ids))
    ids.content.tofile(folder / IDS)
    ids.offsets.astype("<u8").tofile(folder / ID_OFFSETS)
    return ids


@FEW
@given(
    item_ids=IDS_OF_A_SHOP.map(lambda ids: list(dict.fromkeys(ids))),
    ids_per_part=st.integers(1, 100),
    hashed=st.sampled_from([hash_ids, two_hashes]),
)
def test_the_index_is_the_same_whatever_the_size_of_its_parts(
    tmp_path_factory, item_ids, ids_per_part, hashed
) -> None:
    folder = tmp_path_factory.mktemp("index")
    in_memory = IdIndex.of(written(folder, item_ids), hash_ids=hashed)

    count = write_id_index(folder, hash_ids=hashed, ids_per_part=ids_per_part)

    assert count == len(item_ids)
    assert np.array_equal(np.fromfile(folder / ID_HASHES, "<u8"), in_memory.hashes)
    assert np.array_equal(np.fromfile(folder / ID_ROWS, "<u4"), in_memory.entries)
    assert np.array_equal(np.fromfile(folder / ID_BUCKETS, "<u4"), in_memory.buckets)


@FEW
@given(
    item_ids=IDS_OF_A_SHOP,
    ids_per_part=st.integers(1, 100),
    hashed=st.sampled_from([hash_ids, two_hashes]),
)
def test_every_id_that_comes_again_is_found_with_the_one_before(
    tmp_path_factory, item_ids, ids_per_part, hashed
) -> None:
    folder = tmp_path_factory.mktemp("index")
    written(folder, item_ids)

    pairs = list(repeated_entries(folder, hash_ids=hashed, ids_per_part=ids_per_part))

    again = sum(times - 1 for times in Counter(item_ids).values())
    assert len(pairs) == len({later for _, later in pairs}) == again
    assert all(item_ids[one] == item_ids[later] and one < later for one, later in pairs)


def test_an_id_that_comes_twice_is_refused_by_name(tmp_path) -> None:
    written(tmp_path, [f"i{at}" for at in range(100)] + ["i7"])

    with pytest.raises(BadInput, match="item_id `i7`: expected each id once, got it twice"):
        write_id_index(tmp_path, ids_per_part=10)


def test_no_id_at_all_is_refused(tmp_path) -> None:
    written(tmp_path, [])

    with pytest.raises(BadInput, match="expected at least one item, got none"):
        write_id_index(tmp_path)
