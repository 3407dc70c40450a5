"""Every error that Staffroom raises on purpose, grouped by who can act on it.

StaffroomError
├── InputError            the caller can mend the request
│   ├── InvalidScenario       a scenario that cannot be stored; names the field
│   ├── EditConflict          someone else changed the scenario in the meantime
│   ├── StepRefused           a status that cannot follow the one that a scenario has
│   ├── ConflictError         the same is there already, or there is no room for more
│   └── UnreadableFile        an import file that is not what its name says
├── NotFoundError         nothing has the id that was asked for
├── ConfigError           the operator can mend the installation or a setting
│   ├── ModelMissing          a model file is not on this machine
│   ├── ModelCorrupt          a model file is not the one that was pinned
│   ├── SchemaMismatch        program and database are of different versions
│   └── IsolationBroken       the database would show one tenant's rows to another
└── UnavailableError      trying again later may work
    ├── DatabaseUnavailable   PostgreSQL cannot be started, reached or used
    ├── EmbedderUnavailable   the embedding model failed or cannot be reached
    ├── WriterUnavailable     the language model failed, was too slow or cannot be reached
    ├── Overloaded            too many questions are being answered; says when to try again
    └── SearchError           a search failed; the guide's name, the cause is chained

A message says what happened, with the values, and then the next step. Anything
that is not a StaffroomError is a defect of the program.
"""


class StaffroomError(Exception):
    """The root of the tree. Never raised itself."""


class InputError(StaffroomError):
    """The request cannot be carried out as it was made."""


class InvalidScenario(InputError):
    """A scenario cannot be stored. `field` names the part that is wrong.

    `code` and `values` say the same as `reason`, for whoever tells it in another language.
    """

    def __init__(self, field: str, code: str, reason: str, **values: str | int) -> None:
        reason = reason.format(**values)
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.code = code
        self.values = values


class EditConflict(InputError):
    """The scenario has a newer revision than the one that the edit was made on."""


class StepRefused(InputError):
    """The status cannot follow the one that the scenario has."""


class ConflictError(InputError):
    """What is to be added is there already, or as many as there can be are."""


class UnreadableFile(InputError):
    """An import file cannot be read as what its name says it is.

    Where there is a `code`, it says why in other languages, too, with the `values`.
    """

    def __init__(self, message: str, code: str = "", **values: str | int) -> None:
        super().__init__(message)
        self.code = code
        self.values = values


class NotFoundError(StaffroomError):
    """Nothing has the id that was asked for."""


class ConfigError(StaffroomError):
    """A setting or the installation has to be changed first."""


class ModelMissing(ConfigError):
    """A model file is not on this machine."""


class ModelCorrupt(ConfigError):
    """A model file differs from the one that was pinned, or cannot be read."""


class SchemaMismatch(ConfigError):
    """The database's schema is newer than this program, or cannot be brought up to it."""


class IsolationBroken(ConfigError):
    """The database does not keep tenants apart, so nothing is served."""


class UnavailableError(StaffroomError):
    """Something that Staffroom needs does not answer; trying again may help."""


class DatabaseUnavailable(UnavailableError):
    """PostgreSQL cannot be started, reached or used."""


class EmbedderUnavailable(UnavailableError):
    """The embedding model failed or cannot be reached."""


class WriterUnavailable(UnavailableError):
    """The language model failed, was too slow or cannot be reached.

    `temporary` if the same request may succeed later; `retry_after` are the seconds that the
    model's server asked for.
    """

    def __init__(
        self, message: str, *, temporary: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.temporary = temporary
        self.retry_after = retry_after


class Overloaded(UnavailableError):
    """Too many questions are being answered at once. `retry_after` seconds later it may work."""

    def __init__(self, message: str, retry_after: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SearchError(UnavailableError):
    """A search failed. The cause is chained."""
