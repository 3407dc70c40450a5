"""A backup over HTTP: the same file that the command writes."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from staffroom.app import App
from staffroom.content import backup
from staffroom.content.restore import restore_backup
from tests.api_client import api_client
from tests.backups import backed_up, entries

BACKUP = "/api/v1/backup"


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    await app.vector_ops.batch_store_content([{"text": "The class is loud."}])
    async with api_client(app) as client:
        yield client


async def test_a_backup_is_downloaded_and_can_be_restored(
    client: httpx.AsyncClient, app: App, tmp_path: Path
) -> None:
    response = await client.get(BACKUP)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    assert "content-encoding" not in response.headers
    assert ".zip" in response.headers["content-disposition"]
    assert entries(response.content) == entries(await backed_up(app.vector_ops))
    path = tmp_path / "backup.zip"
    path.write_bytes(response.content)
    assert (await restore_backup(app.vector_ops.for_tenant(uuid4()), path)).scenarios.new == 1


async def test_exchanges_are_in_it_if_they_are_wished_for(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/ask", json={"question": "My pupil Amira is loud, why?"})

    plain = await client.get(BACKUP)
    wished = await client.get(BACKUP, params={"interactions": "true"})

    assert "interactions.jsonl" not in entries(plain.content)
    lines = entries(wished.content)["interactions.jsonl"].decode()
    assert "My pupil Pupil A is loud" in lines
    assert "Amira" not in lines
    assert (await client.get(BACKUP, params={"interactions": "some"})).status_code == 422


async def test_a_full_disk_is_said_before_the_download_begins(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_write_page", full)

    response = await client.get(BACKUP)

    assert response.status_code == 503
    assert "cannot be written: No space left on device. Make room" in response.json()["detail"]
