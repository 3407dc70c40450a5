-- The words of many texts at once. As it was before, but for two things that the planner then takes
-- into the statement that asks, instead of starting anew for every text and every word: the function
-- is not STRICT, and a word without accents needs no other function.
CREATE OR REPLACE FUNCTION staffroom.words_in(language text, body text)
RETURNS TABLE (word text, frequency integer)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT
        CASE
            WHEN octet_length(part.word) = length(part.word) THEN part.word
            ELSE staffroom.without_accents(part.word)
        END,
        sum(cardinality(w.positions))::integer
    FROM (
        SELECT (
            SELECT l.configuration
            FROM staffroom.text_search_languages AS l
            WHERE l.language = split_part(lower(words_in.language), '-', 1)
        ) AS configuration
        -- Looked up once for a text, not once for each word.
        OFFSET 0
    ) AS known
    CROSS JOIN LATERAL unnest(
        to_tsvector(coalesce(known.configuration, 'simple'::regconfig), words_in.body)
    ) AS w
    CROSS JOIN LATERAL (
        SELECT w.lexeme AS word WHERE known.configuration IS NOT NULL
        UNION ALL
        SELECT substr(w.lexeme, start, size.letters)
        FROM (
            SELECT CASE WHEN w.lexeme ~ '[\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7af]' THEN 2 ELSE 4 END
        ) AS size (letters)
        CROSS JOIN LATERAL generate_series(
            1, greatest(1, length(w.lexeme) - size.letters + 1)
        ) AS start
        WHERE known.configuration IS NULL
    ) AS part
    GROUP BY 1
$$;

-- The tenant was looked up again for each of a scenario's words. That it exists is checked with the
-- row of scenario_words that the same statement writes; what goes with a tenant goes as before, after
-- its scenarios.
ALTER TABLE staffroom.postings DROP CONSTRAINT postings_tenant_id_fkey;

CREATE FUNCTION staffroom.delete_postings() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM staffroom.postings WHERE tenant_id = OLD.tenant_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER words_go_too AFTER DELETE ON staffroom.tenants
    FOR EACH ROW EXECUTE FUNCTION staffroom.delete_postings();
