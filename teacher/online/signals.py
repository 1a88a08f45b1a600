"""What encoders and students say of a pair: numbers under the names of their columns.

How they are made is the trainer's, exporter's and service's business; a judge only reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SIMILARITY, STUDENT = "similarity", "student"  # the families of features only they can give


@dataclass(frozen=True, slots=True)
class Signals:
    """One pair's cosines by column (`similarities`) and students' log-odds (`students`)."""

    similarities: Mapping[str, float] = field(default_factory=dict)
    students: Mapping[str, float] = field(default_factory=dict)


NO_SIGNALS = Signals()
