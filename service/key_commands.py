"""`ellm keys`: make, list and revoke API keys in the file a service reads.

A running service notices a change by itself, so a key is rotated without a restart: make a second
one of the same name, hand it out, revoke the first.
"""

from pathlib import Path

import typer

app = typer.Typer(help="Make, list and revoke the service's API keys.", no_args_is_help=True)
FILE = typer.Option(..., help="The file `--api-keys` of `ellm serve` names.")


@app.command("new")
def new_command(
    name: str = typer.Option(..., help="Who will use it; shown in logs and counted by limits."),
    file: Path = FILE,
    scope: list[str] = typer.Option(
        ["score"], help="score, metrics, console or admin; may be repeated."
    ),
    expires: str | None = typer.Option(None, help="First day it no longer holds, say 2030-01-31."),
) -> None:
    """Make a key and print it; only its hash is kept, so it cannot be shown again."""
    from service.api_keys import make_key, parse_day, parse_scopes, read_keys, write_keys

    day = None if expires is None else parse_day(expires)
    made = make_key(name, parse_scopes(scope), expires=day)
    kept = read_keys(file) if file.exists() else ()
    write_keys(file, (*kept, made.kept))
    typer.echo(made.secret)


@app.command("list")
def list_command(file: Path = FILE) -> None:
    """List the keys of a file: name, first digits of the hash, scopes, last day."""
    from service.api_keys import read_keys

    for key in read_keys(file):
        until = "" if key.expires is None else f"expires {key.expires}"
        typer.echo(f"{key.name:<24} {key.sha256[:8]}  {','.join(key.scopes):<20} {until}".rstrip())


@app.command("revoke")
def revoke_command(
    digits: str = typer.Argument(..., help="First digits of the hash, as `list` shows them."),
    file: Path = FILE,
) -> None:
    """Remove one key; a running service refuses it within a second."""
    from relevance.errors import BadInput
    from service.api_keys import read_keys, write_keys

    keys = read_keys(file)
    found = [key for key in keys if key.sha256.startswith(digits)]
    if len(found) != 1 or not digits:
        raise BadInput(f"{file}: expected one key beginning with `{digits}`, got {len(found)}")
    write_keys(file, [key for key in keys if key not in found])
    typer.echo(f"revoked {found[0].name}")
