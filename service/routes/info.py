"""GET /info and /v1/models: what clients ask before they ask for scores."""

from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Request, Response

from relevance.bundle import BundleManifest
from service.routes.status import described, opened, reply
from service.serving import item_count
from service.wire_status import (
    BundleInfo,
    InfoReply,
    LimitsInfo,
    Model,
    ModelsReply,
    RateLimitInfo,
)

SHOWN = ("onnxruntime", "onnxruntime-gpu", "tokenizers", "numpy", "fastapi", "uvicorn")
FAULTS = (401, 403, 503)
router = APIRouter(tags=["info"])


@router.get("/info", **described(InfoReply, faults=FAULTS))
async def info(request: Request) -> Response:
    """Say what one request may ask for, how often, and what is running."""
    service = opened(request)
    snapshot, lifecycle = service.snapshot, service.lifecycle
    return reply(
        InfoReply(
            version=version("ellm-mkd"),
            limits=LimitsInfo(**asdict(service.limits)),
            rate_limit=RateLimitInfo(
                rates=lifecycle.settings.rate_limit,
                scope=lifecycle.rates.scope.value,
                workers=lifecycle.settings.workers,
            ),
            bundle=_bundle(snapshot.bundle),
            generation=snapshot.items.generation_id,
            sequence=snapshot.items.sequence,
            items=item_count(snapshot.items),
            versions=_versions(),
        )
    )


@router.get("/v1/models", **described(ModelsReply, faults=FAULTS))
async def models(request: Request) -> Response:
    """List the bundle that answers, as OpenAI's clients expect models to be listed."""
    service = opened(request)
    created = service.lifecycle.watch.prepared.pair.created or 0
    return reply(ModelsReply([Model(service.snapshot.bundle.bundle_id, int(created))]))


def _bundle(manifest: BundleManifest) -> BundleInfo:
    return BundleInfo(
        id=manifest.bundle_id,
        student=manifest.student,
        dim=manifest.dim,
        max_query_tokens=manifest.max_query_tokens,
        max_item_tokens=manifest.max_item_tokens,
        item_text=str(manifest.item_text),
        threshold=manifest.threshold,
        calibration=manifest.calibration,
    )


@cache
def _versions() -> dict[str, str]:
    found = {}
    for distribution in SHOWN:
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:
            continue  # one of the two runtimes always is absent
    return found
