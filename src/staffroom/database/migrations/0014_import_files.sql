-- Imports whose file lies in the database, so that any process on any machine can go on with them.

-- An import that waits has its file in the folder of one server; now its file belongs into the
-- database. The owner is bound by row-level security too and would end none.
ALTER TABLE staffroom.imports NO FORCE ROW LEVEL SECURITY;
UPDATE staffroom.imports
SET state = 'failed', runner_id = NULL, finished_at = now(),
    stopped = 'Staffroom was brought up to date while this import was under way. Upload the file '
        'again: what is stored already stays as it is.'
WHERE state IN ('waiting', 'running', 'paused');
ALTER TABLE staffroom.imports FORCE ROW LEVEL SECURITY;

-- rows_read is the checkpoint: it grows in the transaction that stores the rows, together with
-- every other count, and a runner that takes the import up begins behind it.
ALTER TABLE staffroom.imports
    DROP COLUMN rows_done,
    DROP COLUMN started_at,
    ADD COLUMN wanted text NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'pause', 'cancel')),
    ADD COLUMN rows_unchanged bigint NOT NULL DEFAULT 0,
    ADD COLUMN size bigint NOT NULL DEFAULT 0,
    ADD COLUMN sha256 bytea CHECK (octet_length(sha256) = 32),
    -- Of the file and all that decides what its import does: how it is read, whether duplicates are
    -- kept, whether it is a dry run.
    ADD COLUMN identity bytea CHECK (octet_length(identity) = 32),
    ADD COLUMN seconds double precision NOT NULL DEFAULT 0;

-- Of those that have ended before, what was not counted apart was unchanged.
ALTER TABLE staffroom.imports NO FORCE ROW LEVEL SECURITY;
UPDATE staffroom.imports
SET rows_unchanged =
    greatest(rows_read - rows_new - rows_changed - rows_duplicate - rows_failed, 0);
ALTER TABLE staffroom.imports FORCE ROW LEVEL SECURITY;

CREATE INDEX imports_to_run ON staffroom.imports (tenant_id, dry_run, import_id)
    WHERE state IN ('waiting', 'running');

-- A file that is on its way into the library is not taken in a second time.
CREATE UNIQUE INDEX imports_under_way ON staffroom.imports (tenant_id, identity)
    WHERE state IN ('waiting', 'running', 'paused');

-- The uploaded file, for as long as somebody may have to read it.
CREATE TABLE staffroom.import_parts (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    part integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (tenant_id, import_id, part),
    FOREIGN KEY (tenant_id, import_id) REFERENCES staffroom.imports ON DELETE CASCADE
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- What is packed already is not worth packing, and text is read once.
ALTER TABLE staffroom.import_parts ALTER COLUMN content SET STORAGE EXTERNAL;

ALTER TABLE staffroom.import_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE staffroom.import_parts FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON staffroom.import_parts USING (
    tenant_id = (SELECT nullif(current_setting('staffroom.tenant_id', true), '')::uuid)
);

GRANT SELECT, INSERT, DELETE ON staffroom.import_parts TO staffroom_app;
