"""Control and treatment in one service: who answers, what falls back, what shadows do."""

import threading
from collections import Counter

import pytest

from relevance.errors import BadInput
from relevance.experiments.plan import read_plan
from relevance.generation import StorePaths, read_current
from service.experiments.experiments import REFUSED_PLAN
from tests.service.experiments.conftest import (
    KEYS,
    SCORE,
    Spoilt,
    ask,
    eventually,
    metrics,
    plan_text,
    serving,
)


def alone(store) -> dict:
    with serving(store, None) as client:
        return ask(client)


def test_each_key_is_answered_by_its_variant_with_the_very_scores_of_that_store(
    store_folder, candidate_store, plan_file
) -> None:
    expected = {"control": alone(store_folder), "candidate": alone(candidate_store)}
    assert expected["control"]["results"] != expected["candidate"]["results"]
    plan = read_plan(plan_file)

    with serving(store_folder, plan_file) as client:
        replies = {key: ask(client, key) for key in KEYS}
        again = {key: ask(client, experiment_key=key) for key in KEYS}

    for key, reply in replies.items():
        variant = plan.assign(key).variant
        served = {"experiment": "student", "variant": variant, "answered_by": variant}
        assert reply == {**expected[variant], "variant": served}
    assert again == replies
    assert {reply["variant"]["variant"] for reply in replies.values()} == set(expected)


def test_a_request_without_a_key_is_answered_by_control_and_says_nothing_of_variants(
    store_folder, plan_file
) -> None:
    with serving(store_folder, plan_file) as client:
        assert ask(client) == alone(store_folder)


def test_batches_and_searches_are_put_into_variants_too(
    store_folder, candidate_store, plan_file
) -> None:
    key = next(key for key in KEYS if read_plan(plan_file).assign(key).variant == "candidate")
    candidate = read_current(StorePaths(candidate_store))

    with serving(store_folder, plan_file) as client:
        batch = client.post("/score/batch", json={"requests": [SCORE], "experiment_key": key})
        found = client.post("/search", json={"query": "oak desk", "experiment_key": key})

    for reply in (batch.json(), found.json()):
        assert reply["generation"] == candidate.generation
        assert reply["variant"]["answered_by"] == "candidate"


def test_an_explanation_is_of_the_bundle_that_scores_for_its_key(store_folder, plan_file) -> None:
    with serving(store_folder, plan_file) as client:
        for key in KEYS[:8]:
            scored = ask(client, key)
            best = scored["results"][0]
            body = {"query": SCORE["query"], "item_id": best["id"]}
            reply = client.post("/explain", json=body, headers={"x-experiment-key": key}).json()

            assert (reply["score"], reply["bundle"]) == (best["score"], scored["bundle"])
            assert reply["variant"] == scored["variant"]


def test_a_variant_that_crashes_falls_back_to_control_and_is_left_alone_after_a_while(
    store_folder, candidate_store, plan_file
) -> None:
    def crash() -> None:
        raise RuntimeError("the scorer broke")

    spoilt = Spoilt(candidate_store, crash)
    control = alone(store_folder)
    key = next(key for key in KEYS if read_plan(plan_file).assign(key).variant == "candidate")

    with serving(store_folder, plan_file, opened=spoilt, self_check_interval=1000) as client:
        spoilt.spoil()
        replies = [ask(client, key) for _ in range(5)]
        # A pause is over after half a second, so a slow machine may see a failed try in between.
        while replies[-1]["degraded"] != ["variant_paused"]:
            replies.append(ask(client, key))
        eventually(lambda: sum(outcomes(client).values()) == len(replies))
        counted = outcomes(client)
        spoilt.heal()
        eventually(lambda: ask(client, key)["variant"]["answered_by"] == "candidate")

    assert all(reply["results"] == control["results"] for reply in replies)
    assert all(reply["variant"]["variant"] == "candidate" for reply in replies)
    assert all(reply["variant"]["answered_by"] == "control" for reply in replies)
    degraded = [reason for reply in replies for reason in reply["degraded"]]
    assert degraded[:5] == ["variant_failed"] * 5
    assert counted == Counter(degraded)
    assert counted["variant_paused"] == 1


def outcomes(client) -> dict[str, float]:
    begin = 'relevance_variant_requests_total{experiment="student",outcome="'
    found = metrics(client).items()
    return {n.removeprefix(begin).partition('"')[0]: v for n, v in found if n.startswith(begin)}


def test_a_variant_that_hangs_falls_back_to_control_within_its_time(
    store_folder, candidate_store, tmp_path
) -> None:
    plan_file, end = tmp_path / "plan.toml", threading.Event()
    plan_file.write_text(plan_text(candidate_store, timeout_ms=50))
    spoilt = Spoilt(candidate_store, lambda: end.wait(60))
    key = next(key for key in KEYS if read_plan(plan_file).assign(key).variant == "candidate")
    settings = {"self_check_interval": 1000, "concurrency": 1}

    with serving(store_folder, plan_file, opened=spoilt, **settings) as client:
        spoilt.spoil()
        replies = [ask(client, key) for _ in range(6)]
        end.set()

    # One slot gives three threads; when all of them hang, nobody waits any more.
    assert [reply["degraded"] for reply in replies[:3]] == [["variant_slow"]] * 3
    assert [reply["degraded"] for reply in replies[3:]] == [["variant_busy"]] * 3
    assert {reply["variant"]["answered_by"] for reply in replies} == {"control"}


def test_what_the_client_got_wrong_is_refused_by_the_variant_and_not_asked_again(
    store_folder, plan_file
) -> None:
    with serving(store_folder, plan_file) as client:
        for key in KEYS[:6]:
            headers = {"x-experiment-key": key}
            reply = client.post("/score", json={**SCORE, "query": ""}, headers=headers)
            assert reply.status_code == 422
            assert reply.json()["error"]["code"] == "empty_query"


def test_a_pinned_generation_is_answered_by_whoever_has_it(store_folder, plan_file) -> None:
    key = next(key for key in KEYS if read_plan(plan_file).assign(key).variant == "candidate")

    with serving(store_folder, plan_file) as client:
        own = ask(client, key)
        control = ask(client)

        assert ask(client, key, generation=own["generation"]) == own
        assert ask(client, key, generation=control["generation"]) == control


def test_a_changed_file_is_followed_and_a_wrong_one_refused_with_the_old_kept(
    store_folder, candidate_store, plan_file
) -> None:
    key = next(key for key in KEYS if read_plan(plan_file).assign(key).variant == "candidate")
    good = plan_file.read_text()

    with serving(store_folder, plan_file) as client:
        plan_file.write_text(good.replace("candidate = 50", "candidate = 500"))
        eventually(lambda: REFUSED_PLAN in client.get("/health").json()["degraded"])
        kept = ask(client, key)
        plan_file.write_text(good.replace(str(candidate_store), "/nowhere"))
        eventually(lambda: metrics(client)[PLANS.format("refused")] == 2)
        kept_again = ask(client, key)
        plan_file.write_text(good.replace('name = "student"', 'name = "renamed"'))
        eventually(lambda: ask(client, key)["variant"]["experiment"] == "renamed")
        health = client.get("/health").json()

    assert kept == kept_again
    assert kept["variant"]["answered_by"] == "candidate"
    assert REFUSED_PLAN not in health["degraded"]


PLANS = 'relevance_experiment_plans_total{{outcome="{}"}}'


def test_a_service_does_not_start_with_a_variant_that_cannot_be_opened(
    store_folder, tmp_path
) -> None:
    plan_file = tmp_path / "plan.toml"
    plan_file.write_text(plan_text(tmp_path / "nowhere"))

    with (
        pytest.raises(BadInput, match=r"plan\.toml: variants\.candidate: .*nowhere"),
        serving(store_folder, plan_file),
    ):
        pass


def test_a_shadow_that_hangs_delays_no_answer_and_is_counted(
    store_folder, candidate_store, tmp_path
) -> None:
    plan_file, end = tmp_path / "plan.toml", threading.Event()
    text = plan_text(candidate_store, shadow=100).partition("[[experiments]]")
    plan_file.write_text(text[0] + "[[shadows]]" + text[2].partition("[[shadows]]")[2])
    spoilt = Spoilt(candidate_store, lambda: end.wait(60))
    expected = alone(store_folder)

    with serving(store_folder, plan_file, opened=spoilt, self_check_interval=1000) as client:
        spoilt.spoil()
        replies = [ask(client) for _ in range(100)]
        eventually(lambda: metrics(client).get(SHADOWS.format("dropped"), 0) >= 35)
        end.set()
        eventually(lambda: metrics(client).get(SHADOWS.format("scored"), 0) >= 64)

    assert replies == [expected] * 100


SHADOWS = 'relevance_shadow_requests_total{{outcome="{}",variant="candidate"}}'


def test_a_variants_new_generation_is_swapped_in_like_the_services_own(
    store_folder, candidate_store, catalogue_file, tmp_path
) -> None:
    import shutil

    from service.refresh.refresh import refresh
    from tests.service.make_bundle import make_bundle

    own, plan_file = tmp_path / "own", tmp_path / "plan.toml"
    shutil.copytree(candidate_store, own)
    plan_file.write_text(plan_text(own))
    key = next(key for key in KEYS if read_plan(plan_file).assign(key).variant == "candidate")

    with serving(store_folder, plan_file) as client:
        before = ask(client, key)
        make_bundle(tmp_path / "newer", seed=9)
        refresh(bundle=tmp_path / "newer", items=catalogue_file, store=own)
        eventually(lambda: ask(client, key)["generation"] != before["generation"])
        after = ask(client, key)

    assert after["variant"] == before["variant"]
    assert after["bundle"] == read_current(StorePaths(own)).bundle != before["bundle"]
