"""A body is JSON or a file, and says so."""

from starlette.requests import Request

from staffroom.api.problems import Problem


async def require_json(request: Request) -> None:
    """A request that changes or asks something carries JSON. Raises: Problem, 415."""
    if request.method not in {"POST", "PATCH", "PUT"}:
        return
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        told = f"not {given[:100]!r}" if given else "but the request has no Content-Type"
        raise Problem(415, f"The body has to be application/json, {told}.")
