"""Makes the experiments and the pair log that the settings ask for."""

import hashlib
from contextlib import AsyncExitStack

from anyio import to_thread
from prometheus_client import CollectorRegistry

from relevance.experiments.pair_log import LoggedText
from service.current_watch import OpenPair
from service.experiments.counts import ExperimentCounts
from service.experiments.experiments import Experiments
from service.experiments.following import Following
from service.experiments.pair_log import Keeping, PairLog
from service.experiments.shadow import Shadows
from service.run_folder import RunFolder
from service.settings import Settings


async def open_experiments(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    registry: CollectorRegistry,
    run: RunFolder,
    opened: OpenPair,
    slots: int,
) -> Experiments:
    """Open what the settings name; `stack` closes it. Raises where something is wrong."""
    if settings.experiments is None and settings.pair_log is None:
        return Experiments()
    experiments = Experiments(
        counts=ExperimentCounts(registry),
        pair_log=None if settings.pair_log is None else PairLog(keeping_of(settings)),
        shadows=None if settings.experiments is None else Shadows(),
    )
    stack.callback(experiments.close)
    if settings.experiments is not None:
        following = Following(
            settings.experiments,
            settings,
            experiments,
            run=run,
            opened=opened,
            most_abandoned=2 * slots + 1,
        )
        await to_thread.run_sync(following.open)
        await stack.enter_async_context(following.running())
    return experiments


def keeping_of(settings: Settings) -> Keeping:
    """How the settings want pairs logged."""
    assert settings.pair_log is not None
    key = settings.log_hash_key
    return Keeping(
        folder=settings.pair_log,
        rate=settings.pair_log_rate,
        top=settings.pair_log_top,
        text=LoggedText(settings.pair_log_text),
        hash_key=b"" if key is None else hashlib.sha256(key.get_secret_value().encode()).digest(),
        rotate_s=settings.pair_log_seconds,
        rotate_bytes=settings.pair_log_file_bytes,
        days=settings.pair_log_days,
        max_bytes=settings.pair_log_max_bytes,
    )
