"""The pool's candidates, and similarities against brute force."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.late_interaction import mean_maxsim
from relevance.records import Pair
from tests.trainer.make_students import CATALOGUE, TITLES
from trainer.pools import (
    BLOCK_ITEMS,
    BLOCK_QUERIES,
    NEAREST,
    SIMILARITY_COLUMNS,
    EncodedShop,
    draw_pool,
    encode_shop,
    full_text,
    query_blocks,
    write_similarities,
)
from trainer.students.backbone import read_backbone
from trainer.zero_shot import ZeroShot


def make_encoded(seed: int, texts: int, *, dim: int = 6) -> ZeroShot:
    random = np.random.default_rng(seed)
    pooled = random.normal(size=(texts, dim)).astype(np.float32)
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    rows = (torch.from_numpy(random.normal(size=(random.integers(1, 6), dim))) for _ in pooled)
    tokens = tuple(torch.nn.functional.normalize(row, dim=-1).half() for row in rows)
    return ZeroShot(pooled, tokens)


def make_shop(seed: int = 0, *, queries: int = 8, items: int = 100) -> EncodedShop:
    return EncodedShop(
        {f"query {at}": at for at in range(queries)},
        {f"I{at}": at for at in range(items)},
        make_encoded(seed, queries),
        make_encoded(seed + 1, items),
        make_encoded(seed + 2, items),
    )


@pytest.mark.parametrize(("queries", "items"), [((), CATALOGUE.values()), (("desk",), ())])
def test_a_pool_of_nothing_is_refused(queries, items, backbone_folder):
    with pytest.raises(BadInput, match="expected at least one to draw a pool from"):
        encode_shop(read_backbone(str(backbone_folder)), queries, list(items))


def nearest_by_sorting(shop: EncodedShop, query: str) -> set[str]:
    scores = shop.titles.pooled @ shop.queries.pooled[shop.query_rows[query]]
    ids = list(shop.item_rows)
    return {ids[at] for at in np.argsort(-scores)[:NEAREST]}


def blocks_of(pool: list[Pair], shop: EncodedShop) -> Iterator[tuple[set[str], list[Pair]]]:
    """Each block's queries and its pairs, in the pool's order."""
    queries = list(shop.query_rows)
    at = 0
    for rows in query_blocks(shop.queries.pooled):
        members = {queries[row] for row in rows}
        block = list(takewhile(lambda pair: pair.query in members, pool[at:]))  # noqa: B023
        at += len(block)
        yield members, block
    assert at == len(pool)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    items=st.integers(1, 40),
    share=st.floats(0, 1),
    data=st.data(),
)
def test_pairs_are_new_distinct_and_unlabelled_and_a_blocks_queries_meet_the_same_items(
    seed, items, share, data
):
    shop = make_shop(seed, queries=11, items=items)
    every = [Pair(query, item, good=True) for query in shop.query_rows for item in shop.item_rows]
    known = set(data.draw(st.lists(st.sampled_from(every), max_size=80)))

    pool = draw_pool(shop, known, random_share=share, seed=seed)

    assert len(set(pool)) == len(pool)
    assert all(pair.good is None for pair in pool)
    assert not {replace(pair, good=True) for pair in pool} & known
    for queries, block in blocks_of(pool, shop):
        drawn = {pair.item_id for pair in block}
        met = {Pair(query, item, good=True) for query in queries for item in drawn} - known
        assert len(drawn) <= BLOCK_ITEMS
        assert {replace(pair, good=True) for pair in block} == met


def test_without_chance_all_candidates_are_among_the_nearest_of_the_blocks_queries():
    shop = make_shop(queries=30)

    pool = draw_pool(shop, [], random_share=0, seed=0)

    for queries, block in blocks_of(pool, shop):
        near = set().union(*(nearest_by_sorting(shop, query) for query in queries))
        assert {pair.item_id for pair in block} <= near
        assert len(block) == BLOCK_ITEMS * len(queries)


@pytest.mark.parametrize("share", [0.1, 0.7, 1.0])
def test_about_the_asked_share_is_drawn_from_all_items(share):
    shop = make_shop(queries=400, items=5000)

    pool = draw_pool(shop, [], random_share=share, seed=0)

    far, expected = [], []
    for queries, block in blocks_of(pool, shop):
        near = set().union(*(nearest_by_sorting(shop, query) for query in queries))
        far.append(np.mean([pair.item_id not in near for pair in block]))
        expected.append(share * (1 - len(near) / 5000))
    assert np.mean(far) == pytest.approx(np.mean(expected), abs=0.07)  # 4 sigma


def test_a_seed_gives_the_same_pool_and_another_seed_another():
    shop = make_shop()
    first, again, other = (draw_pool(shop, [], random_share=0.2, seed=seed) for seed in (1, 1, 2))

    assert first == again != other


vectors = st.integers(1, 30).flatmap(
    lambda count: hnp.arrays(np.float32, (count, 2), elements=st.sampled_from([-1, 0, 0.5, 1]))
)


@given(vectors)
def test_every_query_stands_in_one_block_of_about_the_same_size(given_vectors):
    blocks = query_blocks(given_vectors)

    assert sorted(np.concatenate(blocks).tolist()) == list(range(len(given_vectors)))
    assert all(len(block) <= BLOCK_QUERIES + 1 for block in blocks)


def test_alike_queries_share_a_block():
    angles = np.repeat([0.0, 2.0, 4.0], BLOCK_QUERIES) + np.arange(3 * BLOCK_QUERIES) / 100
    order = np.random.default_rng(0).permutation(len(angles))
    given_vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)[order]

    blocks = query_blocks(given_vectors)

    assert [len(set(order[block] // BLOCK_QUERIES)) for block in blocks] == [1, 1, 1]


def read_columns(path: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in SIMILARITY_COLUMNS}


def test_similarities_are_those_of_brute_force(tmp_path):
    shop = make_shop()
    pairs = [Pair(query, item) for query in shop.query_rows for item in list(shop.item_rows)[::7]]

    write_similarities(tmp_path / "similarities.parquet", shop, pairs)

    found = read_columns(tmp_path / "similarities.parquet")
    for at, pair in enumerate(pairs):
        query, item = shop.query_rows[pair.query], shop.item_rows[pair.item_id]
        tokens = shop.queries.tokens[query].numpy().astype(np.float64)
        for name, side in (("title", shop.titles), ("text", shop.texts)):
            row = side.tokens[item].numpy().astype(np.float64)
            cosine = sum(shop.queries.pooled[query].astype(float) * side.pooled[item])
            least = min(max(float(token @ other) for other in row) for token in tokens)
            expected = mean_maxsim(tokens, row, np.ones(len(row), dtype=bool))
            assert found[f"mean_maxsim_{name}"][at] == pytest.approx(expected, abs=1e-5)
            assert found[f"min_maxsim_{name}"][at] == pytest.approx(least, abs=1e-5)
            assert found[f"cosine_{name}"][at] == pytest.approx(cosine, abs=1e-5)


def test_similarity_rows_name_their_pairs_in_float32(tmp_path):
    path = tmp_path / "similarities.parquet"

    write_similarities(path, make_shop(), [Pair("query 3", "I5"), Pair("query 0", "I9")])

    table = pq.read_table(path)
    assert table["query"].to_pylist() == ["query 3", "query 0"]
    assert table["item_id"].to_pylist() == ["I5", "I9"]
    assert {str(table[name].type) for name in SIMILARITY_COLUMNS} == {"float"}


def test_a_shop_is_encoded_by_title_and_by_full_text_and_silence_is_zero(backbone, tmp_path):
    items = [*CATALOGUE.values(), Item("silent", ""), Item("hinted", "", brand="red")]
    shop = encode_shop(backbone, TITLES[:3], items)

    pairs = [Pair(TITLES[0], item.item_id) for item in items]
    write_similarities(tmp_path / "similarities.parquet", shop, pairs)

    found = read_columns(tmp_path / "similarities.parquet")
    same, silent, hinted = 0, len(items) - 2, len(items) - 1
    assert found["mean_maxsim_title"][same] == pytest.approx(1, abs=0.01)
    assert found["cosine_title"].argmax() == same
    assert all(column[silent] == 0 for column in found.values())
    assert (found["mean_maxsim_title"][hinted], found["cosine_title"][hinted]) == (0, 0)
    assert found["mean_maxsim_text"][hinted] > 0


def test_the_full_text_is_every_field_that_says_something():
    item = Item("1", "Oak desk", color="brown", category_path="Home > Desks", description="Solid.")

    assert full_text(item) == "Oak desk brown Home > Desks Solid."
    assert full_text(Item("2", "")) == ""
