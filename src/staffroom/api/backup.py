"""Everything of the library as one file."""

import tempfile
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import IO, Annotated, Final

from fastapi import APIRouter, Query, Response

from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.downloads import described, download
from staffroom.content.backup import write_backup
from staffroom.content.threads import in_thread
from staffroom.database.vector_ops import VectorOperations

CHUNK: Final = 1 << 18

router = APIRouter(prefix="/api/v1/backup", tags=["backup"])


@router.get(
    "",
    response_class=Response,
    responses={**problems(422), 200: described("The backup: a ZIP of JSON Lines.", "zip")},
)
async def backup(
    app: Staffroom,
    interactions: Annotated[
        bool,
        Query(description="Whether to add what was asked and said, with names replaced by rules."),
    ] = False,
) -> Response:
    """Download a backup: scenarios with every revision, golden questions and evaluations.

    `staffroom restore` puts it back. That it was taken is on record.
    """
    day = datetime.now(UTC).date().isoformat()
    pieces = _pieces(app.vector_ops, interactions=interactions)
    return await download(pieces, "zip", f"staffroom-{day}")


async def _pieces(
    vector_ops: VectorOperations, *, interactions: bool
) -> AsyncGenerator[bytes, None]:
    """Written to the disk first: a slow reader keeps no transaction open."""
    file: IO[bytes]
    with tempfile.TemporaryFile() as file:
        await write_backup(vector_ops, file, interactions=interactions)
        file.seek(0)
        while piece := await in_thread(lambda: file.read(CHUNK)):
            yield piece
