-- Questions that the library failed, in groups of one meaning, and what became of each group.

-- `words` were told from `told_of` questions; `outcome` is what publishing its scenario brought.
-- A group whose scenario was deleted is open again: see the statement `reopen_gaps`.
CREATE TABLE staffroom.gap_groups (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    group_id uuid NOT NULL,
    generation_id uuid NOT NULL REFERENCES staffroom.generations,
    state text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'drafted', 'answered', 'dismissed')),
    words text[] NOT NULL DEFAULT '{}',
    told_of integer NOT NULL DEFAULT 0,
    scenario_id uuid,
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    outcome jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, group_id),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES staffroom.scenarios
        ON DELETE SET NULL (scenario_id)
);

CREATE INDEX gap_groups_by_scenario ON staffroom.gap_groups (tenant_id, scenario_id);

-- `nearness` is the inner product with the middle of the group: the nearest question is its label.
CREATE TABLE staffroom.gap_members (
    tenant_id uuid NOT NULL,
    interaction_id uuid NOT NULL,
    group_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('unanswered', 'poorly_rated')),
    nearness real NOT NULL DEFAULT 0,
    answered_at timestamptz,
    PRIMARY KEY (tenant_id, interaction_id),
    FOREIGN KEY (tenant_id, interaction_id) REFERENCES staffroom.interactions ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, group_id) REFERENCES staffroom.gap_groups ON DELETE CASCADE
);

CREATE INDEX gap_members_by_group ON staffroom.gap_members (tenant_id, group_id, nearness DESC);

CREATE INDEX feedback_against ON staffroom.feedback (tenant_id, interaction_id)
    WHERE verdict IN ('not_helpful', 'did_not_fit');

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['gap_groups', 'gap_members'] LOOP
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
    staffroom.gap_groups, staffroom.gap_members TO staffroom_app;
