"""`ellm`: finds each folder's commands by entry points and turns errors into exit codes.

An entry point `name` is a Typer app of that name; `name.word` is one function, the command
`ellm name word`, so that several folders share a name (`ellm bench …`). Such a command may also be
spelled as an option, `ellm name --word …`.

It imports no other folder itself, and a folder's command module imports nothing heavy: `--help`
and `serve` never load torch.
"""

import sys
from collections.abc import Callable, Sequence
from copy import copy
from importlib.metadata import EntryPoint, entry_points
from itertools import groupby
from typing import Any

import typer
from typer.core import TyperGroup

from relevance.errors import RelevanceError

GROUP = "ellm.commands"
ORDER = (
    "demo",
    "data",
    "teach",
    "train",
    "evaluate",
    "study",
    "export",
    "refresh",
    "rollout",
    "store",
    "redis",
    "serve",
    "keys",
    "explain",
    "audit",
    "bench",
)
SHARED = {"bench": "Measure speed and size: a table on the screen, JSON under build/bench."}
EXIT_CODES = "Exit codes: 2 bad input, 3 bad bundle or generation, 4 a gate refused, 5 unavailable."
EXTRA_OF_MODULE = {
    "torch": "trainer",
    "transformers": "trainer",
    "safetensors": "trainer",
    "matplotlib": "trainer",
    "jinja2": "audit",
    "tensorboard": "trainer",
    "torchcrf": "trainer",
    "onnx": "exporter",
    "onnxscript": "exporter",
    "sklearn": "teacher",
    "lightgbm": "teacher",
    "rapidfuzz": "teacher",
    "httpx": "service",
    "fastapi": "service",
    "uvicorn": "service",
    "pydantic_settings": "service",
    "orjson": "service",
    "msgspec": "service",
    "onnxruntime": "service",
    "tokenizers": "service",
    "xxhash": "service",
    "redis": "service",
    "crc32c": "service",
    "faiss": "service",
    "ray": "ray",
    "trl": "sft",
    "peft": "sft",
    "datasets": "sft",
    "accelerate": "sft",
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
    chosen = [point for point in points if _first_word(point) == only] or points
    for name, members in groupby(chosen, key=_first_word):
        app.add_typer(_commands(tuple(members)), name=name, cls=_SpelledAsOptions)
    return app


class _SpelledAsOptions(TyperGroup):
    """Takes `--word` in the first place for the command `word` where there is one.

    That command then stands in place of what the name does by itself, whose options it lacks.
    """

    # The context's type is public in click or in typer, depending on typer's version.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0].removeprefix("--") if args else ""
        if first in self.commands:
            args = [first, *args[1:]]
            self.params, self.callback = [], None
        return super().parse_args(ctx, args)


def _first_word(point: EntryPoint) -> str:
    return point.name.partition(".")[0]


def _commands(points: Sequence[EntryPoint]) -> typer.Typer:
    """The app of one name with the functions that other folders add to it."""
    apps = [point for point in points if "." not in point.name]
    help_text = SHARED.get(_first_word(points[0]))
    app: typer.Typer = apps[0].load() if apps else typer.Typer(no_args_is_help=True, help=help_text)
    added = [point for point in points if "." in point.name]
    if not added:
        return app
    merged = copy(app)
    merged.registered_commands = list(app.registered_commands)
    for point in added:
        function: Callable[..., None] = point.load()
        merged.command(name=point.name.partition(".")[2])(function)
    return merged


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
    first = _first_word(point)
    return (ORDER.index(first) if first in ORDER else len(ORDER), point.name)


def _fail(message: str, code: int, *, debug: bool) -> None:
    if debug:
        raise  # called only from the handlers above: shows what they caught
    sys.stderr.write(f"ellm: {message}\n")
    sys.exit(code)
