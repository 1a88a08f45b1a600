"""`ellm teach lexicon`: look into what the teacher knows of words, and change it."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from relevance.errors import BadInput

if TYPE_CHECKING:
    from teacher.online.lexicon import Lexicon


def lexicon(
    judge_folder: Path = typer.Option(..., "--judge", help="Folder written by `ellm teach fit`."),
    samples: int = typer.Option(8, "--samples", min=0, help="Terms shown of each aspect."),
    aspect: str | None = typer.Option(None, "--aspect", help="Show every term of one aspect."),
    word: str | None = typer.Option(None, "--word", help="Show what the lexicon says of a term."),
    edits: Path | None = typer.Option(
        None, "--edits", help="TOML with [add.<aspect>], [remove] and [synonyms]."
    ),
    out: Path | None = typer.Option(
        None, "--out", help="Folder for a copy of the judge with the edited lexicon."
    ),
) -> None:
    """Show what the lexicon knows, as TOML a shop can take edits from; apply edits to a copy.

    A judge's weights were fitted with the lexicon as it was: for more than a few terms give the
    edits to `ellm teach fit --edits` instead.
    """
    from teacher.lexicon_edits import edited, read_edits
    from teacher.online.lexicon import read_lexicon, write_lexicon

    if (edits is None) != (out is None):
        raise BadInput("lexicon: --edits and --out go together: a judge is never changed in place")
    known = edited(read_lexicon(judge_folder), read_edits(edits))
    if out is not None:
        _copy_judge(judge_folder, out)
        write_lexicon(out, known)
    if aspect is not None:
        _show_aspect(known.terms, aspect)
    elif word is not None:
        _show_word(known, word)
    else:
        typer.echo(
            f"{known.documents} items, {len(known.document_frequencies)} words in two or more"
        )
        for name, terms in known.terms.items():
            shown = list(terms)[:: max(1, len(terms) // max(samples, 1))][:samples]
            typer.echo(f"{name:18}{len(terms):6} terms  {', '.join(shown)}")
        typer.echo(f"{'departments':18}{len(known.departments):6}")
        typer.echo(f"{'attributes':18}{len(known.attributes):6} names")
        typer.echo(f"{'synonyms':18}{len(known.synonyms):6} terms")


def _copy_judge(judge: Path, out: Path) -> None:
    from shutil import copyfile

    from teacher.online import judge_file

    if out.exists():
        raise BadInput(f"{out}: expected no such folder yet")
    out.mkdir(parents=True)
    copyfile(judge / judge_file.FILE, out / judge_file.FILE)


def _show_aspect(terms: Mapping[str, Mapping[str, str]], aspect: str) -> None:
    if aspect not in terms:
        raise BadInput(f"lexicon: expected one of {', '.join(terms)}, got `{aspect}`")
    forms_of: dict[str, list[str]] = defaultdict(list)
    for form, value in terms[aspect].items():
        forms_of[value].append(form)
    typer.echo(f"[add.{aspect}]")
    for value, forms in sorted(forms_of.items()):
        listed = json.dumps(forms, ensure_ascii=False)
        typer.echo(f"{json.dumps(value, ensure_ascii=False)} = {listed}")


def _show_word(known: "Lexicon", word: str) -> None:
    from teacher.listed_terms import term_key

    key = term_key(word)
    meanings = {a: terms[key] for a, terms in known.terms.items() if key in terms}
    typer.echo(f"{key}: in {known.document_frequencies.get(key, 0)} of {known.documents} items")
    for name, value in meanings.items():
        typer.echo(f"{name}: {value}")
    if key in known.synonyms:
        typer.echo(f"synonyms: {', '.join(known.synonyms[key])}")
    if key in known.heads:
        typer.echo(f"ends the leading phrase of {known.heads[key]:.0%} of its titles")
