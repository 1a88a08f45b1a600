"""Scores that are read are those that were written."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.errors import BadInput
from relevance.records import Pair
from trainer.score_files import read_scores, write_scores

words = st.text("abc é不", min_size=1).map(str.strip).filter(bool)
pairs = st.builds(Pair, words, words, st.booleans(), st.sampled_from(["", "short"]))
rows = st.lists(st.tuples(pairs, st.floats(allow_nan=True, allow_infinity=False)), min_size=1)


@settings(max_examples=40)
@given(rows)
def test_pairs_and_logits_come_back_bit_by_bit_and_nan_as_nan(tmp_path_factory, scored):
    path = tmp_path_factory.getbasetemp() / "scores.parquet"
    given_pairs = [pair for pair, _ in scored]
    logits = np.array([logit for _, logit in scored])

    write_scores(path, given_pairs, logits)
    found_pairs, found_logits = read_scores(path)

    assert found_pairs == tuple(given_pairs)
    assert found_logits.dtype == np.float64
    assert np.array_equal(found_logits, logits, equal_nan=True)


def test_a_pair_without_a_score_is_null_in_the_file(tmp_path):
    path = tmp_path / "scores.parquet"

    write_scores(path, [Pair("a", "1", True), Pair("b", "2", False)], np.array([np.nan, 1.5]))

    assert pq.read_table(path)["logit"].to_pylist() == [None, 1.5]


def test_scores_of_another_tool_need_no_subset_but_a_logit(tmp_path):
    columns = {"query": ["a"], "item_id": ["1"], "good": [1]}
    pq.write_table(pa.table({**columns, "logit": [0.5]}), tmp_path / "scores.parquet")
    pq.write_table(pa.table(columns), tmp_path / "none.parquet")

    found, logits = read_scores(tmp_path / "scores.parquet")

    assert (found, logits.tolist()) == ((Pair("a", "1", True),), [0.5])
    with pytest.raises(BadInput, match="needs the column logit"):
        read_scores(tmp_path / "none.parquet")
