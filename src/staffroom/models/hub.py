"""How the file of a reference comes from the model hub."""

import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPResponse
from itertools import chain
from pathlib import Path
from typing import IO, Any

from staffroom.errors import ConfigError, ModelCorrupt, StaffroomError, UnavailableError
from staffroom.models.pinned import ModelFile
from staffroom.models.references import Reference, announced
from staffroom.models.sources import HUB_TIMEOUT_SECONDS, NETWORK_ERRORS, Report
from staffroom.models.storage import chunks, write

_GGUF_MAGIC = b"GGUF"
_REFUSED = {401, 403, 404}
"""The hub's answers to an address that is wrong or not for everyone."""


class _Announcement(urllib.request.HTTPRedirectHandler):
    """The sha256 and size that the hub itself names, before it leads elsewhere for the bytes."""

    def __init__(self, hub: str) -> None:
        self._hub = hub
        self.sha256: str | None = None
        self.size: int | None = None

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: Message, newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        self.note(req.full_url, headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]

    def note(self, url: str, headers: Message) -> None:
        """What an answer announces is kept, if it is the hub's and the first to do so."""
        if self.sha256 is None and url.startswith(f"{self._hub}/"):
            self.sha256 = announced(headers["X-Linked-Etag"])
            self.size = _number(headers["X-Linked-Size"])


def download(
    reference: Reference, target: Path, report: Report, pin: str | None, hub: str
) -> ModelFile:
    """Write the file of a reference to a target, and what it is pinned to.

    Raises: ConfigError if the hub has no such file for everyone, or nothing pins it;
        UnavailableError if it cannot be reached or breaks off; ModelCorrupt if what comes is
        not a GGUF file or not as pinned.
    """
    url = reference.address(hub)
    announcement = _Announcement(hub)
    try:
        opener = urllib.request.build_opener(announcement)
        with opener.open(url, timeout=HUB_TIMEOUT_SECONDS) as response:
            announcement.note(response.url, response.headers)
            sha256 = pin or announcement.sha256
            if sha256 is None:
                raise ConfigError(
                    f"the model hub announces no sha256 for {reference}, so nothing pins it. Give "
                    f"the one that its publisher names: `{reference.command} --sha256 HEX`."
                )
            written, actual = _receive(response, reference, target, report, announcement.size)
    except urllib.error.HTTPError as error:
        raise _refusal(reference, error) from error
    except NETWORK_ERRORS as error:
        raise UnavailableError(
            f"the model hub did not send {url}: {error}. Check the network, then run "
            f"`{reference.command}`."
        ) from error
    if actual != sha256:
        raise ModelCorrupt(
            f"{reference} came with {written} bytes and sha256 {actual}, not {sha256}, which was "
            f"{'given' if pin else 'announced'}. Its source changed or the transfer was tampered "
            "with."
        )
    return ModelFile(reference.path, written, sha256)


def _receive(
    response: HTTPResponse, reference: Reference, target: Path, report: Report, size: int | None
) -> tuple[int, str]:
    """Bytes and sha256 of the answer's body, which is on the disk."""
    length = _number(response.headers["Content-Length"])
    total = size if length is None else length
    head = response.read(len(_GGUF_MAGIC))
    if head != _GGUF_MAGIC:
        raise ModelCorrupt(
            f"{reference} begins with {head!r}, so it is not a GGUF model file. Name one that is."
        )
    body = chain([head], chunks(response))
    written, sha256 = write(body, target, lambda done: report(done, total), limit=total)
    if length is not None and written < length:
        raise UnavailableError(
            f"{reference} broke off after {written} of {length} bytes. Run `{reference.command}`."
        )
    return written, sha256


def _refusal(reference: Reference, error: urllib.error.HTTPError) -> StaffroomError:
    if error.code in _REFUSED:
        return ConfigError(
            f"the model hub has no {reference} for everyone ({error}). Check its spelling and "
            "revision. If it needs an account, download it yourself and name its path."
        )
    return UnavailableError(
        f"the model hub did not send {error.url}: {error}. Run `{reference.command}` later."
    )


def _number(text: Any) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
