"""What the OpenAI-compatible form takes and gives, as models.

Fields that are not named here, such as a temperature, are accepted and change nothing. What would
make the answer another than the client expects has a type that allows only what is done.
"""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)
from pydantic import StringConstraints as Text
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

MAX_INPUTS: Final = 2048
"""Texts of one request for embeddings, as many as OpenAI takes."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


def _only_text(kind: Any) -> Any:
    if isinstance(kind, str) and kind != "text":
        raise PydanticCustomError(
            "unsupported_part", "{kind} is not read; send text only", {"kind": repr(kind[:40])}
        )
    return kind


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("empty", "is empty; ask, for example, how to settle a class")
    return text


_Said = Annotated[
    str, AfterValidator(_not_blank), Field(json_schema_extra={"minLength": 1, "pattern": r"\S"})
]


class PartIn(_Request):
    """A part of a message: text."""

    type: Annotated[Literal["text"], BeforeValidator(_only_text)]
    text: _Said


def _form(content: Any) -> str:
    return "list" if isinstance(content, list) else "text"


class UserMessageIn(_Request):
    """What the user said: a text, or several."""

    role: Literal["user"]
    content: Annotated[
        Annotated[_Said, Tag("text")] | Annotated[list[PartIn], Field(min_length=1), Tag("list")],
        Discriminator(_form),
    ]

    @property
    def text(self) -> str:
        """What it says, its parts joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content


class OtherMessageIn(_Request):
    """What was answered, or an instruction. Those of the system, of developers and of tools are
    not read: only the library is ground for an answer."""

    role: Literal["system", "developer", "assistant", "tool", "function"]
    content: Annotated[
        Annotated[str | None, Tag("text")] | Annotated[list[dict[str, Any]], Tag("list")],
        Discriminator(_form),
    ] = None

    @property
    def text(self) -> str:
        """What it says, its parts joined."""
        if isinstance(self.content, list):
            return "\n".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


Message = UserMessageIn | OtherMessageIn


class StreamOptionsIn(_Request):
    """What a stream has besides."""

    include_usage: bool | None = None


def _no_number(given: Any) -> Any:
    """0 is as good as False in Python, and no boolean in JSON."""
    return given if isinstance(given, bool) else str(given)


class TextFormatIn(_Request):
    """The form of an answer: text."""

    type: Literal["text"]


class ChatIn(_Request):
    """A conversation whose last message of a user is the question."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "staffroom",
                    "messages": [
                        {"role": "user", "content": "How to handle classroom disruption?"}
                    ],
                }
            ]
        }
    )

    model: str
    messages: Annotated[
        list[Annotated[Message, Field(discriminator="role")]],
        Field(
            min_length=1,
            json_schema_extra={
                "contains": {"properties": {"role": {"const": "user"}}, "required": ["role"]}
            },
        ),
    ]
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
    store: Annotated[
        bool | None, Field(description="With false, nothing of the exchange is stored.")
    ] = None
    n: Literal[1] | None = None
    response_format: TextFormatIn | None = None
    modalities: list[Literal["text"]] | None = None
    audio: None = None
    logprobs: Annotated[Literal[False], BeforeValidator(_no_number)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    function_call: Literal["none", "auto"] | None = None


def _one_or_many(given: Any) -> str:
    return "texts" if isinstance(given, list) else "text"


def _no_tokens(given: Any) -> Any:
    if isinstance(given, int | list):
        raise PydanticCustomError("token_array", "tokens are not read; send the text itself")
    return given


_Input = Annotated[str, Text(min_length=1, pattern=r"\S"), BeforeValidator(_no_tokens)]


class EmbeddingsIn(_Request):
    """Texts to embed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "all-MiniLM-L6-v2", "input": ["A pupil falls asleep."]}]
        }
    )

    model: str
    input: Annotated[
        Annotated[_Input, Tag("text")]
        | Annotated[list[_Input], Field(min_length=1, max_length=MAX_INPUTS), Tag("texts")],
        Discriminator(_one_or_many),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    # Only the model's own number is right, which a schema cannot say.
    dimensions: SkipJsonSchema[int | None] = None
    input_type: Annotated[
        Literal["query", "passage"] | None,
        Field(description="What the texts are: some models embed a question otherwise."),
    ] = None


class ModelOut(BaseModel):
    """A model that can be named in requests."""

    id: str
    object: Literal["model"] = "model"
    created: Annotated[int, Field(description="When this server began to serve it.")]
    owned_by: Literal["staffroom"] = "staffroom"


class ModelsOut(BaseModel):
    """The models that can be named in requests."""

    object: Literal["list"] = "list"
    data: list[ModelOut]


class UrlCitation(BaseModel):
    """`content[start_index:end_index]` is the number in brackets that stands for the source."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """A citation."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class MessageOut(BaseModel):
    """The answer, with a source for each sentence."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation]


class ChoiceOut(BaseModel):
    """The only choice."""

    index: Literal[0] = 0
    message: MessageOut
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class Usage(BaseModel):
    """Tokens of the embedding model's vocabulary, or words where a server runs that model."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AboutAnswer(BaseModel):
    """What Staffroom knows of an answer besides; not a part of OpenAI's form."""

    outcome: str
    abstained: bool
    uncertain: bool
    best_relevance: float | None
    overdue: Annotated[
        list[UUID], Field(description="Scenarios it rests on whose review date has passed.")
    ]
    interaction_id: str | None


class ChatOut(BaseModel):
    """An answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChoiceOut]
    usage: Usage
    staffroom: AboutAnswer


class EmbeddingOut(BaseModel):
    """A vector of unit length: numbers, or the base64 of little-endian 32-bit floats."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(BaseModel):
    """Tokens of the texts, or words where a server runs the model."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsOut(BaseModel):
    """The vectors, in the order of the texts."""

    object: Literal["list"] = "list"
    model: str
    data: list[EmbeddingOut]
    usage: EmbeddingsUsage


class ErrorDetail(BaseModel):
    """What is wrong; `param` is the part of the request that is."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str


class ErrorOut(BaseModel):
    """An error in OpenAI's form."""

    error: ErrorDetail


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route may answer with, for the API's description."""
    return {status: {"model": ErrorOut} for status in statuses}
