-- Writes that were sent with an Idempotency-Key.

-- name: forget_old_keys
-- Answered writes are remembered for a day; one without an answer was killed.
DELETE FROM staffroom.idempotency_keys
WHERE tenant_id = %(tenant_id)s AND (
    created_at < now() - make_interval(hours => %(hours)s)
    OR (status IS NULL AND created_at < now() - make_interval(secs => %(abandoned)s))
);

-- name: begin_write
-- The key is taken, unless it is known.
INSERT INTO staffroom.idempotency_keys (tenant_id, key, fingerprint)
VALUES (%(tenant_id)s, %(key)s, %(fingerprint)s)
ON CONFLICT (tenant_id, key) DO NOTHING
RETURNING key;

-- name: get_write
-- What came of the write with that key.
SELECT fingerprint, status, headers, body
FROM staffroom.idempotency_keys
WHERE tenant_id = %(tenant_id)s AND key = %(key)s;

-- name: end_write
-- Its response, for whoever sends it again.
UPDATE staffroom.idempotency_keys
SET status = %(status)s, headers = %(headers)s, body = %(body)s
WHERE tenant_id = %(tenant_id)s AND key = %(key)s;

-- name: forget_write
-- It failed, and may be tried again.
DELETE FROM staffroom.idempotency_keys WHERE tenant_id = %(tenant_id)s AND key = %(key)s;
