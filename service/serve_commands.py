"""`ellm serve`: check everything that can be checked, then hand over to uvicorn."""

from pathlib import Path

import typer

from relevance.errors import Unavailable

app = typer.Typer(help="Serve /score and /explain over HTTP.")


@app.callback(invoke_without_command=True)
def serve_command(
    store: Path | None = typer.Option(None, help="Folder `ellm refresh` published into."),
    teacher: Path | None = typer.Option(None, help="Folder of the catalogue teacher."),
    host: str | None = typer.Option(None, help="Address to listen on (127.0.0.1)."),
    port: int | None = typer.Option(None, help="Port to listen on (8080)."),
    workers: int | None = typer.Option(None, help="Server processes (1)."),
) -> None:
    """Serve /score and /explain over HTTP; every option is also a variable, say ELLM_STORE."""
    import os

    import uvicorn

    from service.serving import open_serving
    from service.settings import read_settings, variable

    options = {"store": store, "teacher": teacher, "host": host, "port": port, "workers": workers}
    given = {variable(name): str(value) for name, value in options.items() if value is not None}
    os.environ.update(given)  # server processes read their settings from there
    settings = read_settings()
    check_port_is_free(settings.host, settings.port)
    with open_serving(settings) as serving:  # a fault shows as one line, not as uvicorn's traceback
        items, generation = len(serving.items.token_counts), serving.items.generation_id
    typer.echo(f"serving {items:,} items of generation {generation}", err=True)
    del serving  # its maps and graphs: the server processes open their own
    uvicorn.run(
        "service.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http="httptools",
        access_log=False,
    )


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
