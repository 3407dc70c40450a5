"""What a question may cost, in figures that do not depend on the machine: round trips and calls."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from types import FrameType
from typing import Any

import pytest
from pydantic import SecretStr

from staffroom.ai.llm_service import last_answer
from staffroom.app import App
from staffroom.config import Settings
from staffroom.types import Filters, Mode
from tests.relay import Relay, relayed

QUESTION = "How to handle classroom disruption?"


@pytest.fixture
async def relay(library_settings: Settings) -> AsyncIterator[tuple[Relay, App]]:
    """An installation with the starter library, whose database lies behind a relay."""
    assert library_settings.database_url
    async with relayed(library_settings.database_url.get_secret_value()) as (relay, address):
        app = App(library_settings.model_copy(update={"database_url": SecretStr(address)}))
        await last_answer(app.ask(QUESTION))
        yield relay, app
        await app.close()


async def trips(relay: Relay, act: Callable[[], Awaitable[Any]]) -> int:
    """Round trips of the second time: the first learns what is remembered afterwards."""
    await act()
    before = relay.trips
    await act()
    return relay.trips - before


@pytest.mark.parametrize("mode", ["hybrid", "meaning", "words"])
async def test_a_search_takes_one_round_trip(relay: tuple[Relay, App], mode: Mode) -> None:
    counted, app = relay
    filters = Filters(languages=("en",))

    async def search() -> None:
        await app.vector_ops.search(QUESTION, filters=filters, mode=mode)

    assert await trips(counted, search) == 1


async def test_an_answer_takes_three_round_trips(relay: tuple[Relay, App]) -> None:
    """The version of the library, the search, and what is stored of the exchange."""
    counted, app = relay
    questions = iter(["What if pupils shout?", "And what if they run about?"])

    async def ask() -> None:
        await last_answer(app.ask(next(questions)))

    assert await trips(counted, ask) == 3


async def test_an_answer_that_is_kept_takes_two_round_trips(relay: tuple[Relay, App]) -> None:
    counted, app = relay

    assert await trips(counted, lambda: last_answer(app.ask(QUESTION))) == 2


async def test_a_page_of_the_library_takes_one_round_trip(relay: tuple[Relay, App]) -> None:
    counted, app = relay

    assert await trips(counted, lambda: app.vector_ops.list_scenarios(limit=10)) == 1


async def test_a_search_stays_within_its_budget_of_calls(relay: tuple[Relay, App]) -> None:
    """Calls of Python functions, ours and the libraries': nothing is done per candidate."""
    _, app = relay

    found = [await calls(lambda: app.vector_ops.search(QUESTION, 5, 0.0)) for _ in range(8)]

    assert min(found[2:]) <= 1_250  # of some, as the loop may have other work meanwhile


async def calls(act: Callable[[], Awaitable[Any]]) -> int:
    """Python functions called on this thread while something is done."""
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        await act()
    finally:
        sys.setprofile(None)
    return counted
