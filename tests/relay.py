"""A relay before PostgreSQL that counts how often somebody waits for the server."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CHUNK = 1 << 16


class Relay:
    """Passes everything on between its clients and the server at a Unix socket."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._connections: set[asyncio.Task[None]] = set()
        self.trips = 0
        """Round trips so far: what is sent after an answer came begins another one."""

    async def accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Both directions until either side ends."""
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        server, to_server = await asyncio.open_unix_connection(self._server)
        answered = True

        async def ask() -> None:
            nonlocal answered
            while data := await client.read(CHUNK):
                self.trips += answered
                answered = False
                to_server.write(data)
            to_server.write_eof()

        async def answer() -> None:
            nonlocal answered
            while data := await server.read(CHUNK):
                answered = True
                to_client.write(data)

        asking = asyncio.create_task(ask())
        with suppress(asyncio.CancelledError, ConnectionError):
            await answer()
        asking.cancel()
        for writer in (to_server, to_client):
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def close(self) -> None:
        """No connection is left."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


@asynccontextmanager
async def relayed(conninfo: str) -> AsyncIterator[tuple[Relay, str]]:
    """A relay before that server, and the address to reach it by."""
    parts = conninfo_to_dict(conninfo)
    name = f".s.PGSQL.{parts.get('port') or 5432}"
    relay = Relay(f"{parts['host']}/{name}")
    with tempfile.TemporaryDirectory(prefix="sr-") as folder:
        listener = await asyncio.start_unix_server(relay.accept, Path(folder) / name)
        try:
            yield relay, make_conninfo(conninfo, host=folder)
        finally:
            listener.close()
            await relay.close()
