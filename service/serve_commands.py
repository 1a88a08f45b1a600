"""`ellm serve`: check everything that can be checked, then hand over to uvicorn.

Every setting is an option here by itself; `service.settings` has them.
"""

import inspect
from collections.abc import Callable
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

import typer

from relevance.errors import BadInput, Unavailable

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from service.run_folder import RunFolder
    from service.settings import Settings

KEEP_ALIVE = 75  # seconds an idle connection stays: longer than balancers keep theirs
HUNG_AFTER = 15  # seconds a worker may give no sign of life before it is replaced
APP = "service.app:create_app"
KINDS = {"bool": "[true|false]", "SecretStr": "<str>"}  # by type, where its name does not say it


def serve(config: str | None, print_config: bool, **flags: str | None) -> None:
    """Serve /score and /explain over HTTP.

    Every option is also a variable, say ELLM_STORE, and a key of the file --config names; an option
    wins over a variable, a variable over the file.
    """
    import os

    from service.settings import FILE_VARIABLE, read_settings, shown, variable

    if config is not None:
        os.environ[FILE_VARIABLE] = config
    given = {name: value for name, value in flags.items() if value is not None}
    settings = read_settings(flags=given)
    if print_config:
        typer.echo(shown(settings), nl=False)
        return
    check_parts(settings)
    check_port_is_free(settings.host, settings.port)
    check_store(settings)
    for name, value in given.items():
        os.environ[variable(name)] = value  # server processes read their settings from there
    _serve(settings)


def check_parts(settings: "Settings") -> None:
    """Open once what each server process opens beside the store; as `check_store` does."""
    from service.api_keys import KeyRing
    from service.item_stores import redis_settings
    from service.rate_limits import RateLimits
    from service.teachers import read_explanations

    KeyRing(settings.api_keys)
    store = settings.rate_limit_store
    RateLimits(settings.rate_limit, store=None if store is None else store.get_secret_value())
    read_explanations(settings).close()
    if settings.redis_url is not None:
        redis_settings(settings, settings.redis_url.get_secret_value())
    if settings.redis_ca_file is not None and not settings.redis_ca_file.is_file():
        raise BadInput(f"{settings.redis_ca_file}: expected a file of certificates: no such file")
    if settings.console_compare is not None and not settings.console_compare.is_dir():
        raise BadInput(f"{settings.console_compare}: expected a store: no such folder")
    if settings.pair_log is not None:
        settings.pair_log.mkdir(parents=True, exist_ok=True)


def check_store(settings: "Settings") -> None:
    """Open what CURRENT names once, so that a fault shows as one line and not as a traceback."""
    from relevance.experiments.plan import read_plan
    from service.serving import item_count, open_pair

    if settings.experiments is not None:
        for variant in read_plan(settings.experiments).variants.values():
            open_pair(settings.model_copy(update={"store": variant.store}))
    items = open_pair(settings).snapshot.items
    typer.echo(f"serving {item_count(items):,} items of generation {items.generation_id}", err=True)


def check_port_is_free(host: str, port: int) -> None:
    """Raise `Unavailable` where the port cannot be listened on."""
    import errno
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as fault:
        reason = (
            "is in use" if fault.errno == errno.EADDRINUSE else f"cannot be had: {fault.strerror}"
        )
        raise Unavailable(f"port {port} on {host} {reason}") from fault


def with_settings_as_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with an option for each setting; without them where the extra is not installed."""

    def called(**options: Any) -> None:
        command(**options)

    called.__doc__ = inspect.getdoc(command)
    parameters = [
        _option("config", str | None, None, "TOML file of settings."),
        _option("print_config", bool, False, "Print the settings as such a file and end."),
        *(_option(one.name, str | None, None, one.text, one.kind) for one in _settings()),
    ]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


def _serve(settings: "Settings") -> None:
    import os
    import secrets
    from contextlib import nullcontext

    from service.run_folder import RunFolder, temporary_run_folder
    from service.settings import variable
    from service.telemetry.log import configure

    if settings.log_hash_key is None:
        os.environ[variable("log_hash_key")] = secrets.token_hex(16)
    given = settings.run_folder
    with temporary_run_folder() if given is None else nullcontext(RunFolder(given)) as run:
        run.make()
        os.environ[variable("run_folder")] = str(run.root)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(run.counters)
        configure(settings)
        _run_uvicorn(settings, run)


def _run_uvicorn(settings: "Settings", run: "RunFolder") -> None:
    import signal
    import sys

    import uvicorn

    from service.workers import Workers

    config = uvicorn.Config(
        APP,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=settings.drain_timeout,
        timeout_worker_healthcheck=HUNG_AFTER,
    )
    if settings.workers > 1:
        Workers(config, [config.bind_socket()], run=run).run()
        return
    # uvicorn sends itself the SIGTERM again when it is done; as an exit it lets folders be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.Server(config).run()


class _Setting(NamedTuple):
    """A setting as help shows it; pydantic takes its value from text."""

    name: str
    kind: str
    text: str


def _settings() -> list[_Setting]:
    try:
        from service.settings import Settings
    except ModuleNotFoundError:
        return []  # `ellm --help` works without; running this command says which extra it needs
    return [
        _Setting(
            name, _kind(field.annotation), f"{field.description} {_default(field.default)}".strip()
        )
        for name, field in Settings.model_fields.items()
    ]


def _kind(annotation: Any) -> str:
    """What an option takes, written as typer writes it: `<int>`, or the choices."""
    if NoneType in get_args(annotation):
        [annotation] = set(get_args(annotation)) - {NoneType}
    if get_origin(annotation) is Literal:
        return f"[{'|'.join(get_args(annotation))}]"
    return KINDS.get(annotation.__name__, f"<{annotation.__name__.lower()}>")


def _default(value: object) -> str:
    if isinstance(value, bool):
        return f"({str(value).lower()})"
    is_told = isinstance(value, (int, float, str)) and value != ""
    return f"({value})" if is_told else ""


def _option(
    name: str, kind: Any, default: object, text: str, shown_kind: str | None = None
) -> inspect.Parameter:
    words = [f"--{name.replace('_', '-')}"]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=typer.Option(default, *words, help=text, show_default=False, metavar=shown_kind),
        annotation=kind,
    )


app = typer.Typer(help="Serve /score and /explain over HTTP.")
app.callback(invoke_without_command=True)(with_settings_as_options(serve))
