"""VectorAPI: the guide's endpoint as an object."""

from typing import Any, Literal, NotRequired, TypedDict

from staffroom.database.vector_ops import VectorOperations
from staffroom.documents import match_document
from staffroom.errors import InputError, SearchError


class SearchResponse(TypedDict):
    """The guide's answer to a search."""

    status: Literal["success", "error"]
    results: NotRequired[list[dict[str, Any]]]
    message: NotRequired[str]


class VectorAPI:
    """Searches the library and answers with plain data, failures included."""

    def __init__(self, vector_ops: VectorOperations) -> None:
        self._vector_ops = vector_ops

    async def search_similar_content(self, query: str) -> SearchResponse:
        """The matches of a question, or the message that says why there are none to show."""
        try:
            results = await self._vector_ops.find_similar_scenarios(query)
        except (SearchError, InputError) as error:
            return SearchResponse(status="error", message=str(error))
        return SearchResponse(
            status="success", results=[match_document(match) for match in results]
        )
