"""Where judgements lie: in one file, or in the folder of shards that a long job of judging leaves.

What a row means stands in `records.py`; how shards are written in `teacher.judge_shards`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from relevance.errors import BadInput

FORMAT = "judgement-shards/1"
MANIFEST = "manifest.json"


def judgement_files(path: Path) -> tuple[Path, ...]:
    """The files to read, in order: `path` itself, or a finished job's shards that hold any row.

    Raises `BadInput` where a folder is of no finished job, or a shard is not what was written.
    """
    if not path.is_dir():
        return (path,)
    shards = [shard for shard in _manifest(path)["shards"] if shard["rows"]]
    if not shards:
        raise BadInput(f"{path}: expected at least one judgement, found none")
    for shard in shards:
        _check(path / shard["file"], shard["sha256"])
    return tuple(path / shard["file"] for shard in shards)


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the manifest of a folder of shards, which has each shard's."""
    with (path / MANIFEST if path.is_dir() else path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as fault:
        raise BadInput(
            f"{folder}: expected a file of judgements, or the folder of a finished "
            f"`ellm teach judge`; found no {MANIFEST}"
        ) from fault
    except ValueError as fault:
        raise BadInput(f"{path}: expected JSON: {fault}") from fault
    found = content.get("format") if isinstance(content, dict) else content
    if found != FORMAT:
        raise BadInput(f"{path}: expected the format {FORMAT}, got {found!r:.40}")
    if content.get("state") != "complete":
        raise BadInput(
            f"{folder}: expected the folder of a finished `ellm teach judge`\n"
            "hint: the same command goes on where it stopped"
        )
    return dict(content)


def _check(shard: Path, expected: str) -> None:
    try:
        found = content_digest(shard)
    except OSError as fault:
        raise BadInput(f"{shard}: listed in {MANIFEST}: {fault.strerror}") from fault
    if found != expected:
        raise BadInput(
            f"{shard}: is not the file that {MANIFEST} lists\n"
            "hint: remove the folder to judge anew, or bring the shard back"
        )
