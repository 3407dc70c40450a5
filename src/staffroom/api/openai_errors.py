"""Problems in the form that clients of OpenAI's API expect. Pure."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

PREFIX: Final = "/v1/"
"""Paths under which errors have this form."""

_CODES: Final = {HTTPStatus.UNAUTHORIZED: "invalid_api_key"}


def openai_status(status: int) -> int:
    """Their clients know what is wrong with a request's content as 400."""
    return HTTPStatus.BAD_REQUEST if status == HTTPStatus.UNPROCESSABLE_ENTITY else status


def openai_error(problem: Mapping[str, Any]) -> dict[str, Any]:
    """The problem document in that form; `param` is the part of the request that is wrong."""
    status = problem["status"]
    failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    fields = [error["field"] for error in problem.get("errors", ())]
    name = str(problem["type"]).rpartition("#")[2].replace("-", "_")
    return {
        "error": {
            "message": problem["detail"],
            "type": "server_error" if failed else "invalid_request_error",
            "param": fields[0].partition(".")[0] or None if fields else None,
            "code": _CODES.get(status, name),
        }
    }
