"""The teachers the settings name, in the order in which they are asked: language model, catalogue.

What each of them does is its own file's.
"""

from relevance.errors import BadInput
from service.explanations import Explanations
from service.settings import Settings
from service.teacher_door import Explainer, WritingExplainer, read_explainer


def read_explanations(settings: Settings) -> Explanations:
    """The teachers, ready to be asked; no connection is made yet. Raises `BadInput`."""
    model = _language_model(settings)
    teachers: list[Explainer | WritingExplainer] = [] if model is None else [model]
    if settings.teacher is not None:
        teachers.append(read_explainer(settings.teacher))
    return Explanations(
        teachers,
        places=settings.explain_concurrency,
        patience_s=settings.teacher_timeout,
        capacity=settings.explanation_cache,
    )


def _language_model(settings: Settings) -> WritingExplainer | None:
    if not settings.llm_endpoint:
        if settings.llm_model:
            raise BadInput("llm_model: expected llm_endpoint beside it, got none")
        return None
    if not settings.llm_model:
        raise BadInput(
            "llm_endpoint: expected llm_model, the name it is served under, beside it, got none"
        )
    # Only where one was asked for: the imports cost a start.
    from relevance.domain import Target
    from service.explain_llm import LLMExplainer, LLMOptions
    from teacher.online.llm.endpoints import read_endpoints
    from teacher.online.llm.judge import JudgeOptions
    from teacher.online.llm.prompt import Guidance, ItemFields, Language, PromptStyle

    key = settings.llm_api_key
    found = read_endpoints(
        [f"{settings.llm_model}={settings.llm_endpoint}"],
        key="" if key is None else key.get_secret_value(),
    )
    style = PromptStyle(
        language=Language(settings.llm_language),
        guidance=Guidance(settings.llm_prompt),
        reads=ItemFields(settings.llm_reads),
    )
    judge = JudgeOptions(
        targets=frozenset({Target.COT}),
        style=style,
        structured=settings.llm_structured,
        max_tokens=settings.llm_max_tokens,
    )
    return LLMExplainer(
        LLMOptions(
            endpoints=found[settings.llm_model],
            judge=judge,
            timeout_s=settings.llm_timeout,
            places=settings.explain_concurrency,
        )
    )
