"""Agreement with raters: kappa as scikit-learn has it, and each rater beside the others."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from relevance.errors import BadInput
from teacher.measures.agreement import RATERS, agreement, beside_raters, read_raters

LABELS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40)


@given(LABELS.filter(lambda rows: len({v for row in rows for v in row}) == 2))
def test_kappa_is_scikit_learns(rows: list[tuple[bool, bool]]) -> None:
    one, other = np.array(rows).T

    found = agreement(one, other)

    assert found.accuracy == (one == other).mean()
    assert found.kappa == pytest.approx(cohen_kappa_score(one, other), nan_ok=True)


def test_each_rater_stands_beside_the_teacher_and_the_others() -> None:
    rated = {("q", f"{n}"): (n < 5, n < 5, n < 6) for n in range(10)}
    teacher = {("q", f"{n}"): n < 5 for n in range(9)}  # one pair was never judged

    rows = beside_raters(rated, teacher)

    assert [row.rater for row in rows] == list(RATERS)
    assert {row.pairs for row in rows} == {9}
    assert rows[0].teacher.accuracy == 1.0
    assert rows[0].other_raters.accuracy == pytest.approx((1 + 8 / 9) / 2)
    assert rows[2].other_raters.kappa < rows[0].other_raters.kappa


def test_only_pairs_that_all_raters_graded_count(tmp_path: Path) -> None:
    rows = [
        {"query": "Q  a", "item_id": "1", **dict(zip(RATERS, (3, 2, 1), strict=True))},
        {"query": "Q", "item_id": "2", **dict(zip(RATERS, (3, None, 1), strict=True))},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")

    assert read_raters(tmp_path / "pairs.parquet") == {("Q a", "1"): (True, True, False)}


def test_a_file_without_raters_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"query": ["q"], "item_id": ["1"]}), tmp_path / "pairs.parquet")

    with pytest.raises(BadInput, match="agent_1_rating"):
        read_raters(tmp_path / "pairs.parquet")
