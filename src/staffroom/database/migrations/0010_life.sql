-- A scenario's text (name, situation, example questions, language) changes more rarely than the rest
-- of it. Vectors and words carry the revision of the text that they were made from, so that an edit
-- of anything else leaves them as they are.

-- The owner is bound by row-level security too and would fill no row of a tenant.
ALTER TABLE staffroom.scenarios NO FORCE ROW LEVEL SECURITY;
ALTER TABLE staffroom.scenarios ADD COLUMN text_revision integer;
UPDATE staffroom.scenarios SET text_revision = revision;
ALTER TABLE staffroom.scenarios
    ALTER COLUMN text_revision SET NOT NULL,
    ADD CHECK (text_revision BETWEEN 1 AND revision);
ALTER TABLE staffroom.scenarios FORCE ROW LEVEL SECURITY;

-- What is to be reviewed, the most overdue first.
CREATE INDEX scenarios_by_review ON staffroom.scenarios (tenant_id, review_by, scenario_id)
    WHERE status <> 'retired';
