"""nDCG against scikit-learn's, and which labels have gains."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from trainer.ranking import GAINS, gains_of, mean_ndcg, ndcg, read_gains

lists = st.lists(
    st.tuples(st.sampled_from([1.0, 0.1, 0.01, 0.0]), st.integers(-3, 3)), min_size=2, max_size=12
).filter(lambda drawn: any(gain for gain, _ in drawn))


@given(lists)
def test_it_is_scikit_learns_ties_and_all(drawn):
    gains, scores = (np.array(column, dtype=float) for column in zip(*drawn, strict=True))

    assert ndcg(gains, scores) == pytest.approx(ndcg_score([gains], [scores]))


@given(lists, st.randoms())
def test_the_order_of_rows_changes_nothing(drawn, random):
    shuffled = list(drawn)
    random.shuffle(shuffled)
    gains, scores = (np.array(column, dtype=float) for column in zip(*drawn, strict=True))
    others = (np.array(column, dtype=float) for column in zip(*shuffled, strict=True))

    assert ndcg(gains, scores) == pytest.approx(ndcg(*others))


def test_the_mean_is_over_queries_that_can_be_ranked():
    gains = np.array([1.0, 0.0, 1.0, 0.0, 0.0])
    scores = np.array([2.0, 1.0, 5.0, 1.0, 2.0])

    found = mean_ndcg(gains, scores, ["a", "a", "alone", "hopeless", "hopeless"])

    assert found == 1
    assert np.isnan(mean_ndcg(gains[2:], scores[2:], ["alone", "hopeless", "hopeless"]))


def test_grades_are_read_by_name_or_letter_and_other_labels_are_none(tmp_path):
    rows = [
        {"query": "Red  lamp", "item_id": "1", "label": "Exact"},
        {"query": "red lamp", "item_id": "2", "label": "S"},
        {"query": "red lamp", "item_id": "3", "label": "3"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    found = read_gains(path)

    assert found == {("Red lamp", "1"): GAINS["exact"], ("red lamp", "2"): GAINS["substitute"]}
    assert gains_of([("red lamp", "2")], found).tolist() == [0.1]
    assert gains_of([("red lamp", "3")], found) is None
