-- Imports that are paused, cancelled or tried again later, and how far each has come for good.

ALTER TABLE staffroom.imports
    -- The last row of the file whose batch is stored: written in the transaction that stores it.
    ADD COLUMN rows_done bigint NOT NULL DEFAULT 0,
    ADD COLUMN rows_duplicate bigint NOT NULL DEFAULT 0,
    ADD COLUMN retry_at timestamptz,
    ADD COLUMN tries smallint NOT NULL DEFAULT 0,
    ADD COLUMN started_at timestamptz,
    DROP CONSTRAINT imports_state_check,
    ADD CONSTRAINT imports_state_check CHECK (
        state IN ('waiting', 'running', 'paused', 'done', 'failed', 'cancelled')
    );
