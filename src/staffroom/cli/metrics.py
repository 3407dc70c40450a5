"""`metrics`: what a running server counts and measures, for a person."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import typer
from rich.text import Text

from staffroom.cli.output import JsonOption, out, print_json
from staffroom.config import PREFIX, Settings, load_settings
from staffroom.errors import ConfigError, InputError, UnavailableError
from staffroom.monitoring.metrics import INFO
from staffroom.monitoring.reference import GROUPS
from staffroom.monitoring.summary import summary

PATIENCE_SECONDS: Final = 10.0
MOST_BYTES: Final = 20_000_000

MOST_LINES: Final = 8
"""Series of an instrument that are shown, those with the largest figures."""

UNAUTHORIZED: Final = 401

watching = typer.Typer()


@watching.command()
def metrics(
    url: Annotated[
        str | None,
        typer.Option(help="Address of the server, if not the host and port of the settings."),
    ] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Show what a running server counts and measures: questions, times, queues, the database."""
    settings = load_settings()
    address = _address(url, settings)
    text = _fetched(address, settings)
    try:
        told = summary(text)
    except ValueError as error:
        raise UnavailableError(
            f"what answers at {address} is no Staffroom: {error}. Name the server with --url."
        ) from error
    if json:
        print_json(told)
        return
    for group in GROUPS:
        _print_group(group, [each for each in told if each["group"] == group])


def _address(url: str | None, settings: Settings) -> str:
    """Where the figures are. Raises: InputError for what is no address."""
    if url is None:
        if not settings.port:
            raise InputError(f"{PREFIX}PORT is 0, any free port. Name the server with --url.")
        anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - that is what is replaced
        host = anywhere.get(settings.host, settings.host)
        url = (
            f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
        )
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InputError(f"{url!r} is no address of a server; write it as http://HOST:PORT.")
    return url if parts.path.endswith("/metrics") else url.rstrip("/") + "/metrics"


def _fetched(address: str, settings: Settings) -> str:
    """What is told there. Raises: ConfigError without the right key; UnavailableError if nothing
    answers as it should."""
    headers = {}
    if settings.api_key:
        headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
    # A key is shown to the server that was named, and to no other that this one or a proxy names.
    opener = build_opener(ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(Request(address, headers=headers), timeout=PATIENCE_SECONDS) as response:
            body: bytes = response.read(MOST_BYTES)
    except HTTPError as error:
        error.close()
        if error.code == UNAUTHORIZED:
            raise ConfigError(
                f"{address} wants the API key. Set {PREFIX}API_KEY to the one that the server has."
            ) from error
        raise UnavailableError(
            f"{address} answered with status {error.code}. Name the server with --url."
        ) from error
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnavailableError(
            f"nothing answers at {address}: {reason}. Start `staffroom serve`, or name the server "
            "with --url."
        ) from error
    return body.decode("utf-8", "replace")


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Nobody is followed elsewhere."""


def _print_group(group: str, series: Sequence[Mapping[str, Any]]) -> None:
    """Lines that are never broken: what reads them in a pipe counts on it."""
    rows: list[tuple[str, str, str]] = []
    for _, same in groupby(series, key=lambda each: str(each["name"])):
        shown = sorted((each for each in same if _amount(each)), key=_amount, reverse=True)
        for place, each in enumerate(shown[:MOST_LINES]):
            title = "" if place else f"  {each['title']}"
            first, *others = _labels(each)
            rows.append((title, first, _figures(each)))
            rows += [("", other, "") for other in others]
        if len(shown) > MOST_LINES:
            rows.append(("", f"and {len(shown) - MOST_LINES} more", ""))
    if rows:
        out.print(Text(group.capitalize(), style="bold"))
    titles, labels = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    for title, label, figures in rows:
        line = f"{title:<{titles}}  {label:<{labels}}  {figures}".rstrip()
        out.print(Text(line), soft_wrap=True)


def _amount(series: Mapping[str, Any]) -> float:
    return float(series["count"] if series["kind"] == "histogram" else series["value"])


def _labels(series: Mapping[str, Any]) -> list[str]:
    labels = series["labels"]
    if series["name"] == INFO.name:
        return [f"{name} {value}" for name, value in labels.items()]
    return [" ".join(labels.values())]


def _figures(series: Mapping[str, Any]) -> str:
    unit = series["unit"]
    if series["name"] == INFO.name:
        return ""
    if series["kind"] != "histogram":
        return _said(series["value"], unit)
    if unit == "share":
        return f"{series['count']:,.0f} times, {_said(series['mean'], unit)} on average"
    half, most = _said(series["p50"], unit), _said(series["p95"], unit)
    return f"{series['count']:,.0f} times, half within {half}, 95 % within {most}"


def _said(value: float | None, unit: str) -> str:
    """The figure with its unit, in as many digits as mean something."""
    if value is None:
        return "-"
    match unit:
        case "seconds" if value < 1:
            return f"{1000 * value:.3g} ms"
        case "seconds":
            return f"{value:,.1f} s"
        case "bytes":
            return f"{value / 1e6:,.1f} MB"
        case "share":
            return f"{100 * value:.1f} %"
        case _:
            return f"{value:,.0f}"
