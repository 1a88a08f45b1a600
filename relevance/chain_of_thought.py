"""The canonical text form of a chain of thought: `render` and `parse`.

    Query attributes:
    - product: water bottle
    - color: red
    Item attributes:
    - product: bottle -> match
    - color: blue -> mismatch
    Final judgment: Bad - color mismatch

Close to the paper's Figure 3. The n-th item line answers the n-th query line. Where the item is
silent the line reads `- brand: (not stated) -> missing`; where the query asks for nothing known,
both lists hold the line `- (none)`.
`parse` refuses everything else with the position of the fault; free text from language models is
read by `teacher.online`, not here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from relevance.aspects import aspects
from relevance.domain import AspectFinding, ChainOfThought, Label, Verdict
from relevance.errors import BadInput, MalformedText

QUERY_HEADING = "Query attributes:"
ITEM_HEADING = "Item attributes:"
JUDGEMENT_HEADING = "Final judgment:"
NOT_STATED = "(not stated)"
NOTHING = "- (none)"


def render(thought: ChainOfThought) -> str:
    """The canonical text; `parse(render(thought)) == thought`."""
    asked = [f"- {f.aspect}: {f.asked}" for f in thought.findings]
    offered = [f"- {f.aspect}: {f.offered or NOT_STATED} -> {f.verdict}" for f in thought.findings]
    cause = "" if thought.cause is None else f" - {thought.cause} mismatch"
    return "\n".join(
        [
            QUERY_HEADING,
            *(asked or [NOTHING]),
            ITEM_HEADING,
            *(offered or [NOTHING]),
            f"{JUDGEMENT_HEADING} {thought.label}{cause}",
        ]
    )
