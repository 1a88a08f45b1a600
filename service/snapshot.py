"""What one request is answered from, immutable: a bundle's graphs and one view of the items.

A request takes the reference once, when it starts, and keeps it to its end; the life cycle only
ever replaces the reference. Two snapshots of one bundle (a new generation, a delta, another
`degraded`) share encoder, scorer and query cache: make the second with `dataclasses.replace`.
Opening, watching and swapping are not here.
"""

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from relevance.bundle import BundleManifest
from service.candidates.live import Candidates
from service.encoder import TokenEncoder
from service.item_codec import ItemCodec
from service.query_cache import QueryCache
from service.scorer import Scorer
from service.store.item_store import ItemStore
from service.wire import ServedVariant


class Origin(TypedDict):
    """The fields of `wire.Provenance`."""

    bundle: str
    generation: str
    sequence: int
    degraded: list[str]
    variant: NotRequired[ServedVariant]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One bundle and the items it encoded.

    `query_cache` belongs to the bundle: embeddings of two bundles never meet. `degraded` holds the
    reasons why answers are slower, older or poorer than they should be. `candidates` belongs to
    the generation; None where nothing can be searched. `item_encoder` encodes items where
    `encoder`, which then is for queries alone, runs on another device than refresh does.
    """

    bundle: BundleManifest
    encoder: TokenEncoder
    scorer: Scorer
    items: ItemStore
    query_cache: QueryCache
    degraded: tuple[str, ...] = ()
    candidates: Candidates | None = None
    item_encoder: TokenEncoder | None = None

    @property
    def encoder_of_items(self) -> TokenEncoder:
        """The encoder that makes the very embeddings refresh makes."""
        return self.encoder if self.item_encoder is None else self.item_encoder

    @property
    def codec(self) -> ItemCodec:
        """Encodes items sent along just as refresh encoded the cached ones."""
        return ItemCodec(self.encoder_of_items, self.bundle)

    def origin(self, *further: str) -> Origin:
        """What every answer says about where it comes from; `further` reasons are its own."""
        return Origin(
            bundle=self.bundle.bundle_id,
            generation=self.items.generation_id,
            sequence=self.items.sequence,
            degraded=list(dict.fromkeys((*self.degraded, *further))),
        )
