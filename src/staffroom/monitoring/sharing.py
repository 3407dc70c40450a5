"""The instruments of several processes of one server, added up."""

import os
import time
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY, values
from prometheus_client.metrics import MetricWrapperBase

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where several processes of one server leave their values; the library's own name for it."""

BEGAN: Final = time.time_ns()
"""When counting began, in nanoseconds since 1970. A fork keeps this and the next."""

INSTANCE: Final = os.getpid()
"""The process that began to count."""

_TELLER: Final = "teller"

_held: list[int] = []
"""The descriptor of the lock that this process holds, or none."""


def share_values(folder: str) -> None:
    """From here on every instrument keeps its values in files of that folder, one per process.

    The library chooses between memory and files when it is imported, which is before anybody knows
    how many processes there will be: so each instrument's values are made anew, from nothing.
    """
    os.environ[SHARED_FOLDER] = folder
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call] # untyped in the library
    for instrument in list(REGISTRY._collector_to_names):  # noqa: SLF001 - see above
        if isinstance(instrument, MetricWrapperBase):
            for one in (instrument, *getattr(instrument, "_metrics", {}).values()):
                if one._is_observable():  # noqa: SLF001
                    one._metric_init()  # noqa: SLF001


def tells_for_all() -> bool:
    """This process tells of all that share its values, for as long as it lives; no other does."""
    folder = os.environ.get(SHARED_FOLDER)
    if not folder or _held:
        return True
    import fcntl  # noqa: PLC0415 - not there on Windows, where a server is one process

    descriptor = os.open(Path(folder) / _TELLER, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held.append(descriptor)
    return True
