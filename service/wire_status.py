"""What `/`, probes, `/info`, `/v1/models` and operators' routes answer with; all of it JSON."""

from typing import Literal

from msgspec import Struct

from service.run_folder import Phase


class Alive(Struct, frozen=True):
    """`/livez`: the process answers."""

    status: Literal["alive"] = "alive"


class RootReply(Struct, frozen=True):
    """`/`: the paths that tell more; `console` is null where it is off."""

    console: str | None
    docs: str = "/docs"
    openapi: str = "/openapi.json"
    info: str = "/info"
    ready: str = "/readyz"


class Readiness(Struct, frozen=True):
    """`/readyz`: whether traffic should come here, and if not, why."""

    ready: bool
    reason: str | None


class HealthReply(Struct, frozen=True):
    """`/health`: readiness with what this worker answers from and how well it fares."""

    status: Literal["ok", "degraded", "not_ready"]
    reason: str | None
    bundle: str
    generation: str
    sequence: int
    items: int
    degraded: list[str]
    checked_seconds_ago: float
    queue_depth: int


class BundleInfo(Struct, frozen=True):
    """What a client may need to know of the model."""

    id: str
    student: str
    dim: int
    max_query_tokens: int
    max_item_tokens: int
    item_text: str
    threshold: float
    calibration: str


class LimitsInfo(Struct, frozen=True):
    """How much one request may ask for; 0 from a service without the rerank routes."""

    max_body_bytes: int
    max_query_chars: int
    max_candidates: int
    max_inline_items: int
    max_batch_queries: int
    max_batch_candidates: int
    max_rerank_documents: int = 0


class RateLimitInfo(Struct, frozen=True):
    """How often one client may ask, and among whom that is counted.

    scope: none; worker = each server process counts for itself; shared = all count together.
    """

    rates: str
    scope: Literal["none", "worker", "shared"]
    workers: int


class InfoReply(Struct, frozen=True):
    """`/info`: limits and versions."""

    version: str
    limits: LimitsInfo
    rate_limit: RateLimitInfo
    bundle: BundleInfo
    generation: str
    sequence: int
    items: int
    versions: dict[str, str]


class Model(Struct, frozen=True):
    """One entry of `/v1/models`; `id` is the bundle's, `created` in seconds since the epoch."""

    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str = "ellm"


class ModelsReply(Struct, frozen=True):
    """`/v1/models`, in the shape OpenAI's clients read."""

    data: list[Model]
    object: Literal["list"] = "list"


class WorkerInfo(Struct, frozen=True):
    """One worker; `refused` says why it did not follow CURRENT, `nudge` is its last reload."""

    process_id: int
    phase: Phase
    ready: bool
    bundle: str
    generation: str
    sequence: int
    refused: str | None
    degraded: list[str]
    nudge: int
    seen_seconds_ago: float


class WorkersReply(Struct, frozen=True):
    """`/admin/workers` and `/admin/reload`; `agree` where all answer from one pair."""

    agree: bool
    workers: list[WorkerInfo]
