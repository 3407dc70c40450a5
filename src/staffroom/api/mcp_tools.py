"""What a model can do in Staffroom: four tools, with what they take, give and are for."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import mcp_types as mcp
from pydantic import BaseModel, ValidationError

from staffroom.ai.llm_service import last_answer
from staffroom.api.markdown import matches_markdown, scenario_markdown, scenario_uri
from staffroom.api.mcp_schemas import (
    AskArguments,
    AskOutput,
    CitedSentence,
    Found,
    ScenarioArguments,
    SearchArguments,
    SearchOutput,
    Source,
    SuggestArguments,
    SuggestOutput,
)
from staffroom.api.prose import Prose
from staffroom.api.schemas import Request, ScenarioOut
from staffroom.app import App
from staffroom.documents import DIGITS, scenario_document
from staffroom.errors import InputError, StaffroomError
from staffroom.retrieval.aliases import grade_names
from staffroom.scenario_life import is_overdue
from staffroom.types import Answer, Filters, Match, SearchResult, Sentence

DEFECT: Final = "Staffroom made a mistake. Its log has the cause."

_NAMED_VALUES: Final = 50

_log = logging.getLogger(__name__)


_Arguments = TypeVar("_Arguments", bound=Request)
_Output = TypeVar("_Output", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Tool(Generic[_Arguments, _Output]):
    """A tool: its work returns a document, and the same as a text to read."""

    name: str
    title: str
    description: str
    arguments: type[_Arguments]
    output: type[_Output]
    work: Callable[[App, _Arguments, str], Awaitable[tuple[_Output, str]]]
    writes: bool = False

    def described(self) -> mcp.Tool:
        """The tool as models learn of it."""
        return mcp.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.arguments.model_json_schema(),
            output_schema=self.output.model_json_schema(mode="serialization"),
            annotations=mcp.ToolAnnotations(
                title=self.title,
                read_only_hint=not self.writes,
                destructive_hint=False,
                idempotent_hint=True,
                open_world_hint=False,
            ),
        )

    async def call(self, app: App, given: dict[str, Any], caller: str) -> mcp.CallToolResult:
        """What the tool gives, or an error that the model can read and mend."""
        try:
            arguments = self.arguments.model_validate(given)
            output, text = await self.work(app, arguments, caller)
        except ValidationError as error:
            return failed(_told(error))
        except StaffroomError as error:
            return failed(str(error))
        except Exception:  # noqa: BLE001 - the log has it, and the model no more than that
            _log.exception("the tool %s failed", self.name)
            return failed(DEFECT)
        return mcp.CallToolResult(
            content=[mcp.TextContent(type="text", text=text)],
            structured_content=output.model_dump(mode="json"),
        )


def failed(message: str) -> mcp.CallToolResult:
    """A call that came to nothing, and why."""
    return mcp.CallToolResult(content=[mcp.TextContent(type="text", text=message)], is_error=True)


async def _search(app: App, given: SearchArguments, _: str) -> tuple[SearchOutput, str]:
    filters = Filters(
        categories=await _one_of(app, "category", given.category),
        grade_bands=await _one_of(app, "grade_band", given.grade_band),
    )
    result = await app.vector_ops.search(
        given.query, given.limit, given.threshold, filters, mode=given.mode
    )
    output = SearchOutput(
        matches=list(map(_found, result.matches)),
        related=list(map(_found, result.related)),
        threshold=result.threshold,
        best_relevance=result.best_relevance,
    )
    if result.matches:
        return output, matches_markdown(result.matches)
    nothing = f"Nothing has relevance {result.threshold:.2f} or more."
    if result.related:
        nothing += f" Perhaps related, but no answer:\n\n{matches_markdown(result.related)}"
    return output, nothing


async def _one_of(app: App, facet: str, given: str | None) -> tuple[str, ...]:
    """The value, which some scenario has. The error names those that there are."""
    if given is None:
        return ()
    known = [found.value for found in (await app.vector_ops.catalogue.facets())[facet]]
    if not set(known).isdisjoint(grade_names(given) if facet == "grade_band" else [given]):
        return (given,)
    there = f"there are {', '.join(known[:_NAMED_VALUES])}" if known else "none has any"
    raise InputError(f"{facet}: no scenario has {given!r}; {there}.")


async def _ask(app: App, given: AskArguments, _: str) -> tuple[AskOutput, str]:
    parts = app.ask(given.question, limit=given.limit, conversation_id=given.conversation_id)
    answer = await last_answer(parts)
    found = SearchResult(answer.matches, answer.threshold, answer.best_relevance)
    text = Prose(found, scenario_uri).whole(answer)
    further = f"To ask further about this, give conversation_id {answer.conversation_id}."
    return _answer_output(answer, text), f"{text}\n\n{further}"


async def _get(app: App, given: ScenarioArguments, _: str) -> tuple[ScenarioOut, str]:
    scenario = await app.vector_ops.get_scenario(given.scenario_id)
    document = ScenarioOut.model_validate(scenario_document(scenario))
    return document, scenario_markdown(scenario)


async def _suggest(app: App, given: SuggestArguments, caller: str) -> tuple[SuggestOutput, str]:
    fields = given.model_dump(exclude={"name", "description", "expected_response"})
    fields["contributor"] = given.contributor or caller
    stored = await app.vector_ops.store_scenario(
        given.name, given.description, given.expected_response, **fields, status="draft"
    )
    scenario = await app.vector_ops.get_scenario(stored)
    about = scenario.content.metadata
    output = SuggestOutput(
        id=stored, uri=scenario_uri(stored), status=about.status, contributor=about.contributor
    )
    return output, (
        f"Kept as {output.uri} with status {about.status}. It is shown to no teacher until an "
        "editor has reviewed and published it."
        if about.status == "draft"
        else f"The library has this already: {output.uri}, status {about.status}."
    )


def _answer_output(answer: Answer, text: str) -> AskOutput:
    cited = {citation for sentence in answer.sentences for citation in sentence.citations}
    return AskOutput(
        answer=text,
        sentences=[_sentence(sentence) for sentence in answer.sentences],
        more=[_sentence(sentence) for sentence in answer.more],
        sources=[_source(match) for match in answer.matches if match.scenario.id in cited],
        related=list(map(_found, answer.related)),
        outcome=answer.outcome,
        abstained=answer.abstained,
        uncertain=answer.uncertain,
        conversation_id=answer.conversation_id,
        interaction_id=answer.interaction_id,
    )


def _sentence(sentence: Sentence) -> CitedSentence:
    return CitedSentence(text=sentence.text, citations=list(sentence.citations), step=sentence.step)


def _found(match: Match) -> Found:
    content = match.scenario.content
    return Found(
        id=match.scenario.id,
        uri=scenario_uri(match.scenario.id),
        name=content.name,
        relevance=round(match.relevance, DIGITS),
        description=content.description,
        category=content.metadata.category,
        grade_bands=list(content.metadata.grade_bands),
        overdue=is_overdue(content.metadata),
    )


def _source(match: Match) -> Source:
    about = match.scenario.content.metadata
    return Source(
        id=match.scenario.id,
        uri=scenario_uri(match.scenario.id),
        name=match.scenario.name,
        relevance=round(match.relevance, DIGITS),
        evidence_note=about.evidence_note,
        evidence_strength=about.evidence_strength,
        review_by=about.review_by.isoformat() if about.review_by else "",
        overdue=is_overdue(about),
    )


def _told(error: ValidationError) -> str:
    """Which arguments are wrong and why, without repeating what was given."""
    return "; ".join(
        f"{'.'.join(map(str, found['loc'])) or 'arguments'}: {found['msg']}"
        for found in error.errors()
    )


TOOLS: Final[Sequence[Tool[Any, Any]]] = (
    Tool(
        name="ask",
        title="Ask the library",
        description=(
            "Answer a teacher's question about their classroom: behaviour, routines, feedback, "
            "parents, inclusion, safeguarding concerns. The answer consists of sentences of vetted "
            "advice and of nothing else; each cites the scenario that it is from. Give the "
            "sentences as they are, with their citations, and add no advice of your own to them. "
            "If it abstained, the library has nothing that fits: tell the teacher so, and whom to "
            "ask, in place of an answer of your own. If it is uncertain, say that it may be about "
            "another situation; if a source is overdue, that its advice waits for a review. "
            "The exchange is kept for whoever runs the library."
        ),
        arguments=AskArguments,
        output=AskOutput,
        work=_ask,
    ),
    Tool(
        name="search_scenarios",
        title="Search the library",
        description=(
            "Find vetted teaching scenarios by what they mean, best first, with their relevance "
            "(0 to 1). Use it to see what the library has about a topic; to answer a teacher's "
            "question use ask, which also knows what must not be answered. An empty result means "
            "that nothing fits well enough, and is an answer in itself. get_scenario reads one."
        ),
        arguments=SearchArguments,
        output=SearchOutput,
        work=_search,
    ),
    Tool(
        name="get_scenario",
        title="Read a scenario",
        description=(
            "Read one scenario whole: the situation, the vetted advice, the evidence that it rests "
            "on and when it is to be reviewed. Cite it by its name and id when you use its words. "
            "A scenario whose status is not published has not been vetted: do not give its text "
            "as advice."
        ),
        arguments=ScenarioArguments,
        output=ScenarioOut,
        work=_get,
    ),
    Tool(
        name="suggest_scenario",
        title="Suggest a scenario",
        description=(
            "Suggest a scenario that the library lacks, for example after ask abstained. It is "
            "stored as a draft with its contributor, and no teacher is shown it until an editor "
            "has reviewed and published it. Search first, so as not to suggest what is there. "
            "Leave out names and anything else by which a pupil could be known."
        ),
        arguments=SuggestArguments,
        output=SuggestOutput,
        work=_suggest,
        writes=True,
    ),
)
"""In the order in which a model should think of them."""
