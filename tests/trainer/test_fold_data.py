"""A fold's training material, and the leaks that are planted in it."""

from dataclasses import replace

import pytest

from relevance.errors import BadInput
from relevance.folds import Split, read_folds, split
from relevance.records import Pair, write_judgements, write_pairs
from tests.trainer.make_students import CATALOGUE, make_judgement, shop_pairs, write_shop
from trainer.fold_data import read_training_data, read_verdicts

FOLD = 2


def own_items() -> list[Pair]:
    """Each of ten queries with three items that no other query has."""
    queries = list(dict.fromkeys(pair.query for pair in shop_pairs()))[:10]
    return [
        Pair(query, f"I{3 * at + item}", good=item == 0)
        for at, query in enumerate(queries)
        for item in range(3)
    ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return write_shop(tmp_path_factory.mktemp("shop"), own_items())


@pytest.fixture(scope="module")
def parts(shop) -> Split:
    _, folds = shop
    return split(read_folds(folds), own_items(), fold=FOLD)


@pytest.fixture
def read(shop, tmp_path):
    """Read the fold's material with this pool."""
    data, folds = shop

    def material(pool=None, judgements=()):
        path = tmp_path / "pool.parquet"
        if pool is not None:
            write_pairs(path, pool)
        return read_training_data(
            data, folds, fold=FOLD, pool=None if pool is None else path, judgements=judgements
        )

    return material


def test_train_and_validation_are_the_folds_and_hold_nothing_of_its_test_part(read, parts):
    found = read()

    assert (found.train, found.validation) == (parts.train, parts.validation)
    tested = {pair.query for pair in parts.test}
    assert parts.test
    assert not tested & {pair.query for pair in (*found.train, *found.validation)}
    assert found.pool == ()
    assert found.catalogue == CATALOGUE


def test_a_pool_of_other_queries_and_items_is_taken_whole(read, parts):
    pool = [
        Pair(parts.train[0].query, parts.train[5].item_id),
        Pair("wool scarf", parts.validation[0].item_id),
    ]

    assert read(pool).pool == tuple(pool)


@pytest.mark.parametrize("respelled", [str, str.upper, "{}s".format, "{}!".format])
@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_planted_held_out_query_is_refused_however_it_is_spelled(read, parts, part, respelled):
    free_item = parts.train[0].item_id
    planted = Pair(respelled(getattr(parts, part)[0].query), free_item)

    with pytest.raises(BadInput, match=f"1 pairs hold queries or items .* fold {FOLD}") as refusal:
        read([Pair("wool scarf", free_item), planted])

    assert planted.item_id in str(refusal.value)
    assert "ellm data hold-out" in str(refusal.value)


def test_a_mistyped_test_query_with_its_words_swapped_is_refused(read, parts):
    color, thing = parts.test[0].query.split()

    with pytest.raises(BadInput, match="1 pairs hold queries or items"):
        read([Pair(f"{thing} {color}", parts.train[0].item_id)])


def test_a_planted_test_item_is_refused_whatever_the_query(read, parts):
    with pytest.raises(BadInput, match=f"`{parts.test[0].item_id}`"):
        read([Pair("wool scarf", parts.test[0].item_id)])


def test_judgements_of_several_files_are_read_and_the_last_word_counts(read, tmp_path):
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    early = make_judgement("red bottle", "I0", 1.0)
    late = replace(early, log_odds=-2.0)
    write_judgements(first, [early, make_judgement("blue lamp", "I1", 0.5)])
    write_judgements(second, [late])

    found = read(judgements=[first, second]).judgements

    assert found[("red bottle", "I0")].log_odds == -2
    assert found[("blue lamp", "I1")].log_odds == 0.5
    assert found == read_verdicts([first, second])
