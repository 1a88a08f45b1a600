"""`ellm`: finds each folder's commands by entry points and turns errors into exit codes.

It imports no other folder itself, and a folder's command module imports nothing heavy: `--help`
and `serve` never load torch.
"""

import sys
from importlib.metadata import EntryPoint, entry_points

import typer

from relevance.errors import RelevanceError

GROUP = "ellm.commands"
ORDER = ("demo", "data", "teach", "train", "evaluate", "export", "refresh", "serve", "explain")
EXIT_CODES = "Exit codes: 2 bad input, 3 bad bundle or generation, 4 a gate refused, 5 unavailable."
EXTRA_OF_MODULE = {
    "torch": "trainer",
    "transformers": "trainer",
    "safetensors": "trainer",
    "matplotlib": "trainer",
    "jinja2": "trainer",
    "onnx": "exporter",
    "onnxscript": "exporter",
    "sklearn": "teacher",
    "rapidfuzz": "teacher",
    "httpx": "service",
    "fastapi": "service",
    "uvicorn": "service",
    "pydantic_settings": "service",
    "orjson": "service",
    "onnxruntime": "service",
    "tokenizers": "service",
    "xxhash": "service",
}


def make_app(only: str | None = None) -> typer.Typer:
    """The command with its subcommands, in the order of a first use; of one name if it is known.

    Loading just the subcommand that runs keeps `ellm serve` clear of what other folders import.
    """
    app = typer.Typer(
        name="ellm",
        help="Knows whether an item answers a shopper's query, in milliseconds, and says why.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    points = sorted(entry_points(group=GROUP), key=_place)
    for point in [p for p in points if p.name == only] or points:
        commands: typer.Typer = point.load()
        app.add_typer(commands, name=point.name)
    return app


def main() -> None:
    """Run `ellm`; one line on stderr and a meaningful exit code where something is wrong."""
    debug = "--debug" in sys.argv
    try:
        make_app(next((word for word in sys.argv[1:] if not word.startswith("-")), None))()
    except RelevanceError as fault:
        _fail(str(fault), fault.exit_code, debug=debug)
    except ModuleNotFoundError as fault:
        extra = EXTRA_OF_MODULE.get((fault.name or "").split(".")[0])
        if extra is None:
            raise
        hint = f"hint: pip install 'ellm-mkd[{extra}]'"
        _fail(f"this command needs the package `{fault.name}`\n{hint}", 1, debug=debug)
    except KeyboardInterrupt:
        _fail("interrupted", 130, debug=False)


def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Options of every command."""


def _place(point: EntryPoint) -> tuple[int, str]:
    return (ORDER.index(point.name) if point.name in ORDER else len(ORDER), point.name)


def _fail(message: str, code: int, *, debug: bool) -> None:
    if debug:
        raise  # called only from the handlers above: shows what they caught
    sys.stderr.write(f"ellm: {message}\n")
    sys.exit(code)
