"""Everything a request needs, opened in one place and read-only from then on.

Request logic is in `score.py` and `explain.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from relevance.bundle import BundleManifest, read_bundle
from relevance.errors import BadBundle
from relevance.generation import StorePaths, read_current
from service.encoder import OnnxTokenEncoder, TokenEncoder
from service.item_codec import ItemCodec
from service.runtimes import check_runtimes
from service.scorer import Scorer, open_scorer
from service.settings import Settings
from service.store.generation_reader import GenerationReader, open_generation
from service.store.item_store import ItemStore
from service.teacher_door import Explainer, read_explainer


@dataclass(frozen=True, slots=True)
class Serving:
    """One bundle, one snapshot of items, and what turns a request into a reply.

    `degraded` holds the reasons why answers are slower or poorer than they should be.
    """

    settings: Settings
    bundle: BundleManifest
    encoder: TokenEncoder
    scorer: Scorer
    items: ItemStore
    explainer: Explainer | None
    degraded: tuple[str, ...] = ()

    @property
    def codec(self) -> ItemCodec:
        """Encodes items sent along just as refresh encoded the cached ones."""
        return ItemCodec(self.encoder, self.bundle)


def open_current(store: StorePaths) -> tuple[BundleManifest, GenerationReader]:
    """The generation CURRENT names and its bundle, both verified."""
    current = read_current(store)
    bundle = read_bundle(store.bundle(current.bundle))
    if bundle.bundle_id != current.bundle:
        raise BadBundle(
            f"{store.bundle(current.bundle)}: expected bundle {current.bundle}, "
            f"got {bundle.bundle_id}"
        )
    return bundle, open_generation(store.generation(current.generation), bundle)


@contextmanager
def open_serving(settings: Settings) -> Iterator[Serving]:
    """Open and verify everything; raises a `RelevanceError` where something is not right."""
    check_runtimes()
    store = StorePaths(settings.store)
    bundle, items = open_current(store)
    folder = store.bundle(bundle.bundle_id)
    scorer, degraded = open_scorer(folder, bundle)
    yield Serving(
        settings=settings,
        bundle=bundle,
        encoder=OnnxTokenEncoder.read(folder, bundle),
        scorer=scorer,
        items=items,
        explainer=None if settings.teacher is None else read_explainer(settings.teacher),
        degraded=degraded,
    )
