from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from relevance.bundle import ENCODER
from relevance.errors import BadBundle, Unavailable
from relevance.integer_products import ADD_EXACTLY
from service import execution
from service.encoder import OnnxTokenEncoder, TokenEmbeddings, TokenEncoder, TokenOffsets
from service.execution import CPU_NAME, CUDA_NAME, Execution, Provider, open_session
from service.job import Job
from service.score import rank
from service.serving import execution_of, open_pair
from service.settings import Settings
from service.wire import Candidates, InlineItem

CUDA = Execution(Provider.CUDA, device=1, memory_bytes=1 << 30)
HAS_CUDA = CUDA_NAME in ort.get_available_providers()


@dataclass
class FakeSession:
    providers: list[str]
    may_fall_back: bool = True

    def get_providers(self) -> list[str]:
        return self.providers

    def disable_fallback(self) -> None:
        self.may_fall_back = False


@dataclass
class FakeRuntime:
    """An ONNX Runtime with these providers, whose sessions end up on `ends_on`."""

    available: list[str]
    ends_on: list[str]
    asked: list[Any] = field(default_factory=list)

    def get_available_providers(self) -> list[str]:
        return self.available

    def InferenceSession(self, path: str, options: Any, providers: Any) -> FakeSession:
        self.asked.append((path, options, providers))
        return FakeSession(self.ends_on)


def test_a_graph_on_cuda_gets_one_device_full_float32_and_a_bound(tmp_path) -> None:
    runtime = FakeRuntime([CUDA_NAME, CPU_NAME], [CUDA_NAME, CPU_NAME])

    session = open_session(tmp_path / "x.onnx", CUDA, runtime=runtime)

    [(_, options, [(name, told), second])] = runtime.asked
    assert (name, second) == (CUDA_NAME, CPU_NAME)
    assert told == {
        "device_id": "1",
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": str(1 << 30),
    }
    assert options.intra_op_num_threads == 1
    assert not session.may_fall_back
    assert "gpu_mem_limit" not in replace(CUDA, memory_bytes=0).providers()[0][1]


@pytest.mark.parametrize("saturating", [True, False])
def test_kernels_are_told_to_add_exactly_where_they_would_not(
    tmp_path, monkeypatch, saturating
) -> None:
    """Elsewhere the setting would only cost time."""
    monkeypatch.setattr(execution, "processor_saturates", lambda: saturating)
    runtime = FakeRuntime([CPU_NAME], [CPU_NAME])

    open_session(tmp_path / "x.onnx", runtime=runtime)

    [(_, options, _)] = runtime.asked
    if saturating:
        assert options.get_session_config_entry(ADD_EXACTLY) == "1"
    else:
        with pytest.raises(RuntimeError, match=ADD_EXACTLY):
            options.get_session_config_entry(ADD_EXACTLY)


def test_a_runtime_without_cuda_is_refused_with_what_to_install(tmp_path) -> None:
    runtime = FakeRuntime([CPU_NAME], [CPU_NAME])

    with pytest.raises(Unavailable, match=r"got CPUExecutionProvider\nhint: pip uninstall"):
        open_session(tmp_path / "x.onnx", CUDA, runtime=runtime)

    assert runtime.asked == []


def test_a_session_that_silently_came_to_run_elsewhere_is_refused(tmp_path) -> None:
    """ONNX Runtime falls back to the processor where the driver or a library is missing."""
    runtime = FakeRuntime([CUDA_NAME, CPU_NAME], [CPU_NAME])

    with pytest.raises(Unavailable, match="expected to run on CUDAExecutionProvider, got CPU"):
        open_session(tmp_path / "x.onnx", CUDA, runtime=runtime)


def test_this_machines_own_runtime_says_so_too(bundle_folder, store_folder) -> None:
    """With the real ONNX Runtime: on a machine without a device asking for one is refused."""
    if HAS_CUDA:
        assert open_session(bundle_folder / ENCODER, CUDA).get_providers()[0] == CUDA_NAME
        return
    with pytest.raises(Unavailable, match="expected ONNX Runtime with CUDAExecutionProvider"):
        open_session(bundle_folder / ENCODER, CUDA)
    with pytest.raises(Unavailable, match="service-gpu"):
        open_pair(Settings(store=store_folder, provider="cuda"))


def test_what_is_no_graph_is_a_bad_bundle(tmp_path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no graph")

    with pytest.raises(BadBundle, match="x.onnx: not loadable"):
        open_session(tmp_path / "x.onnx")


def test_settings_say_where_queries_are_encoded(store_folder) -> None:
    settings = Settings(store=store_folder, provider="cuda", cuda_device=2, cuda_memory_bytes=7)

    assert execution_of(settings) == Execution(Provider.CUDA, device=2, memory_bytes=7)
    assert execution_of(Settings(store=store_folder)) == Execution()


@dataclass(frozen=True)
class DriftingEncoder:
    """Another device: the same tokens, vectors off by what float32 sums differ in."""

    inner: TokenEncoder

    def tokenise(self, text: str, *, limit: int) -> TokenOffsets:
        return self.inner.tokenise(text, limit=limit)

    def encode(self, text: str, *, limit: int) -> TokenEmbeddings:
        found = self.inner.encode(text, limit=limit)
        return replace(found, vectors=found.vectors + np.float32(0.01))


def test_an_inline_item_keeps_the_bits_of_its_cached_twin_where_queries_are_encoded_elsewhere(
    snapshot, bundle_folder, bundle
) -> None:
    encoder = OnnxTokenEncoder.read(bundle_folder, bundle)
    other = replace(
        snapshot,
        encoder=DriftingEncoder(encoder),
        item_encoder=encoder,
        query_cache=type(snapshot.query_cache)(10),
    )
    inline = InlineItem(id="x", title="Steel water bottle", brand="Acme", color="red")
    asked = Candidates(query="red bottle", item_ids=["B001"], items=[inline])

    cached, sent = rank(Job(other), asked).scored.logits
    at_home, _ = rank(Job(snapshot), asked).scored.logits

    assert cached == sent
    assert cached != at_home
