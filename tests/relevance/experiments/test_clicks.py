import math

import numpy as np
import pyarrow as pa
import pytest

from relevance.errors import BadInput, GateRefused
from relevance.experiments.clicks import click_rates, read_clicks
from relevance.experiments.same_twice import LEVEL, same_twice
from relevance.experiments.segments import Segment

EVEN = {"control": 0.5, "candidate": 0.5}


def click_log(random: np.random.Generator, *, keys: int, lift: float = 0.0) -> pa.Table:
    """One row a shopper and session; shoppers differ in activity and in how they click."""
    rows = []
    for key in range(keys):
        variant = ("control", "candidate")[key % 2]
        own = random.beta(1.0, 6.0) + (lift if variant == "candidate" else 0.0)
        for _ in range(1 + random.poisson(1.5)):
            impressions = int(1 + random.poisson(4))
            clicks = int(random.binomial(impressions, min(own, 1.0)))
            rows.append((f"k{key}", variant, clicks, impressions, f"query {key % 7}"))
    names = ("experiment_key", "variant", "clicks", "impressions", "query")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def test_rates_are_those_of_a_hand_count_by_segment() -> None:
    table = click_log(np.random.default_rng(0), keys=200)
    visitors = {"query 0": 100.0, "query 1": 11.0, "query 2": 10.0}

    found = click_rates(table, experiment="student", shares=EVEN, visitors=visitors)

    rows = table.to_pylist()
    head = {"query 0", "query 1"}
    for part in found.segments:
        for variant, rate in part.rates.items():
            mine = [
                row
                for row in rows
                if row["variant"] == variant
                and (
                    part.segment is Segment.ALL
                    or (row["query"] in head) == (part.segment == "head")
                )
            ]
            expected = sum(r["clicks"] for r in mine) / sum(r["impressions"] for r in mine)
            assert rate.value == pytest.approx(expected)
            assert rate.clusters == len({row["experiment_key"] for row in mine})
    assert [part.segment for part in found.segments] == list(Segment)
    assert found.keys.seen == {"control": 100, "candidate": 100}


def test_a_true_lift_is_found() -> None:
    table = click_log(np.random.default_rng(1), keys=3000, lift=0.04)

    found = click_rates(table, experiment="student", shares=EVEN).segments[0]

    assert found.differences["candidate"].low < 0.04 < found.differences["candidate"].high
    assert found.differences["candidate"].is_clear


def test_a_variant_that_lost_shoppers_is_refused() -> None:
    table = click_log(np.random.default_rng(2), keys=2000)
    lost = [
        not (row["variant"] == "candidate" and int(row["experiment_key"][1:]) % 10 == 1)
        for row in table.to_pylist()
    ]

    with pytest.raises(GateRefused, match="sample-ratio mismatch: expected about control 900"):
        click_rates(table.filter(pa.array(lost)), experiment="student", shares=EVEN)


def test_same_shoppers_split_in_two_differ_as_often_as_chance_allows() -> None:
    """1,000 A/A splits: honest with shoppers as clusters, far from it without."""
    table = click_log(np.random.default_rng(3), keys=600)

    found = same_twice(table, splits=1000, seed=0)

    assert found.is_honest
    assert abs(found.false_positives - LEVEL) < 4 * math.sqrt(LEVEL * (1 - LEVEL) / 1000)
    assert found.naive_false_positives > 2 * LEVEL
    deciles = np.histogram(found.p_values, bins=10, range=(0, 1))[0]
    assert ((deciles - 100) ** 2 / 100).sum() < 33.7  # chi-square with 9 degrees, p = 0.0001


def test_too_few_shoppers_are_refused() -> None:
    with pytest.raises(BadInput, match="expected at least 20 keys, got 5"):
        same_twice(click_log(np.random.default_rng(4), keys=5), splits=10, seed=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("experiment_key,variant\na,control\n", "missing: clicks"),
        (
            "experiment_key,variant,clicks\na,control,2\n",
            "row 1: expected 0 ≤ clicks ≤ impr.*2 of 1",
        ),
        ("experiment_key,variant,clicks\na,control,0\nb,control,-1\n", "row 2: expected 0 ≤"),
        ("experiment_key,variant,clicks\n,control,0\n", "`experiment_key` is empty"),
    ],
)
def test_a_log_that_cannot_be_is_refused_with_its_row(tmp_path, text, message) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text(text)

    with pytest.raises(BadInput, match=message):
        read_clicks(path)


def test_rows_without_impressions_are_one_each_and_other_experiments_are_left_out(tmp_path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text(
        "experiment_key,variant,clicks,experiment\na,control,1,student\nb,control,0,another\n"
    )

    table = read_clicks(path, experiment="student")

    assert table["impressions"].to_pylist() == [1]
    with pytest.raises(BadInput, match="expected rows of experiment `third`, got none"):
        read_clicks(path, experiment="third")
