"""Scores in torch are MaxSim as it is defined, whatever the company and the order."""

import numpy as np
import pytest

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.late_interaction import mean_maxsim
from relevance.records import Pair
from tests.trainer.make_students import CATALOGUE, make_checkpoint, shop_pairs
from trainer.scoring import BATCH_PAIRS, score_text_pairs
from trainer.students.embedding import embed_texts
from trainer.students.precision import mixed_precision
from trainer.students.texts import tokenise


@pytest.fixture(scope="module")
def checkpoint(backbone_folder):
    return make_checkpoint(backbone_folder)


def embedded(checkpoint, texts: list[str], length: int) -> dict[str, np.ndarray]:
    """In one call as the scorer makes it: bfloat16 depends a little on the company."""
    with mixed_precision():
        rows = embed_texts(checkpoint.student, tokenise(checkpoint.tokenizer, texts, length=length))
    return dict(zip(texts, (row.double().numpy() for row in rows), strict=True))


def test_logits_are_the_definitions_over_more_than_one_batch(checkpoint):
    pairs = shop_pairs()
    assert len(pairs) > BATCH_PAIRS

    found = score_text_pairs(checkpoint, pairs, CATALOGUE)

    queries = embedded(checkpoint, list(dict.fromkeys(pair.query for pair in pairs)), 8)
    items = embedded(checkpoint, [item.title for item in CATALOGUE.values()], 12)
    weight, bias = checkpoint.student.weight.item(), checkpoint.student.bias.item()
    for pair, logit in list(zip(pairs, found, strict=True))[::13]:
        item = items[CATALOGUE[pair.item_id].title]
        similarity = mean_maxsim(queries[pair.query], item, np.ones(len(item), dtype=bool))
        assert logit == pytest.approx(weight * similarity + bias, abs=1e-4)


def test_a_pair_with_a_silent_side_has_no_score_and_hinders_no_other(checkpoint):
    catalogue = {**CATALOGUE, "silent": Item("silent", "")}
    pairs = [Pair("red lamp", "I0"), Pair("red lamp", "silent"), Pair("", "I0")]

    found = score_text_pairs(checkpoint, pairs, catalogue)

    assert np.isnan(found).tolist() == [False, True, True]


def test_the_order_of_pairs_changes_no_score(checkpoint):
    pairs = shop_pairs()[::11]
    order = np.random.default_rng(0).permutation(len(pairs))

    found = score_text_pairs(checkpoint, pairs, CATALOGUE)
    shuffled = score_text_pairs(checkpoint, [pairs[at] for at in order], CATALOGUE)

    assert shuffled == pytest.approx(found[order], abs=0.05)  # bfloat16 where the processor has it


def test_an_unknown_item_is_named(checkpoint):
    with pytest.raises(BadInput, match="such as `gone`"):
        score_text_pairs(checkpoint, [Pair("red", "gone")], CATALOGUE)
