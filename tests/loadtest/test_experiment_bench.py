import json

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from loadtest.experiment_bench import (
    AGAIN,
    CONTROL,
    EXPERIMENTS,
    ONE_BUNDLE,
    PLAIN,
    TREATMENT,
    TWO_BUNDLES,
    Rows,
    Waited,
    arm,
    table,
)
from loadtest.experiment_commands import experiments_command
from loadtest.experiment_servers import keys_of, write_plan
from relevance.experiments.plan import CONTROL as CONTROL_NAME
from relevance.experiments.plan import read_plan
from service.refresh.refresh import refresh
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.make_bundle import make_bundle


def waited(both: list[float]) -> Waited:
    plain = [2.0, 4.0, 2.0]
    medians = {PLAIN: plain, ONE_BUNDLE: both, TWO_BUNDLES: plain, AGAIN: plain}
    return Waited(100, medians, {name: medians[name] for name in (PLAIN, ONE_BUNDLE)})


def test_the_share_is_taken_round_by_round() -> None:
    """A machine that is twice as slow in one round makes no difference."""
    measured = waited([2.1, 4.4, 2.2])

    for found in (measured.over_plain(ONE_BUNDLE), measured.work_over_plain(ONE_BUNDLE)):
        assert found.median == pytest.approx(0.1)
        assert found.high == pytest.approx(0.1)


@pytest.mark.parametrize(("both", "verdict"), [(2.08, " under 5%"), (2.12, "NOT under 5%")])
def test_the_table_says_whether_it_is_under_five_in_a_hundred(both, verdict) -> None:
    *_, one_bundle, two_bundles = table([waited([both, 2 * both, both])]).splitlines()

    assert one_bundle.endswith(verdict)
    assert two_bundles.startswith("two bundles, with the log: +0.0% at most, under")


@given(requests=st.integers(4, 200), in_a_row=st.integers(1, 40))
def test_rows_hold_the_requests_of_a_round(requests, in_a_row) -> None:
    """No service gets more than asked for, but for one row where that is shorter than a row."""
    asked = Rows(requests=requests, in_a_row=in_a_row, uncounted=6).per_round * in_a_row

    assert requests - in_a_row < asked <= max(requests, in_a_row)


@given(every=st.integers(2, 20), first=st.integers(0, 200))
def test_the_treatment_gets_its_share_in_every_stretch_of_requests(every, first) -> None:
    """So the arms are mixed alike in each row, whatever goes before it."""
    rows = Rows(requests=60, in_a_row=20, uncounted=6, treatment_every=every)

    stretch = [rows.variant(number) for number in range(first - 6, first - 6 + every)]

    assert sorted(stretch) == [*[CONTROL] * (every - 1), TREATMENT]


FEW = ("--rounds", "2", "--requests", "4", "--in-a-row", "2", "--uncounted", "1")


@pytest.mark.slow
def test_four_services_are_measured_side_by_side(tmp_path) -> None:
    """The command over a tiny shop: two bundles, and a log of every request."""
    for name, seed in (("live", 0), ("treatment", 5)):
        make_bundle(tmp_path / f"{name}-bundle", seed=seed)
        items = write_catalogue(tmp_path / "shop_items.jsonl", CATALOGUE)
        refresh(bundle=tmp_path / f"{name}-bundle", items=items, store=tmp_path / name)
    (tmp_path / "shop_pairs.csv").write_text("query,item_id\nred lamp,B001\n")
    app = typer.Typer()
    app.command()(experiments_command)
    words = ["--store", "live", "--treatment", "treatment", "--data", "shop", "--out", "out"]
    words = [str(tmp_path / word) if not word.startswith("--") else word for word in words]

    unhurried = {"ELLM_MAX_WAIT_MS": "60000"}
    done = CliRunner().invoke(app, [*words, *FEW, "--log-rate", "1"], env=unhurried)

    assert done.exit_code == 0, (done.output, done.exception)
    measured = json.loads((tmp_path / "out" / "experiments.json").read_text())
    for one in measured["waited"]:
        services = {PLAIN, AGAIN, ONE_BUNDLE, TWO_BUNDLES}
        arms = {arm(name, variant) for name in EXPERIMENTS for variant in (CONTROL, TREATMENT)}
        assert set(one["medians"]) == services | arms
        assert set(one["processor"]) == services
        figures = [*one["medians"].values(), *one["processor"].values()]
        assert all(len(rounds) == 2 and min(rounds) > 0 for rounds in figures)


def test_one_key_of_each_arm_is_found(tmp_path) -> None:
    for name in ("one", "other"):
        write_plan(tmp_path / name, tmp_path / f"{name}-store")

    keys = keys_of(tmp_path / "one")

    plan = read_plan(tmp_path / "other")
    assert {name: plan.assign(key).variant for name, key in keys.items()} == {
        CONTROL: CONTROL_NAME,
        TREATMENT: "treatment",
    }
