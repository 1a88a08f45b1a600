"""Scores given by name: a judge's one file for all folds, or one for each."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.errors import BadInput
from teacher.measures.given_scores import by_fold, files_by_name, read_scores


def written(path: Path, **columns) -> Path:
    pq.write_table(pa.table({"query": ["Red  Lamp"], "item_id": ["I1"], **columns}), path)
    return path


@pytest.mark.parametrize("column", ["logit", "log_odds"])
def test_scores_of_evaluation_and_judgements_are_read_alike(column, tmp_path):
    path = written(tmp_path / "scores.parquet", **{column: [0.25]})

    assert read_scores(path) == {("Red Lamp", "I1"): 0.25}


def test_a_pair_without_a_score_is_passed_over(tmp_path):
    assert read_scores(written(tmp_path / "s.parquet", logit=pa.array([None], pa.float64()))) == {}


def test_a_file_without_scores_is_refused(tmp_path):
    with pytest.raises(BadInput, match="expected a column `logit` or `log_odds`"):
        read_scores(written(tmp_path / "scores.parquet", other=[1.0]))


def test_files_come_under_their_names_in_the_order_given():
    named = ["ce=a", "mkd=b", "ce=c=d"]

    assert files_by_name("--scores", named) == {"ce": [Path("a"), Path("c=d")], "mkd": [Path("b")]}
    for wrong in ("ce", "=a", "ce="):
        with pytest.raises(BadInput, match="--scores: expected NAME=FILE, got"):
            files_by_name("--scores", [wrong])


def test_one_file_serves_every_fold_and_several_must_be_one_a_fold(tmp_path):
    one, other = (written(tmp_path / f"{n}.parquet", logit=[float(n)]) for n in (1, 2))

    assert [s["Red Lamp", "I1"] for s in by_fold("--scores", "ce", [one], 3)] == [1, 1, 1]
    assert [s["Red Lamp", "I1"] for s in by_fold("--scores", "ce", [one, other], 2)] == [1, 2]
    with pytest.raises(BadInput, match="--scores ce: expected one file, or one for each of 3"):
        by_fold("--scores", "ce", [one, other], 3)
