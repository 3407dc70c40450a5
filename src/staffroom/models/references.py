"""References: GGUF files on the model hub by owner, repository, path and revision.

A fetched file lies under `hub/OWNER/REPOSITORY/REVISION`, and beside it a record of the size
and sha256 that it was stored with. Without the record a file counts as not fetched.
"""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from staffroom.errors import ConfigError, InputError, ModelCorrupt, ModelMissing
from staffroom.models.pinned import ModelFile
from staffroom.models.storage import check_content, check_size, publish, write

FORM = "hf:OWNER/REPOSITORY/PATH/FILE.gguf"

_SCHEME = "hf:"
_REFERENCE = re.compile(
    _SCHEME + r"(?P<owner>[\w.-]+)/(?P<repository>[\w.-]+)/(?P<path>[^@]*[^@/]\.gguf)"
    r"(@(?P<revision>[\w./-]+))?",
    re.ASCII,
)
_SHA256 = re.compile("[0-9a-f]{64}")
_DEFAULT_REVISION = "main"
_FOLDER = "hub"
_RECORD_ENDING = ".json"
_MAX_NAME_BYTES = 240
"""What file systems allow, less the record's ending."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A GGUF file on the model hub; prints as it is written."""

    owner: str
    repository: str
    path: str
    revision: str = _DEFAULT_REVISION

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """The reference that a text writes.

        Raises: ConfigError naming the right form.
        """
        match = _REFERENCE.fullmatch(text)
        if match:
            reference = cls(**match.groupdict(default=_DEFAULT_REVISION))
            if reference._is_safe():
                return reference
        raise ConfigError(
            f"{text!r} does not name a model file on the hub. Write {FORM}, "
            f"and @REVISION after it for another revision than {_DEFAULT_REVISION}."
        )

    def __str__(self) -> str:
        revision = "" if self.revision == _DEFAULT_REVISION else f"@{self.revision}"
        return f"{_SCHEME}{self.owner}/{self.repository}/{self.path}{revision}"

    @property
    def command(self) -> str:
        """What to type to fetch it."""
        return f"staffroom models fetch {shlex.quote(str(self))}"

    def address(self, hub: str) -> str:
        """Where the hub has it."""
        revision = quote(self.revision, safe="")
        return f"{hub}/{self.owner}/{self.repository}/resolve/{revision}/{quote(self.path)}"

    def place(self, models: Path) -> Path:
        """Where it lies once it was fetched."""
        revision = quote(self.revision, safe="")
        return models / _FOLDER / self.owner / self.repository / revision / self.path

    def _is_safe(self) -> bool:
        """Whether every part can name a file, and none leads out of its folder."""
        parts = [self.owner, self.repository, *self.path.split("/"), *self.revision.split("/")]
        names = [*parts, quote(self.revision, safe="")]
        return all(
            part.isprintable()
            and part not in {"", ".", ".."}
            and "\\" not in part
            and len(part.encode()) <= _MAX_NAME_BYTES
            for part in names
        )


def is_reference(name: str) -> bool:
    """Whether a name is meant as a reference, well-formed or not."""
    return name.startswith(_SCHEME)


def file_name(name: str) -> str:
    """The last part of a path or reference, which is what people call the model.

    Raises: ConfigError for a malformed reference.
    """
    return Path(Reference.parse(name).path if is_reference(name) else name).name


def pin(sha256: str) -> str:
    """The digest in lower case.

    Raises: InputError unless it is one.
    """
    if not _SHA256.fullmatch(sha256.lower()):
        raise InputError(f"{sha256!r} is not a sha256. Give its 64 hexadecimal digits.")
    return sha256.lower()


def announced(etag: str | None) -> str | None:
    """The sha256 that an etag of the hub holds, if it holds one."""
    match = re.fullmatch(r'(?:W/)?"?([0-9A-Fa-f]{64})"?', (etag or "").strip())
    return match[1].lower() if match else None


def recorded(models: Path, reference: str | Reference) -> ModelFile:
    """What the file of a reference was when it was fetched.

    Raises: ModelMissing if it was not; ModelCorrupt for a damaged record; ConfigError for a
        malformed reference.
    """
    if isinstance(reference, str):
        reference = Reference.parse(reference)
    record = _record(reference.place(models))
    try:
        facts = json.loads(record.read_bytes())
        return ModelFile(reference.path, int(facts["size"]), pin(facts["sha256"]))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelMissing(f"{reference} was not fetched. Run `{reference.command}`.") from error
    except (ValueError, TypeError, LookupError, AttributeError, InputError) as error:
        raise ModelCorrupt(
            f"the record {record} is damaged: {error!r}. Run `{reference.command}`."
        ) from error


def location(models: Path, reference: Reference) -> Path:
    """Where the file of a reference lies, by its record and size.

    Raises: ModelMissing or ModelCorrupt, with the command that fetches it.
    """
    path = reference.place(models)
    check_size(path, recorded(models, reference), reference.command)
    return path


def verify(models: Path, reference: Reference) -> Path:
    """Where the file of a reference lies, after every byte of it was checked.

    Raises: ModelMissing or ModelCorrupt, with the command that fetches it.
    """
    path = location(models, reference)
    check_content(path, recorded(models, reference), reference.command)
    return path


def fetched(models: Path) -> tuple[Reference, ...]:
    """The references that were fetched into a folder, in order."""
    root = models / _FOLDER
    found = []
    for record in sorted(root.glob(f"*/*/*/**/*.gguf{_RECORD_ENDING}")):
        owner, repository, revision, *path = record.relative_to(root).parts
        name = "/".join(path).removesuffix(_RECORD_ENDING)
        try:
            text = f"{_SCHEME}{owner}/{repository}/{name}@{unquote(revision)}"
            found.append(Reference.parse(text))
        except ConfigError:
            continue  # nothing that a fetch put there
    return tuple(found)


def keep(models: Path, reference: Reference, temporary: Path, file: ModelFile) -> None:
    """A checked file is in its place, and its record beside it."""
    path = reference.place(models)
    record = _record(path)
    facts = json.dumps({"size": file.size, "sha256": file.sha256}).encode()
    write([facts], _record(temporary), lambda _: None)
    record.unlink(missing_ok=True)  # it speaks of no file but the one beside it
    publish(temporary, path)
    publish(_record(temporary), record)


def _record(path: Path) -> Path:
    return path.with_name(path.name + _RECORD_ENDING)
