"""The library as LangChain's retriever: its own standard tests, then what is ours."""

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests.retrievers import RetrieversIntegrationTests
from pydantic import SecretStr, ValidationError

from staffroom.app import App, default_app
from staffroom.config import Settings
from staffroom.errors import DatabaseUnavailable, InputError
from staffroom.langchain import StaffroomRetriever
from staffroom.types import Filters

REPOSITORY = Path(__file__).parent.parent
QUESTION = "How to handle classroom disruption?"
ANYTHING = 0.0


@pytest.fixture
async def library(library_settings: Settings) -> AsyncIterator[App]:
    """An installation with the starter library."""
    app = App(library_settings)
    yield app
    await app.close()


@pytest.fixture(autouse=True, scope="module")
def nothing_left(library_settings: Settings) -> Iterator[None]:
    yield
    StaffroomRetriever(app=App(library_settings)).close()
    assert "staffroom" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
async def environment(
    library_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """The environment describes the installation with the starter library."""
    assert library_settings.database_url
    monkeypatch.setenv("STAFFROOM_DATABASE_URL", library_settings.database_url.get_secret_value())
    monkeypatch.setenv("STAFFROOM_MODELS", str(library_settings.models))
    default_app.cache_clear()
    yield
    StaffroomRetriever().close()
    await default_app().close()
    default_app.cache_clear()


class TestLangChainsStandard(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def on_the_library(self, library: App) -> None:
        self._library = library

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return StaffroomRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"app": self._library, "threshold": ANYTHING}

    @property
    def retriever_query_example(self) -> str:
        return QUESTION


async def test_a_document_holds_situation_and_advice_and_can_be_written_as_json(
    library: App,
) -> None:
    (match, *_) = await library.vector_ops.find_similar_scenarios(QUESTION)
    (document, *_) = await StaffroomRetriever(app=library).ainvoke(QUESTION)

    content = match.scenario.content
    assert UUID(document.id) == match.scenario.id
    for text in (content.name, content.description, content.expected_response):
        assert text in document.page_content
    metadata = json.loads(json.dumps(document.metadata))
    assert metadata["relevance"] == pytest.approx(match.relevance, abs=1e-4)
    assert metadata["source"] == f"/library/{document.id}"
    assert metadata["source_id"] == content.source_id
    assert metadata["category"] == content.metadata.category
    assert not {"id", "description", "expected_response"} & metadata.keys()


async def test_a_scenario_without_advice_is_its_situation(app: App) -> None:
    await app.vector_ops.store_scenario("Noise", "The whole class talks at once.")

    (document,) = await StaffroomRetriever(app=app, threshold=ANYTHING).ainvoke("class talks")

    assert document.page_content == "Noise\n\nSituation: The whole class talks at once."


async def test_documents_are_at_the_threshold_or_above_best_first(library: App) -> None:
    retriever = StaffroomRetriever(app=library, k=50, threshold=0.02)

    few = [document.metadata["relevance"] for document in await retriever.ainvoke(QUESTION)]
    fewer = await retriever.ainvoke(QUESTION, threshold=0.1)

    assert few == sorted(few, reverse=True)
    assert few[-1] >= 0.02
    assert 0 < len(fewer) < len(few)


async def test_filters_come_as_mapping_or_as_filters_with_the_retriever_or_the_call(
    library: App,
) -> None:
    given: list[Any] = [
        {"categories": "attendance"},
        {"categories": ["attendance"]},
        Filters(categories=("attendance",)),
    ]
    for filters in given:
        made = StaffroomRetriever(app=library, threshold=ANYTHING, filters=filters)
        told = StaffroomRetriever(app=library, threshold=ANYTHING)
        for documents in (
            await made.ainvoke("late pupils"),
            await told.ainvoke("late pupils", filters=filters),
        ):
            assert len(documents) == 5
            assert {document.metadata["category"] for document in documents} == {"attendance"}


async def test_wrong_options_are_named(library: App) -> None:
    retriever = StaffroomRetriever(app=library)

    with pytest.raises(ValidationError, match="no filter 'category'; there are statuses"):
        StaffroomRetriever(app=library, filters={"category": "attendance"})
    with pytest.raises(ValidationError, match="draft"):
        StaffroomRetriever(app=library, filters={"statuses": ["lost"]})
    with pytest.raises(ValidationError, match="less than or equal to 1000"):
        StaffroomRetriever(app=library, k=1001)
    with pytest.raises(ValidationError, match="no filter 'grade'"):
        await retriever.ainvoke(QUESTION, filters={"grade": "post-16"})
    with pytest.raises(InputError, match="limit is 0"):
        await retriever.ainvoke(QUESTION, k=0)
    with pytest.raises(InputError, match="empty"):
        retriever.invoke(" ")


async def test_what_vetted_advice_must_not_answer_finds_nothing(library: App) -> None:
    question = "Can I be sued if a pupil falls off a chair?"

    assert await StaffroomRetriever(app=library, threshold=ANYTHING).ainvoke(question) == []


async def test_synchronous_calls_work_within_a_loop_from_many_threads_and_after_closing(
    library: App,
) -> None:
    retriever = StaffroomRetriever(app=library, k=1)
    expected = await retriever.ainvoke(QUESTION)

    assert retriever.invoke(QUESTION) == expected
    calls = [asyncio.to_thread(retriever.invoke, QUESTION) for _ in range(20)]
    assert all(documents == expected for documents in await asyncio.gather(*calls))
    assert len([t for t in threading.enumerate() if t.name == "staffroom"]) == 1
    retriever.close()
    retriever.close()
    assert retriever.invoke(QUESTION) == expected


def test_a_database_that_is_not_there_is_told_and_tried_again(home: Path, models: Path) -> None:
    settings = Settings(
        database_url=SecretStr(f"postgresql://nobody@/none?host={home}"), home=home, models=models
    )
    retriever = StaffroomRetriever(app=App(settings))

    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="PostgreSQL does not answer"):
            retriever.invoke(QUESTION)
    retriever.close()


@pytest.mark.usefixtures("environment")
async def test_without_an_app_it_uses_the_installation_of_the_environment() -> None:
    retriever = StaffroomRetriever(k=1)

    (first,) = await retriever.ainvoke(QUESTION)
    (second,) = await retriever.ainvoke(QUESTION)
    (third,) = retriever.invoke(QUESTION)

    assert first == second == third


@pytest.mark.usefixtures("environment")
def test_the_documentations_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    page = (REPOSITORY / "docs" / "langchain.md").read_text("utf-8")
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/langchain.md", "exec"), {})

    shown = capsys.readouterr().out
    assert "Several pupils talking and off task at once\n" in shown
    assert "Human: Answer the teacher from this advice" in shown
    assert "Question: What if a pupil refuses to work?" in shown


def test_without_langchain_the_import_names_the_extra() -> None:
    code = "import sys; sys.modules['langchain_core'] = None; import staffroom.langchain"

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert "ImportError: staffroom.langchain needs langchain-core" in ended.stderr
    assert "pip install 'staffroom[langchain]'" in ended.stderr


def test_importing_staffroom_does_not_load_langchain() -> None:
    code = "import sys, staffroom; assert 'langchain_core' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_program_ends_by_itself_and_in_silence(
    library_settings: Settings, tmp_path: Path
) -> None:
    assert library_settings.database_url
    code = (
        "from staffroom.langchain import StaffroomRetriever as R; print(len(R().invoke('noise')))"
    )
    environment = {
        "HOME": str(tmp_path),
        "STAFFROOM_DATABASE_URL": library_settings.database_url.get_secret_value(),
        "STAFFROOM_MODELS": str(library_settings.models),
    }

    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert int(ended.stdout) > 0
    assert ended.stderr == ""
