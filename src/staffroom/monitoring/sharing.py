"""The instruments of several processes of one server, added up."""

import os
from typing import Final

from prometheus_client import REGISTRY, values
from prometheus_client.metrics import MetricWrapperBase

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where several processes of one server leave their values; the library's own name for it."""


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
