"""One pool of connections to PostgreSQL, whichever server it is.

The application works as `staffroom_app`, tenant by tenant; only migrations and
new generations act as the owner. Opening proves that the schema fits and that
tenants are kept apart.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from staffroom.config import Settings
from staffroom.database.embedded import EmbeddedServer
from staffroom.database.isolation import EF_SEARCH, prove_isolation, tenant_settings
from staffroom.database.migrate import migrate, schema_version
from staffroom.database.rows import RealLoader, register_packed_vectors
from staffroom.database.statements import statement
from staffroom.errors import ConfigError, DatabaseUnavailable

CONNECTIONS: Final = 10
MAX_WAITING: Final = 200
WAIT_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 5

Connection = AsyncConnection[DictRow]


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """Versions of the server, of pgvector and of the schema."""

    postgresql: str
    pgvector: str
    schema: int


class Database:
    """PostgreSQL as the rest of Staffroom sees it: transactions that belong to a tenant.

    Nothing is touched before the first use. An instance serves one event loop at
    a time and opens anew in the next, so that one object may outlive `asyncio.run`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server = None if settings.database_url else EmbeddedServer(settings.home)
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._tenants: set[UUID] = set()

    @property
    def vector_partitions(self) -> int:
        """Into how many parts the vectors of a model are put that the database has not seen."""
        return self._settings.vector_partitions

    async def open(self) -> None:
        """The server runs, its schema is current, tenants are isolated, the pool is ready.

        Raises: DatabaseUnavailable, ConfigError, SchemaMismatch, IsolationBroken.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._pool, self._opening = loop, None, asyncio.Lock()
        async with self._opening:
            if self._pool is None:
                self._pool = await self._open_pool()

    async def close(self) -> None:
        """Connections are closed, and the embedded server stops if nobody else uses it."""
        pool, self._pool = self._pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.close()
        if self._server is not None:
            await asyncio.to_thread(self._server.release)

    @asynccontextmanager
    async def transaction(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """Everything inside happens for that tenant, and wholly or not at all."""
        async with self._connection() as connection, connection.transaction():
            await _begin(connection, tenant_settings(tenant_id))
            yield connection

    async def fetch(
        self,
        tenant_id: UUID,
        query: bytes,
        parameters: Mapping[str, Any],
        *,
        ef_search: int = EF_SEARCH,
        keeps_plans: bool = False,
    ) -> list[DictRow]:
        """The rows of one statement for that tenant, in one round trip.

        Settings as of `tenant_settings`.
        """
        settings = tenant_settings(tenant_id, ef_search, keeps_plans=keeps_plans)
        async with self._sent_together(settings) as connection:
            cursor = await connection.execute(query, parameters, prepare=True, binary=True)
        return await cursor.fetchall()

    @asynccontextmanager
    async def sent_together(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """As `transaction`, all in one round trip at its end; results are fetched afterwards."""
        async with self._sent_together(tenant_settings(tenant_id)) as connection:
            yield connection

    @asynccontextmanager
    async def read(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """As `transaction`, with statements sent together where none waits for another; no COPY."""
        async with (
            self._connection() as connection,
            connection.pipeline(),
            connection.transaction(),
        ):
            await _begin(connection, tenant_settings(tenant_id))
            yield connection

    @asynccontextmanager
    async def snapshot(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """What is read inside is of that tenant and of one moment; nothing can be written."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute(statement("begin_snapshot"))
            await _begin(connection, tenant_settings(tenant_id))
            yield connection

    @asynccontextmanager
    async def owner_transaction(self) -> AsyncIterator[Connection]:
        """Everything inside happens as the owner of the schema, who sees no tenant's rows."""
        with _translated():
            async with await self._connect_owner() as connection, connection.transaction():
                await connection.execute("SET LOCAL ROLE staffroom_owner")
                yield connection

    async def ensure_tenant(self, tenant_id: UUID, name: str = "School") -> None:
        """The tenant exists."""
        if tenant_id in self._tenants:
            return
        async with self.transaction(tenant_id) as connection:
            await connection.execute(
                statement("add_tenant"), {"tenant_id": tenant_id, "name": name}
            )
        self._tenants.add(tenant_id)

    async def erase_tenant(self, tenant_id: UUID) -> None:
        """Nothing of the tenant is left: scenarios, vectors, interactions, audit.

        The tables are vacuumed, because dead vectors take the places of living ones among
        the candidates of an index walk.
        """
        async with self.owner_transaction() as connection:
            await connection.execute(
                "SELECT set_config('staffroom.tenant_id', %s, true)", [str(tenant_id)]
            )
            await connection.execute(statement("erase_tenant"), {"tenant_id": tenant_id})
            cursor = await connection.execute(statement("tables"))
            tables = [row["name"] for row in await cursor.fetchall()]
        self._tenants.discard(tenant_id)
        with _translated():
            async with await self._connect_owner() as connection:
                await connection.execute("SET ROLE staffroom_owner")
                for table in tables:
                    vacuum = sql.SQL("VACUUM (ANALYZE) {}")
                    await connection.execute(vacuum.format(sql.Identifier("staffroom", table)))

    def pool_figures(self) -> dict[str, int]:
        """What the pool says of itself; nothing while there is none."""
        return self._pool.get_stats() if self._pool else {}

    async def describe(self) -> DatabaseInfo:
        """The versions of what answers."""
        await self.open()
        async with self.owner_transaction() as connection:
            schema = await schema_version(connection)
            cursor = await connection.execute(statement("server_versions"))
            row = await cursor.fetchone()
        return DatabaseInfo(schema=schema, **(row or {}))

    @asynccontextmanager
    async def _sent_together(self, settings: Mapping[str, str]) -> AsyncIterator[Connection]:
        """What a pipeline sends before its one sync is a transaction, without BEGIN and COMMIT."""
        async with self._connection() as connection, connection.pipeline():
            await _begin(connection, settings)
            yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        await self.open()
        assert self._pool is not None
        with _translated():
            async with self._pool.connection() as connection:
                yield connection

    async def _open_pool(self) -> AsyncConnectionPool[Connection]:
        with _translated():
            async with await self._connect_owner() as owner:
                await migrate(owner)
                if self._server is not None:
                    await owner.execute("ALTER ROLE staffroom_app LOGIN")
            async with await _connect(await self._app_conninfo()) as application:
                await prove_isolation(application)
        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self._app_conninfo,
            connection_class=AsyncConnection[DictRow],
            kwargs={
                "row_factory": dict_row,
                "connect_timeout": CONNECT_SECONDS,
                "autocommit": True,
            },
            min_size=1,
            max_size=CONNECTIONS,
            max_waiting=MAX_WAITING,
            timeout=WAIT_SECONDS,
            configure=_configure,
            check=_check,
            open=False,
        )
        try:
            with _translated():
                await pool.open(wait=True, timeout=WAIT_SECONDS)
        except BaseException:
            # Whoever is cancelled here holds the only name of it: its workers would live on.
            await pool.close()
            raise
        return pool

    async def _connect_owner(self) -> Connection:
        settings = self._settings
        if self._server is not None:
            conninfo = await asyncio.to_thread(self._server.start)
        else:
            url = settings.database_owner_url or settings.database_url
            assert url is not None
            conninfo = url.get_secret_value()
        return await _connect(conninfo)

    async def _app_conninfo(self) -> str:
        """How to reach the database as the application. A server of ours runs afterwards.

        The pool asks for every connection that it makes, and so brings a server back that
        was killed.
        """
        if self._server is not None:
            return make_conninfo(await asyncio.to_thread(self._server.start), user="staffroom_app")
        assert self._settings.database_url is not None
        return self._settings.database_url.get_secret_value()


async def _begin(connection: Connection, settings: Mapping[str, str]) -> None:
    await connection.execute(statement("begin_tenant"), settings, prepare=True)


async def _connect(conninfo: str) -> Connection:
    try:
        conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            "STAFFROOM_DATABASE_URL is no address of a database; write it as "
            "postgresql://user:password@host:5432/name."
        ) from error
    return await AsyncConnection.connect(
        conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS, row_factory=dict_row
    )


async def _configure(connection: Connection) -> None:
    await register_vector_async(connection)
    await register_packed_vectors(connection)
    connection.adapters.register_loader("float4", RealLoader)


async def _check(connection: Connection) -> None:
    """The server has not closed the connection: what it sent last would say so.

    Unlike a question to the server this takes no round trip. Raises: psycopg.OperationalError.
    """
    connection.pgconn.consume_input()
    if connection.broken:
        raise psycopg.OperationalError("the server closed the connection")


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the driver become ours; those of a statement's content stay for its author."""
    try:
        yield
    except TooManyRequests as error:
        raise DatabaseUnavailable(
            f"{MAX_WAITING} requests are already waiting for a database connection. Try again."
        ) from error
    except PoolTimeout as error:
        raise DatabaseUnavailable(
            f"no database connection became free within {WAIT_SECONDS:g} s. Try again; if it "
            "lasts, see that PostgreSQL runs and is not overloaded."
        ) from error
    except psycopg.errors.DiskFull as error:
        raise DatabaseUnavailable(
            f"the database's disk is full: {_first_line(error)}. Free some space, then try again."
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"the database login lacks a right: {_first_line(error)}. Grant it the roles "
            "staffroom_app and, for migrations, staffroom_owner."
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(
            f"PostgreSQL does not answer: {_first_line(error)}. See that it runs, and that "
            "STAFFROOM_DATABASE_URL, if it is set, is right; then try again."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
