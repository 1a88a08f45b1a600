"""A shop's edits: they outlive a new mining, reach the judge, and nonsense is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relevance.errors import BadInput
from teacher.commands import app
from teacher.fit_fold import fit_fold
from teacher.lexicon_edits import NO_EDITS, edited, read_edits
from teacher.online.catalogue import CatalogueJudge
from teacher.online.lexicon import read_lexicon
from tests.teacher.make_teacher import fold_data, lexicon, make_item

EDITS = """
[add.color]
red = ["Cherry Bombs"]
[remove]
brand = ["Tuskar"]
[synonyms]
backpack = ["schoolbag"]
"""


def written(tmp_path: Path, text: str = EDITS) -> Path:
    path = tmp_path / "edits.toml"
    path.write_text(text)
    return path


def invoke(*words: object) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_edits_add_remove_and_join(tmp_path: Path) -> None:
    known = edited(lexicon(), read_edits(written(tmp_path)))

    assert known.terms["color"]["cherry bomb"] == "red"
    assert "tuskar" not in known.terms["brand"]
    assert "norvane" in known.terms["brand"]
    assert "schoolbag" in known.synonyms["backpack"]
    assert set(lexicon().synonyms["backpack"]) <= set(known.synonyms["backpack"])


def test_no_edits_change_nothing() -> None:
    assert edited(lexicon(), NO_EDITS) == lexicon()


def test_a_judge_fitted_with_edits_reads_them_back(tmp_path: Path) -> None:
    edits = read_edits(written(tmp_path))

    fit_fold(replace(fold_data(), edits=edits), tmp_path / "judge")

    assert "cherry bomb" in read_lexicon(tmp_path / "judge").terms["color"]


def test_a_copy_of_a_judge_knows_the_new_word_at_once(judge_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "judge"

    invoke("lexicon", "--judge", judge_folder, "--edits", written(tmp_path), "--out", out)

    item = make_item("Backpack, Cherry Bomb")
    before, after = (
        CatalogueJudge.read(f).judge("red backpack", item) for f in (judge_folder, out)
    )
    assert after.log_odds > before.log_odds
    assert after.fingerprint != before.fingerprint


def test_one_aspect_is_shown_as_the_toml_that_edits_are_written_in(
    judge_folder: Path, tmp_path: Path
) -> None:
    said = invoke("lexicon", "--judge", judge_folder, "--aspect", "gender")

    shown = read_edits(written(tmp_path, said))
    assert edited(lexicon(), shown).terms["gender"] == lexicon().terms["gender"]


def test_a_word_is_shown_with_all_it_means(judge_folder: Path) -> None:
    said = invoke("lexicon", "--judge", judge_folder, "--word", "Backpacks")

    assert "backpack: in" in said
    assert "product: backpack" in said
    assert "synonyms: bookbag, rucksack" in said


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[add", "expected lexicon edits as TOML"),
        ("[colour]\nred = ['x']", "expected add, remove, synonyms, got colour"),
        ("[add.colour]\nred = ['x']", r"\[add\]: expected aspects"),
        ("[add.color]\nred = 'x'", r"\[add.color\]: expected lists of texts"),
        ("[remove]\nbrand = [1]", r"\[remove\]: expected lists of texts"),
        ("[synonyms]\ncouch = ['']", r"\[synonyms\]: expected lists of texts"),
    ],
)
def test_what_is_no_edit_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        read_edits(written(tmp_path, text))


def test_edits_without_a_place_to_go_are_refused(judge_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--edits and --out go together"):
        invoke("lexicon", "--judge", judge_folder, "--edits", written(tmp_path))
