"""Signal files: every number column is read under its name, and nonsense is refused."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.errors import BadInput
from teacher.online.signals import NO_SIGNALS
from teacher.signal_files import read_signals


def written(path: Path, **columns: float) -> Path:
    row = {"query": "Red  bag", "item_id": "1", **columns}
    pq.write_table(pa.Table.from_pylist([row]), path)
    return path


def test_every_number_column_is_a_signal_under_its_name(tmp_path: Path) -> None:
    cosines = written(tmp_path / "cosines.parquet", min_maxsim=0.25, cosine=-0.5)
    scores = written(tmp_path / "scores.parquet", colbert=3.5)

    found = read_signals(cosines, scores)

    assert (found.similarities, found.students) == (("cosine", "min_maxsim"), ("colbert",))
    signals = found.of("Red bag", "1")
    assert signals.similarities == {"cosine": -0.5, "min_maxsim": 0.25}
    assert signals.students == {"colbert": 3.5}
    assert found.of("Red bag", "2") == NO_SIGNALS


def test_without_files_there_are_no_signals() -> None:
    assert read_signals(None).of("any", "1") == NO_SIGNALS


@pytest.mark.parametrize("value", [3.0, float("nan")])
def test_similarities_that_are_no_cosines_are_refused(tmp_path: Path, value: float) -> None:
    path = written(tmp_path / "s.parquet", cosine=value)

    with pytest.raises(BadInput, match="row 1: expected cosines"):
        read_signals(path)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_scores_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    path = written(tmp_path / "s.parquet", colbert=value)

    with pytest.raises(BadInput, match="row 1: expected finite log-odds"):
        read_signals(None, path)


def test_a_file_without_a_column_of_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at least one column"):
        read_signals(written(tmp_path / "s.parquet"))


def test_one_name_for_two_things_is_refused(tmp_path: Path) -> None:
    cosines, scores = (written(tmp_path / name, one=0.5) for name in ("a.parquet", "b.parquet"))

    with pytest.raises(BadInput, match="columns of its own, got one"):
        read_signals(cosines, scores)


@pytest.mark.parametrize("name", ["good", "label", "rating", "clicks"])
def test_labels_ratings_and_logs_are_no_signals(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "scores.parquet", colbert=0.5, **{name: 1.0})

    for files in ((path, None), (None, path)):
        with pytest.raises(BadInput, match=f"what a judge must not see: {name}"):
            read_signals(*files)
