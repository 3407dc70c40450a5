"""Uploads of whole files, and what becomes of them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import JSONResponse

from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.downloads import described, download
from staffroom.api.events import MEDIA_TYPE, Event, event_response, wants_events
from staffroom.api.idempotency import Once
from staffroom.api.import_schemas import ImportIn, ImportOut, ImportPage, ImportPatch
from staffroom.api.paging import Cursor, Limit, page_document, read_cursor
from staffroom.api.problems import Problem
from staffroom.content.downloads import (
    csv_lines,
    excel_pieces,
    json_lines,
    refused_columns,
    refused_rows,
)
from staffroom.content.formats import SUFFIXES
from staffroom.content.import_documents import import_document
from staffroom.content.uploads import plain_name, suffix_of
from staffroom.database.imports import ImportRecord, Imports

LOOK_SECONDS: Final = 0.3
"""How often a watched import is looked at: any process may be running it."""

router = APIRouter(prefix="/api/v1/imports", tags=["imports"])

_OWN_FORMS: Final[Mapping[str, Literal["csv", "jsonl", "xlsx"]]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".xlsx": "xlsx",
}
"""In which the refused rows of a file come back; those of others, as JSON Lines."""

NAMED: Final = {
    "file": {
        "headers": {
            "Content-Disposition": {
                "description": "The file's name tells its form.",
                "schema": {"type": "string"},
                "example": 'form-data; name="file"; filename="scenarios.jsonl"',
            }
        }
    }
}


_LOCATION: Final = {"Location": {"description": "The import.", "schema": {"type": "string"}}}


async def require_form(request: Request) -> None:
    """The request carries a form with a file."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "multipart/form-data":
        told = f"not {given[:100]!r}" if given else "but the request has no Content-Type"
        raise Problem(415, f"The body has to be multipart/form-data with a file, {told}.")


@router.post(
    "",
    response_model=ImportOut,
    status_code=202,
    responses={
        **problems(409, 422),
        200: {
            "model": ImportOut,
            "description": "The same import of the same content is under way already: that one.",
            "headers": _LOCATION,
        },
        202: {
            "description": "The file is there and waits to be imported.",
            "headers": _LOCATION,
        },
    },
    dependencies=[Depends(require_form)],
    form_limits={"max_files": 1, "max_fields": 8},
    openapi_extra={"requestBody": {"content": {"multipart/form-data": {"encoding": NAMED}}}},
)
async def start_import(
    app: Staffroom,
    once: Once,
    form: Annotated[ImportIn, Form(media_type="multipart/form-data")],
) -> Response:
    """Upload scenarios. They are stored in the background; the Location tells how far it is."""
    name = plain_name(form.file.filename or "")
    if not suffix_of(name):
        raise Problem(
            415,
            f"The file is called {name!r}. The name of what can be imported ends in "
            f"{', '.join(SUFFIXES)}.",
            field="file",
        )
    upload = await app.import_runner.receive(name, form.file.read)
    try:
        reading = form.reading()
        options = b"%d %d" % (form.dry_run, form.keep_duplicates)
        told = json.dumps(asdict(reading)).encode()
        once.include(b"%s %s %s %s" % (options, name.encode(), upload.sha256, told))

        async def accepted() -> Response:
            record = await app.import_runner.accept(
                upload, reading, dry_run=form.dry_run, keep_duplicates=form.keep_duplicates
            )
            headers = {"Location": f"/api/v1/imports/{record.id}"}
            status = 202 if record.id == upload.id else 200
            return JSONResponse(import_document(record), status, headers)

        return await once.respond(accepted)
    finally:
        upload.discard()


@router.get("", response_model=ImportPage, responses=problems(422))
async def list_imports(app: Staffroom, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """List the imports, newest first."""
    page = await app.vector_ops.imports.page(limit + 1, read_cursor(cursor))
    return JSONResponse(page_document(page, limit, import_document))


@router.get(
    "/{import_id:uuid}",
    response_model=ImportOut,
    responses={
        **problems(404, 422),
        200: {
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
            "description": "The import as it stands; or, if the client accepts text/event-stream, "
            "the events `progress` until it has ended, then `report`.",
        },
    },
)
async def get_import(import_id: UUID, request: Request, app: Staffroom) -> Response:
    """Read how far an import is, or watch it."""
    imports = app.vector_ops.imports
    record = await imports.get(import_id)
    if wants_events(request):
        return event_response(request, _events(imports, record))
    return JSONResponse(import_document(record))


@router.patch(
    "/{import_id:uuid}",
    response_model=ImportOut,
    status_code=202,
    responses={
        **problems(404, 422),
        409: {**problems(409)[409], "description": "The import has ended."},
        202: {"description": "The import as it stands. A running one obeys in a moment."},
    },
    dependencies=[Depends(require_json)],
)
async def change_import(import_id: UUID, body: ImportPatch, app: Staffroom) -> JSONResponse:
    """Pause an import, let it go on, or cancel it. What it stored stays."""
    record = await app.vector_ops.imports.ask(import_id, body.wanted)
    return JSONResponse(import_document(record), 202)


@router.get(
    "/{import_id:uuid}/errors",
    response_class=Response,
    responses={**problems(404, 422), 200: described("The refused rows.", "csv", "jsonl", "xlsx")},
)
async def import_errors(
    import_id: UUID,
    app: Staffroom,
    form: Annotated[
        Literal["csv", "jsonl", "xlsx"] | None,
        Query(alias="format", description="That of the file, if none is given."),
    ] = None,
) -> Response:
    """Download the refused rows as they were, with the columns `row` and `reason`.

    Mended, they can be imported as they are: both columns are ignored. What could not even be
    parted into cells is in the column `raw`, and is read from there.
    """
    imports = app.vector_ops.imports
    record = await imports.get(import_id)
    form = form or _OWN_FORMS.get(record.suffix, "jsonl")
    rows = refused_rows(imports, record)
    if form == "jsonl":
        pieces = json_lines(rows)
    else:
        columns = await refused_columns(imports, record)
        delimiter = record.options.get("delimiter") or ","
        excel = form == "xlsx"
        pieces = excel_pieces(rows, columns) if excel else csv_lines(rows, columns, delimiter)
    return await download(pieces, form, f"{Path(record.file_name).stem}-errors")


async def _events(imports: Imports, record: ImportRecord) -> AsyncGenerator[Event, None]:
    told: dict[str, Any] = {}
    while not record.has_ended:
        document = import_document(record)
        if document != told:
            told = document
            yield Event("progress", document)
        await asyncio.sleep(LOOK_SECONDS)
        record = await imports.get(record.id)
    yield Event("report", import_document(record))
