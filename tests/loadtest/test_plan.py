import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from loadtest.plan import NAMES, Constant, Demand, constants_of, make_plan
from relevance.cli import make_app
from relevance.errors import BadInput

MEASURED = {
    "fixed_ms": 2.0,
    "candidate_us": 1.5,
    "utilisation": 0.5,
    "item_bytes": 4500.0,
    "worker_mb": 200.0,
    "redis_item_bytes": 5800.0,
    "item_cpu_ms": 2.0,
}
TOLD = {"machine": {"date": "2026-01-01", "cpu": "X", "cores": 2}, "constants": MEASURED}


def constants(**changed: float) -> dict[str, Constant]:
    return constants_of(TOLD, changed)


@given(
    qps=st.floats(1, 1e6),
    candidates=st.integers(1, 5000),
    items=st.floats(1e3, 1e9),
    cores=st.integers(1, 128),
    spare=st.integers(0, 5),
)
def test_replicas_are_cores_at_work_over_utilisation_rounded_up_and_spare(
    qps, candidates, items, cores, spare
) -> None:
    demand = Demand(items, qps, candidates, cores_per_replica=cores, spare_replicas=spare)

    plan = make_plan(demand, constants())

    busy = qps * (2.0 + candidates * 1.5e-3) / 1000
    needed = math.ceil(busy / 0.5)
    assert plan.value("cores at work") == pytest.approx(busy)
    assert plan.value("cores needed") == pytest.approx(needed, abs=1)
    expected = math.ceil(plan.value("cores needed") / cores) + spare
    assert plan.value("replicas") == expected
    assert plan.value("generation") == pytest.approx(items * 4500 / 1e9)
    assert plan.value("first encoding") == pytest.approx(items * 2.0 / 3.6e6)


@given(st.floats(1, 1e5), st.floats(1.1, 10))
def test_more_traffic_never_takes_fewer_replicas(qps: float, factor: float) -> None:
    less, more = (make_plan(Demand(1e6, rate, 500), constants()) for rate in (qps, qps * factor))

    assert less.value("replicas") <= more.value("replicas")


def test_a_generation_that_fits_needs_no_redis_and_one_that_does_not_says_what_is_held() -> None:
    fits = make_plan(Demand(1e6, 100, 500), constants())
    large = make_plan(Demand(50e6, 100, 500, memory_per_replica_gb=64), constants())

    assert fits.value("memory of a replica") == pytest.approx(4.5 + 1.6)
    assert next(s for s in fits.steps if s.what == "Redis").how.startswith("0 needed")
    held = (64 - 1.6) / 225
    assert large.value("share of the generation a replica holds") == pytest.approx(held)
    assert large.value("Redis") == pytest.approx(290)
    assert large.value("rows from Redis at most") == pytest.approx(
        100 * 500 * (1 - held) * 5800 / 1e9
    )
    assert large.value("memory that would hold all of it") == pytest.approx(226.6)


def test_a_given_constant_wins_and_says_so() -> None:
    found = constants(utilisation=0.7)

    assert found["utilisation"] == Constant(0.7, "given")
    assert found["fixed_ms"].source == "measured 2026-01-01 on X, 2 cores"


def test_without_a_measurement_every_absent_constant_is_named() -> None:
    with pytest.raises(BadInput) as refusal:
        constants_of({}, {"fixed_ms": 1.0})

    assert "run `ellm bench capacity`" in str(refusal.value)
    assert [name for name in NAMES if f"  {name}: " in str(refusal.value)] == list(NAMES)[1:]


@pytest.mark.parametrize("changed", [{"utilisation": 1.2}, {"candidate_us": 0.0}])
def test_constants_no_machine_has_are_refused(changed: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="above 0"):
        constants(**changed)


def test_a_demand_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="more than 0 for qps"):
        Demand(1e6, 0, 500)


def test_the_command_shows_constants_with_their_source_and_the_arithmetic(tmp_path) -> None:
    measured = tmp_path / "capacity.json"
    measured.write_text(json.dumps(TOLD))
    options = ["--items", "50e6", "--qps", "20000", "--candidates", "500"]

    shown = CliRunner().invoke(
        make_app("bench"),
        ["bench", "plan", *options, "--measured", str(measured), "--constant", "fixed_ms=1"],
    )

    assert shown.exit_code == 0, shown.output
    assert "given" in shown.output
    assert "measured 2026-01-01 on X" in shown.output
    assert "20,000/s × 1.75 ms" in shown.output


@pytest.mark.parametrize("given", ["speed=3", "fixed_ms=fast", "fixed_ms"])
def test_a_constant_that_is_none_is_refused(given: str, tmp_path) -> None:
    options = ["--items", "1e6", "--qps", "1", "--candidates", "1", "--constant", given]

    shown = CliRunner().invoke(make_app("bench"), ["bench", "plan", *options])

    assert isinstance(shown.exception, BadInput)
    assert "expected name=number" in str(shown.exception)


def test_a_file_of_figures_that_is_named_must_be_there(tmp_path) -> None:
    options = ["--items", "1e6", "--qps", "1", "--candidates", "1"]
    named = ["--measured", str(tmp_path / "nothing.json")]

    shown = CliRunner().invoke(make_app("bench"), ["bench", "plan", *options, *named])

    assert isinstance(shown.exception, BadInput)
    assert "nothing.json: expected measured figures" in str(shown.exception)
