"""How small an item is kept, as one word list on the command line: `dim64,pool2,4bit`.

What the words do stands in `narrow.py` (dimensions) and `relevance/item_rows.py` (rows).
"""

import re
from dataclasses import dataclass

from relevance.errors import BadInput
from relevance.item_rows import RowCodec

WORDS = "dim<number>, pool<2 to 8>, skip-punctuation, 4bit"


@dataclass(frozen=True, slots=True)
class Codec:
    """A bundle's choice; `dim` None keeps the student's own."""

    dim: int | None
    rows: RowCodec


def codec_named(words: str) -> Codec:
    """The codec of some words, in any order, with commas between; raises `BadInput`."""
    dim: int | None = None
    rows: dict[str, int | bool] = {}
    for word in filter(None, (part.strip() for part in words.split(","))):
        if found := re.fullmatch(r"dim([1-9]\d{0,3})", word):
            dim = int(found[1])
        elif found := re.fullmatch(r"pool([2-8])", word):
            rows["pooling"] = int(found[1])
        elif word == "skip-punctuation":
            rows["skip_punctuation"] = True
        elif word == "4bit":
            rows["bits"] = 4
        else:
            raise BadInput(f"codec: expected words of {WORDS}, got `{word}`")
    return Codec(dim, RowCodec.model_validate(rows))
