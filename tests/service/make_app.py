"""The answering routes alone, over one snapshot: no life cycle, no admission, no files watched."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastapi import FastAPI
from jaxtyping import Int64
from starlette.testclient import TestClient

from relevance.domain import Item
from service.error_handlers import add_error_handlers
from service.fakes import StandingService
from service.openapi import add_wire
from service.routes import explain, score
from service.store.found import UNKNOWN, Found, find
from service.store.item_store import ItemStore


def make_app(service: StandingService) -> FastAPI:
    app = FastAPI()
    add_error_handlers(app)
    app.include_router(score.router)
    app.include_router(explain.router)
    app.state.open = service
    return app


def make_client(service: StandingService) -> TestClient:
    return TestClient(make_app(service), raise_server_exceptions=False)


def openapi_of(app: FastAPI) -> dict:
    document = app.openapi()
    add_wire(document)
    return document


@dataclass(frozen=True)
class ForgetfulStore:
    """A store that knows the texts of some items but has lost their rows, and says it is poorer."""

    items: ItemStore
    forgotten: tuple[str, ...]

    @property
    def generation_id(self) -> str:
        return self.items.generation_id

    @property
    def sequence(self) -> int:
        return self.items.sequence

    def find(self, item_ids: Sequence[str]) -> Found:
        found = find(self.items, item_ids)
        lost = np.isin(item_ids, self.forgotten)
        return Found(
            arenas=found.arenas,
            arena=np.where(lost, UNKNOWN, found.arena).astype(np.int16),
            row=found.row,
            token_counts=np.where(lost, 0, found.token_counts).astype(np.uint8),
            truncated=found.truncated & ~lost,
            degraded=("rows_lost",) if lost.any() else (),
        )

    def stored_items(self, item_ids: Sequence[str]) -> list[Item | None]:
        rows: Int64[np.ndarray, " ids"] = self.items.rows_of(item_ids)
        return [self.items.item(row) if row >= 0 else None for row in rows.tolist()]


@dataclass(frozen=True)
class SplitStore:
    """The same items, every other one in a second arena."""

    items: ItemStore

    @property
    def generation_id(self) -> str:
        return self.items.generation_id

    @property
    def sequence(self) -> int:
        return self.items.sequence

    def find(self, item_ids: Sequence[str]) -> Found:
        found = find(self.items, item_ids)
        arena = found.arenas[0]
        return Found(
            arenas=(arena[::2], arena[1::2]),
            arena=np.where(found.is_known, found.row % 2, UNKNOWN).astype(np.int16),
            row=found.row // 2,
            token_counts=found.token_counts,
            truncated=found.truncated,
        )

    def stored_items(self, item_ids: Sequence[str]) -> list[Item | None]:
        return [None for _ in item_ids]
