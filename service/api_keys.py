"""API keys as they lie on disk, hashed, and what a presented key may do.

    [[key]]
    name = "shop"
    sha256 = "…64 hex digits of SHA-256 over the key…"
    scopes = ["score"]                # score, metrics, console, admin (may do all)
    expires = 2030-01-31              # optional: the first day it no longer holds

A key is 256 random bits, so a plain SHA-256 cannot be guessed back and needs no slow hash. Two keys
may share a name: that is how one is rotated. Asking for a key on a request is `access.py`'s.
"""

import hashlib
import hmac
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relevance.atomic import write_text
from relevance.errors import BadInput
from service.watched_file import WatchedFile

KEY_PREFIX = "ellm_"  # lets a secret scanner recognise a key that leaked


class Scope(StrEnum):
    """What a key is for; `ADMIN` includes the others."""

    SCORE = "score"
    METRICS = "metrics"
    CONSOLE = "console"
    ADMIN = "admin"


class ApiKey(BaseModel):
    """One line of the key file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = (Scope.SCORE,)
    expires: date | None = None

    def allows(self, scope: Scope, *, today: date) -> bool:
        """Whether the key holds today for this use."""
        fits = scope in self.scopes or Scope.ADMIN in self.scopes
        return fits and (self.expires is None or today < self.expires)


class _KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: tuple[ApiKey, ...] = ()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the secret, shown once, and what is kept of it."""

    secret: str
    kept: ApiKey


def make_key(name: str, scopes: Sequence[Scope], *, expires: date | None = None) -> NewKey:
    """A fresh random key; raises `BadInput` for a name that does not fit."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    try:
        kept = ApiKey(name=name, sha256=digest(secret), scopes=tuple(scopes), expires=expires)
    except ValidationError as fault:
        raise BadInput(f"name: {fault.errors()[0]['msg']}, got {name!r}") from fault
    return NewKey(secret, kept)


def parse_scopes(words: Sequence[str]) -> tuple[Scope, ...]:
    """Scopes by name; raises `BadInput` for another word."""
    try:
        return tuple(Scope(word) for word in words)
    except ValueError as fault:
        known = ", ".join(Scope)
        raise BadInput(f"scope: expected one of {known}, got {', '.join(words)}") from fault


def parse_day(text: str) -> date:
    """A day as `2030-01-31`; raises `BadInput` for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError as fault:
        raise BadInput(f"expires: expected a day as 2030-01-31, got {text!r}") from fault


def digest(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys of a file; raises `BadInput` saying what is wrong, never showing a hash."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return _KeyFile.model_validate(content).key
    except OSError as fault:
        raise BadInput(f"{path}: expected a file of API keys: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BadInput(f"{path}: expected TOML: {fault}") from fault
    except ValidationError as fault:
        first = fault.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path}: `{where}`: {first['msg']}") from fault


def write_keys(path: Path, keys: Sequence[ApiKey]) -> None:
    """Replace the file; a reader sees the old keys or the new ones."""
    write_text(path, "\n".join(map(_toml, keys)))


def find_key(keys: Sequence[ApiKey], secret: str) -> ApiKey | None:
    """The key that was presented.

    Every kept hash is compared, each in constant time: how long it takes tells nothing.
    """
    presented = digest(secret)
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, presented):
            found = key
    return found


class KeyRing:
    """The keys of a file as it now is; a file that cannot be read leaves the old ones in force.

    `fault` then says what is wrong with it. A use that once asked for a key asks until the process
    ends: a file that is emptied, or seen half written, closes the door and does not open it.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = None if path is None else WatchedFile(path)
        if self._file is not None:
            self._file.look()  # from now on: it is read here
        self.keys = () if path is None else read_keys(path)
        self.fault: str | None = None
        self._asking = _scopes(self.keys)

    def reload(self) -> None:
        """Read the file again if it changed; cheap where it did not."""
        if self._path is None or self._file is None or not self._file.look():
            return
        try:
            self.keys, self.fault = read_keys(self._path), None
            self._asking |= _scopes(self.keys)
        except BadInput as fault:
            self.fault = str(fault)

    def asks_for(self, scope: Scope) -> bool:
        """Whether any key is or was for this use: then one has to be shown."""
        return scope in self._asking

    def allowed(self, secret: str, scope: Scope) -> tuple[ApiKey | None, bool]:
        """The key presented, if known, and whether it holds for this use."""
        key = find_key(self.keys, secret)
        today = datetime.now(UTC).date()
        return key, key is not None and key.allows(scope, today=today)


def _scopes(keys: Sequence[ApiKey]) -> frozenset[Scope]:
    return frozenset(scope for key in keys for scope in key.scopes)


def _toml(key: ApiKey) -> str:
    scopes = ", ".join(f'"{scope}"' for scope in key.scopes)
    lines = ["[[key]]", f'name = "{key.name}"', f'sha256 = "{key.sha256}"', f"scopes = [{scopes}]"]
    if key.expires is not None:
        lines.append(f"expires = {key.expires.isoformat()}")
    return "\n".join(lines) + "\n"
