"""What is open in this process, by its content: what two bundles have in common is opened once.

Two variants of an experiment always share the MaxSim graph, and the encoder too where only the
calibration or the catalogue differs. Opened once, an encoder lies in memory once and, which counts
for more, once in the processor's cache. Nothing is kept open from here: what no snapshot holds any
more is gone.
"""

from collections.abc import Hashable
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

import onnxruntime as ort

from relevance.bundle import BundleManifest
from service.execution import ON_CPU, Execution, OpenGraph, open_session
from service.query_cache import QueryCache


class OpenGraphs:
    """The open graphs and query caches of a process; safe to share between threads."""

    def __init__(self, opened: OpenGraph = open_session) -> None:
        self._opened = opened
        self._lock = Lock()
        self._graphs: WeakValueDictionary[Hashable, ort.InferenceSession] = WeakValueDictionary()
        self._caches: WeakValueDictionary[Hashable, QueryCache] = WeakValueDictionary()

    def of(self, manifest: BundleManifest) -> OpenGraph:
        """Opens the graphs of a verified bundle, those of the same bytes and device once."""

        def opened(path: Path, execution: Execution = ON_CPU) -> ort.InferenceSession:
            key = manifest.files[path.name].sha256, execution
            with self._lock:
                graph = self._graphs.get(key)
                if graph is None:
                    graph = self._graphs[key] = self._opened(path, execution)
                return graph

        return opened

    def query_cache(self, manifest: BundleManifest, capacity: int) -> QueryCache:
        """The cache of this bundle's queries: embeddings of two bundles never meet."""
        key = manifest.bundle_id, capacity
        with self._lock:
            cache = self._caches.get(key)
            if cache is None:
                cache = self._caches[key] = QueryCache(capacity)
            return cache
