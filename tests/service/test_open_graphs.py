import gc
from pathlib import Path

import numpy as np
import pytest

from relevance.bundle import ENCODER, MAXSIM
from service.encoder import OnnxTokenEncoder
from service.execution import ON_CPU, Execution, open_session
from service.open_graphs import OpenGraphs
from service.scorer import open_scorer
from service.serving import open_pair
from service.settings import Settings
from tests.service.make_bundle import make_bundle


class Watched:
    """Opens graphs as ever and remembers which."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, path: Path, execution: Execution = ON_CPU):
        self.names.append(path.name)
        return open_session(path, execution)


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def graphs(watched) -> OpenGraphs:
    return OpenGraphs(watched)


@pytest.mark.parametrize(
    ("changed", "anew"),
    [
        ({"logit_bias": -3.0}, []),  # another calibration
        ({"seed": 5}, [ENCODER]),  # another student
        ({"seed": 5, "dim": 32}, [ENCODER, MAXSIM]),
    ],
)
def test_what_two_bundles_have_in_common_is_opened_once(
    graphs, watched, bundle_folder, bundle, tmp_path, changed, anew
) -> None:
    other = make_bundle(tmp_path, **changed)
    assert other.bundle_id != bundle.bundle_id

    held = [opened(graphs, bundle_folder, bundle)]
    assert watched.names == [ENCODER, MAXSIM]
    held.append(opened(graphs, tmp_path, other))

    assert watched.names == [ENCODER, MAXSIM, *anew]
    assert graphs.query_cache(bundle, 10) is not graphs.query_cache(other, 10)
    alone = OnnxTokenEncoder.read(tmp_path, other).encode("red water bottle", limit=8)
    shared = held[1][0].encode("red water bottle", limit=8)
    assert np.array_equal(shared.vectors, alone.vectors)


def opened(graphs, folder, manifest):
    encoder = OnnxTokenEncoder.read(folder, manifest, opened=graphs.of(manifest))
    return encoder, open_scorer(folder, manifest, opened=graphs.of(manifest))


def test_two_pairs_of_one_bundle_share_its_graphs_and_the_queries_it_encoded(
    graphs, watched, store_folder
) -> None:
    pairs = [open_pair(Settings(store=store_folder), graphs=graphs) for _ in range(2)]

    assert sorted(watched.names) == [ENCODER, MAXSIM]
    assert pairs[0].snapshot.query_cache is pairs[1].snapshot.query_cache


def test_what_nobody_holds_any_more_is_gone(graphs, watched, bundle_folder, bundle) -> None:
    for _ in range(2):
        held = opened(graphs, bundle_folder, bundle)
        del held
        gc.collect()

    assert watched.names == [ENCODER, MAXSIM] * 2


def test_a_graph_is_opened_once_for_each_device(bundle_folder, bundle) -> None:
    asked: list[Execution] = []

    class Graph:
        """Holds nothing, unlike a graph."""

    def note(path: Path, execution: Execution = ON_CPU):
        asked.append(execution)
        return Graph()

    open_graph, devices = OpenGraphs(note).of(bundle), [ON_CPU, Execution(device=1)]
    held = [open_graph(bundle_folder / ENCODER, one) for one in [*devices, *devices]]

    assert asked == devices
    assert held[:2] == held[2:]
