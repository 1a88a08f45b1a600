import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relevance.errors import Unavailable
from service.client import RelevanceClient
from service.serve_commands import check_port_is_free

ROOT = Path(__file__).resolve().parents[2]
TRAINING_STACK = {"torch", "transformers", "onnx", "sklearn", "vllm"}
SERVE = """
import atexit, json, pathlib, sys
atexit.register(lambda: pathlib.Path(sys.argv[-1]).write_text(json.dumps(sorted(sys.modules))))
from service.serve_commands import app
app(sys.argv[1:-1])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving_process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, *arguments], cwd=ROOT, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_healthy(client: RelevanceClient, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.health()
        except Unavailable:
            time.sleep(0.05)
        else:
            return
    process.kill()
    pytest.fail(process.communicate()[1].decode())


def test_the_real_service_scores_over_http_without_a_training_stack(
    store_folder, client, tmp_path
) -> None:
    port, modules = free_port(), tmp_path / "modules.json"
    options = ("--store", str(store_folder), "--port", str(port), str(modules))
    with (
        serving_process(*options) as process,
        RelevanceClient(f"http://127.0.0.1:{port}") as over_http,
    ):
        wait_until_healthy(over_http, process)
        reply = over_http.score("red water bottle", ["B001", "B003"])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)

    asked = {"query": "red water bottle", "item_ids": ["B001", "B003"]}
    assert reply.model_dump(mode="json") == client.post("/score", json=asked).json()
    loaded = {name.split(".")[0] for name in json.loads(modules.read_text())}
    assert {"onnxruntime", "fastapi"} <= loaded
    assert not loaded & TRAINING_STACK


def test_a_port_in_use_is_said_before_anything_starts() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        with pytest.raises(Unavailable, match=f"^port {port} on 127.0.0.1 is in use$") as refused:
            check_port_is_free("127.0.0.1", port)

    assert refused.value.exit_code == 5
    check_port_is_free("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(Unavailable, match="port 8080 on 203.0.113.1 cannot be had"):
        check_port_is_free("203.0.113.1", 8080)


def test_importing_the_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys, service.refresh.commands, service.serve_commands, service.explain_commands;"
        "print(*sys.modules)"
    )

    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, check=True
    )

    loaded = set(shown.stdout.decode().split())
    assert not loaded & {"onnxruntime", "fastapi", "uvicorn", "httpx", "numpy", "pyarrow"}
