"""A look into a file before it is imported: what its columns are, and what they probably hold."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, UploadFile
from fastapi.responses import JSONResponse

from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.import_schemas import InspectIn, InspectionOut
from staffroom.api.imports import NAMED, require_form
from staffroom.api.problems import Problem
from staffroom.app import App
from staffroom.content.formats import SUFFIXES, Inspection, inspect
from staffroom.content.mapping import SERVICE_COLUMNS
from staffroom.content.threads import in_thread
from staffroom.content.uploads import plain_name, suffix_of
from staffroom.errors import UnavailableError

CHUNK: Final = 1 << 20

REMEMBERED: Final = 50
"""Imports among which one with the same columns is looked for."""

router = APIRouter(prefix="/api/v1/imports", tags=["imports"])


@router.post(
    "/inspect",
    response_model=InspectionOut,
    responses=problems(422),
    dependencies=[Depends(require_form)],
    form_limits={"max_files": 1, "max_fields": 8},
    openapi_extra={"requestBody": {"content": {"multipart/form-data": {"encoding": NAMED}}}},
)
async def inspect_file(
    app: Staffroom, form: Annotated[InspectIn, Form(media_type="multipart/form-data")]
) -> JSONResponse:
    """Tell how a file would be read. Nothing of it is kept.

    Columns that an earlier import mapped are mapped so again; of JSON Lines and text tables, the
    beginning of the file is enough.
    """
    name = plain_name(form.file.filename or "")
    if not suffix_of(name):
        raise Problem(
            415,
            f"The file is called {name!r}. The name of what can be imported ends in "
            f"{', '.join(SUFFIXES)}.",
            field="file",
        )
    reading = form.reading()
    async with _on_disk(form.file, suffix_of(name)) as path:
        found = await in_thread(partial(inspect, path, name, reading=reading))
    if not reading.mapping:
        found = found.mapped(await _remembered(app, found))
    return JSONResponse(_document(found))


@asynccontextmanager
async def _on_disk(file: UploadFile, suffix: str) -> AsyncIterator[Path]:
    """The upload as a file of that kind, for as long as it is looked at."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{suffix}"
        try:
            with path.open("wb") as target:
                while chunk := await file.read(CHUNK):
                    await in_thread(partial(target.write, chunk))
        except OSError as error:
            raise UnavailableError(
                f"the upload cannot be written: {error.strerror}. Make room on the disk that "
                "holds temporary files, then send the file again."
            ) from error
        yield path


async def _remembered(app: App, found: Inspection) -> Mapping[str, str]:
    """The mapping of the last import whose file had the same columns."""
    columns = {column.column for column in found.columns} - SERVICE_COLUMNS
    for record in await app.vector_ops.imports.page(REMEMBERED):
        mapping = record.options.get("mapping")
        if mapping and {*record.columns} - SERVICE_COLUMNS - {""} == columns:
            return dict(mapping)
    return {}


def _document(found: Inspection) -> dict[str, Any]:
    reading = found.reading
    return {
        "format": found.form,
        "encoding": reading.encoding,
        "delimiter": reading.delimiter,
        "sheet": reading.sheet,
        "sheets": list(found.sheets),
        "header_row": reading.header_row,
        "guessed": list(reading.guessed),
        "columns": [
            {
                "name": column.column,
                "guess": column.field,
                "confidence": column.confidence,
                "samples": list(column.samples),
            }
            for column in found.columns
        ],
        "missing": list(found.missing),
        "mapping": dict(reading.mapping),
    }
