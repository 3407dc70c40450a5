"""What the API takes and gives about imports and drafts, as models."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from staffroom.api.description import FieldError
from staffroom.api.fields import Number
from staffroom.content.formats import SUFFIXES, Reading
from staffroom.database.batch import Effect
from staffroom.database.claims import ImportState, Wanted
from staffroom.errors import InputError
from staffroom.text import mend
from staffroom.types import Status

_MAPPING = 'Write for example {"What happens": "description"}.'


class InspectIn(BaseModel):
    """An upload: one file, and how to read it, as far as that is not to be found out."""

    model_config = ConfigDict(extra="forbid")

    file: Annotated[
        UploadFile,
        Field(
            description=f"Its name ends in {', '.join(SUFFIXES)}.",
            json_schema_extra={"minLength": 1},
        ),
    ]
    mapping: Annotated[
        str,
        Field(
            max_length=200_000,
            description="A JSON object of columns and the fields that they hold, or an empty text "
            "for none. Columns that it does not name mean what they are called.",
            examples=['{"What happens": "description", "What to do": "expected_response"}'],
        ),
    ] = ""
    encoding: Annotated[
        str, Field(max_length=50, description="As utf-8, utf-16 or cp1252.", examples=["cp1252"])
    ] = ""
    delimiter: Annotated[
        str,
        Field(max_length=10, description="One character, or tab.", examples=[";"]),
    ] = ""
    sheet: Annotated[
        str, Field(max_length=200, description="Of an Excel file; the first, if none is named.")
    ] = ""
    header_row: Annotated[
        int, Field(ge=0, le=20, description="Which row has the names of the columns, from 1.")
    ] = 0

    def reading(self) -> Reading:
        """How the file is to be read. Raises: InputError if the mapping is none."""
        mapping: object = {}
        if self.mapping.strip():
            try:
                mapping = json.loads(self.mapping)
            except (ValueError, RecursionError) as error:
                raise InputError(f"the mapping is not JSON: {error}. {_MAPPING}") from error
        if not isinstance(mapping, dict) or not all(isinstance(v, str) for v in mapping.values()):
            raise InputError(f"the mapping is no JSON object of texts. {_MAPPING}")
        return Reading(mapping, self.encoding, self.delimiter, mend(self.sheet), self.header_row)


class ImportIn(InspectIn):
    """An upload: one file, and whether only to tell what the import would do."""

    dry_run: Annotated[bool, Field(description="Only tell what the import would do.")] = False
    keep_duplicates: Annotated[
        bool,
        Field(description="Store new rows also if another scenario has the same content."),
    ] = False


class ImportPatch(BaseModel):
    """What is wanted of an import that has not ended."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"wanted": "pause"}]})

    wanted: Annotated[
        Wanted,
        Field(
            description="pause: it stops at the end of the batch under way. run: it goes on behind "
            "the last row that it dealt with; one that waits for `retry_at` tries at once. cancel: "
            "it stops for good. What was stored stays."
        ),
    ]


class ColumnOut(BaseModel):
    """A column of the file, or a name in its objects, and what it probably holds."""

    name: str
    guess: Annotated[str, Field(description="A field of a scenario; empty if it is none.")]
    confidence: Annotated[float, Field(description="1: told by its name, or by you; 0: unknown.")]
    samples: list[str]


class InspectionOut(BaseModel):
    """What a file is, and how an import would read it."""

    format: str
    encoding: Annotated[str, Field(description="Empty where a format has its own.")]
    delimiter: str
    sheet: str
    sheets: list[str]
    header_row: Annotated[int, Field(description="0 where there is none.")]
    guessed: Annotated[
        list[str], Field(description="What of this nobody can know for certain, as `encoding`.")
    ]
    columns: list[ColumnOut]
    missing: Annotated[list[str], Field(description="Fields that an import needs a column for.")]
    mapping: Annotated[
        dict[str, str],
        Field(
            description="Yours, or that of the last import with these columns: send it with the "
            "file, or they mean what they are called."
        ),
    ]


class ReadingOut(BaseModel):
    """How the file is read: as was said, or as was found out when it came in."""

    mapping: dict[str, str]
    encoding: str
    delimiter: str
    sheet: str
    header_row: int
    guessed: list[str]


class ImportProgressOut(BaseModel):
    """How much of the file has been read; the total is null where nobody knows it."""

    done: int
    total: int | None
    unit: Literal["bytes", "rows"]


class RowEffectOut(BaseModel):
    """What a row did to the library, or would do."""

    row: int
    name: str
    effect: Effect
    field: str
    reason: str
    code: Annotated[
        str, Field(description="Which reason it is, as `too_long`; empty where there is none.")
    ]
    values: Annotated[
        dict[str, str | int],
        Field(
            description="What the reason names. Of a row in an archive also the file, `part`, and "
            "the row in it, `part_row`."
        ),
    ]


class ImportOut(BaseModel):
    """An import as it stands."""

    id: UUID
    file_name: str
    state: Annotated[
        ImportState,
        Field(
            description="failed: not brought to its end; `stopped` says why. cancelled: people "
            "ended it. What was stored stays. waiting with a `retry_at`: what it needs was not "
            "there; `stopped` says what."
        ),
    ]
    wanted: Annotated[
        Wanted, Field(description="What was asked for last; a running one obeys in a moment.")
    ]
    dry_run: bool
    keep_duplicates: Annotated[
        bool, Field(description="New rows are stored also if another scenario says the same.")
    ]
    read: Annotated[
        int, Field(description="new + changed + unchanged + duplicate + failed, at any moment.")
    ]
    stored: Annotated[int, Field(description="New and changed ones together.")]
    new: int
    changed: int
    unchanged: Annotated[int, Field(description="The library had them.")]
    duplicate: Annotated[
        int, Field(description="They repeat an earlier row, or say the same as another scenario.")
    ]
    failed: Annotated[int, Field(description="Rows that were refused; /errors has them.")]
    progress: ImportProgressOut | None
    rows_total: Annotated[int | None, Field(description="Null until somebody knows it.")]
    bytes_done: Annotated[int | None, Field(description="Null where rows are counted instead.")]
    bytes_total: int
    rate: Annotated[float | None, Field(description="Rows a second, while it was worked on.")]
    seconds_left: Annotated[
        float | None, Field(description="At the pace so far; null while nobody runs it.")
    ]
    retry_at: Annotated[
        datetime | None,
        Field(description="When it is tried again; `stopped` says what it waits for."),
    ]
    rows: Annotated[
        list[RowEffectOut],
        Field(
            description="The first 200 rows of a dry run, or the first 200 that were refused or "
            "say the same as another."
        ),
    ]
    stopped: str | None
    ignored: Annotated[list[str], Field(description="Columns that mean nothing to Staffroom.")]
    reading: ReadingOut
    created_at: datetime
    finished_at: datetime | None


class ImportPage(BaseModel):
    """Imports, newest first; the cursor leads to the next page."""

    items: list[ImportOut]
    next_cursor: str | None


_Texts = Annotated[list[str], Field(max_length=1_000)]


class DraftIn(BaseModel):
    """A scenario's fields as they are so far. What is wrong with them is told, not refused."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "A pupil falls asleep in lessons",
                    "description": "A pupil falls asleep in every first lesson.",
                    "example_questions": ["What do I do about a pupil who sleeps in class?"],
                }
            ]
        },
    )

    source_id: str = ""
    name: str = ""
    description: str = ""
    expected_response: str = ""
    example_questions: _Texts = []
    category: str = ""
    grade_bands: _Texts = []
    subjects: _Texts = []
    setting: str = ""
    tags: _Texts = []
    language: str = ""
    evidence_note: str = ""
    evidence_strength: Annotated[int, Number] | None = None
    contributor: str = ""
    worked_with: str = ""
    status: str = ""
    review_by: str | None = None
    reason: Annotated[str, Field(description="As when it is stored; means nothing here.")] = ""
    author: Annotated[str, Field(description="As when it is stored; means nothing here.")] = ""
    scenario_id: Annotated[
        UUID | None, Field(description="The scenario that this is an edit of.")
    ] = None

    def fields(self) -> dict[str, Any]:
        """What was given of the scenario itself, under the names that files use."""
        fields = self.model_dump(exclude={"reason", "author", "scenario_id"}, exclude_unset=True)
        if "source_id" in fields:
            fields["id"] = fields.pop("source_id")
        return fields


class DuplicateOut(BaseModel):
    """A scenario that is probably about the same situation."""

    id: UUID
    name: str
    status: Status
    similarity: Annotated[float, Field(description="Cosine of the two embeddings, 1 at most.")]


class BestOut(BaseModel):
    """The scenario that a question finds first now."""

    id: UUID
    name: str
    relevance: float


class PlacedQuestionOut(BaseModel):
    """A question, and where the draft would stand among its matches."""

    question: str
    source: Annotated[
        Literal["example", "asked"], Field(description="asked: a teacher really asked it.")
    ]
    relevance: float
    rank: Annotated[int | None, Field(description="Null behind the first 20.")]
    best: BestOut | None


class PreviewOut(BaseModel):
    """What is wrong with a draft, what it repeats, and which questions would find it."""

    errors: list[FieldError]
    duplicates: list[DuplicateOut]
    questions: list[PlacedQuestionOut]
