"""What the service can be told, as one frozen value: by flag, by variable, by file, in this order.

Every field of `Settings` is the flag `--name-of-it`, the variable `ELLM_NAME_OF_IT` and the key
`name_of_it` of a TOML file. A name nobody knows is refused at start, wherever it stands. Nothing
else is read from the environment.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from relevance.errors import BadInput

PREFIX = "ELLM_"
FILE_VARIABLE = "ELLM_CONFIG"  # names the file; not a setting itself


class Settings(BaseSettings):
    """The service's settings. Times are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    store: Path = Field(description="Folder `ellm refresh` publishes into.")
    item_store: Literal["arena", "faiss"] = Field(
        "arena", description="Where item embeddings are read from; `ellm store tokens` makes faiss."
    )
    arena_max_bytes: int = Field(
        1 << 40, ge=1, description="Larger generations become a cache of this size over Redis."
    )
    provider: Literal["cpu", "cuda"] = Field(
        "cpu", description="Where queries are encoded; cuda needs the extra service-gpu."
    )
    cuda_device: int = Field(0, ge=0, description="Number of the CUDA device.")
    cuda_memory_bytes: int = Field(
        0, ge=0, description="Most memory of the device a worker takes; 0: no such limit."
    )
    redis_url: SecretStr | None = Field(
        None, description="Shared tier: redis://, rediss://, redis+cluster://, unix://."
    )
    redis_ca_file: Path | None = Field(None, description="Authority that Redis's TLS must show.")
    redis_space: str = Field("ellm", description="Prefix of this shop's keys in Redis.")
    redis_timeout_ms: int = Field(50, ge=1, description="Longest wait of a request for Redis.")
    search_depth: int = Field(1000, ge=1, description="Items a search scores unless told.")
    search_exhaustive_items: int = Field(
        10_000, ge=0, description="Up to here a search scores the whole catalogue."
    )
    teacher: Path | None = Field(None, description="Folder of the catalogue teacher, if any.")
    llm_endpoint: str = Field(
        "", description="OpenAI-compatible server that explains first, say http://gpu:8000/v1."
    )
    llm_model: str = Field("", description="The name it serves the model under.")
    llm_api_key: SecretStr | None = Field(None, description="Key it asks for, if it asks.")
    llm_timeout: float = Field(10.0, gt=0, description="Longest wait for its whole answer.")
    llm_structured: bool = Field(
        True, description="Bind its answers to their form and read log-odds: needs vLLM."
    )
    llm_prompt: Literal["few_shot", "tuned"] = Field(
        "few_shot", description="How much it is told; tuned for models of `ellm teach sft`."
    )
    llm_language: Literal["english", "chinese"] = Field(
        "english", description="Language of its instructions."
    )
    llm_reads: Literal["title", "short", "all"] = Field(
        "short", description="What it reads of an item, as in `ellm teach judge`."
    )
    llm_max_tokens: int = Field(384, ge=1, description="Longest part of its answer.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, description="Server processes.")
    trusted_proxies: str = Field(
        "", description="Addresses, by comma, whose X-Forwarded-For is believed."
    )

    max_candidates: int = Field(5000, ge=1, description="Most items in one request.")
    max_inline_items: int = Field(256, ge=0, description="Most items sent along in one request.")
    max_rerank_documents: int = Field(
        1000, ge=0, description="Most documents sent as text in one rerank request."
    )
    max_batch_queries: int = Field(64, ge=1, description="Most queries in one batch.")
    max_body_bytes: int = Field(1 << 20, ge=1, description="Longest request body (else 413).")
    max_query_chars: int = Field(512, ge=1, description="Longest query (else 422).")
    query_cache: int = Field(10_000, ge=0, description="Encoded queries kept per worker; 0: none.")

    concurrency: int = Field(
        0, ge=0, description="Requests computed at once per worker; 0: its share of the cores."
    )
    max_queue: int = Field(64, ge=0, description="Requests that may wait per worker (else 429).")
    max_wait_ms: int = Field(1000, ge=1, description="Longest wait in the queue (else 429).")
    explain_concurrency: int = Field(4, ge=1, description="Explanations at once per worker.")
    teacher_timeout: float = Field(10.0, gt=0, description="Longest wait for a teacher's answer.")
    explanation_cache: int = Field(
        10_000, ge=0, description="Teachers' answers kept per worker; 0: none."
    )
    encode_per_second: float = Field(
        0.0, ge=0, description="Most stored texts a worker encodes for requests; 0: no such limit."
    )
    write_back: bool = Field(
        False, description="Keep items that requests had encoded, as changes of the store."
    )
    body_timeout: float = Field(10.0, gt=0, description="Longest time a body may take to arrive.")
    rate_limit: str = Field("", description="Per client, say `100/second; 2000/minute`; none.")
    rate_limit_store: SecretStr | None = Field(
        None, description="redis:// URL that makes rate limits hold across workers and machines."
    )
    api_keys: Path | None = Field(
        None, description="File of hashed API keys (`ellm keys`); without it scoring is open."
    )

    watch_interval: float = Field(0.25, gt=0, le=1, description="Between two looks at CURRENT.")
    pretouch_bytes: int = Field(
        4 << 30,
        ge=0,
        description="Most bytes of a new generation read in before the swap.",
    )
    self_check_interval: float = Field(5.0, gt=0, description="Between two golden-pair checks.")
    scrub_interval: float = Field(
        86_400.0, ge=0, description="Between two background readings of all checksums; 0: none."
    )
    scrub_bytes_per_second: float = Field(
        float(32 << 20), gt=0, description="How fast checksums are read in the background."
    )
    drain_delay: float = Field(
        5.0, ge=0, description="After SIGTERM: still answering, but not ready."
    )
    drain_timeout: int = Field(
        30, ge=1, description="Then: how long requests in flight may take to finish."
    )

    console: bool = Field(True, description="Pages at /console: local, or with a key of its own.")
    console_labels: Path | None = Field(
        None, description="Prefix of the file `…_pairs.jsonl` the console keeps labels in."
    )
    console_compare: Path | None = Field(
        None, description="A second store, whose bundle the console shows beside this one."
    )

    experiments: Path | None = Field(
        None, description="TOML file of variants and experiments, followed while serving."
    )
    pair_log: Path | None = Field(None, description="Folder a sample of scored pairs goes to.")
    pair_log_rate: float = Field(0.01, gt=0, le=1, description="Share of requests logged there.")
    pair_log_top: int = Field(50, ge=1, description="Best candidates logged of each ranking.")
    pair_log_text: Literal["hashed", "plain", "none"] = Field(
        "hashed", description="How queries and keys stand there; an audit needs plain."
    )
    pair_log_seconds: float = Field(600.0, gt=0, description="Longest one file is written to.")
    pair_log_file_bytes: int = Field(64 << 20, ge=1, description="Longest such a file gets.")
    pair_log_days: float = Field(30.0, gt=0, description="Older files are removed.")
    pair_log_max_bytes: int = Field(10 << 30, ge=1, description="Above, the oldest are removed.")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level of log lines."
    )
    log_requests: Literal["all", "errors", "none"] = Field(
        "all", description="Which requests get a log line."
    )
    log_queries: Literal["hashed", "plain", "none"] = Field(
        "hashed", description="How a request's line shows its query."
    )
    log_hash_key: SecretStr | None = Field(
        None, description="Key of the query hash; random at each start unless given."
    )
    otlp_endpoint: str = Field(
        "", description="OpenTelemetry collector (HTTP), say http://host:4318; none: no traces."
    )
    trace_sample: float = Field(0.01, ge=0, le=1, description="Share of new traces kept.")
    run_folder: Path | None = Field(
        None, description="Counters and states of running workers; a temporary folder."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, text: str) -> str:
        for part in text.split(","):
            if part.strip() not in ("", "*"):
                ip_network(part.strip())  # its ValueError says what was not understood
        return text

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_http(cls, text: str) -> str:
        if text and not text.startswith(("http://", "https://")):
            raise ValueError("expected http://host:port or https://host:port")
        return text

    @field_validator("rate_limit")
    @classmethod
    def _is_a_rate(cls, text: str) -> str:
        from limits import parse_many  # some 30 ms that `ellm --help` need not pay

        if text:
            parse_many(text)  # its ValueError says what was not understood
        return text


class _Given(NamedTuple):
    """A value and where it was written, for messages."""

    value: Any
    origin: str


def read_settings(
    environment: Mapping[str, str] = os.environ, *, flags: Mapping[str, str] | None = None
) -> Settings:
    """Settings from flags over variables over the file `ELLM_CONFIG` names.

    Raises `BadInput` for an unknown name or a wrong value, saying where it was written.
    """
    given = _gathered(environment, flags or {})
    try:
        return Settings.model_validate({name: one.value for name, one in given.items()})
    except ValidationError as fault:
        first = fault.errors()[0]
        name = str(first["loc"][0])
        one = given.get(name)
        if one is None:
            hint = f"hint: --{name.replace('_', '-')}, {variable(name)}, or `{name}` in a file"
            raise BadInput(f"{variable(name)}: {first['msg']}\n{hint}") from fault
        raise BadInput(f"{one.origin}: {first['msg']}, got {one.value!r}") from fault


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def shown(settings: Settings) -> str:
    """The settings as a TOML file that reads back as the same; secrets are not shown."""
    lines = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        lines.append(f"# {field.description}")
        if value is None:
            lines.append(f"# {name} =")
        elif isinstance(value, SecretStr):
            lines.append(f"# {name} = (set, not shown)")
        else:
            lines.append(f"{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _gathered(environment: Mapping[str, str], flags: Mapping[str, str]) -> dict[str, _Given]:
    variables = {
        name.upper(): value
        for name, value in environment.items()
        if name.upper().startswith(PREFIX) and value
    }
    file = variables.pop(FILE_VARIABLE, None)
    given = {} if file is None else _from_file(Path(file))
    for name, value in variables.items():
        given[name.removeprefix(PREFIX).lower()] = _Given(value, name)
    for name, value in flags.items():
        given[name] = _Given(value, f"--{name.replace('_', '-')}")
    unknown = next((name for name in sorted(given) if name not in Settings.model_fields), None)
    if unknown is not None:
        known = ", ".join(Settings.model_fields)
        raise BadInput(f"{given[unknown].origin}: unknown setting\nhint: known are {known}")
    return given


def _from_file(path: Path) -> dict[str, _Given]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise BadInput(f"{path}: expected a file of settings: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BadInput(f"{path}: expected TOML: {fault}") from fault
    return {name: _Given(value, f"{path}: {name}") for name, value in content.items()}


def _toml(value: object) -> str:
    """A setting's value; JSON's are TOML's too, but for escaped pairs and the delete character."""
    text = json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
