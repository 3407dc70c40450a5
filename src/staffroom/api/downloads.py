"""Files that a browser saves."""

from collections.abc import AsyncGenerator
from typing import Any, Final
from urllib.parse import quote

from fastapi.responses import StreamingResponse

MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
}


async def download(pieces: AsyncGenerator[bytes, None], form: str, name: str) -> StreamingResponse:
    """The pieces as a file of that name. What fails before the first keeps its status code."""
    first = await anext(pieces, b"")

    async def all_pieces() -> AsyncGenerator[bytes, None]:
        try:
            yield first
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()

    file_name = f"{name}.{form}"
    return StreamingResponse(
        all_pieces(),
        media_type=MEDIA_TYPES[form],
        headers={
            "Content-Disposition": f"attachment; filename*=utf-8''{quote(file_name, safe='')}"
        },
    )


def described(description: str, *forms: str) -> dict[str, Any]:
    """A response that is a file in one of these forms, for the API's description."""
    types = [MEDIA_TYPES[form].partition(";")[0] for form in forms]
    content = {media_type: {"schema": {"type": "string"}} for media_type in types}
    return {"content": content, "description": description}
