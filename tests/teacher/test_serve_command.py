from pathlib import Path

import pytest
from typer.testing import CliRunner

from relevance.cli import make_app
from relevance.errors import Unavailable

RUNNER = CliRunner()


def printed(*arguments: str) -> str:
    app = make_app("teach")
    found = RUNNER.invoke(app, ["teach", "serve", *arguments, "--print-command"])
    assert found.exit_code == 0, found.output
    return " ".join(found.output.split())


def test_one_gpu_runs_the_official_command() -> None:
    """With prefix caching, a limit of tokens and the served name."""
    line = printed("models/judge", "--max-tokens", "2048")

    assert line.startswith("vllm serve models/judge --served-model-name judge --host 127.0.0.1")
    assert "--max-model-len 2048" in line
    assert "--enable-prefix-caching" in line
    assert "parallel" not in line


def test_many_gpus_hold_copies_together() -> None:
    """Tensors are cut over GPUs, requests over copies."""
    line = printed("judge", "--gpus", "4", "--copies", "2")

    assert "--tensor-parallel-size 4 --data-parallel-size 2" in line


def test_a_processor_runs_the_servers_module() -> None:
    """With the cache's size in its environment, from the environment that is named."""
    line = printed("judge", "--device", "cpu", "--engine", "/opt/engine", "--cache-gb", "2")

    assert line.startswith("VLLM_CPU_KVCACHE_SPACE=2 /opt/engine/bin/python -m vllm.entrypoints")
    assert "--model judge" in line
    assert "--enforce-eager" in line


def test_options_of_the_engine_are_handed_on() -> None:
    """Quoted as a shell needs it."""
    line = printed("judge", "--engine-option", "--chat-template", "--engine-option", "a b.jinja")

    assert line.endswith("--chat-template 'a b.jinja'")


def test_an_engine_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    """With how to install one."""
    app = make_app("teach")

    found = RUNNER.invoke(app, ["teach", "serve", "judge", "--engine", str(tmp_path)])

    assert isinstance(found.exception, Unavailable)
    with pytest.raises(Unavailable, match="expected vLLM's program: No such file") as fault:
        raise found.exception
    assert "ellm-mkd[vllm]" in str(fault.value)
