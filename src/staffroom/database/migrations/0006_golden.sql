-- Questions whose right scenarios are known, and how well the search found them over time.

-- The digest is that of the question without case, spacing and end marks: one question, one row.
-- The question stays when the exchange that it came from is erased.
CREATE TABLE staffroom.golden_questions (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    golden_id uuid NOT NULL,
    question text NOT NULL CHECK (length(question) BETWEEN 1 AND 4000),
    question_sha256 bytea NOT NULL CHECK (octet_length(question_sha256) = 32),
    language text NOT NULL CHECK (language <> ''),
    source text NOT NULL CHECK (source IN ('written', 'promoted')),
    interaction_id uuid,
    author text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, golden_id),
    UNIQUE (tenant_id, question_sha256),
    FOREIGN KEY (tenant_id, interaction_id) REFERENCES staffroom.interactions
        ON DELETE SET NULL (interaction_id)
);

CREATE INDEX golden_questions_by_interaction
    ON staffroom.golden_questions (tenant_id, interaction_id);

-- 2: the right scenario; 1: a fitting one; 0: one that looks right and is not.
CREATE TABLE staffroom.golden_judgements (
    tenant_id uuid NOT NULL,
    golden_id uuid NOT NULL,
    scenario_id uuid NOT NULL,
    grade smallint NOT NULL CHECK (grade BETWEEN 0 AND 2),
    PRIMARY KEY (tenant_id, golden_id, scenario_id),
    FOREIGN KEY (tenant_id, golden_id) REFERENCES staffroom.golden_questions ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES staffroom.scenarios ON DELETE CASCADE
);

CREATE INDEX golden_judgements_by_scenario
    ON staffroom.golden_judgements (tenant_id, scenario_id);

-- `figures` are means by mode, which a trend is drawn from; `ranks` are single questions' by id.
CREATE TABLE staffroom.evaluations (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    evaluation_id uuid NOT NULL,
    figures jsonb NOT NULL,
    ranks jsonb NOT NULL,
    questions integer NOT NULL CHECK (questions >= 1),
    library_version bigint NOT NULL,
    model text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, evaluation_id)
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'golden_questions', 'golden_judgements', 'evaluations'
    ] LOOP
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
    staffroom.golden_questions, staffroom.golden_judgements TO staffroom_app;
GRANT SELECT, INSERT, DELETE ON staffroom.evaluations TO staffroom_app;
