"""`track_vector_operation`: the time an operation takes, and what went wrong in it."""

import functools
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from staffroom.errors import InputError, NotFoundError
from staffroom.monitoring.metrics import (
    EMBEDDING_TIME,
    ERRORS,
    OPERATION_ERRORS,
    OPERATION_TIME,
    OPERATIONS,
    SEARCH_TIME,
)

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Timer(Protocol):
    def observe(self, amount: float) -> None: ...


_TIMERS: Final[dict[str, _Timer]] = {"embedding": EMBEDDING_TIME, "search": SEARCH_TIME}


def track_vector_operation(
    operation_name: str,
) -> Callable[[Callable[_P, Coroutine[Any, Any, _R]]], Callable[_P, Coroutine[Any, Any, _R]]]:
    """Time the coroutine function under that name, and count its errors by class.

    They are logged, too, in groups and without their texts; those that the caller can mend only
    counted.
    "embedding" and "search" are the guide's own histograms; any other name is a label of
    `vector_operation_seconds`. The guide times everything as embedding; that is not copied.
    """
    OPERATIONS.admit(operation_name)
    timer = _TIMERS.get(operation_name) or OPERATION_TIME.labels(operation_name)
    for error in ERRORS:
        OPERATION_ERRORS.labels(operation_name, error)

    def decorate(
        function: Callable[_P, Coroutine[Any, Any, _R]],
    ) -> Callable[_P, Coroutine[Any, Any, _R]]:
        @functools.wraps(function)
        async def tracked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            started = time.perf_counter()
            try:
                return await function(*args, **kwargs)
            except Exception as error:
                name = type(error).__name__
                OPERATION_ERRORS.labels(operation_name, name).inc()
                if not isinstance(error, InputError | NotFoundError):
                    _log.error("the operation %s failed", operation_name, extra={"raised": error})
                raise
            finally:
                timer.observe(time.perf_counter() - started)

        return tracked

    return decorate
