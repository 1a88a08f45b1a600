from pathlib import Path

import pytest

from relevance.errors import BadInput
from relevance.experiments.plan import CONTROL, read_plan

STORES = '[variants.new]\nstore = "new"\n[variants.newer]\nstore = "/newer"\n'
GOOD = (
    'version = 1\nkey_header = "x-shopper"\n'
    + STORES
    + """
[[experiments]]
name = "first"
salt = "first/1"
percent = { control = 20, new = 20 }
[[experiments]]
name = "second"
salt = "second/1"
percent = { control = 50, newer = 50 }
without_key = "query"
[[shadows]]
variant = "newer"
percent = 5
"""
)


def plan_of(tmp_path: Path, text: str):
    path = tmp_path / "experiments.toml"
    path.write_text(text, encoding="utf-8")
    return read_plan(path)


def test_a_plan_is_read_and_its_stores_lie_beside_the_file(tmp_path) -> None:
    plan = plan_of(tmp_path, GOOD)

    assert plan.variants["new"].store == tmp_path / "new"
    assert plan.variants["newer"].store == Path("/newer")
    assert plan.experiment("second").shares == {CONTROL: 0.5, "newer": 0.5}


def test_the_first_experiment_that_takes_a_key_has_it_and_the_rest_is_shared_fairly(tmp_path):
    plan = plan_of(tmp_path, GOOD)

    found = [plan.assign(f"shopper {at}") for at in range(20_000)]
    counts: dict[tuple[str, str], int] = {}
    for one in found:
        assert one is not None
        counts[one.experiment, one.variant] = counts.get((one.experiment, one.variant), 0) + 1

    expected = {("first", CONTROL): 4000, ("first", "new"): 4000}
    expected |= {("second", CONTROL): 6000, ("second", "newer"): 6000}
    assert counts.keys() == expected.keys()
    for name, count in expected.items():
        assert abs(counts[name] - count) < 4 * (count * (1 - count / 20_000)) ** 0.5


def test_without_a_key_only_experiments_that_say_so_take_a_request_by_its_query(tmp_path) -> None:
    plan = plan_of(tmp_path, GOOD)

    by_query = [plan.assign(None, query=f"query {at}") for at in range(100)]

    assert {one.experiment for one in by_query if one} == {"second"}
    assert plan.assign(None) is None
    assert plan.assign("", query=None) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("version = 1", "version = 2"), "version: "),
        (("control = 20", "old = 20"), "expected `control` and at least one other"),
        (("new = 20", "new = 90"), "expected at most 100, got 110"),
        (('salt = "second/1"', 'salt = "first/1"'), "salts: expected each once, got `first/1`"),
        (('name = "second"', 'name = "first"'), "names of experiments: expected each once"),
        (("newer = 50", "newest = 50"), "no store is given for `newest`"),
        (("[variants.new]", "[variants.control]"), "is the service's own store"),
        (('name = "second"', 'name = "Second one"'), "experiments.1.name"),
        (("percent = 5", "percent = 5\nper_cent = 6"), "shadows.0.per_cent"),
        (('store = "new"', "timeout_ms = 5"), "variants.new.store"),
        (("version = 1", "version = "), "expected TOML"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_with_its_place(tmp_path, change, message) -> None:
    with pytest.raises(BadInput, match=r"experiments\.toml: .*") as refused:
        plan_of(tmp_path, GOOD.replace(*change, 1))

    assert message in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(BadInput, match="expected a file of experiments"):
        read_plan(tmp_path / "none.toml")
