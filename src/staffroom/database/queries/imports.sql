-- Uploaded files on their way into the library. Whoever runs one is its runner.

-- name: add_import
-- A file is there and waits for a runner.
INSERT INTO staffroom.imports (
    tenant_id, import_id, file_name, suffix, dry_run, keep_duplicates, options
) VALUES (
    %(tenant_id)s, %(import_id)s, %(file_name)s, %(suffix)s, %(dry_run)s, %(keep_duplicates)s,
    %(options)s
);

-- name: get_import
-- One import as it stands.
SELECT import_id AS id, file_name, suffix, dry_run, state, rows_read AS read, rows_new AS new,
    rows_changed AS changed, rows_duplicate AS duplicate, rows_failed AS failed, done, total, unit,
    effects, stopped, ignored, columns, options, retry_at, created_at, finished_at,
    extract(epoch FROM now() - started_at)::float8 AS seconds
FROM staffroom.imports
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s;

-- name: list_imports
-- Imports before the given one, newest first; ids grow with time.
SELECT import_id AS id, file_name, suffix, dry_run, state, rows_read AS read, rows_new AS new,
    rows_changed AS changed, rows_duplicate AS duplicate, rows_failed AS failed, done, total, unit,
    effects, stopped, ignored, columns, options, retry_at, created_at, finished_at,
    extract(epoch FROM now() - started_at)::float8 AS seconds
FROM staffroom.imports
WHERE tenant_id = %(tenant_id)s
    AND (%(before)s::uuid IS NULL OR import_id < %(before)s::uuid)
ORDER BY import_id DESC
LIMIT %(limit)s;

-- name: unfinished_imports
-- Those of the given imports whose files are still needed.
SELECT import_id AS id
FROM staffroom.imports
WHERE tenant_id = %(tenant_id)s AND import_id = ANY(%(import_ids)s::uuid[])
    AND state IN ('waiting', 'running', 'paused');

-- name: pause_import
-- Its runner, if it has one, stores nothing more.
UPDATE staffroom.imports
SET state = 'paused', runner_id = NULL, retry_at = NULL, attempts = 0, tries = 0
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s
    AND state IN ('waiting', 'running', 'paused');

-- name: resume_import
-- It waits for a runner, unless it has one.
UPDATE staffroom.imports
SET state = CASE WHEN state = 'running' THEN state ELSE 'waiting' END, retry_at = NULL
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s
    AND state IN ('waiting', 'running', 'paused');

-- name: cancel_import
-- It has ended; what it stored stays.
UPDATE staffroom.imports
SET state = 'cancelled', runner_id = NULL, retry_at = NULL, finished_at = now()
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s
    AND state IN ('waiting', 'running', 'paused');

-- name: claim_import
-- The oldest import that waits, or whose runner was killed, among those whose file this runner has.
-- It is read anew, but nothing is done again that was done; what it stored stays counted. Nobody
-- waits for another's claim.
UPDATE staffroom.imports AS i
SET state = 'running', runner_id = %(runner_id)s, heartbeat_at = now(),
    attempts = attempts + 1, rows_read = 0, rows_failed = 0, rows_duplicate = 0, done = 0,
    effects = '[]', stopped = '', retry_at = NULL, started_at = now(),
    rows_done = CASE WHEN dry_run THEN 0 ELSE rows_done END,
    rows_new = CASE WHEN dry_run THEN 0 ELSE rows_new END,
    rows_changed = CASE WHEN dry_run THEN 0 ELSE rows_changed END
WHERE i.tenant_id = %(tenant_id)s AND i.import_id = (
    SELECT import_id FROM staffroom.imports
    WHERE tenant_id = %(tenant_id)s AND import_id = ANY(%(import_ids)s::uuid[])
        AND dry_run = %(dry_run)s
        AND (
            (state = 'waiting' AND (retry_at IS NULL OR retry_at <= now()))
            OR (state = 'running' AND heartbeat_at < now() - make_interval(secs => %(silence)s))
        )
    ORDER BY import_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING import_id AS id, file_name, suffix, dry_run, keep_duplicates, options, attempts, tries,
    rows_done;

-- name: forget_import_errors
-- Of the rows that will be read and tried again.
DELETE FROM staffroom.import_errors
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND row_number > %(rows_done)s;

-- name: refused_before
-- Rows that were refused and are not tried again.
SELECT row_number AS row, field, reason
FROM staffroom.import_errors
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND row_number <= %(rows_done)s;

-- name: count_import
-- Within the transaction that stored rows. No row: the import has another runner by now.
UPDATE staffroom.imports
SET rows_new = rows_new + %(new)s, rows_changed = rows_changed + %(changed)s,
    rows_done = greatest(rows_done, %(rows_done)s), attempts = 1, tries = 0, heartbeat_at = now()
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s;

-- name: advance_import
-- How far it is; sent as a heartbeat, too.
UPDATE staffroom.imports
SET heartbeat_at = now(), rows_read = %(read)s, rows_failed = %(failed)s, done = %(done)s,
    total = %(total)s, unit = %(unit)s, effects = %(effects)s, ignored = %(ignored)s,
    columns = %(columns)s, rows_duplicate = %(duplicate)s,
    rows_done = greatest(rows_done, %(rows_done)s),
    rows_new = CASE WHEN dry_run THEN %(new)s ELSE rows_new END,
    rows_changed = CASE WHEN dry_run THEN %(changed)s ELSE rows_changed END
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s;

-- name: beat_import
-- Its runner lives.
UPDATE staffroom.imports
SET heartbeat_at = now()
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s;

-- name: release_import
-- Its runner stops in good order; another takes it up at once.
UPDATE staffroom.imports
SET state = 'waiting', runner_id = NULL, attempts = 0
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s;

-- name: retry_import
-- What it needs is not there now; a runner takes it up again later.
UPDATE staffroom.imports
SET state = 'waiting', runner_id = NULL, attempts = 0, tries = tries + 1, stopped = %(stopped)s,
    retry_at = now() + make_interval(secs => %(seconds)s)
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s;

-- name: end_import
-- It has come to its end, or cannot.
UPDATE staffroom.imports
SET state = %(state)s, stopped = %(stopped)s, runner_id = NULL, finished_at = now()
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND runner_id = %(runner_id)s;

-- name: end_lost_imports
-- Nobody has taken these up for long, so nobody has their files.
UPDATE staffroom.imports
SET state = 'failed', stopped = %(stopped)s, runner_id = NULL, finished_at = now()
WHERE tenant_id = %(tenant_id)s AND state IN ('waiting', 'running')
    AND NOT import_id = ANY(%(import_ids)s::uuid[])
    AND coalesce(heartbeat_at, created_at) < now() - make_interval(hours => %(hours)s);

-- name: add_import_errors
-- Rows that were refused, all in one statement.
INSERT INTO staffroom.import_errors (tenant_id, import_id, row_number, field, reason, "values")
SELECT %(tenant_id)s, %(import_id)s, r.row_number, r.field, r.reason, r."values"
FROM unnest(
    %(rows)s::bigint[], %(fields)s::text[], %(reasons)s::text[], %(values)s::json[]
) AS r (row_number, field, reason, "values")
ON CONFLICT (tenant_id, import_id, row_number) DO NOTHING;

-- name: list_import_errors
-- Refused rows after the given one, in the order of the file.
SELECT row_number AS row, field, reason, "values"
FROM staffroom.import_errors
WHERE tenant_id = %(tenant_id)s AND import_id = %(import_id)s AND row_number > %(after)s
ORDER BY row_number
LIMIT %(limit)s;
