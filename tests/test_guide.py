"""The integration guide's snippets, with two changes at most: the import path and an await."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import staffroom
from staffroom import (
    ContentManager,
    EmbeddingGenerator,
    LLMService,
    SearchError,
    VectorAPI,
    VectorCache,
    VectorOperations,
    process_large_dataset,
    process_teacher_query,
    track_vector_operation,
    update_teaching_content,
)
from staffroom.app import default_app
from staffroom.config import Settings
from staffroom.monitoring.metrics import CACHE_HITS, EMBEDDING_TIME, SEARCH_TIME

SCENARIO = {
    "name": "Noisy class",
    "description": "The whole class talks at once.",
    "expected_response": "Wait for real silence. Thank the pupils who are ready.",
}


@pytest.fixture(autouse=True)
async def installation(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What the environment describes: a database of the test's own."""
    assert settings.database_url
    monkeypatch.setenv("STAFFROOM_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("STAFFROOM_MODELS", str(settings.models))
    monkeypatch.setenv("STAFFROOM_WRITER", "extractive")
    monkeypatch.setenv("STAFFROOM_STARTER_LIBRARY", "false")
    default_app.cache_clear()
    yield
    await default_app().close()
    default_app.cache_clear()


async def test_api_layer_integration() -> None:
    class API:
        def __init__(self) -> None:
            self.vector_ops = VectorOperations()
            self.embedder = EmbeddingGenerator()

        async def search_similar_content(self, query: str) -> dict[str, object]:
            try:
                results = await self.vector_ops.find_similar_scenarios(query)
                return {"status": "success", "results": results}  # noqa: TRY300 - as it stands
            except SearchError as e:
                return {"status": "error", "message": str(e)}

    assert await API().search_similar_content("noise") == {"status": "success", "results": []}


async def test_the_vector_api_answers_in_the_guides_form() -> None:
    await ContentManager().add_teaching_scenario(SCENARIO)

    found = await VectorAPI().search_similar_content("my class is loud and talks")
    refused = await VectorAPI().search_similar_content(" ")

    assert found["status"] == "success"
    assert found["results"][0]["name"] == "Noisy class"
    assert refused["status"] == "error"
    assert "empty" in refused["message"]


async def test_llm_integration() -> None:
    vector_ops = VectorOperations()
    await vector_ops.store_scenario(
        name=SCENARIO["name"],
        description=SCENARIO["description"],
        expected_response=SCENARIO["expected_response"],
    )

    retrieved = await LLMService().generate_response("my class is loud and talks")
    given = await LLMService().generate_response(query="why?", context=retrieved.matches)

    assert str(retrieved) == str(given) == SCENARIO["expected_response"]


async def test_content_management_integration() -> None:
    result = await ContentManager().add_teaching_scenario(SCENARIO)

    assert result["status"] == "success"
    assert result["scenario_id"]
    assert (await ContentManager().add_teaching_scenario({}))["status"] == "error"


async def test_query_processing_flow() -> None:
    embedder, vector_ops, llm_service = EmbeddingGenerator(), VectorOperations(), LLMService()
    query = "my class is loud and talks"
    await vector_ops.store_scenario(**SCENARIO)

    query_embedding = await embedder.get_embedding(query)
    relevant_scenarios = await vector_ops.find_similar_scenarios(query)
    llm_response = await llm_service.generate_response(query=query, context=relevant_scenarios)
    interaction_id = await vector_ops.store_interaction(
        query=query, query_embedding=query_embedding, response=llm_response
    )

    kept = await vector_ops.get_interaction(interaction_id)
    assert (kept.question, kept.answer) == (query, SCENARIO["expected_response"])


async def test_content_update_flow() -> None:
    embedder, vector_ops = EmbeddingGenerator(), VectorOperations()
    batch = [{"text": "Pupils arrive late."}, {"text": "Pupils forget homework."}]

    texts = [item["text"] for item in batch]
    embeddings = await embedder.batch_get_embeddings(texts)
    report = await vector_ops.batch_store_content(content=batch, embeddings=embeddings)

    assert report["stored"] == 2
    found = await vector_ops.find_similar_scenarios("late", threshold=0.0)
    assert found[0].scenario.name == "Pupils arrive late."


async def test_caching_strategy() -> None:
    cache = VectorCache()
    hits = CACHE_HITS.labels()._value.get()

    first = await cache.get_cached_embedding("noise")
    second = await cache.get_cached_embedding("noise")
    cache.invalidate_cache("other")
    cache.invalidate_cache("noise")
    cache.invalidate_cache()

    assert (first == second).all()
    assert CACHE_HITS.labels()._value.get() == hits + 1
    assert len(cache) == 0


async def test_batch_processing() -> None:
    vector_ops = VectorOperations()

    assert (await vector_ops.batch_process([{"text": "One."}]))["stored"] == 1
    report = await process_large_dataset([{"text": f"Text {n}"} for n in range(20)])
    assert (report["status"], report["stored"]) == ("success", 20)

    async def coming() -> AsyncIterator[dict[str, str]]:
        yield {"text": "A row that comes later"}

    assert (await process_large_dataset(coming()))["stored"] == 1


async def test_performance_monitoring() -> None:
    embedded = REGISTRY.get_sample_value("embedding_generation_seconds_count") or 0
    searched = REGISTRY.get_sample_value("vector_search_seconds_count") or 0

    await VectorOperations().find_similar_scenarios("noise")

    assert REGISTRY.get_sample_value("embedding_generation_seconds_count") == embedded + 1
    assert REGISTRY.get_sample_value("vector_search_seconds_count") == searched + 1
    assert EMBEDDING_TIME is not SEARCH_TIME


async def test_error_tracking() -> None:
    @track_vector_operation("guide")
    async def operation() -> str:
        return "done"

    assert await operation() == "done"


async def test_vector_search_integration() -> None:
    query = "How to handle classroom disruption?"
    response = await process_teacher_query(query)

    assert response is not None
    assert len(response) > 0


async def test_content_update_integration() -> None:
    content = [{"text": "Example scenario"}]
    result = await update_teaching_content(content)

    assert result["status"] == "success"


async def test_vector_search_performance() -> None:
    vector_ops = VectorOperations()
    await vector_ops.find_similar_scenarios("the model is loaded by the first question")

    start_time = time.time()
    await vector_ops.find_similar_scenarios("test query")
    duration = time.time() - start_time

    assert duration < 1.0


def test_the_configuration_holds_the_guides_constants() -> None:
    assert 0 < staffroom.SIMILARITY_THRESHOLD < 1
    assert staffroom.BATCH_SIZE > 1
    assert Path(staffroom.__file__).is_file()
