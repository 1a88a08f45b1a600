"""The file that describes what runs: stores beside the service's own, experiments, shadows.

    version = 1
    key_header = "x-experiment-key"

    [variants.candidate]
    store = "/srv/ellm/candidate"
    timeout_ms = 100

    [[experiments]]
    name = "candidate-student"
    salt = "candidate-student/1"
    percent = { control = 50, candidate = 50 }
    without_key = "outside"

    [[shadows]]
    variant = "candidate"
    percent = 10

`control` is the service's own store. A key belongs to the first experiment whose percentages it
falls into; as salts are independent, what is left over for the next one is a fair sample of keys.
"""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from relevance.errors import BadInput
from relevance.experiments.assignment import chosen

CONTROL = "control"
KEY_HEADER = "x-experiment-key"
MOST_VARIANTS, MOST_EXPERIMENTS = 8, 16  # names become labels of metrics: few, from this file only
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Percent = Annotated[float, Field(gt=0, le=100)]


class WithoutKey(StrEnum):
    """What a request without a key counts as.

    outside: no part of the experiment, answered by control; query: its normalised query is the key.
    """

    OUTSIDE = "outside"
    QUERY = "query"


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class StoreVariant(_Described):
    """A store beside the service's own; slower than `timeout_ms` and control answers instead."""

    store: Path
    timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 200


class Experiment(_Described):
    """Shares of all keys, by variant; where they sum below 100, the rest is outside."""

    name: Name
    salt: Annotated[str, Field(min_length=1, max_length=200)]
    percent: dict[Name, Percent]
    without_key: WithoutKey = WithoutKey.OUTSIDE

    @model_validator(mode="after")
    def _is_an_experiment(self) -> Self:
        if CONTROL not in self.percent or len(self.percent) < 2:
            raise ValueError(f"percent: expected `{CONTROL}` and at least one other variant")
        if sum(self.percent.values()) > 100 + 1e-9:
            raise ValueError(f"percent: expected at most 100, got {sum(self.percent.values()):g}")
        return self

    @cached_property
    def shares(self) -> dict[str, float]:
        """The share of each variant among the keys that are in, summing to 1."""
        total = sum(self.percent.values())
        return {name: percent / total for name, percent in self.percent.items()}

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.percent)

    @cached_property
    def _percents(self) -> tuple[float, ...]:
        return tuple(self.percent.values())

    def variant_of(self, key: str) -> str | None:
        """The variant a key belongs to; None where it is outside."""
        index = chosen(key, salt=self.salt, percents=self._percents)
        return None if index is None else self._names[index]


class Shadow(_Described):
    """A variant that also scores this share of requests after they were answered."""

    variant: Name
    percent: Percent


@dataclass(frozen=True, slots=True)
class Assignment:
    """The experiment and variant a request belongs to, and the key that put it there."""

    experiment: str
    variant: str
    key: str


class Plan(_Described):
    """Everything that runs beside the service's own store."""

    version: Literal[1]
    key_header: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = KEY_HEADER
    variants: dict[Name, StoreVariant] = {}
    experiments: tuple[Experiment, ...] = ()
    shadows: tuple[Shadow, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if CONTROL in self.variants:
            raise ValueError(f"variants: `{CONTROL}` is the service's own store; name it otherwise")
        _check_few("variants", len(self.variants), MOST_VARIANTS)
        _check_few("experiments", len(self.experiments), MOST_EXPERIMENTS)
        _check_distinct("names of experiments", [one.name for one in self.experiments])
        _check_distinct("salts", [one.salt for one in self.experiments])
        _check_distinct("shadows", [one.variant for one in self.shadows])
        named = {name for one in self.experiments for name in one.percent} - {CONTROL}
        unknown = (named | {one.variant for one in self.shadows}) - set(self.variants)
        if unknown:
            raise ValueError(f"variants: no store is given for `{min(unknown)}`")
        return self

    def assign(self, key: str | None, *, query: str | None = None) -> Assignment | None:
        """The first experiment that takes a request with this key (or, where allowed, query)."""
        for one in self.experiments:
            by_query = query if one.without_key is WithoutKey.QUERY else None
            used = key or by_query
            variant = None if not used else one.variant_of(used)
            if used and variant is not None:
                return Assignment(one.name, variant, used)
        return None

    def experiment(self, name: str) -> Experiment:
        """The experiment of this name; raises `BadInput` where there is none."""
        for one in self.experiments:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.experiments) or "none"
        raise BadInput(f"experiment: expected one of {known}, got `{name}`")


def read_plan(path: Path) -> Plan:
    """Read and check the file; raises `BadInput` naming the place of a fault.

    A relative store is looked for beside the file.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise BadInput(f"{path}: expected a file of experiments: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BadInput(f"{path}: expected TOML: {fault}") from fault
    try:
        plan = Plan.model_validate(content)
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"{path}: {where}: {first['msg']}") from fault
    stores = {
        name: one.model_copy(update={"store": path.parent / one.store})
        for name, one in plan.variants.items()
    }
    return plan.model_copy(update={"variants": stores})


def _check_few(what: str, count: int, most: int) -> None:
    if count > most:
        raise ValueError(f"{what}: expected at most {most}, got {count}")


def _check_distinct(what: str, values: list[str]) -> None:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise ValueError(f"{what}: expected each once, got `{twice}` again")


NOTHING = Plan(version=1)
