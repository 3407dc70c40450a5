"""How commands run: an installation is opened, the work is done, and all is closed again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from staffroom.app import App
from staffroom.cli.leaving import begin_closing
from staffroom.cli.output import progress_bars
from staffroom.config import Settings, load_settings
from staffroom.errors import (
    ConfigError,
    InputError,
    NotFoundError,
    StaffroomError,
    UnavailableError,
)

BAD_INPUT: Final = 2
NOT_FOUND: Final = 4
UNAVAILABLE: Final = 75
CONFIGURATION: Final = 78

EXIT_CODES: Final[dict[type[StaffroomError], int]] = {
    InputError: BAD_INPUT,
    NotFoundError: NOT_FOUND,
    UnavailableError: UNAVAILABLE,
    ConfigError: CONFIGURATION,
}
"""What a command ends with when a family of errors ends it; 0 is done."""

_T = TypeVar("_T")


def exit_code(error: StaffroomError) -> int:
    """The code of the error's family."""
    return next(code for family, code in EXIT_CODES.items() if isinstance(error, family))


def with_app(
    work: Callable[[App], Awaitable[_T]],
    settings: Settings | None = None,
) -> _T:
    """What the work returns, done with an installation that is ready, and closed afterwards."""

    async def opened() -> _T:
        app = App(settings or load_settings())
        try:
            with progress_bars() as progress:
                await app.prepare(progress)
            return await work(app)
        finally:
            begin_closing()
            await app.close()

    with asyncio.Runner() as runner:
        return runner.run(opened())
