"""The followers' loops: they wait out an outage, say so once, and go on where they stood."""

import shutil
from pathlib import Path

import pytest

from relevance.errors import Unavailable
from relevance.generation import StorePaths
from service.redis_tier.changes import START, ChangeStream
from service.redis_tier.following import follow_catalogue, follow_replica
from service.redis_tier.replica import MissedChanges, Step, open_replica
from service.redis_tier.tier import RedisTier
from service.redis_tier.watch import Watcher
from tests.service.conftest import CATALOGUE
from tests.service.redis_tier.stores import codec_of, put


@pytest.fixture
def root(store_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(store_folder, tmp_path / "store")
    return tmp_path / "store"


class Scripted:
    """A replica whose steps end as written down."""

    def __init__(self, *steps: Step | BaseException) -> None:
        self._steps = list(steps)
        self.resyncs = 0

    def step(self, *, wait_ms: int) -> Step:
        step = self._steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    def resync(self) -> Step:
        self.resyncs += 1
        return Step()


def test_a_replica_is_followed_until_nothing_is_left(tier: RedisTier, root, bundle) -> None:
    said: list[str] = []
    replica = open_replica(tier, root, bundle)
    replica.follow_from(START)
    stream = ChangeStream(tier.door, tier.keys.changes(bundle.bundle_id))
    stream.announce(["unknown"])

    follow_replica(replica, say=said.append, once=True)

    assert said == ["sequence 0: put 0, removed 0, refused 1, " + said[0].rpartition(", ")[2]]


def test_missed_changes_are_made_up_for_by_comparing_everything() -> None:
    said: list[str] = []
    replica = Scripted(MissedChanges("gap"), Step())

    follow_replica(replica, say=said.append, once=True)  # type: ignore[arg-type]

    assert replica.resyncs == 1
    assert said[0] == "comparing everything: gap"


def test_without_redis_a_follower_that_runs_once_says_why(dead_tier, root, bundle) -> None:
    replica = open_replica(dead_tier, root, bundle)
    replica.follow_from(START)

    with pytest.raises(Unavailable, match="ConnectionError"):
        follow_replica(replica, say=lambda line: None, once=True)


def test_an_outage_is_told_once_and_followed_by_going_on() -> None:
    said: list[str] = []
    replica = Scripted(Unavailable("gone"), Unavailable("gone"), Step(), KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        follow_replica(replica, say=said.append)  # type: ignore[arg-type]

    assert said == ["waiting: gone", "going on"]


def test_the_lags_of_watched_changes_are_told_at_the_end(
    tier: RedisTier, root, bundle_folder, bundle
) -> None:
    said: list[str] = []
    codec = codec_of(bundle_folder, bundle)
    put(tier, codec, CATALOGUE[:1], version=1)
    tier.door.append(tier.keys.catalogue, [{"delete": "B001"}, {"delete": "B002"}], keep=9)

    follow_catalogue(Watcher(tier, StorePaths(root), codec), say=said.append, once=True)

    assert said[-1].startswith("2 changes, from entry to delta p50 ")
