"""Who may call what: each path needs a scope, and what each scope asks of a caller.

Operators' paths (`/admin…`, `/docs`, `/redoc`, `/metrics`, `/console/api…`) are open on loopback
only; from elsewhere they ask for a key, and where no key was made for them nobody gets in. Scoring
asks for a key as soon as one for scoring is in the file. Keys are `api_keys.py`'s, how often is
admission's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.types import Scope as HttpScope

from service.api_keys import KeyRing, Scope
from service.replies import Refused

OPEN = frozenset({"/", "/livez", "/readyz", "/health"})  # they tell nothing worth a key
SCOPE_OF_FIRST_WORD = {
    "admin": Scope.ADMIN,
    "docs": Scope.ADMIN,
    "redoc": Scope.ADMIN,
    "pages": Scope.ADMIN,
    "metrics": Scope.METRICS,
    "console": Scope.CONSOLE,
}
CONSOLE_FILES = ("/console", "/console/")  # the page that asks for a key; tells nothing itself
FORWARDED = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"})
CHALLENGE = {"www-authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the name of a key, or else the address; limits and fairness go by it."""

    name: str


def scope_of(path: str) -> Scope | None:
    """What a path needs; None where it is open to all."""
    if path in OPEN or path in CONSOLE_FILES or path.startswith("/console/static/"):
        return None
    return SCOPE_OF_FIRST_WORD.get(path.lstrip("/").partition("/")[0], Scope.SCORE)


def admit(http: HttpScope, keys: KeyRing) -> Caller:
    """Who calls; raises `Refused`: 401 without a key that is needed, 403 with a wrong one."""
    needed = scope_of(http["path"])
    if needed is None:
        return Caller(_address(http))
    secret = _presented(http["headers"]) if keys.keys else None
    if secret is not None:
        return _holder(keys, secret, needed)
    is_open = is_local(http) if needed is not Scope.SCORE else not keys.asks_for(Scope.SCORE)
    if is_open:
        return Caller(_address(http))
    message = f"{http['path']}: expected an API key for `{needed}` in `Authorization: Bearer …`"
    raise Refused(401, "missing_api_key", message, headers=CHALLENGE)


def is_local(http: HttpScope) -> bool:
    """Whether a request comes from this very machine and nobody passed it on."""
    names = {name for name, _ in http["headers"]}
    return _is_loopback(_address(http)) and not names & FORWARDED


def _holder(keys: KeyRing, secret: str, needed: Scope) -> Caller:
    key, holds = keys.allowed(secret, needed)
    if key is None:
        raise Refused(401, "invalid_api_key", "the API key is not known", headers=CHALLENGE)
    if not holds:
        message = f"API key `{key.name}` has expired or is not for `{needed}`"
        raise Refused(403, "forbidden", message)
    return Caller(key.name)


def _presented(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"x-api-key":
            return value.decode("latin-1")
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip().decode("latin-1")
    return None


def _address(http: HttpScope) -> str:
    client = http.get("client")
    return str(client[0]) if client else "unknown"


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
