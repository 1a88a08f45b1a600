"""`ellm redis`: load a generation into Redis, name what is live, fill and follow, and look.

Every command takes --redis (or ELLM_REDIS_URL) and, where it needs one, --store.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from relevance.bundle import BundleManifest
    from service.redis_tier.door import RedisDoor
    from service.redis_tier.tier import RedisTier
    from service.store.generation_reader import GenerationReader

app = typer.Typer(
    help="Share item embeddings through Redis: load, name, fill, follow.", no_args_is_help=True
)
STORE = typer.Option(..., "--store", help="Folder `ellm refresh` publishes into.")
REDIS = typer.Option(
    ...,
    "--redis",
    envvar="ELLM_REDIS_URL",
    help="redis://, rediss://, redis+cluster://, rediss+cluster:// or unix:// URL.",
)
CA_FILE = typer.Option(None, "--ca-file", envvar="ELLM_REDIS_CA_FILE", help="For TLS: PEM file.")
SPACE = typer.Option("ellm", "--space", envvar="ELLM_REDIS_SPACE", help="Prefix of all keys.")


@app.command()
def load(
    store: Path = STORE,
    redis: str = REDIS,
    ca_file: Path | None = CA_FILE,
    space: str = SPACE,
    announce: bool = typer.Option(
        False, "--announce", help="Tell replicas of each item that was written."
    ),
    do_prune: bool = typer.Option(
        False, "--prune", help="Then mark as deleted what the generation lacks."
    ),
    name_live: bool = typer.Option(
        False, "--live", help="Then make this generation the one that the alias names."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Estimate the memory, and stop."),
) -> None:
    """Write the current generation's items into Redis, unless they would not fit.

    Newer records that are there already stay. Begun again after an interruption it goes over what
    is there and writes the rest.
    """
    from relevance.generation import Current
    from service.redis_tier import generation_source, tier
    from service.redis_tier.load import estimate_load, load, prune, writes_of

    _, generation = _current(store)
    shared = _tier(generation, redis, ca_file, space)
    count = generation_source.live_count(generation)
    if dry_run:
        sample = next(writes_of(shared, generation_source.ready_items(generation)))
        found = estimate_load(shared, sample, items=count)
        _say_estimate(found.needed, found.free, found.evicts, fits=found.fits)
        return
    with _Bar(count, "load") as bar:
        report = load(
            shared,
            generation_source.ready_items(generation),
            items=count,
            announce=announce,
            progress=bar,
        )
    found = report.estimate
    _say_estimate(found.needed, found.free, found.evicts, fits=True)
    typer.echo(f"written     {report.written:,}")
    typer.echo(f"same        {report.same:,}")
    typer.echo(f"newer       {report.newer:,} (kept as they stand in Redis)")
    if do_prune:
        removed = prune(
            shared,
            lambda ids: [row >= 0 for row in generation.rows_of(ids).tolist()],
            source_version=generation_source.newest_ms(generation),
            announce=announce,
        )
        typer.echo(f"removed     {removed:,}")
    if name_live:
        live = Current(generation=generation.generation_id, bundle=generation.manifest.bundle_id)
        tier.name_live(shared.door, shared.keys, live)
        typer.echo(f"live        {live.generation} (bundle {live.bundle})")


@app.command()
def status(redis: str = REDIS, ca_file: Path | None = CA_FILE, space: str = SPACE) -> None:
    """Say what Redis holds for this name space."""
    from service.redis_tier import tier
    from service.redis_tier.keys import KeySpace

    door, keys = _door(redis, ca_file), KeySpace(space)
    live = tier.read_live(door, keys)
    typer.echo(f"redis       {door.name}{' (cluster)' if door.is_cluster else ''}")
    for node in door.memory():
        limit = f"{node.limit / 2**20:,.0f} MiB" if node.limit else "no maxmemory"
        typer.echo(f"memory      {node.used / 2**20:,.0f} MiB of {limit}, {node.policy}")
    typer.echo(f"live        {'nothing' if live is None else live.generation}")
    if live is not None:
        changes = keys.changes(live.bundle)
        typer.echo(f"bundle      {live.bundle}")
        typer.echo(f"changes     up to {door.last_entry_id(changes)}")
    typer.echo(f"catalogue   up to {door.last_entry_id(keys.catalogue)}")


@app.command()
def fill(
    store: Path = typer.Option(..., "--store", help="Folder to fill; made where absent."),
    bundle: Path = typer.Option(..., help="Folder of the bundle whose records are wanted."),
    redis: str = REDIS,
    ca_file: Path | None = CA_FILE,
    space: str = SPACE,
) -> None:
    """Make a local generation of Redis's records: for a machine that has none yet."""
    from relevance.bundle import read_bundle
    from service.redis_tier.fill import fill

    shared = _tier_of(read_bundle(bundle), redis, ca_file, space)
    with _Bar(0, "fill") as bar:
        report = fill(shared, store, bundle, progress=bar)
    typer.echo(f"items       {report.items:,}")
    typer.echo(f"left out    {report.left_out:,} (damaged, or without their fields)")
    typer.echo(f"generation  {report.generation_id}")


@app.command()
def follow(
    store: Path = STORE,
    redis: str = REDIS,
    ca_file: Path | None = CA_FILE,
    space: str = SPACE,
    once: bool = typer.Option(False, "--once", help="Stop when nothing is left to follow."),
) -> None:
    """Keep the local generation at what Redis's records say, until interrupted."""
    from service.redis_tier.following import follow_replica
    from service.redis_tier.replica import open_replica

    bundle, generation = _current(store)
    replica = open_replica(_tier(generation, redis, ca_file, space), store, bundle)
    follow_replica(replica, say=lambda line: typer.echo(line, err=True), once=once)


@app.command("watch")
def watch_command(
    store: Path = STORE,
    redis: str = REDIS,
    ca_file: Path | None = CA_FILE,
    space: str = SPACE,
    once: bool = typer.Option(False, "--once", help="Stop when nothing is left to follow."),
    rate: float | None = typer.Option(None, min=0.001, help="Most items encoded in a second."),
    metrics_port: int | None = typer.Option(None, help="Port of Prometheus metrics."),
    metrics_host: str = typer.Option("127.0.0.1", help="Address they are served at."),
) -> None:
    """Follow the shop's stream: encode what changed, write it to Redis, publish it here.

    Redis's stream `<space>:catalogue` holds one entry a change (docs/redis.md). The lag from an
    entry to its delta on disk is told every minute, and as a metric.
    """
    from relevance.generation import StorePaths
    from service.redis_tier.following import follow_catalogue
    from service.redis_tier.watch import Watcher
    from service.refresh.encode import open_codec

    bundle, generation = _current(store)
    paths = StorePaths(store)
    watcher = Watcher(
        _tier(generation, redis, ca_file, space),
        paths,
        open_codec(paths.bundle(bundle.bundle_id), bundle),
    )
    follow_catalogue(
        watcher,
        say=lambda line: typer.echo(line, err=True),
        once=once,
        items_per_second=rate,
        metrics_port=metrics_port,
        metrics_host=metrics_host,
    )


def _current(store: Path) -> "tuple[BundleManifest, GenerationReader]":
    from relevance.bundle import read_bundle
    from relevance.generation import StorePaths, read_current
    from service.store.generation_reader import open_generation

    paths = StorePaths(store)
    current = read_current(paths)
    bundle = read_bundle(paths.bundle(current.bundle))
    return bundle, open_generation(paths.generation(current.generation), bundle)


def _door(redis: str, ca_file: Path | None) -> "RedisDoor":
    from service.redis_tier.door import RedisDoor, RedisSettings

    return RedisDoor.open(RedisSettings(redis, ca_file=ca_file))


def _tier(
    generation: "GenerationReader", redis: str, ca_file: Path | None, space: str
) -> "RedisTier":
    from service.redis_tier.keys import KeySpace
    from service.redis_tier.record import RecordShape
    from service.redis_tier.tier import RedisTier

    made = generation.manifest
    shape = RecordShape(made.bundle_id, made.rows, made.dim)
    return RedisTier(_door(redis, ca_file), shape, KeySpace(space))


def _tier_of(bundle: "BundleManifest", redis: str, ca_file: Path | None, space: str) -> "RedisTier":
    from service.redis_tier.keys import KeySpace
    from service.redis_tier.tier import RedisTier, shape_of

    return RedisTier(_door(redis, ca_file), shape_of(bundle), KeySpace(space))


def _say_estimate(needed: int, free: int, evicts: bool, *, fits: bool) -> None:
    typer.echo(f"needed      {needed / 2**20:,.0f} MiB")
    typer.echo(f"free        {free / 2**20:,.0f} MiB{'' if fits else ' (does not fit)'}")
    if evicts:
        typer.echo("warning     Redis evicts keys when full: set maxmemory-policy noeviction")


class _Bar:
    """A progress bar that counts items as it is called."""

    def __init__(self, items: int, title: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=items or None, unit=" items", desc=title)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *fault: object) -> None:
        self._bar.close()

    def __call__(self, items: int) -> None:
        self._bar.update(items)
