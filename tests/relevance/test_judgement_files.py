"""Judgements in a folder of shards are read as one file's would be, and only when all are there."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.domain import Judgement, Target
from relevance.errors import BadInput
from relevance.judgement_files import content_digest, judgement_files
from relevance.records import read_judgements, write_judgements

JUDGED = [Judgement("llm", f"query {at}", "1", Target.DIRECT, 1.0, "f") for at in range(5)]


def write_shards(folder: Path, parts: list[list[Judgement]], /, **manifest: object) -> Path:
    """A folder as a finished job leaves it."""
    listed = []
    for number, rows in enumerate(parts):
        path = folder / f"shard-{number:06}.parquet"
        write_judgements(path, rows)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        listed.append({"file": path.name, "rows": len(rows), "sha256": sha256})
    told = {"format": "judgement-shards/1", "about": {}, "state": "complete", "shards": listed}
    (folder / "manifest.json").write_text(json.dumps({**told, **manifest}))
    return folder


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, len(JUDGED)), max_size=4))
def test_shards_are_read_in_order_as_one_file_would_be(tmp_path_factory, cuts) -> None:
    """However the rows are cut, shards without a row included."""
    folder = tmp_path_factory.mktemp("shards")
    ends = [0, *sorted(cuts), len(JUDGED)]
    parts = [JUDGED[start:end] for start, end in zip(ends, ends[1:], strict=False)]

    assert read_judgements(write_shards(folder, parts)) == tuple(JUDGED)


def test_a_file_is_itself(tmp_path) -> None:
    path = tmp_path / "one.parquet"
    write_judgements(path, JUDGED)

    assert judgement_files(path) == (path,)
    assert content_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_folders_of_other_judgements_have_other_digests(tmp_path) -> None:
    one, other = (tmp_path / name for name in ("one", "other"))

    assert content_digest(write_shards(one, [JUDGED])) != content_digest(
        write_shards(other, [JUDGED[:4]])
    )


@pytest.mark.parametrize(
    ("manifest", "fault"),
    [
        ({"state": "running"}, "expected the folder of a finished `ellm teach judge`"),
        ({"format": "judgement-shards/9"}, "expected the format judgement-shards/1, got"),
        ({"shards": []}, "expected at least one judgement, found none"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(tmp_path, manifest, fault) -> None:
    with pytest.raises(BadInput, match=fault):
        read_judgements(write_shards(tmp_path, [JUDGED], **manifest))


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_manifest_that_is_none_is_refused(tmp_path, content) -> None:
    (tmp_path / "manifest.json").write_text(content)

    with pytest.raises(BadInput, match=r"manifest\.json: expected"):
        read_judgements(tmp_path)


def test_any_other_folder_is_refused(tmp_path) -> None:
    with pytest.raises(BadInput, match=r"or the folder of a finished .* found no manifest\.json"):
        read_judgements(tmp_path)


def test_a_shard_that_is_gone_or_changed_is_named(tmp_path) -> None:
    folder = write_shards(tmp_path, [JUDGED[:2], JUDGED[2:]])
    write_judgements(folder / "shard-000001.parquet", JUDGED[3:])

    with pytest.raises(BadInput, match=r"shard-000001\.parquet: is not the file that manifest"):
        read_judgements(folder)

    (folder / "shard-000001.parquet").unlink()
    with pytest.raises(BadInput, match=r"shard-000001\.parquet: listed in manifest\.json"):
        read_judgements(folder)
