"""What the service can be told, as one frozen value read from `ELLM_…` variables.

The command line sets the same names; nothing else is read from the environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from relevance.errors import BadInput

PREFIX = "ELLM_"


class Settings(BaseSettings):
    """The service's settings; every field is the variable `ELLM_` + its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    store: Path = Field(description="Folder `ellm refresh` publishes into.")
    teacher: Path | None = Field(None, description="Folder of the catalogue teacher, if any.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, description="Server processes.")
    max_candidates: int = Field(5000, ge=1, description="Most items in one request.")
    max_inline_items: int = Field(256, ge=0, description="Most items sent along in one request.")
    max_body_bytes: int = Field(1 << 20, ge=1, description="Longest request body (else 413).")
    max_query_chars: int = Field(512, ge=1, description="Longest query (else 422).")


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from variables; raises `BadInput` for an unknown `ELLM_` name or a wrong value."""
    given = {
        name.upper().removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.upper().startswith(PREFIX) and value
    }
    unknown = sorted(set(given) - set(Settings.model_fields))
    if unknown:
        known = ", ".join(variable(name) for name in Settings.model_fields)
        raise BadInput(f"{variable(unknown[0])}: unknown setting\nhint: known are {known}")
    try:
        return Settings.model_validate(given)
    except ValidationError as fault:
        first = fault.errors()[0]
        name = variable(str(first["loc"][0]))
        raise BadInput(
            f"{name}: {first['msg']}, got {given.get(str(first['loc'][0]))!r}"
        ) from fault


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()
