"""`ellm train` as it is typed: a pool is drawn, students are trained, nothing heavy for help."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relevance.folds import holdout, read_folds, split
from relevance.records import read_pairs, write_judgements, write_pairs
from tests.trainer.make_students import TITLES, make_judgement, shop_pairs, write_shop

HEAVY = ("torch", "transformers", "onnx", "onnxruntime", "sklearn", "matplotlib")
COMMANDS = ("trainer.commands", "trainer.evaluate_commands", "exporter.commands")
HELP = """
import sys
from importlib import import_module
from typer.testing import CliRunner

app = import_module({module!r}).app
names = [command.name or command.callback.__name__ for command in app.registered_commands]
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
