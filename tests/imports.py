"""Imports that tests begin without a file on disk."""

import hashlib
from uuid import UUID

from staffroom.database.imports import Imports, NewImport


async def begin_import(imports: Imports, file_name: str, content: bytes) -> UUID:
    """The file waits for a runner."""
    new = NewImport(
        id=imports.new_id(),
        file_name=file_name,
        suffix=file_name[file_name.rindex(".") :],
        dry_run=False,
        options={},
        size=len(content),
        sha256=hashlib.sha256(content).digest(),
    )
    return await imports.add(new, [content])
