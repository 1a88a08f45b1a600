"""`ellm`: finds each folder's commands by entry points and turns errors into exit codes.

An entry point `name` is a Typer app of that name; `name.word` is one function, the command
`ellm name word`, so that several folders share a name (`ellm bench …`). Such a command may also be
spelled as an option, `ellm name --word …`.

It imports no other folder itself, and a folder's command module imports nothing heavy: `--help`
and `serve` never load torch. Where a folder or a package is absent, help says so of its commands
and the others work.
"""

import sys
from collections.abc import Sequence
from copy import copy
from importlib.metadata import EntryPoint, entry_points
from itertools import groupby
from typing import Any

import typer
from typer.core import TyperGroup

from relevance.errors import RelevanceError, Unavailable

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
ONE_SENTENCE = 200  # characters; click cuts at the line's end by default
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
    "pycrfsuite": "teacher",
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
        cls=_WholeSentences,
    )
    app.callback()(_options)
    points = sorted(entry_points(group=GROUP), key=_place)
    chosen = [point for point in points if _first_word(point) == only]
    for name, members in groupby(chosen or points, key=_first_word):
        commands = _commands(tuple(members), asked=bool(chosen))
        app.add_typer(commands, name=name, cls=_SpelledAsOptions)
    return app


class _WholeSentences(TyperGroup):
    """Lists commands by their whole first sentences; a name without any says so in its usage."""

    # The types of contexts and formatters are public in click or in typer, by typer's version.
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [
            (name, self.commands[name].get_short_help_str(limit=ONE_SENTENCE))
            for name in self.list_commands(ctx)
            if not self.commands[name].hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = list(super().collect_usage_pieces(ctx))
        return pieces if self.commands else pieces[:-1]


class _SpelledAsOptions(_WholeSentences):
    """Takes `--word` in the first place for the command `word` where there is one.

    That command then stands in place of what the name does by itself, whose options it lacks.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0].removeprefix("--") if args else ""
        if first in self.commands:
            args = [first, *args[1:]]
            self.params, self.callback = [], None
        return super().parse_args(ctx, args)


def _first_word(point: EntryPoint) -> str:
    return point.name.partition(".")[0]


def _commands(points: Sequence[EntryPoint], *, asked: bool) -> typer.Typer:
    """The app of one name with the functions that other folders add to it."""
    apps = [point for point in points if "." not in point.name]
    help_text = SHARED.get(_first_word(points[0]))
    own = _app(apps[0], asked=asked) if apps else typer.Typer(no_args_is_help=True, help=help_text)
    added = [point for point in points if "." in point.name]
    if not added:
        return own
    merged = copy(own)
    merged.registered_commands = list(own.registered_commands)
    for point in added:
        _add(merged, point)
    return merged


def _app(point: EntryPoint, *, asked: bool) -> typer.Typer:
    """A folder's app; where something it needs is absent, a line of help in its place.

    Raises `ModuleNotFoundError` where the app itself was `asked` for.
    """
    try:
        return point.load()
    except ModuleNotFoundError as fault:
        if asked:
            raise
        return typer.Typer(help=f"Not here: needs {_wanted(fault)[0]}.")


def _add(app: typer.Typer, point: EntryPoint) -> None:
    """Add a folder's function; where something it needs is absent, one that says so when run."""
    word = point.name.partition(".")[2]
    try:
        app.command(name=word)(point.load())
    except ModuleNotFoundError as fault:
        absent = fault  # the name of a handled error ends with its handler
        any_words = {"ignore_unknown_options": True, "allow_extra_args": True}
        said = f"Not here: needs {_wanted(absent)[0]}."

        @app.command(word, context_settings=any_words, help=said)
        def not_here(_: typer.Context) -> None:
            raise absent


def _wanted(fault: ModuleNotFoundError) -> tuple[str, str]:
    """What is absent, and how to get it; a module that no extra names is a fault of ours."""
    name = fault.name or ""
    root = name.partition(".")[0]
    if root in {point.module.partition(".")[0] for point in entry_points(group=GROUP)}:
        return f"the folder `{root}`", "install the whole of ellm-mkd"
    extra = EXTRA_OF_MODULE.get(root)
    return f"the package `{name}`", f"pip install 'ellm-mkd[{extra}]'" if extra else ""


def main() -> None:
    """Run `ellm`; one line on stderr and a meaningful exit code where something is wrong."""
    debug = "--debug" in sys.argv
    try:
        make_app(next((word for word in sys.argv[1:] if not word.startswith("-")), None))()
    except RelevanceError as fault:
        _fail(str(fault), fault.exit_code, debug=debug)
    except ModuleNotFoundError as fault:
        wanted, repair = _wanted(fault)
        if not repair:
            raise
        _fail(f"this command needs {wanted}\nhint: {repair}", 1, debug=debug)
    except OSError as fault:
        if fault.filename is None:  # of no file: a bug, or a connection nobody thought of
            raise
        named = fault.filename2 or fault.filename
        said = f"{named}: cannot be read or written: {fault.strerror}"
        _fail(said, Unavailable.exit_code, debug=debug)
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
