-- A scenario is reviewed before it is published; a write that is sent twice is done once.

ALTER TABLE staffroom.scenarios
    DROP CONSTRAINT scenarios_status_check,
    ADD CONSTRAINT scenarios_status_check
        CHECK (status IN ('draft', 'in_review', 'published', 'retired'));

-- What a write with an Idempotency-Key was and what came of it. No response yet: under way.
CREATE TABLE staffroom.idempotency_keys (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    status smallint,
    headers jsonb,
    body bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key)
);

ALTER TABLE staffroom.idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE staffroom.idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON staffroom.idempotency_keys
    USING (tenant_id = (SELECT nullif(current_setting('staffroom.tenant_id', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE, DELETE ON staffroom.idempotency_keys TO staffroom_app;
