-- The vectors of one generation. Rows are inserted and deleted, never updated: an
-- update of any column would enter the row into the vector index anew.
-- {partitioning} is empty, or parts the table by tenant: then generation_partition.sql follows.
-- The index on the vectors is made by vector_index.sql.

CREATE TABLE staffroom.{vectors} (
    tenant_id uuid NOT NULL,
    scenario_id uuid NOT NULL,
    revision integer NOT NULL,
    embedding halfvec({dimensions}) NOT NULL CHECK (abs(l2_norm(embedding) - 1) < 0.01),
    -- Of its example questions. Kept beside the row, which a search by meaning alone reads whole;
    -- vectors do not compress.
    examples halfvec({dimensions})[] STORAGE EXTERNAL,
    PRIMARY KEY (tenant_id, scenario_id),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES staffroom.scenarios ON DELETE CASCADE
) {partitioning};

ALTER TABLE staffroom.{vectors} ENABLE ROW LEVEL SECURITY;
ALTER TABLE staffroom.{vectors} FORCE ROW LEVEL SECURITY;

CREATE POLICY own_tenant ON staffroom.{vectors} USING (
    tenant_id = (SELECT nullif(current_setting('staffroom.tenant_id', true), '')::uuid)
);

GRANT SELECT, INSERT, DELETE ON staffroom.{vectors} TO staffroom_app;
