-- Uploaded files on their way into the library. Whoever runs one is its runner.

-- name: add_import
-- A file waits for a runner. No row: the same import of the same content is under way.
INSERT INTO staffroom.imports (
    tenant_id, import_id, file_name, suffix, dry_run, keep_duplicates, options, size, sha256,
    identity
)
VALUES (
    %(tenant_id)s, %(import_id)s, %(file_name)s, %(suffix)s, %(dry_run)s, %(keep_duplicates)s,
    %(options)s, %(size)s, %(sha256)s, %(identity)s
)
ON CONFLICT (tenant_id, identity)
    WHERE state IN ('waiting', 'running', 'paused') DO NOTHING
RETURNING import_id AS id;

-- name: import_under_way
-- The same import, which has not ended.
SELECT import_id AS id
FROM staffroom.imports
WHERE tenant_id = %(tenant_id)s AND identity = %(identity)s
    AND state IN ('waiting', 'running', 'paused');

-- name: add_import_part
-- The next piece of the file.
INSERT INTO staffroom.import_parts (tenant_id, import_id, part, content)
VALUES (%(tenant_id)s, %(import_id)s, %(part)s, %(content)s);

-- name: get_import_part
-- A piece of the file.
SELECT content
FROM staffroom.import_parts
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND part = %(part)s;

-- name: remove_import_parts
-- Nobody has to read the file again.
DELETE FROM staffroom.import_parts
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s;

-- name: get_import
-- One import as it stands.
SELECT import_id AS id, file_name, suffix, dry_run, keep_duplicates, state, wanted,
    rows_read AS read, rows_new AS new, rows_changed AS changed, rows_unchanged AS unchanged,
    rows_duplicate AS duplicate, rows_failed AS failed, done, total, unit, size, seconds, effects,
    stopped, ignored, columns, options, created_at, finished_at, retry_at
FROM staffroom.imports
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s;

-- name: list_imports
-- Imports before the given one, newest first; ids grow with time.
SELECT import_id AS id, file_name, suffix, dry_run, keep_duplicates, state, wanted,
    rows_read AS read, rows_new AS new, rows_changed AS changed, rows_unchanged AS unchanged,
    rows_duplicate AS duplicate, rows_failed AS failed, done, total, unit, size, seconds, effects,
    stopped, ignored, columns, options, created_at, finished_at, retry_at
FROM staffroom.imports
WHERE tenant_id = %(tenant_id)s
    AND (%(before)s::uuid IS NULL OR import_id < %(before)s::uuid)
ORDER BY import_id DESC
LIMIT %(limit)s;

-- name: import_runners
-- Who runs an import now.
SELECT runner_id
FROM staffroom.imports
WHERE tenant_id = %(tenant_id)s AND state = 'running' AND runner_id IS NOT NULL;

-- name: ask_import
-- What people want of an import that has not ended. Its runner obeys at the end of a batch; one
-- without a runner, or whose runner was killed, obeys at once.
UPDATE staffroom.imports
SET wanted = %(wanted)s,
    state = CASE
        WHEN state = 'running' AND heartbeat_at >= now() - make_interval(secs => %(silence)s)
            THEN state
        ELSE %(state)s
    END,
    runner_id = CASE
        WHEN state = 'running' AND heartbeat_at >= now() - make_interval(secs => %(silence)s)
            THEN runner_id
    END,
    attempts = CASE WHEN %(wanted)s = 'run' AND state <> 'running' THEN 0 ELSE attempts END,
    tries = CASE WHEN %(wanted)s = 'run' THEN 0 ELSE tries END,
    retry_at = NULL
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s
    AND state IN ('waiting', 'running', 'paused')
RETURNING state;

-- name: close_import
-- It was cancelled while nobody ran it.
UPDATE staffroom.imports
SET finished_at = now(), stopped = %(stopped)s
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND state = 'cancelled';

-- name: claim_import
-- The oldest import that waits and is due, or whose runner was killed. Nobody waits for another's
-- claim.
UPDATE staffroom.imports AS i
SET state = 'running', runner_id = %(runner_id)s, heartbeat_at = now(),
    attempts = attempts + 1, retry_at = NULL, stopped = ''
WHERE i.tenant_id = %(tenant_id)s AND i.import_id = (
    SELECT import_id FROM staffroom.imports
    WHERE tenant_id = %(tenant_id)s AND dry_run = %(dry_run)s
        AND (
            (state = 'waiting' AND (retry_at IS NULL OR retry_at <= now()))
            OR (state = 'running' AND heartbeat_at < now() - make_interval(secs => %(silence)s))
        )
    ORDER BY import_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING import_id AS id, file_name, suffix, dry_run, keep_duplicates, options, sha256, attempts,
    tries, wanted, rows_read AS read, rows_failed AS failed, jsonb_array_length(effects) AS shown;

-- name: checkpoint_import
-- Rows have been dealt with: within the transaction that stored them, if they were. Whoever takes
-- the import up begins behind them. No row: the import has another runner by now.
UPDATE staffroom.imports
SET heartbeat_at = now(),
    attempts = CASE WHEN %(read)s > 0 THEN 1 ELSE attempts END,
    tries = CASE WHEN %(read)s > 0 THEN 0 ELSE tries END,
    rows_read = rows_read + %(read)s, rows_new = rows_new + %(new)s,
    rows_changed = rows_changed + %(changed)s, rows_unchanged = rows_unchanged + %(unchanged)s,
    rows_duplicate = rows_duplicate + %(duplicate)s, rows_failed = rows_failed + %(invalid)s,
    done = greatest(done, %(done)s), total = %(total)s, unit = %(unit)s,
    seconds = seconds + %(seconds)s,
    effects = CASE WHEN %(has_effects)s THEN effects || %(effects)s::jsonb ELSE effects END,
    ignored = %(ignored)s, columns = %(columns)s
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s
RETURNING wanted;

-- name: beat_import
-- Its runner lives.
UPDATE staffroom.imports
SET heartbeat_at = now()
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s
RETURNING wanted;

-- name: leave_import
-- Its runner lets go of it in good order: it waits for another one, or is what people want.
UPDATE staffroom.imports
SET state = CASE wanted WHEN 'pause' THEN 'paused' WHEN 'cancel' THEN 'cancelled' ELSE 'waiting' END,
    stopped = CASE wanted WHEN 'cancel' THEN %(cancelled)s WHEN 'run' THEN %(stopped)s ELSE '' END,
    finished_at = CASE wanted WHEN 'cancel' THEN now() END,
    retry_at = CASE
        WHEN wanted = 'run' AND %(seconds)s > 0 THEN now() + make_interval(secs => %(seconds)s)
    END,
    tries = tries + %(tries)s, runner_id = NULL, attempts = 0
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s
RETURNING state;

-- name: end_import
-- It has come to its end, or cannot.
UPDATE staffroom.imports
SET state = %(state)s, stopped = %(stopped)s, runner_id = NULL, finished_at = now(),
    done = CASE WHEN %(state)s = 'done' THEN coalesce(total, done) ELSE done END
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s
RETURNING state;

-- name: add_import_errors
-- Rows that were refused, all in one statement.
INSERT INTO staffroom.import_errors (tenant_id, import_id, row_number, field, reason, "values")
SELECT %(tenant_id)s, %(import_id)s, r.row_number, r.field, r.reason, r."values"
FROM unnest(
    %(rows)s::bigint[], %(fields)s::text[], %(reasons)s::text[], %(values)s::json[]
) AS r (row_number, field, reason, "values");

-- name: list_import_errors
-- Refused rows after the given one, in the order of the file.
SELECT row_number AS row, field, reason, "values"
FROM staffroom.import_errors
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND row_number > %(after)s
ORDER BY row_number
LIMIT %(limit)s;
