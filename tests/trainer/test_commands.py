"""`ellm train` as it is typed: a pool is drawn, students are trained, nothing heavy for help."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relevance.errors import BadInput
from relevance.folds import holdout, read_folds, split
from relevance.records import read_judgements, read_pairs, write_judgements, write_pairs
from tests.trainer.make_students import TITLES, make_judgement, shop_pairs, write_shop

HEAVY = ("torch", "transformers", "onnx", "onnxruntime", "sklearn", "matplotlib")
COMMANDS = (
    "trainer.commands",
    "trainer.evaluate_commands",
    "trainer.study_commands",
    "exporter.commands",
)
HELP = """
import sys
from importlib import import_module
from typer.testing import CliRunner

app = import_module({module!r}).app
names = [
    command.name or command.callback.__name__.replace("_", "-")
    for command in app.registered_commands
]
for words in (["--help"], *([name, "--help"] for name in names)):
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0 and "Usage" in shown.output, shown.output
print(*sorted(set(sys.modules) & {heavy!r}))
"""


@pytest.mark.parametrize("module", COMMANDS)
def test_help_loads_nothing_heavy(module):
    code = HELP.format(module=module, heavy=set(HEAVY))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> tuple[Path, Path]:
    pairs = [pair for at, pair in enumerate(shop_pairs()) if at % 4 == 0]
    return write_shop(tmp_path_factory.mktemp("shop"), pairs)


def run(*words: object):
    from trainer.commands import app

    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_a_pool_is_drawn_beside_the_labelled_pairs_and_every_pair_gets_similarities(
    shop, tmp_path, backbone_folder
):
    import pyarrow.parquet as pq

    data, _ = shop
    pairs, similarities = tmp_path / "pool.parquet", tmp_path / "similarities.parquet"

    done = run(
        *("pool", "--data", data, "--pairs", pairs, "--similarities", similarities),
        *("--backbone", backbone_folder),
    )

    drawn, labelled = read_pairs(pairs), read_pairs(Path(f"{data}_pairs.parquet"))
    assert done.exit_code == 0
    assert f"{len(drawn):,} unlabelled pairs of {len(TITLES) + 1} queries" in done.output
    keys = {(pair.query, pair.item_id) for pair in labelled}
    assert not keys & {(pair.query, pair.item_id) for pair in drawn}
    assert "steel water bottle" in {pair.query for pair in drawn}
    assert pq.read_metadata(similarities).num_rows == len(labelled) + len(drawn)


def test_a_student_is_trained_on_labels_pool_and_judgements(shop, tmp_path, wide_backbone_folder):
    from trainer.students.checkpoint import read_checkpoint

    data, folds = shop
    parts = split(read_folds(folds), read_pairs(Path(f"{data}_pairs.parquet")), fold=0)
    held = holdout(parts, queries_of=parts.validation)
    free = [p for p in shop_pairs(labelled=False) if not held.holds_query(p.query)]
    pool = [pair for pair in free if not held.holds_item(pair.item_id)]
    write_pairs(tmp_path / "pool.parquet", pool)
    judged = [make_judgement(p.query, p.item_id, held_out_of="0") for p in (*parts.train, *pool)]
    write_judgements(tmp_path / "judgements.parquet", judged)

    done = run(
        *("student", "--data", data, "--folds", folds, "--fold", 0, "--recipe", "mkd"),
        *("--pool", tmp_path / "pool.parquet", "--judgements", tmp_path / "judgements.parquet"),
        *("--steps", 2, "--human-pairs", 8, "--pseudo-blocks", 1, "--seed", 3, "--threads", 1),
        *("--backbone", wide_backbone_folder, "--out", tmp_path / "student"),
    )

    assert done.exit_code == 0
    assert "step 2: validation Neg PR-AUC" in done.output
    assert "left out: nothing" in done.output
    recipe = read_checkpoint(tmp_path / "student").card.recipe
    changed = {"name": "mkd", "steps": 2, "human_pairs": 8, "pseudo_blocks": 1, "seed": 3}
    assert {name: recipe[name] for name in changed} == changed


def test_a_bert_judges_a_pool_that_is_packed_and_taught_to_a_reprbert(
    shop, tmp_path, wide_backbone_folder
):
    from trainer.students.checkpoint import read_card

    data, folds = shop
    parts = split(read_folds(folds), read_pairs(Path(f"{data}_pairs.parquet")), fold=0)
    held = holdout(parts, queries_of=parts.validation)
    free = [p for p in shop_pairs(labelled=False) if not held.holds_query(p.query)]
    write_pairs(tmp_path / "pool.parquet", [p for p in free if not held.holds_item(p.item_id)])
    fold = ("--data", data, "--folds", folds, "--fold", 0, "--backbone", wide_backbone_folder)
    short = ("--steps", 2, "--human-pairs", 8, "--threads", 1)
    pool = ("--data", data, "--pool", tmp_path / "pool.parquet")

    for words in (
        ("student", *fold, *short, "--recipe", "ce", "--set", "student=bert",
         "--out", tmp_path / "bert"),
        ("judge", "--checkpoint", tmp_path / "bert", "--data", data,
         "--pairs", tmp_path / "pool.parquet", "--out", tmp_path / "judged.parquet"),
        ("pack", *pool, "--judgements", tmp_path / "judged.parquet", "--out", tmp_path / "packed"),
        ("student", *fold, *short, "--recipe", "mkd", "--packed-pool", tmp_path / "packed",
         "--set", "student=reprbert", "--set", "dim=16", "--set", "layers=1,2",
         "--lambda-cot", 0, "--state", tmp_path / "state", "--out", tmp_path / "reprbert"),
    ):  # fmt: skip
        done = run(*words)
        assert done.exit_code == 0, done.output

    judged = read_judgements(tmp_path / "judged.parquet")
    assert {j.judge for j in judged} == {"student:bert"}
    assert {j.held_out_of for j in judged} == {None}
    card = read_card(tmp_path / "reprbert")
    assert (card.student, card.dim, card.recipe["layers"]) == ("reprbert", 16, "1,2")


def test_a_packed_pool_that_leaks_is_refused(shop, tmp_path):
    data, folds = shop
    parts = split(read_folds(folds), read_pairs(Path(f"{data}_pairs.parquet")), fold=0)
    write_pairs(tmp_path / "pool.parquet", parts.test[:3])
    judged = [make_judgement(p.query, p.item_id) for p in parts.test[:3]]
    write_judgements(tmp_path / "judged.parquet", judged)
    run("pack", "--data", data, "--pool", tmp_path / "pool.parquet",
        "--judgements", tmp_path / "judged.parquet", "--out", tmp_path / "packed")  # fmt: skip

    with pytest.raises(BadInput, match="packed: 3 pairs hold queries or items of the held-out"):
        run("student", "--data", data, "--folds", folds, "--fold", 0, "--recipe", "mkd",
            "--packed-pool", tmp_path / "packed", "--out", tmp_path / "student")  # fmt: skip


def test_a_recipe_that_learns_from_a_teacher_is_refused_without_judgements(shop, tmp_path):
    """Trained on human labels alone it would pass for what it is compared with."""
    data, folds = shop

    with pytest.raises(BadInput, match=r"recipe `mkd`: expected a teacher's judgements"):
        run("student", "--data", data, "--folds", folds, "--fold", 0, "--recipe", "mkd",
            "--out", tmp_path / "student")  # fmt: skip

    assert not (tmp_path / "student").exists()


def test_an_encoder_is_adapted_to_a_pools_texts_and_students_start_from_it(
    shop, tmp_path, wide_backbone_folder
):
    data, folds = shop
    pool, out = tmp_path / "pool.parquet", tmp_path / "adapted"
    write_pairs(pool, shop_pairs(labelled=False)[:90])

    done = run(
        *("adapt", "--data", data, "--pool", pool, "--out", out, "--steps", 2, "--texts", 4),
        *("--backbone", wide_backbone_folder),
    )

    assert done.exit_code == 0
    assert "adapted to 3 queries and 30 item texts; last loss" in done.output
    trained = run(
        *("student", "--data", data, "--folds", folds, "--fold", 0, "--recipe", "ce"),
        *("--steps", 1, "--backbone", out, "--out", tmp_path / "student"),
    )
    assert trained.exit_code == 0
    assert (tmp_path / "student" / "student.json").exists()
