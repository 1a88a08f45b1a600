"""Where ONNX graphs run: on the processor, or queries on a CUDA device.

Only the encoder of *queries* may run on CUDA. Items, cached or sent along, are always encoded on
the processor, as `ellm refresh` encodes them, so that a cached item and its inline twin keep the
same bits. MaxSim stays there too: its rows lie in a file mapped by all workers, and CUDA has no
kernel for products of unsigned 8-bit integers. Nothing is bound to device memory: a query is at
most a few hundred bytes on the way in and a few kilobytes on the way out, which a run copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import onnxruntime as ort

from relevance.errors import BadBundle, Unavailable
from relevance.integer_products import ADD_EXACTLY, saturates

CUDA_NAME, CPU_NAME = "CUDAExecutionProvider", "CPUExecutionProvider"
HINT = (
    "hint: pip uninstall -y onnxruntime && pip install 'ellm-mkd[service-gpu]', a driver and the "
    "CUDA libraries that ONNX Runtime names; or provider = cpu"
)


class Provider(StrEnum):
    """cpu: the processor; cuda: an NVIDIA device."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True)
class Execution:
    """Where a graph runs; `memory_bytes` bounds what this process takes of the device, if not 0."""

    provider: Provider = Provider.CPU
    device: int = 0
    memory_bytes: int = 0

    def providers(self) -> list[str | tuple[str, dict[str, str]]]:
        """What ONNX Runtime is told.

        Names of options: its documentation of the CUDA provider. TF32 would round float32 products
        to ten bits of mantissa; growing by what is asked keeps several workers beside each other.
        """
        if self.provider is Provider.CPU:
            return [CPU_NAME]
        options = {
            "device_id": str(self.device),
            "use_tf32": "0",
            "arena_extend_strategy": "kSameAsRequested",
        }
        if self.memory_bytes:
            options["gpu_mem_limit"] = str(self.memory_bytes)
        return [(CUDA_NAME, options), CPU_NAME]


ON_CPU = Execution()


class OpenGraph(Protocol):
    """How a bundle's graph is opened: `open_session`, or what shares the open ones."""

    def __call__(self, path: Path, execution: Execution = ON_CPU) -> ort.InferenceSession:
        """The open graph; raises `BadBundle` or `Unavailable`."""
        ...


class Runtime(Protocol):
    """The part of ONNX Runtime that opens a graph."""

    def get_available_providers(self) -> Sequence[str]:
        """The providers this build has."""
        ...

    def InferenceSession(self, path: str, options: Any, providers: Any) -> Any:
        """An open graph."""
        ...


def open_session(
    path: Path, execution: Execution = ON_CPU, *, runtime: Runtime = ort
) -> ort.InferenceSession:
    """An ONNX graph on one CPU thread: requests are the unit of parallelism, not operators.

    8-bit products are exact on every processor (`relevance.integer_products`). Raises `Unavailable`
    where CUDA is asked for and not to be had: ONNX Runtime itself would go on with the processor
    and say so in a log line.
    """
    options = _one_thread()
    if processor_saturates():
        options.add_session_config_entry(ADD_EXACTLY, "1")
    wanted = execution.providers()
    if execution.provider is Provider.CUDA and CUDA_NAME not in runtime.get_available_providers():
        found = ", ".join(runtime.get_available_providers())
        raise Unavailable(f"expected ONNX Runtime with {CUDA_NAME}, got {found}\n{HINT}")
    try:
        session = runtime.InferenceSession(str(path), options, providers=wanted)
    except Exception as fault:  # ONNX Runtime's exceptions share no narrower base
        raise BadBundle(f"{path}: not loadable by ONNX Runtime: {fault}") from fault
    session.disable_fallback()  # a device that fails at work is a fault, not another answer
    found = session.get_providers()[0]
    expected = wanted[0] if isinstance(wanted[0], str) else wanted[0][0]
    if found != expected:
        raise Unavailable(f"{path}: expected to run on {expected}, got {found}\n{HINT}")
    return session


@cache
def processor_saturates() -> bool:
    """Whether this processor's 8-bit kernels must be told to add exactly; asked once a process."""
    return saturates(lambda probe: ort.InferenceSession(probe, _one_thread(), providers=[CPU_NAME]))


def _one_thread() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options
