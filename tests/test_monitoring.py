"""What operations take and what goes wrong in them is counted, by class and never by text."""

import pytest
from prometheus_client import REGISTRY

from staffroom import track_vector_operation
from staffroom.errors import SearchError


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("operation", "sample", "labels"),
    [
        ("embedding", "embedding_generation_seconds_count", {}),
        ("search", "vector_search_seconds_count", {}),
        ("tidy", "vector_operation_seconds_count", {"operation": "tidy"}),
    ],
)
async def test_an_operation_is_timed_under_its_own_name(
    operation: str, sample: str, labels: dict[str, str]
) -> None:
    @track_vector_operation(operation)
    async def work(number: int, *, more: int = 0) -> int:
        """Add."""
        return number + more

    before = count(sample, **labels)

    assert await work(1, more=2) == 3
    assert count(sample, **labels) == before + 1
    assert work.__doc__ == "Add."


async def test_a_failure_is_counted_by_its_class_and_raised_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @track_vector_operation("tidy")
    async def work() -> None:
        raise SearchError("the question was: secret")

    labels = {"operation": "tidy", "error": "SearchError"}
    before = count("vector_operation_errors_total", **labels)

    with pytest.raises(SearchError):
        await work()

    assert count("vector_operation_errors_total", **labels) == before + 1
    assert "secret" not in caplog.text
