-- What the database says of itself when it is watched.

-- name: figures
-- Size, rows and dead rows by table, imports under way and the oldest of them, in one row. Vectors
-- have a table for each model. Sizes and statistics are PostgreSQL's own and read no table.
SELECT current_setting('server_version') AS postgresql,
    (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector,
    (SELECT max(number) FROM staffroom.schema_migrations) AS schema,
    pg_database_size(current_database()) AS size,
    (SELECT library_version FROM staffroom.tenants WHERE tenant_id = %(tenant_id)s) AS library,
    (
        SELECT jsonb_object_agg(name, jsonb_build_array(live, dead))
        FROM (
            SELECT CASE WHEN relname LIKE 'vectors\_%%' THEN 'vectors' ELSE relname::text END AS name,
                sum(n_live_tup) AS live, sum(n_dead_tup) AS dead
            FROM pg_stat_user_tables
            WHERE schemaname = 'staffroom'
            GROUP BY 1
        ) AS tables
    ) AS tables,
    (
        SELECT jsonb_object_agg(state, jsonb_build_array(size, age))
        FROM (
            SELECT state, count(*) AS size,
                greatest(0, extract(epoch FROM now() - min(created_at))) AS age
            FROM staffroom.imports
            WHERE tenant_id = %(tenant_id)s AND state IN ('waiting', 'running', 'paused')
            GROUP BY state
        ) AS under_way
    ) AS imports;
