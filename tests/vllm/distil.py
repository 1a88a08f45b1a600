"""From the engine's judgements to a served student: the same commands as any teacher's."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from relevance.records import Pair
from tests.vllm.engine import free_port
from tests.vllm.proof import PLACE, TUNED, ellm

_START_SECONDS = 600.0


def distilled_store(shop: Path, address: str) -> Path:
    """Draw a pool, let the engine judge it, train a student for a few steps, export, refresh."""
    folds, drawn, pool = (PLACE / f"{n}.parquet" for n in ("distil-folds", "drawn", "pool"))
    judgements, student = PLACE / "pool_judgements.parquet", PLACE / "student"
    bundle, store = PLACE / "bundle", PLACE / "store"
    on_fold = ("--data", shop, "--folds", folds, "--fold", 0)
    judgements.unlink(missing_ok=True)
    ellm("data", "folds", "--data", shop, "--out", folds)
    ellm(
        *("train", "pool", "--data", shop, "--pairs", drawn, "--max-queries", 24),
        *("--similarities", PLACE / "similarities.parquet"),
    )
    ellm("data", "hold-out", *on_fold, "--pairs", drawn, "--out", pool)
    ellm(
        *("teach", "judge", "--endpoint", address, "--items", f"{shop}_items.parquet", *TUNED),
        *("--pairs", pool, "--out", judgements),
    )
    ellm(
        *("train", "student", *on_fold, "--recipe", "minilm", "--steps", 6, "--out", student),
        *("--pool", pool, "--judgements", judgements),
    )
    ellm("export", "--checkpoint", student, *on_fold, "--out", bundle)
    ellm(
        *("refresh", "--bundle", bundle, "--items", f"{shop}_items.parquet", "--store", store),
    )
    return store


def explained(store: Path, address: str, pair: Pair) -> dict[str, Any]:
    """The reply of `POST /explain`, from a service whose first teacher is the engine."""
    port = free_port()
    words = (
        *("serve", "--store", store, "--port", port, "--llm-endpoint", address),
        *("--llm-model", "model-cot", "--llm-prompt", "tuned", "--llm-timeout", 240),
    )
    command = [sys.executable, "-m", "relevance", *map(str, words)]
    with (PLACE / "service.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            return _asked(process, f"http://127.0.0.1:{port}", pair)
        finally:
            process.terminate()
            process.wait(timeout=180)


def _asked(process: subprocess.Popen[bytes], service: str, pair: Pair) -> dict[str, Any]:
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client(timeout=300, trust_env=False) as http:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if http.get(f"{service}/health").is_success:
                    break
            except httpx.HTTPError:
                time.sleep(0.3)
        body = {"query": pair.query, "item_id": pair.item_id, "deadline_ms": 60_000}
        reply = http.post(f"{service}/explain", json=body)
    assert reply.is_success, reply.text
    found: dict[str, Any] = reply.json()
    return found
