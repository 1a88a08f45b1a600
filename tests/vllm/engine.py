"""A real vLLM on processors, started by `ellm teach serve` and stopped at the end."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ENVIRONMENT = Path("build/vllm-venv")  # made by `make test-vllm`
_START_SECONDS = 600.0


@contextmanager
def serving(
    model: Path, log: Path, *, max_tokens: int = 2048, more: Sequence[str] = ()
) -> Iterator[str]:
    """The address of an engine that serves `model` in float32, with `more` options of its own."""
    if not (ENVIRONMENT / "bin" / "python").exists():
        pytest.fail(
            f"{ENVIRONMENT}: expected the engine's environment; make it by `make test-vllm`"
        )
    port = free_port()
    words = (
        *("teach", "serve", model, "--device", "cpu", "--engine", ENVIRONMENT),
        *("--port", port, "--dtype", "float32", "--max-tokens", max_tokens, "--cache-gb", 1),
        *(f"--engine-option={option}" for option in more),
    )
    command = [sys.executable, "-m", "relevance", *map(str, words)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(address, timeout=2, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"the engine did not start: {log.read_text(errors='replace')[-3000:]}")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
