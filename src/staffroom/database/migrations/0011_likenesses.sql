-- Pairs of scenarios that may be one, for a person to decide; and what says the same twice.

-- One row for a pair, whichever of the two it was found from. `kept` is the one that a merge kept.
CREATE TABLE staffroom.likenesses (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    one uuid NOT NULL,
    other uuid NOT NULL CHECK (one < other),
    similarity real NOT NULL,
    generation_id uuid NOT NULL REFERENCES staffroom.generations,
    decision text NOT NULL DEFAULT 'open'
        CHECK (decision IN ('open', 'keep_both', 'linked', 'merged')),
    kept uuid CHECK (kept IN (one, other)),
    decided_by text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    decided_at timestamptz,
    PRIMARY KEY (tenant_id, one, other),
    FOREIGN KEY (tenant_id, one) REFERENCES staffroom.scenarios ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, other) REFERENCES staffroom.scenarios ON DELETE CASCADE
);

CREATE INDEX likenesses_by_other ON staffroom.likenesses (tenant_id, other);
CREATE INDEX likenesses_in_order
    ON staffroom.likenesses (tenant_id, decision, similarity DESC, one, other);

-- Which scenarios were compared, in which revision and by which model. A scenario whose revision
-- is another is compared anew; if its text is another, too, what was decided of it is open again.
CREATE TABLE staffroom.likeness_done (
    tenant_id uuid NOT NULL,
    scenario_id uuid NOT NULL,
    revision integer NOT NULL,
    generation_id uuid NOT NULL REFERENCES staffroom.generations,
    text_sha256 bytea NOT NULL CHECK (octet_length(text_sha256) = 32),
    PRIMARY KEY (tenant_id, scenario_id),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES staffroom.scenarios ON DELETE CASCADE
);

-- The same content under another id is found by its digest.
CREATE INDEX scenarios_by_content ON staffroom.scenarios (tenant_id, content_sha256);

ALTER TABLE staffroom.imports ADD COLUMN keep_duplicates boolean NOT NULL DEFAULT false;

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['likenesses', 'likeness_done'] LOOP
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

GRANT SELECT, INSERT, UPDATE, DELETE ON
    staffroom.likenesses, staffroom.likeness_done TO staffroom_app;
