-- How words were found and stored before migration 0015, to be held against how they are now.

CREATE FUNCTION staffroom.words_in_before(language text, body text)
RETURNS TABLE (word text, frequency integer)
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT staffroom.without_accents(part.word), sum(cardinality(w.positions))::integer
    FROM (
        SELECT (
            SELECT l.configuration
            FROM staffroom.text_search_languages AS l
            WHERE l.language = split_part(lower(words_in_before.language), '-', 1)
        ) AS configuration
    ) AS known
    CROSS JOIN LATERAL unnest(
        to_tsvector(coalesce(known.configuration, 'simple'::regconfig), words_in_before.body)
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

-- name: add_words
-- Scenarios that have no words yet get theirs. Of each, the %(most_words)s that tell most about
-- it lead to it.
WITH given AS MATERIALIZED (
    SELECT r.scenario_id, r.revision, split_part(lower(r.language), '-', 1) AS language, w.word,
        w.frequency, sum(w.frequency) OVER (PARTITION BY r.scenario_id) AS length
    FROM json_to_recordset(%(rows)s) AS r (
        scenario_id uuid, revision integer, language text, body text
    )
    LEFT JOIN LATERAL staffroom.words_in_before(r.language, r.body) AS w ON true
), counted AS (
    INSERT INTO staffroom.word_statistics AS t (tenant_id, language, scenarios, length)
    SELECT %(tenant_id)s, language, count(DISTINCT scenario_id), coalesce(sum(frequency), 0)
    FROM given
    GROUP BY language
    ON CONFLICT (tenant_id, language) DO UPDATE
        SET scenarios = t.scenarios + excluded.scenarios, length = t.length + excluded.length
    RETURNING t.language, greatest(t.length, 1)::real / t.scenarios AS mean_length
), known AS (
    INSERT INTO staffroom.vocabulary AS v (tenant_id, word, term, scenarios)
    SELECT %(tenant_id)s, used.word, coalesce(own.term, last.term + used.number), used.scenarios
    FROM (
        SELECT word, count(*) AS scenarios, row_number() OVER (ORDER BY word) AS number
        FROM given
        WHERE word IS NOT NULL
        GROUP BY word
    ) AS used
    CROSS JOIN (
        SELECT coalesce(max(term), 0) AS term
        FROM staffroom.vocabulary
        WHERE tenant_id = %(tenant_id)s
    ) AS last
    LEFT JOIN staffroom.vocabulary AS own
        ON own.tenant_id = %(tenant_id)s AND own.word = used.word
    ON CONFLICT (tenant_id, word) DO UPDATE SET scenarios = v.scenarios + excluded.scenarios
    RETURNING v.word, v.term, v.scenarios
), weighed AS MATERIALIZED (
    SELECT g.scenario_id, g.revision, g.language, g.length, k.term, k.scenarios,
        (2.2 * g.frequency / (g.frequency + 1.2 * (0.25 + 0.75 * g.length / c.mean_length)))::real
            AS weight
    FROM given AS g
    JOIN counted AS c ON c.language = g.language
    LEFT JOIN known AS k ON k.word = g.word
), led AS (
    INSERT INTO staffroom.postings (tenant_id, term, weight, scenario_id)
    SELECT %(tenant_id)s, term, weight, scenario_id
    FROM (
        SELECT w.*, row_number() OVER (
            PARTITION BY w.scenario_id
            ORDER BY w.weight * ln(1 + n.scenarios / w.scenarios::real) DESC, w.term
        ) AS place
        FROM weighed AS w
        CROSS JOIN (
            SELECT coalesce(sum(scenarios), 0) + 1 AS scenarios
            FROM staffroom.word_statistics
            WHERE tenant_id = %(tenant_id)s
        ) AS n
        WHERE w.term IS NOT NULL
    ) AS ordered
    WHERE place <= %(most_words)s
)
INSERT INTO staffroom.scenario_words (tenant_id, scenario_id, revision, language, length, words)
SELECT %(tenant_id)s, scenario_id, revision, language, coalesce(max(length), 0),
    ('{{' || coalesce(string_agg(term || ':' || weight, ','), '') || '}}/1000000000')::sparsevec
FROM weighed
GROUP BY scenario_id, revision, language;
