-- Files that were uploaded to be imported, and the rows of them that were refused.

-- A runner takes an import up by writing its own id into it; a runner that was killed
-- sends no heartbeat, and another takes the import up from its beginning. What was new or
-- changed is counted in the transactions that store it, and so once however often that happens.
CREATE TABLE staffroom.imports (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    import_id uuid NOT NULL,
    file_name text NOT NULL CHECK (length(file_name) BETWEEN 1 AND 255),
    suffix text NOT NULL CHECK (suffix ~ '^\.[a-z]{1,10}$'),
    dry_run boolean NOT NULL,
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    runner_id uuid,
    attempts smallint NOT NULL DEFAULT 0,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_new bigint NOT NULL DEFAULT 0,
    rows_changed bigint NOT NULL DEFAULT 0,
    rows_failed bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    total bigint,
    unit text NOT NULL DEFAULT 'bytes' CHECK (unit IN ('bytes', 'rows')),
    effects jsonb NOT NULL DEFAULT '[]',
    stopped text NOT NULL DEFAULT '',
    ignored text[] NOT NULL DEFAULT '{}',
    columns text[] NOT NULL DEFAULT '{}',
    heartbeat_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, import_id)
);

-- The values are json, not jsonb: what was refused may hold characters that jsonb refuses, too.
CREATE TABLE staffroom.import_errors (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    row_number bigint NOT NULL,
    field text NOT NULL,
    reason text NOT NULL,
    "values" json NOT NULL,
    PRIMARY KEY (tenant_id, import_id, row_number),
    FOREIGN KEY (tenant_id, import_id) REFERENCES staffroom.imports ON DELETE CASCADE
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['imports', 'import_errors'] LOOP
        EXECUTE format('ALTER TABLE staffroom.%I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE staffroom.%I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format(
            'CREATE POLICY own_tenant ON staffroom.%I USING (tenant_id = '
            '(SELECT nullif(current_setting(''staffroom.tenant_id'', true), '''')::uuid))',
            tenant_table
        );
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON staffroom.imports, staffroom.import_errors TO staffroom_app;
