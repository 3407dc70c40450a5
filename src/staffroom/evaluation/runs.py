"""What was found for each question in each mode, kept so that runs can be compared later."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from staffroom.errors import InputError, UnreadableFile
from staffroom.types import Mode

MODES: Final[tuple[Mode, ...]] = get_args(Mode)

DEPTH: Final = 100
"""Documents that are asked for, of each question."""

FORMAT: Final = "staffroom run 1"
"""What a stored run calls itself; its number counts changes of form."""

REPORTING: Final = "report"
"""The part of the golden questions that figures are quoted from."""

Ranking = Sequence[tuple[str, float]]
"""Document ids with their relevance, best first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its judgements: document id to grade, above 0 is relevant."""

    text: str
    split: str
    grades: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What one mode found, by question id; milliseconds are those of the search alone."""

    rankings: Mapping[str, Ranking]
    milliseconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """A data set's questions, asked in one or more modes. `digest` is that of the corpus;
    `embedding` has the milliseconds that embedding each question took; `probes` were asked besides
    and have no judgements."""

    data_set: str
    digest: str
    documents: int
    model: str
    threshold: float
    questions: Mapping[str, Asked]
    embedding: Mapping[str, float]
    modes: Mapping[Mode, Found]
    probes: Mapping[str, str] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        """The splits that its questions come from, the one that is quoted first."""
        names = dict.fromkeys(asked.split for asked in self.questions.values())
        return sorted(names, key=lambda name: name != REPORTING)

    def of_split(self, split: str) -> dict[str, Asked]:
        """The questions of that split."""
        return {name: asked for name, asked in self.questions.items() if asked.split == split}

    def document(self) -> dict[str, Any]:
        """The run as JSON."""
        return {
            "format": FORMAT,
            "data_set": self.data_set,
            "digest": self.digest,
            "documents": self.documents,
            "model": self.model,
            "threshold": self.threshold,
            "questions": {
                name: {"text": asked.text, "split": asked.split, "grades": dict(asked.grades)}
                for name, asked in self.questions.items()
            },
            "probes": dict(self.probes),
            "embedding": dict(self.embedding),
            "modes": {
                mode: {
                    "rankings": dict(found.rankings),
                    "milliseconds": dict(found.milliseconds),
                }
                for mode, found in self.modes.items()
            },
        }


def write_run(run: Run, path: Path) -> None:
    """The run is in that file. Raises: InputError if it cannot be written."""
    text = json.dumps(run.document(), ensure_ascii=False, separators=(",", ":")) + "\n"
    write_text(path, text, "--out")


def read_run(path: Path) -> Run:
    """The run that was stored in that file. Raises: UnreadableFile."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UnreadableFile(
            f"there is no file {path}. Name a mode ({', '.join(MODES)}) or a run that "
            "`staffroom eval DIR --out FILE` stored."
        ) from None
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise _no_run(path) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _no_run(path)
    try:
        return _run(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_run(path) from error


def check_writable(path: Path, option: str) -> None:
    """The file may be written, as far as can be told beforehand. Raises: InputError."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder. Name a file with {option}.")
        if not path.absolute().parent.is_dir():
            raise InputError(
                f"{path} cannot be written: there is no folder {path.parent}. Make it, or name "
                f"another file with {option}."
            )
        with path.open("ab"):
            pass
        if path.stat().st_size == 0:
            path.unlink()
    except OSError as error:
        raise _unwritable(path, option, error) from error


def write_text(path: Path, text: str, option: str) -> None:
    """The text is in that file. Raises: InputError naming the option that says where."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise _unwritable(path, option, error) from error


def _unwritable(path: Path, option: str, error: OSError) -> InputError:
    return InputError(
        f"{path} cannot be written: {error.strerror}. Name another file with {option}."
    )


def _no_run(path: Path) -> UnreadableFile:
    return UnreadableFile(
        f"{path} is no stored run of this version. Store one with "
        "`staffroom eval DIR --out FILE` and compare that."
    )


def _run(document: Mapping[str, Any]) -> Run:
    questions = {
        name: Asked(each["text"], each["split"], {k: int(v) for k, v in each["grades"].items()})
        for name, each in document["questions"].items()
    }
    probes = {name: str(text) for name, text in document["probes"].items()}
    names = [*questions, *probes]
    modes: dict[Mode, Found] = {}
    for mode in MODES:
        if mode in document["modes"]:
            found = document["modes"][mode]
            rankings = {
                name: [(str(one), float(relevance)) for one, relevance in found["rankings"][name]]
                for name in names
            }
            milliseconds = {name: float(found["milliseconds"][name]) for name in names}
            modes[mode] = Found(rankings, milliseconds)
    if not (questions and modes):
        raise ValueError("a run has questions and modes")
    return Run(
        data_set=str(document["data_set"]),
        digest=str(document["digest"]),
        documents=int(document["documents"]),
        model=str(document["model"]),
        threshold=float(document["threshold"]),
        questions=questions,
        embedding={name: float(document["embedding"][name]) for name in names},
        modes=modes,
        probes=probes,
    )
