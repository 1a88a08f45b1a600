"""What a request's scoring must cost at least on this machine, beside what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.tables import table


@dataclass(frozen=True, slots=True)
class Work:
    """Scoring so many candidates: the bytes and the multiply-adds there is no way around."""

    candidates: int
    query_tokens: int
    rows: int
    dim: int

    @property
    def bytes_read(self) -> int:
        """Every row of every candidate is read once."""
        return self.candidates * self.rows * self.dim

    @property
    def multiply_adds(self) -> int:
        """Every row meets every query token."""
        return self.bytes_read * self.query_tokens


def floor_page(work: Work, rates: Mapping[str, float], measured_ms: float) -> str:
    """Bytes and multiply-adds, the rates this machine reached, the times they make."""
    copied, gathered = rates["copied_bytes_per_second"], rates["gathered_bytes_per_second"]
    computed = rates["multiply_adds_per_second"]
    gather_ms, multiply_ms = work.bytes_read / gathered * 1e3, work.multiply_adds / computed * 1e3
    lines = [
        (
            "reading the rows, at random",
            f"{work.bytes_read / 1e6:.2f} MB",
            f"{gathered / 1e9:.1f} GB/s",
            f"{gather_ms:.3f}",
        ),
        (
            "the same bytes one after the other",
            f"{work.bytes_read / 1e6:.2f} MB",
            f"{copied / 1e9:.1f} GB/s",
            f"{work.bytes_read / copied * 1e3:.3f}",
        ),
        (
            "multiplying, rows in the cache",
            f"{work.multiply_adds / 1e6:.1f} M",
            f"{computed / 1e9:.0f} G/s",
            f"{multiply_ms:.3f}",
        ),
        ("reading, then multiplying", "", "", f"{gather_ms + multiply_ms:.3f}"),
        ("measured, the whole run", "", "", f"{measured_ms:.3f}"),
    ]
    share = (gather_ms + multiply_ms) / measured_ms
    title = (
        f"The floor of {work.candidates:,} candidates: {work.query_tokens} query tokens, "
        f"{work.rows} rows of {work.dim} bytes; reading and multiplying are {share:.0%} of the run"
    )
    return "\n\n".join([title, table(("what", "how much", "reached", "ms"), lines)])
