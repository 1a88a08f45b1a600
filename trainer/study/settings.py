"""A study's settings for one data set, as a TOML file: changes to recipes, and what is searched.

    plain = ["steps=400"]                      # students that learn from people alone
    taught = ["steps=400", "good_share=0.45"]  # students that learn from the teacher as well
    untuned = ["steps=185"]                    # a plain ColBERT nobody searched for, as a row
    [search]                                   # of the plain and of the MKD ColBERT
    plain = [["learning_rate=5e-5"], ["learning_rate=1e-4"]]
    taught = [["learning_rate=5e-5"], ["learning_rate=1e-4"]]

Which rows there are stands in `rows.py`; a setting's name and value are checked where it is used.
"""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from relevance.errors import BadInput

Changes = tuple[str, ...]


class StudySettings(BaseModel):
    """Changes to the recipes, as `name=value`; each search is a list of such changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plain: Changes = ()
    taught: Changes = ()
    untuned: Changes = ()
    plain_search: tuple[Changes, ...] = ()
    taught_search: tuple[Changes, ...] = ()


def read_settings(path: Path) -> StudySettings:
    """Read a settings file; raises `BadInput` naming what is no setting."""
    try:
        content = tomllib.loads(path.read_text())
        search = content.pop("search", {})
        return StudySettings.model_validate(
            {**content, **{f"{name}_search": tried for name, tried in search.items()}}
        )
    except OSError as fault:
        raise BadInput(f"{path}: expected a study's settings: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, AttributeError) as fault:
        raise BadInput(f"{path}: expected a study's settings as TOML: {fault}") from fault
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path}: `{where}`: {first['msg']}, got {first['input']!r:.80}") from fault
