-- In how many exchanges teachers reported that a scenario's advice worked. What was reported before
-- `since` no longer counts: an editor has reset it.

CREATE TABLE staffroom.standings (
    tenant_id uuid NOT NULL,
    scenario_id uuid NOT NULL,
    worked integer NOT NULL DEFAULT 0 CHECK (worked >= 0),
    since timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (tenant_id, scenario_id),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES staffroom.scenarios ON DELETE CASCADE
);

ALTER TABLE staffroom.standings ENABLE ROW LEVEL SECURITY;
ALTER TABLE staffroom.standings FORCE ROW LEVEL SECURITY;

CREATE POLICY own_tenant ON staffroom.standings USING (
    tenant_id = (SELECT nullif(current_setting('staffroom.tenant_id', true), '')::uuid)
);

GRANT SELECT, INSERT, UPDATE ON staffroom.standings TO staffroom_app;
