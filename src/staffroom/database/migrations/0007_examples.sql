-- Beside the vector of its whole text, a scenario has one for each of its example questions. NULL
-- where they were not embedded yet: the next index run does that.

DO $$
DECLARE
    generation record;
BEGIN
    FOR generation IN SELECT vectors_table, dimensions FROM staffroom.generations LOOP
        EXECUTE format(
            'ALTER TABLE IF EXISTS staffroom.%I ADD COLUMN examples halfvec(%s)[]',
            generation.vectors_table, generation.dimensions
        );
        EXECUTE format(
            'ALTER TABLE IF EXISTS staffroom.%I ALTER COLUMN examples SET STORAGE EXTERNAL',
            generation.vectors_table
        );
    END LOOP;
END
$$;
