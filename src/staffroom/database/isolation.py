"""Proof, at every start, that one tenant cannot see another's rows.

A service whose connection bypasses row-level security passes every test of its
own and protects nobody, so Staffroom tries it out before it serves.
"""

from typing import Final
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from staffroom.database.statements import statement
from staffroom.errors import IsolationBroken

EF_SEARCH: Final = 100
"""Candidates that a walk through the vector index keeps."""

_CANARIES: Final = (
    UUID("00000000-0000-7000-8000-0000000000c1"),
    UUID("00000000-0000-7000-8000-0000000000c2"),
)

_UNPROTECTED: Final = """
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'staffroom' AND c.relkind IN ('r', 'p')
    AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
    AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY c.relname
"""

_POWERS: Final = """
SELECT r.rolsuper OR r.rolbypassrls
    OR pg_has_role('staffroom_app', 'staffroom_owner', 'MEMBER') AS too_mighty
FROM pg_roles AS r WHERE r.rolname = 'staffroom_app'
"""


async def prove_isolation(connection: AsyncConnection[DictRow]) -> None:
    """Rows written for one canary tenant were invisible to another; nothing is left of them.

    Raises: IsolationBroken naming what failed.
    """
    await _check_catalogue(connection)
    async with connection.transaction():
        await _probe(connection)
        raise psycopg.Rollback


async def _check_catalogue(connection: AsyncConnection[DictRow]) -> None:
    cursor = await connection.execute(_UNPROTECTED)
    unprotected = [row["relname"] for row in await cursor.fetchall()]
    if unprotected:
        raise IsolationBroken(
            f"row-level security is not forced on {', '.join(unprotected)}. As the owner, run "
            "ALTER TABLE staffroom.<table> ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY."
        )
    cursor = await connection.execute(_POWERS)
    row = await cursor.fetchone()
    if row is None or row["too_mighty"]:
        raise IsolationBroken(
            "the role staffroom_app is a superuser, may bypass row-level security or belongs to "
            "staffroom_owner. Take that right from it: tenants would see each other's rows."
        )


async def _probe(connection: AsyncConnection[DictRow]) -> None:
    first, second = _CANARIES
    for tenant in _CANARIES:
        await _become(connection, tenant)
        await connection.execute(
            statement("add_tenant"), {"tenant_id": tenant, "name": "isolation probe"}
        )
    for reader, what in ((first, "another tenant"), (None, "no tenant")):
        await _become(connection, reader)
        cursor = await connection.execute(
            "SELECT count(*) AS seen FROM staffroom.tenants WHERE tenant_id = %s", [second]
        )
        row = await cursor.fetchone()
        if row is None or row["seen"]:
            raise IsolationBroken(
                f"a row of one tenant was visible to {what}. The policy own_tenant on "
                "staffroom.tenants does not hold; restore it from migration 0001."
            )
    await _check_foreign_write(connection, first, second)


async def _check_foreign_write(
    connection: AsyncConnection[DictRow], own: UUID, foreign: UUID
) -> None:
    await _become(connection, own)
    try:
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO staffroom.audit (tenant_id, audit_id, actor, action) "
                "VALUES (%s, %s, 'probe', 'probe')",
                [foreign, foreign],
            )
    except psycopg.errors.InsufficientPrivilege:
        return
    raise IsolationBroken(
        "a row could be written for a foreign tenant. The policy own_tenant on staffroom.audit "
        "does not hold; restore it from migration 0001."
    )


async def _become(connection: AsyncConnection[DictRow], tenant: UUID | None) -> None:
    await connection.execute(statement("begin_tenant"), tenant_settings(tenant))


def tenant_settings(
    tenant: UUID | None, ef_search: int = EF_SEARCH, *, keeps_plans: bool = False
) -> dict[str, str]:
    """The parameters of `begin_tenant`: whose rows are seen, and how statements are planned.

    They are planned for their parameters each time, or once for a connection and by keys alone.
    """
    return {
        "tenant_id": str(tenant or ""),
        "plans": "force_generic_plan" if keeps_plans else "force_custom_plan",
        "scans": "off" if keeps_plans else "on",
        "ef_search": str(ef_search),
    }
