"""Which scopes are small enough to be compared whole, remembered for a while."""

import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from staffroom.types import Filters

SECONDS: Final = 5.0
"""How long a scope is remembered as small or large. Both ways stay correct meanwhile."""

MAX_REMEMBERED: Final = 1_000


class ScopeSizes:
    """Whether the scenarios that a tenant's filters let pass are few."""

    def __init__(
        self,
        limit: int,
        filtered_limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._filtered_limit = filtered_limit
        self._clock = clock
        self._small: dict[tuple[UUID, Filters], tuple[float, bool]] = {}

    def limit(self, filters: Filters) -> int:
        """The scenarios up to which such a scope is small."""
        return self._filtered_limit if filters.narrows else self._limit

    def is_small(self, tenant_id: UUID, filters: Filters) -> bool | None:
        """As it was counted last, or None if that was not lately."""
        expires, small = self._small.get((tenant_id, filters), (0.0, False))
        return small if self._clock() < expires else None

    def keep(self, tenant_id: UUID, filters: Filters, size: int) -> bool:
        """The size is remembered. Returns whether it is small."""
        if len(self._small) >= MAX_REMEMBERED:
            self._small.clear()
        small = size <= self.limit(filters)
        self._small[tenant_id, filters] = (self._clock() + SECONDS, small)
        return small
