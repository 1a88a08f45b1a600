"""`ellm` itself: help, the order of commands, exit codes, and what it says of absent parts."""

import errno
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from relevance import cli
from relevance.cli import GROUP, ORDER, make_app
from relevance.data_commands import app as data_commands
from relevance.errors import BadBundle, BadInput

commands = typer.Typer(no_args_is_help=True)


@commands.command()
def bad_input() -> None:
    raise BadInput("shop.csv: row 3: expected a label")


@commands.command()
def bad_bundle() -> None:
    raise BadBundle("manifest.json: expected another\nhint: export it again")


@commands.command()
def needs_torch() -> None:
    raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")


@commands.command()
def needs_unknown() -> None:
    raise ModuleNotFoundError("No module named 'mystery'", name="mystery")


@commands.command()
def interrupted() -> None:
    raise KeyboardInterrupt


@commands.command()
def no_room() -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "build/out.json")


@commands.command()
def no_file() -> None:
    raise OSError(errno.EBADF, "Bad file descriptor")


@commands.command()
def fine() -> None:
    typer.echo("done")


POINTS = (EntryPoint("wrong", f"{__name__}:commands", GROUP),)


@pytest.fixture
def ellm(monkeypatch, capsys):
    """Run `ellm` with the commands above; gives exit code, stdout and stderr."""
    monkeypatch.setattr(cli, "entry_points", lambda *, group: POINTS)
    monkeypatch.setattr(EntryPoint, "load", lambda point: commands)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ellm", *arguments])
        with pytest.raises(SystemExit) as ending:
            cli.main()
        return ending.value.code, *capsys.readouterr()

    return run


def test_help_lists_the_commands_and_the_exit_codes(ellm):
    code, out, _ = ellm("--help")

    assert code == 0
    assert "wrong" in out
    assert "Exit codes: 2 bad input" in " ".join(out.split())


def test_help_lists_commands_by_their_whole_first_sentence(ellm, monkeypatch):
    """However long the sentence: what stands behind the cut is often what a reader looks for."""
    sentence = "Does " + "one thing and " * 12 + "ends."
    long_winded = typer.Typer(no_args_is_help=True)
    long_winded.command("run", help=f"{sentence}\n\nMore of it.")(fine)
    long_winded.command("hidden", hidden=True)(fine)
    monkeypatch.setattr(EntryPoint, "load", lambda point: long_winded)

    _, out, _ = ellm("wrong", "--help")

    assert " ".join(out.split()).endswith(f"Commands: run {sentence}")


def test_usage_names_commands_only_where_there_are_some(ellm, monkeypatch):
    alone = typer.Typer(no_args_is_help=True)
    alone.callback(invoke_without_command=True)(fine)

    _, with_some, _ = ellm("wrong", "--help")
    monkeypatch.setattr(EntryPoint, "load", lambda point: alone)
    _, without_any, _ = ellm("wrong", "--help")

    assert "ellm wrong [OPTIONS] COMMAND [ARGS]..." in with_some
    assert "COMMAND" not in without_any


def test_a_command_that_ends_well_exits_with_zero(ellm):
    assert ellm("wrong", "fine") == (0, "done\n", "")


def test_bad_input_exits_with_two_and_one_line(ellm):
    assert ellm("wrong", "bad-input") == (2, "", "ellm: shop.csv: row 3: expected a label\n")


def test_a_hint_stands_on_a_line_of_its_own(ellm):
    code, _, err = ellm("wrong", "bad-bundle")

    assert code == 3
    assert err.splitlines()[1] == "hint: export it again"


def test_an_unknown_command_exits_with_two(ellm):
    code, _, err = ellm("unheard-of")

    assert code == 2
    assert "unheard-of" in err


def test_a_missing_extra_is_named_with_its_repair(ellm):
    code, _, err = ellm("wrong", "needs-torch")

    assert code == 1
    assert "this command needs the package `torch.nn`" in err
    assert "hint: pip install 'ellm-mkd[trainer]'" in err


@pytest.fixture
def without(monkeypatch):
    """`make_app` and `ellm` where a top-level module cannot be imported."""

    def without(*roots: str) -> None:
        for name in list(sys.modules):
            if name.partition(".")[0] in roots:
                monkeypatch.delitem(sys.modules, name)
        for root in roots:
            monkeypatch.setitem(sys.modules, root, None)

    return without


def run_as_installed(monkeypatch, capsys, *words: str) -> tuple[object, str, str]:
    monkeypatch.setattr(sys, "argv", ["ellm", *words])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    return ending.value.code, *capsys.readouterr()


def test_help_lists_what_there_is_where_folders_are_absent(without, monkeypatch, capsys):
    """An image that holds a part of the project says which commands are elsewhere."""
    without("trainer", "exporter", "loadtest")

    code, out, _ = run_as_installed(monkeypatch, capsys, "--help")

    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line}
    assert code == 0
    assert lines["train"] == "Not here: needs the folder `trainer`."
    assert lines["export"] == "Not here: needs the folder `exporter`."
    assert "Not here" not in "".join(lines[name] for name in ("data", "serve", "bench", "teach"))


def test_a_command_whose_folder_is_absent_says_so(without, monkeypatch, capsys):
    without("trainer", "loadtest")

    for words in (["train", "student", "--data", "x"], ["train", "--help"]):
        code, _, err = run_as_installed(monkeypatch, capsys, *words)
        assert (code, err) == (
            1,
            "ellm: this command needs the folder `trainer`\nhint: install the whole of ellm-mkd\n",
        )


def test_folders_that_share_a_name_do_without_one_another(without, monkeypatch, capsys):
    """One folder's absence takes its own functions away and says so where they are run."""
    without("loadtest")

    _, listed, _ = run_as_installed(monkeypatch, capsys, "bench", "--help")
    there, _, _ = run_as_installed(monkeypatch, capsys, "bench", "store", "--help")
    code, _, err = run_as_installed(monkeypatch, capsys, "bench", "load", "--store", "x")

    assert listed.count("Not here: needs the folder `loadtest`.") > 5
    assert there == 0
    assert (code, err.splitlines()[0]) == (1, "ellm: this command needs the folder `loadtest`")


def test_a_missing_package_is_told_in_the_list_too(without, monkeypatch, capsys):
    points = (*POINTS, EntryPoint("wrong.other", "nowhere_at_all:run", GROUP))
    monkeypatch.setattr(cli, "entry_points", lambda *, group: points)

    def load(point):
        if point.name == "wrong":
            return commands
        raise ModuleNotFoundError("No module named 'onnx'", name="onnx")

    monkeypatch.setattr(EntryPoint, "load", load)

    _, out, _ = run_as_installed(monkeypatch, capsys, "wrong", "--help")
    code, _, err = run_as_installed(monkeypatch, capsys, "wrong", "other", "--any", "thing")

    assert "Not here: needs the package `onnx`." in out
    assert (code, err.splitlines()[1]) == (1, "hint: pip install 'ellm-mkd[exporter]'")


def test_a_missing_module_of_no_extra_is_a_bug_and_shows(ellm):
    with pytest.raises(ModuleNotFoundError, match="mystery"):
        ellm("wrong", "needs-unknown")


def test_a_file_that_the_system_refuses_exits_with_five_and_one_line(ellm):
    said = "ellm: build/out.json: cannot be read or written: No space left on device\n"

    assert ellm("wrong", "no-room") == (5, "", said)
    with pytest.raises(OSError, match="No space"):
        ellm("--debug", "wrong", "no-room")


def test_a_systems_fault_of_no_file_is_a_bug_and_shows(ellm):
    with pytest.raises(OSError, match="Bad file descriptor"):
        ellm("wrong", "no-file")


def test_an_interrupted_command_exits_as_shells_expect(ellm):
    assert ellm("wrong", "interrupted")[0] == 130


def test_debug_shows_the_traceback(ellm):
    with pytest.raises(BadInput, match="row 3"):
        ellm("--debug", "wrong", "bad-input")


def test_commands_come_in_the_order_of_a_first_use():
    points = [EntryPoint(name, "nowhere:app", GROUP) for name in ("zoo", *sorted(ORDER))]

    assert [point.name for point in sorted(points, key=cli._place)] == [*ORDER, "zoo"]


PACKAGE_OF_MODULE = {
    "sklearn": "scikit-learn",
    "torchcrf": "pytorch-crf",
    "pycrfsuite": "python-crfsuite",
}


def test_every_extra_that_is_hinted_at_exists():
    project = tomllib.loads((Path(cli.__file__).parents[1] / "pyproject.toml").read_text())

    extras = project["project"]["optional-dependencies"]
    for module, extra in cli.EXTRA_OF_MODULE.items():
        wanted = PACKAGE_OF_MODULE.get(module, module.replace("_", "-"))
        assert any(needed.startswith(wanted) for needed in extras[extra]), module


def test_the_app_is_made_from_whatever_is_installed():
    names = [group.name for group in make_app().registered_groups]

    assert names == sorted(names, key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER))


def test_several_folders_share_a_name_and_no_folder_learns_of_anothers_command(monkeypatch):
    def measure(depth: int = 1) -> None:
        typer.echo(f"depth {depth}")

    points = [
        EntryPoint("bench.speed", "one:speed", GROUP),
        EntryPoint("bench.size", "other:size", GROUP),
        EntryPoint("wrong.speed", "third:speed", GROUP),
        EntryPoint("wrong", "nowhere:app", GROUP),
    ]
    monkeypatch.setattr(cli, "entry_points", lambda *, group: points)
    monkeypatch.setattr(
        EntryPoint, "load", lambda point: measure if "." in point.name else commands
    )
    before = len(commands.registered_commands)

    def said(*words: str) -> str:
        return CliRunner().invoke(make_app(words[0]), words, catch_exceptions=False).output

    assert said("bench", "speed", "--depth", "3") == said("bench", "size", "--depth", "3")
    assert said("wrong", "--speed", "--depth", "2") == "depth 2\n"
    assert said("wrong", "fine") == "done\n"
    assert "Measure speed and size" in said("bench", "--help")
    assert len(commands.registered_commands) == before


def test_a_word_spelled_as_an_option_stands_in_place_of_what_the_name_does_itself(monkeypatch):
    alone = typer.Typer()

    @alone.callback(invoke_without_command=True)
    def everything(items: str = typer.Option(...)) -> None:
        typer.echo(f"all of {items}")

    def changes(store: str = typer.Option(...)) -> None:
        typer.echo(f"changes of {store}")

    points = [EntryPoint("renew", "one:app", GROUP), EntryPoint("renew.watch", "two:w", GROUP)]
    monkeypatch.setattr(cli, "entry_points", lambda *, group: points)
    monkeypatch.setattr(EntryPoint, "load", lambda point: changes if "." in point.name else alone)

    def said(*words: str) -> str:
        return CliRunner().invoke(make_app(words[0]), words, catch_exceptions=False).output

    assert said("renew", "--items", "x") == "all of x\n"
    assert said("renew", "--watch", "--store", "s") == "changes of s\n"
    assert "Missing option" in said("renew")


def test_every_option_of_the_data_commands_says_what_it_is():
    runner = CliRunner()
    for command in typer.main.get_group(data_commands).commands.values():
        options = [p for p in command.params if p.name != "help"]

        assert command.help
        assert all(option.help for option in options), command.name
        assert runner.invoke(data_commands, [command.name, "--help"]).exit_code == 0
