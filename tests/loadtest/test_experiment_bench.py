import json

import pytest
import typer
from typer.testing import CliRunner

from loadtest.experiment_bench import AGAIN, BOTH, CANDIDATE, CONTROL, PLAIN, Waited, table
from loadtest.experiment_commands import experiments_command
from loadtest.experiment_servers import PLAN, keys_of
from relevance.experiments.plan import CONTROL as CONTROL_NAME
from relevance.experiments.plan import read_plan
from service.refresh.refresh import refresh
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.make_bundle import make_bundle


def waited(both: list[float]) -> Waited:
    return Waited(100, {PLAIN: [2.0, 4.0, 2.0], BOTH: both, AGAIN: [2.0, 4.0, 2.0]})


def test_the_share_is_taken_round_by_round() -> None:
    """A machine that is twice as slow in one round makes no difference."""
    found = waited([2.1, 4.4, 2.2]).over_plain(BOTH)

    assert found.median == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)


@pytest.mark.parametrize(("both", "verdict"), [(2.08, " under 5%"), (2.12, "NOT under 5%")])
def test_the_table_says_whether_it_is_under_five_in_a_hundred(both, verdict) -> None:
    assert table([waited([both, 2 * both, both])]).endswith(verdict)


@pytest.mark.slow
def test_three_services_are_measured_side_by_side(tmp_path) -> None:
    """The command over a tiny shop: two bundles, and a log of every request."""
    for name, seed in (("live", 0), ("candidate", 5)):
        make_bundle(tmp_path / f"{name}-bundle", seed=seed)
        items = write_catalogue(tmp_path / "shop_items.jsonl", CATALOGUE)
        refresh(bundle=tmp_path / f"{name}-bundle", items=items, store=tmp_path / name)
    (tmp_path / "shop_pairs.csv").write_text("query,item_id\nred lamp,B001\n")
    app = typer.Typer()
    app.command()(experiments_command)
    words = ["--store", "live", "--candidate", "candidate", "--data", "shop", "--out", "out"]
    words = [str(tmp_path / word) if not word.startswith("--") else word for word in words]

    done = CliRunner().invoke(app, [*words, "--rounds", "2", "--requests", "4", "--log-rate", "1"])

    assert done.exit_code == 0, (done.output, done.exception)
    measured = json.loads((tmp_path / "out" / "experiments.json").read_text())
    for one in measured["waited"]:
        assert set(one["medians"]) == {PLAIN, AGAIN, BOTH, CONTROL, CANDIDATE}
        assert all(len(medians) == 2 for medians in one["medians"].values())


def test_one_key_of_each_arm_is_found(tmp_path) -> None:
    (tmp_path / PLAN).write_text(
        'version = 1\n[variants.candidate]\nstore = "x"\n[[experiments]]\nname = "e"\n'
        'salt = "s"\npercent = { control = 50, candidate = 50 }\n'
    )

    keys = keys_of(tmp_path)

    plan = read_plan(tmp_path / PLAN)
    assert plan.assign(keys[CONTROL]).variant == CONTROL_NAME
    assert plan.assign(keys[CANDIDATE]).variant == "candidate"
