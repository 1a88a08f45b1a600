"""A packed pool is the pool: every pair once an epoch, the same examples, a row group at a time."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import pyarrow.parquet as pq
import pytest

from relevance.domain import Relevance, Side, Target
from relevance.errors import BadInput
from relevance.item_text import ItemText
from relevance.records import Pair, write_judgements, write_pairs
from teacher.judge_shards import ShardFolder, rows_of
from tests.trainer.make_students import CATALOGUE, make_judgement, make_span, shop_pairs
from trainer import example_files
from trainer.batches import pool_blocks, step_examples
from trainer.example_files import open_examples, pack_pool, ready_examples
from trainer.examples import TextLengths, make_examples, tokenise_texts
from trainer.recipes import Recipe

LENGTHS = TextLengths(8, 12, ItemText.TITLE)
QUERIES = list(dict.fromkeys(pair.query for pair in shop_pairs()))
PAIRS = [  # ten blocks: three queries share three items
    Pair(query, f"I{3 * (at // 3) + item}") for at, query in enumerate(QUERIES) for item in range(3)
]


def judge(pair: Pair):
    spans = [
        make_span(Side.QUERY, 0, pair.query.index(" ")),
        make_span(Side.TITLE, 0, 3, Relevance.IRRELEVANT),
    ]
    log_odds = len(pair.item_id) - 2.5
    return make_judgement(pair.query, pair.item_id, log_odds, spans=spans)


@pytest.fixture
def packed(tmp_path, monkeypatch):
    def made(pairs=PAIRS, judged=PAIRS, *, group: int = 20):
        monkeypatch.setattr(example_files, "ROW_GROUP_PAIRS", group)
        write_pairs(tmp_path / "pool.parquet", pairs)
        write_judgements(tmp_path / "judged.parquet", [judge(pair) for pair in judged])
        pack_pool(
            tmp_path / "packed.parquet",
            pool=tmp_path / "pool.parquet",
            judgements=tmp_path / "judged.parquet",
            catalogue=CATALOGUE,
            template=ItemText.TITLE,
        )
        return open_examples(tmp_path / "packed.parquet")

    return made


def epoch(file, seed: int = 0) -> list:
    """Blocks until every pair was there once."""
    blocks, count = [], 0
    for block in file.blocks(seed):
        blocks.append(block)
        count += len(block)
        if count >= file.pairs:
            return blocks
    raise AssertionError


def test_an_epoch_holds_every_pair_once_and_another_seed_another_order(packed):
    file = packed()

    blocks = epoch(file)

    pairs = [(pair.query, pair.item_text) for block in blocks for pair in block]
    assert Counter(pairs) == Counter((p.query, CATALOGUE[p.item_id].title) for p in PAIRS)
    assert blocks == epoch(file)
    assert blocks != epoch(file, seed=1)
    assert file.pairs == len(PAIRS)


def test_its_blocks_and_examples_are_those_of_the_pool_in_memory(packed, backbone):
    file = packed().tokenised_by(backbone.tokenizer, LENGTHS)
    texts = tokenise_texts(backbone.tokenizer, PAIRS, CATALOGUE, LENGTHS)
    judgements = {(p.query, p.item_id): judge(p) for p in PAIRS}

    expected, _ = make_examples(PAIRS, texts, judgements)

    of_memory = {example.query + str(example.item_key): example for example in expected}
    found = ready_examples([pair for block in epoch(file) for pair in block], file)
    assert {e.query + str(e.item_key): e for e in found} == of_memory
    sizes = Counter(len(block) for block in pool_blocks(expected))
    assert Counter(len(block) for block in epoch(file)) == sizes
    assert any(example.cells for example in found)


def test_row_groups_end_where_blocks_end_and_bound_what_is_read_at_once(packed):
    file = packed(group=20)

    metadata = pq.read_metadata(file.path)
    table = pq.ParquetFile(file.path)
    blocks = [
        set(table.read_row_group(g)["block"].to_pylist()) for g in range(table.num_row_groups)
    ]
    assert metadata.num_row_groups > 3
    assert all(one.isdisjoint(other) for one, other in zip(blocks, blocks[1:], strict=False))
    largest = max(len(block) for block in epoch(file))
    assert all(metadata.row_group(g).num_rows < 20 + largest for g in range(len(blocks)))


def test_steps_mix_human_pairs_with_packed_blocks(packed, backbone):
    file = packed()
    texts = tokenise_texts(backbone.tokenizer, shop_pairs(), CATALOGUE, LENGTHS)
    human, _ = make_examples(shop_pairs()[:30], texts, {})
    recipe = Recipe("any", human_pairs=4, pseudo_blocks=2)

    steps = islice(step_examples(human, [], recipe, packed_blocks=file.blocks(1)), 5)

    for step in steps:
        assert [example.human for example in step[:4]] == [True] * 4
        assert len({pair.query for pair in step[4:]}) >= 2


def test_shards_of_a_long_job_are_packed_as_their_rows_in_one_file(packed, tmp_path):
    """Two targets a pair, as a language model judges: the last counts, as in training in memory."""
    file = packed()
    folder = ShardFolder.open(tmp_path / "shards", {"job": 1})
    for number, part in enumerate((PAIRS[:7], PAIRS[7:])):
        direct = [judge(pair) for pair in part]
        thought = [replace(one, target=Target.COT, log_odds=-1.5) for one in direct]
        rows = [one for both in zip(thought, direct, strict=True) for one in both]
        folder.write(number, rows_of(rows), Counter())
    folder.finish(2)

    count = pack_pool(
        tmp_path / "of_shards.parquet",
        pool=tmp_path / "pool.parquet",
        judgements=tmp_path / "shards",
        catalogue=CATALOGUE,
        template=ItemText.TITLE,
    )

    assert count == len(PAIRS)
    assert (tmp_path / "of_shards.parquet").read_bytes() == file.path.read_bytes()


def test_pairs_the_teacher_left_out_are_passed_over(packed):
    file = packed(judged=PAIRS[::3])

    assert file.pairs == len(PAIRS[::3])


def test_judgements_in_another_order_are_refused_and_leave_no_file(packed, tmp_path):
    with pytest.raises(BadInput, match=r"(?s)has no pair in .*hint: the files must be in the same"):
        packed(judged=[*PAIRS[1:], PAIRS[0]])
    assert not (tmp_path / "packed.parquet").exists()


def test_nothing_judged_is_said(packed):
    with pytest.raises(BadInput, match="expected judged pairs, found none"):
        packed(judged=[])


def test_another_item_text_is_refused(packed, backbone):
    lengths = TextLengths(8, 12, ItemText.TITLE_BRAND_COLOR)

    with pytest.raises(BadInput, match="packed with the item text title, but the recipe reads"):
        packed().tokenised_by(backbone.tokenizer, lengths)


@pytest.mark.parametrize("content", [b"", b"no Parquet"])
def test_a_file_that_is_no_packed_pool_is_named(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)

    with pytest.raises(BadInput, match="x.parquet: expected a packed pool"):
        open_examples(tmp_path / "x.parquet")


def test_any_other_parquet_file_is_refused(tmp_path):
    write_pairs(tmp_path / "pairs.parquet", PAIRS)

    with pytest.raises(BadInput, match="expected the format relevance-examples/1"):
        open_examples(tmp_path / "pairs.parquet")
