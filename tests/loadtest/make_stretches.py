"""Stretches of load without load, for what reads them."""

from loadtest.stretch import Stretch, Times


def make_stretch(
    name: str = "steady",
    *,
    per_second: float = 10.0,
    p99: float = 5.0,
    sent: int = 100,
    failed: int = 0,
    refused: int = 0,
    answered: int | None = None,
    server_cpu: float = 0.5,
    client_limited: bool = False,
) -> Stretch:
    count = sent - failed - refused if answered is None else answered
    times = Times(count, p99 / 2, p99 * 0.9, p99, p99 * 1.1, p99 * 0.8)
    return Stretch(
        name=name,
        per_second=per_second,
        seconds=sent / per_second,
        sent=sent,
        failed=failed,
        refused=refused,
        times=times,
        by_kind={"score 100": times},
        machine_cpu=0.9 if client_limited else 0.4,
        client_cpu=0.05,
        server_cpu=server_cpu,
        client_limited=client_limited,
        hit_rate=0.0,
        stage_ms={"encode": 1.5, "score": 0.5},
        statuses={"200": count},
    )
