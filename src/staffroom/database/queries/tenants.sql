-- Tenants, the state of their libraries, and what the database says of itself.

-- name: begin_tenant
-- Role, tenant and search settings of a transaction; local, so that nothing stays on a pooled connection.
-- A plan that is kept knows nothing of the tenant, so it may only go by keys, and alone: what is
-- planned for a tenant of middling size would read whole tables for a small one, or start workers.
SELECT
    set_config('role', 'staffroom_app', true),
    set_config('staffroom.tenant_id', %(tenant_id)s::text, true),
    set_config('plan_cache_mode', %(plans)s::text, true),
    set_config('enable_seqscan', %(scans)s::text, true),
    set_config('enable_hashjoin', %(scans)s::text, true),
    set_config('enable_mergejoin', %(scans)s::text, true),
    set_config('max_parallel_workers_per_gather', CASE
        WHEN %(scans)s = 'off' THEN '0' ELSE current_setting('max_parallel_workers_per_gather')
    END, true),
    set_config('hnsw.iterative_scan', 'relaxed_order', true),
    set_config('hnsw.ef_search', %(ef_search)s::text, true);

-- name: add_tenant
-- A tenant exists from its first use on.
INSERT INTO staffroom.tenants (tenant_id, name)
VALUES (%(tenant_id)s, %(name)s)
ON CONFLICT (tenant_id) DO NOTHING;

-- name: erase_tenant
-- Everything that belongs to a tenant refers to it and goes with it.
DELETE FROM staffroom.tenants WHERE tenant_id = %(tenant_id)s;

-- name: tables
-- What belongs to Staffroom in this database.
SELECT relname::text AS name
FROM pg_class
WHERE relnamespace = 'staffroom'::regnamespace AND relkind = 'r';

-- name: server_versions
-- What answers.
SELECT current_setting('server_version') AS postgresql, extversion AS pgvector
FROM pg_extension
WHERE extname = 'vector';

-- name: needs_starter_library
-- A tenant gets the starter library once, so that what it deletes stays deleted.
SELECT starter_library_at IS NULL AS needed
FROM staffroom.tenants
WHERE tenant_id = %(tenant_id)s;

-- name: mark_starter_library
-- Set after the last scenario is in: a load that was killed is done again.
UPDATE staffroom.tenants
SET starter_library_at = now()
WHERE tenant_id = %(tenant_id)s;

-- name: library_version
-- How often the tenant's library has changed.
SELECT library_version AS version FROM staffroom.tenants WHERE tenant_id = %(tenant_id)s;

-- name: advance_library
-- Answers that were kept from before are stale.
UPDATE staffroom.tenants
SET library_version = library_version + 1
WHERE tenant_id = %(tenant_id)s;

-- name: add_audit
-- Who changed what.
INSERT INTO staffroom.audit (tenant_id, audit_id, actor, action, subject_id, detail)
VALUES (%(tenant_id)s, %(audit_id)s, %(actor)s, %(action)s, %(subject_id)s, %(detail)s);
