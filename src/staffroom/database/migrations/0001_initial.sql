-- The library, what was asked of it, and who may see what.
--
-- Every tenant table's key begins with tenant_id, ids are UUIDv7 made by the
-- application, there is no sequence and nothing unique across tenants: the same
-- schema then runs on one server, on replicas and distributed by tenant_id.

CREATE TABLE staffroom.tenants (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    starter_library_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One embedding model's complete set of vectors. Its table is made with it.
CREATE TABLE staffroom.generations (
    generation_id uuid PRIMARY KEY,
    model text NOT NULL UNIQUE,
    dimensions integer NOT NULL CHECK (dimensions BETWEEN 1 AND 4000),
    vectors_table text NOT NULL UNIQUE CHECK (vectors_table ~ '^vectors_[0-9a-f]{32}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The head holds what is filtered by, and is narrow for that reason; the revision
-- that it points to is the complete scenario as people read it.
CREATE TABLE staffroom.scenarios (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    scenario_id uuid NOT NULL,
    source_id text NOT NULL CHECK (length(source_id) BETWEEN 1 AND 500),
    revision integer NOT NULL CHECK (revision >= 1),
    content_sha256 bytea NOT NULL CHECK (octet_length(content_sha256) = 32),
    status text NOT NULL CHECK (status IN ('draft', 'published', 'retired')),
    category text NOT NULL,
    grade_bands text[] NOT NULL,
    subjects text[] NOT NULL,
    setting text NOT NULL,
    tags text[] NOT NULL,
    language text NOT NULL,
    review_by date,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, scenario_id),
    UNIQUE (tenant_id, source_id)
);

CREATE INDEX scenarios_by_category ON staffroom.scenarios (tenant_id, status, category);

CREATE TABLE staffroom.scenario_revisions (
    tenant_id uuid NOT NULL,
    scenario_id uuid NOT NULL,
    revision integer NOT NULL CHECK (revision >= 1),
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL CHECK (description <> ''),
    expected_response text NOT NULL,
    example_questions text[] NOT NULL,
    metadata jsonb NOT NULL,
    author text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, scenario_id, revision),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES staffroom.scenarios ON DELETE CASCADE
);

CREATE TABLE staffroom.interactions (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    interaction_id uuid NOT NULL,
    question text NOT NULL CHECK (question <> ''),
    generation_id uuid NOT NULL REFERENCES staffroom.generations,
    question_embedding halfvec NOT NULL,
    answer text NOT NULL,
    sentences jsonb NOT NULL,
    abstained boolean NOT NULL,
    writer text NOT NULL,
    threshold real,
    best_relevance real,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, interaction_id)
);

-- What an answer rested on: the revision that was read, not only the scenario.
CREATE TABLE staffroom.interaction_matches (
    tenant_id uuid NOT NULL,
    interaction_id uuid NOT NULL,
    rank smallint NOT NULL CHECK (rank >= 1),
    scenario_id uuid NOT NULL,
    revision integer NOT NULL,
    relevance real NOT NULL CHECK (relevance BETWEEN 0 AND 1),
    PRIMARY KEY (tenant_id, interaction_id, rank),
    FOREIGN KEY (tenant_id, interaction_id) REFERENCES staffroom.interactions ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, scenario_id, revision)
        REFERENCES staffroom.scenario_revisions ON DELETE CASCADE
);

CREATE INDEX interaction_matches_by_scenario
    ON staffroom.interaction_matches (tenant_id, scenario_id, revision);

CREATE TABLE staffroom.feedback (
    tenant_id uuid NOT NULL,
    feedback_id uuid NOT NULL,
    interaction_id uuid NOT NULL,
    helpful boolean NOT NULL,
    reason text NOT NULL DEFAULT '',
    comment text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, feedback_id),
    FOREIGN KEY (tenant_id, interaction_id) REFERENCES staffroom.interactions ON DELETE CASCADE
);

CREATE INDEX feedback_by_interaction ON staffroom.feedback (tenant_id, interaction_id);

-- Who changed what. Appended to, never changed: the application may not update or delete.
CREATE TABLE staffroom.audit (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    audit_id uuid NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject_id uuid,
    detail jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, audit_id)
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'tenants', 'scenarios', 'scenario_revisions', 'interactions',
        'interaction_matches', 'feedback', 'audit'
    ] LOOP
        EXECUTE format('ALTER TABLE staffroom.%I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE staffroom.%I FORCE ROW LEVEL SECURITY', tenant_table);
        -- An unset tenant reads as NULL or, later in a session, as '': both match no row.
        EXECUTE format(
            'CREATE POLICY own_tenant ON staffroom.%I USING (tenant_id = '
            '(SELECT nullif(current_setting(''staffroom.tenant_id'', true), '''')::uuid))',
            tenant_table
        );
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON
    staffroom.scenarios, staffroom.scenario_revisions, staffroom.interactions,
    staffroom.interaction_matches, staffroom.feedback TO staffroom_app;
GRANT SELECT, INSERT ON staffroom.tenants, staffroom.audit TO staffroom_app;
GRANT UPDATE (starter_library_at) ON staffroom.tenants TO staffroom_app;
GRANT SELECT ON staffroom.generations TO staffroom_app;
