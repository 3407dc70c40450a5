-- What an answer was and cost, conversations, feedback with reasons, fitted relevance.

-- How scores become relevance with this model: null until it was fitted.
ALTER TABLE staffroom.generations ADD COLUMN calibration jsonb;

-- Grows with every change of the tenant's scenarios, so that a kept answer can be told stale.
ALTER TABLE staffroom.tenants ADD COLUMN library_version bigint NOT NULL DEFAULT 0;
GRANT UPDATE (library_version) ON staffroom.tenants TO staffroom_app;

-- The owner is bound by row-level security too and would fill no row of a tenant.
ALTER TABLE staffroom.interactions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE staffroom.interactions
    ADD COLUMN conversation_id uuid,
    ADD COLUMN asked text,
    ADD COLUMN outcome text,
    ADD COLUMN more jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN prompt_version text NOT NULL DEFAULT '',
    ADD COLUMN library_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN timings jsonb NOT NULL DEFAULT '{}';
UPDATE staffroom.interactions SET
    conversation_id = interaction_id,
    asked = question,
    outcome = CASE WHEN abstained THEN 'abstained' WHEN writer = 'extractive' THEN 'quoted' ELSE 'written' END;
ALTER TABLE staffroom.interactions
    ALTER COLUMN conversation_id SET NOT NULL,
    ALTER COLUMN asked SET NOT NULL,
    ALTER COLUMN outcome SET NOT NULL,
    ADD CHECK (outcome IN ('written', 'direct', 'quoted', 'abstained')),
    DROP COLUMN abstained;
ALTER TABLE staffroom.interactions FORCE ROW LEVEL SECURITY;

CREATE INDEX interactions_by_conversation
    ON staffroom.interactions (tenant_id, conversation_id, interaction_id);
CREATE INDEX interactions_by_outcome
    ON staffroom.interactions (tenant_id, outcome, interaction_id);

-- A verdict on an answer, or on one of the scenarios that it cites.
ALTER TABLE staffroom.feedback NO FORCE ROW LEVEL SECURITY;
ALTER TABLE staffroom.feedback ADD COLUMN verdict text, ADD COLUMN scenario_id uuid;
UPDATE staffroom.feedback SET verdict = CASE WHEN helpful THEN 'helpful' ELSE 'not_helpful' END;
ALTER TABLE staffroom.feedback
    ALTER COLUMN verdict SET NOT NULL,
    ADD CHECK (verdict IN ('helpful', 'not_helpful', 'did_not_fit', 'worked')),
    ADD CHECK (length(comment) <= 2000),
    ADD FOREIGN KEY (tenant_id, scenario_id) REFERENCES staffroom.scenarios
        ON DELETE SET NULL (scenario_id),
    DROP COLUMN helpful;
ALTER TABLE staffroom.feedback FORCE ROW LEVEL SECURITY;
