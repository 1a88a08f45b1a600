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

import msgspec
import pytest
from typer.testing import CliRunner

from relevance.cli import make_app
from relevance.errors import BadGeneration, BadInput, Unavailable
from service.client import RelevanceClient
from service.serve_commands import check_port_is_free
from service.settings import FILE_VARIABLE, Settings, read_settings

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
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def wait_until_healthy(client: RelevanceClient, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
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
        process.communicate(timeout=180)

    asked = {"query": "red water bottle", "item_ids": ["B001", "B003"]}
    assert msgspec.to_builtins(reply) == client.post("/score", json=asked).json()
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


def said(*words: str) -> str:
    return CliRunner().invoke(make_app("serve"), ["serve", *words], catch_exceptions=False).output


def test_every_setting_is_an_option_that_says_what_it_is_for() -> None:
    shown = " ".join(said("--help").split())

    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert " ".join((field.description or "?").split()[:3]) in shown


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        ("--config", "<str>"),
        ("--store", "<path>"),
        ("--teacher", "<path>"),
        ("--port", "<int>"),
        ("--llm-timeout", "<float>"),
        ("--host", "<str>"),
        ("--llm-api-key", "<str>"),
        ("--write-back", "[true|false]"),
        ("--provider", "[cpu|cuda]"),
        ("--pair-log-text", "[hashed|plain|none]"),
    ],
)
def test_help_shows_what_kind_of_value_a_setting_takes(option, kind) -> None:
    words = said("--help").split()

    assert words[words.index(option) + 1] == kind


def test_a_setting_that_help_shows_as_true_or_false_is_taken_in_any_of_their_spellings() -> None:
    for spelt, kept in (("true", "true"), ("FALSE", "false"), ("0", "false")):
        told = said("--store", "shop", "--write-back", spelt, "--print-config")

        assert f"write_back = {kept}" in told


def test_the_printed_settings_are_a_file_that_reads_back(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ELLM_MAX_QUEUE", "7")
    file = tmp_path / "ellm.toml"

    file.write_text(said("--store", "shop", "--port", "9001", "--print-config"))

    settings = read_settings({FILE_VARIABLE: str(file)})
    assert (settings.store, settings.port, settings.max_queue) == (Path("shop"), 9001, 7)


def test_a_store_without_a_generation_is_refused_before_anything_listens(tmp_path) -> None:
    with pytest.raises(BadGeneration, match="expected a published generation"):
        said("--store", str(tmp_path), "--port", str(free_port()))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--teacher", "nowhere", "nowhere/lexicon.json: expected .*: No such file or directory$"),
        ("--api-keys", "nowhere", "nowhere: expected a file of API keys: No such file"),
        ("--rate-limit-store", "nonsense", "rate_limit_store: expected a redis:// URL"),
        ("--llm-model", "qwen", "llm_model: expected llm_endpoint beside it"),
        ("--redis-url", "http://:secret@host", "Redis URL: expected one of .*, got `http://`$"),
        ("--redis-ca-file", "nowhere", "nowhere: expected a file of certificates: no such file"),
        ("--console-compare", "nowhere", "nowhere: expected a store: no such folder"),
    ],
)
def test_what_answering_needs_is_read_before_anything_listens(
    store_folder, option, value, message
) -> None:
    with pytest.raises(BadInput, match=message):
        said("--store", str(store_folder), "--port", str(free_port()), option, value)


def test_a_folder_of_the_pair_log_that_cannot_be_made_is_told_before_anything_listens(
    store_folder, tmp_path
) -> None:
    file = tmp_path / "file"
    file.write_text("x")

    with pytest.raises(FileExistsError, match="file"):
        said("--store", str(store_folder), "--port", str(free_port()), "--pair-log", str(file))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--trusted-proxies", "10.0.0.1, proxy", "--trusted-proxies: .*'proxy'"),
        ("--trusted-proxies", "10.0.0.1/8", "--trusted-proxies: .*has host bits set"),
        ("--otlp-endpoint", "collector:4318", "--otlp-endpoint: .*expected http://host:port"),
    ],
)
def test_addresses_are_read_before_anything_listens(option, value, message) -> None:
    with pytest.raises(BadInput, match=message):
        said("--store", "s", option, value)


def test_a_wrong_option_is_refused_by_its_name() -> None:
    with pytest.raises(BadInput, match="--workers: .* got '0'"):
        said("--store", "shop", "--workers", "0")
