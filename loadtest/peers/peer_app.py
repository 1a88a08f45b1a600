"""What every peer is behind: plain FastAPI with pydantic models, as its tutorial has it.

Peers run in environments of their own, so nothing of this project is imported: a script's own
folder is on its path, and with it this file.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

Scores = Callable[[str, list[str]], Sequence[float]]
Setting = TypeVar("Setting")


class ScoreRequest(BaseModel):
    """A query and its candidates."""

    query: str
    item_ids: list[str]


class ScoreRow(BaseModel):
    """One candidate."""

    id: str
    index: int
    score: float


class ScoreReply(BaseModel):
    """Best first."""

    results: list[ScoreRow]


def create_app(scores: Scores) -> FastAPI:
    """The application around a function from query and ids to scores."""
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/score", response_model=ScoreReply)
    def score(request: ScoreRequest) -> ScoreReply:
        found = scores(request.query, request.item_ids)
        order = sorted(range(len(found)), key=lambda at: -found[at])
        return ScoreReply(
            results=[
                ScoreRow(id=request.item_ids[at], index=at, score=float(found[at])) for at in order
            ]
        )

    return app


def serve(scores: Scores, *, port: int) -> None:
    """Listen until the process is told to end."""
    uvicorn.run(
        create_app(scores),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


def rows_and_texts(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Each id's row in `embeddings.npy`, and each row's text."""
    ids: list[str] = json.loads((folder / "ids.json").read_text())
    return {item_id: row for row, item_id in enumerate(ids)}, json.loads(
        (folder / "texts.json").read_text()
    )


def fastest(settings: dict[str, Setting], trial: Callable[[Setting], object]) -> Setting:
    """The setting whose trial takes least time on this machine, after one that does not count."""
    taken = {}
    for name, setting in settings.items():
        trial(setting)
        started = time.perf_counter()
        trial(setting)
        taken[name] = time.perf_counter() - started
    chosen = min(taken, key=lambda name: taken[name])
    sys.stderr.write(f"settings, seconds of a trial: {taken}; chosen: {chosen}\n")
    return settings[chosen]
