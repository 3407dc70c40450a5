"""Markdown with front matter: one scenario to a file, alone or in a folder."""

import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from staffroom.content.formats.encodings import SPOILT, detect, encoding_named, open_text
from staffroom.content.formats.rows import FileRow, Reading, RowFile, Source, wrong
from staffroom.content.mapping import field_called
from staffroom.errors import InvalidScenario
from staffroom.scenario import ALIASES, LISTS

MARKDOWN: Final = (".md", ".markdown")
MAX_TEXT: Final = 1_000_000
MAX_FRONT: Final = 64_000
MAX_DEPTH: Final = 10
MAX_FILES: Final = 100_000

_FRONT: Final = re.compile(
    r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_TITLE: Final = re.compile(r"\A\s*#[ \t]+(.+?)[ \t#]*(?:\n|\Z)")
_HEADING: Final = re.compile(r"^##[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_ITEM: Final = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")


class _Loader(yaml.SafeLoader):
    """Texts stay texts: no date, number or truth is made of `no` and `2027-05-31`."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag.endswith(":null")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def open_markdown(source: Source, size: int) -> RowFile:
    """The one row of a Markdown file."""
    name = source.shown if source.is_part else source.name
    rows = _rows([(source.path, name)], source.reading)
    return RowFile(source.name, rows, size, "bytes", reading=source.reading)


def open_folder(source: Source) -> RowFile:
    """A row for each Markdown file in the folder and the folders in it, in the order of names."""
    files = []
    for path in source.path.rglob("*"):
        inner = path.relative_to(source.path)
        is_hidden = any(part.startswith(".") for part in inner.parts)
        if path.suffix.lower() in MARKDOWN and path.is_file() and not is_hidden:
            files.append((path, inner.as_posix()))
            if len(files) > MAX_FILES:
                raise source.refused(f"holds more than {MAX_FILES:,} files. Import its parts.")
    if not files:
        raise source.refused("is a folder without Markdown files (.md).")
    rows = _rows(sorted(files, key=lambda item: item[1]), source.reading)
    return RowFile(source.name, rows, len(files), "rows", reading=source.reading)


def _rows(files: Iterable[tuple[Path, str]], reading: Reading) -> Generator[FileRow, None, None]:
    for number, (path, name) in enumerate(files, start=1):
        row = FileRow(number, number, part=name)
        try:
            values = markdown_values(_text(path, reading.encoding), reading.mapping)
        except InvalidScenario as error:
            yield replace(row, error=error)
            continue
        except OSError as error:
            reason = "cannot be read: {error}"
            yield replace(row, error=wrong("unreadable", reason, error=str(error.strerror)))
            continue
        named = {reading.mapping.get(key, key).lower() for key in values}
        yield replace(row, values=values if named & {*ALIASES["id"]} else {"id": name, **values})


def markdown_values(text: str, mapping: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a scenario: those of its front matter, its title, and the sections that are
    called like a field. Text without such sections is the description.

    Raises: InvalidScenario.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    values: dict[str, Any] = {}
    if front := _FRONT.match(text):
        values = _front_values(front[1])
        text = text[front.end() :]
    if title := _TITLE.match(text):
        values.setdefault("name", title[1])
        text = text[title.end() :]
    begin, section = 0, "description"
    parts: dict[str, str] = {}
    for heading in _HEADING.finditer(text):
        called = heading[1] if heading[1] in mapping else field_called(heading[1])
        if called:
            parts[section] = parts.get(section, "") + text[begin : heading.start()]
            begin, section = heading.end(), called
    parts[section] = parts.get(section, "") + text[begin:]
    for name, part in parts.items():
        if part.strip():
            is_list = mapping.get(name, name) in LISTS
            values.setdefault(name, _items(part) if is_list else part.strip())
    return values


def _front_values(front: str) -> dict[str, Any]:
    if len(front) > MAX_FRONT:
        reason = "has a front matter of more than {most:,} characters"
        raise wrong("front_too_long", reason, most=MAX_FRONT)
    try:
        depth = 0
        for event in yaml.parse(front, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:  # the deeper, the slower: 60,000 brackets take minutes
                reason = "has a front matter of lists within lists; write it flat"
                raise wrong("front_nested", reason)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                reason = "has an anchor (& or *) in its front matter; write texts out"
                raise wrong("front_anchor", reason)
        values = yaml.load(front, Loader=_Loader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        told = " ".join(str(error).split())[:200]
        reason = "has a front matter that is no YAML: {error}"
        raise wrong("front_no_yaml", reason, error=told) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        reason = "has a front matter without names; write lines such as `tags: [a, b]`"
        raise wrong("front_no_names", reason)
    return {str(name): value for name, value in values.items()}


def _items(text: str) -> list[str]:
    lines = text.strip().splitlines()
    if not any(map(_ITEM.match, lines)):
        return [line.strip() for line in lines if line.strip()]
    items: list[str] = []
    for line in lines:
        if _ITEM.match(line) or not items:
            items.append(_ITEM.sub("", line).strip())
        elif line.strip():
            items[-1] = f"{items[-1]} {line.strip()}"
    return items


def _text(path: Path, encoding: str) -> str:
    with open_text(path, encoding_named(encoding) if encoding else detect(path)[0]) as file:
        text = file.read(MAX_TEXT + 1)
    if len(text) > MAX_TEXT:
        raise wrong("row_too_long", "is longer than {most:,} characters; split it", most=MAX_TEXT)
    if SPOILT.search(text):
        raise wrong("no_utf8", "is not in UTF-8; save it as UTF-8, or name its encoding")
    return text
