-- The words of scenarios: kept with every write, weighed as BM25 weighs them.
--
-- weight = f (k1 + 1) / (f + k1 (1 - b + b length / mean length)), with k1 = 1.2 and b = 0.75
-- (Robertson and Zaragoza 2009), the mean as it is when the scenario is written. How rare a word
-- is enters with the question.

-- name: words_of
-- The words of texts and how often each stands in them, in the order of the texts, as arrays that
-- add_words reads. Finding them is most of the work, and needs no lock.
SELECT split_part(lower(r.language), '-', 1) AS language, coalesce(w.words, '{{}}')::text AS words,
    coalesce(w.frequencies, '{{}}')::text AS frequencies, coalesce(w.length, 0) AS length
FROM ROWS FROM (json_to_recordset(%(rows)s) AS (language text, body text))
    WITH ORDINALITY AS r (language, body, place)
CROSS JOIN LATERAL (
    SELECT array_agg(word) AS words, array_agg(frequency) AS frequencies,
        sum(frequency) AS length
    FROM staffroom.words_in(r.language, r.body)
) AS w
ORDER BY r.place;

-- name: add_words
-- Scenarios that have no words yet get theirs. Of each, the %(most_words)s that tell most about
-- it lead to it.
WITH texts AS MATERIALIZED (
    SELECT r.*
    FROM json_to_recordset(%(rows)s) AS r (
        scenario_id uuid, revision integer, language text, words text[], frequencies integer[],
        length bigint
    )
), counted AS (
    INSERT INTO staffroom.word_statistics AS t (tenant_id, language, scenarios, length)
    SELECT %(tenant_id)s, language, count(*), sum(length)
    FROM texts
    GROUP BY language
    ON CONFLICT (tenant_id, language) DO UPDATE
        SET scenarios = t.scenarios + excluded.scenarios, length = t.length + excluded.length
    RETURNING t.language, greatest(t.length, 1)::real / t.scenarios AS mean_length
), given AS MATERIALIZED (
    SELECT t.scenario_id, t.length, w.word, w.frequency, c.mean_length
    FROM texts AS t
    JOIN counted AS c ON c.language = t.language
    CROSS JOIN LATERAL unnest(t.words, t.frequencies) AS w (word, frequency)
), known AS (
    INSERT INTO staffroom.vocabulary AS v (tenant_id, word, term, scenarios)
    SELECT %(tenant_id)s, used.word, coalesce(own.term, last.term + used.number), used.scenarios
    FROM (
        SELECT word, count(*) AS scenarios, row_number() OVER (ORDER BY word) AS number
        FROM given
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
    SELECT g.scenario_id, k.term, k.scenarios,
        (2.2 * g.frequency / (g.frequency + 1.2 * (0.25 + 0.75 * g.length / g.mean_length)))::real
            AS weight
    FROM given AS g
    JOIN known AS k ON k.word = g.word
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
    ) AS ordered
    WHERE place <= %(most_words)s
    -- In the order of the index, so that a batch goes through it once.
    ORDER BY term, weight, scenario_id
)
INSERT INTO staffroom.scenario_words (tenant_id, scenario_id, revision, language, length, words)
SELECT %(tenant_id)s, t.scenario_id, t.revision, t.language, t.length,
    ('{{' || coalesce(w.pairs, '') || '}}/1000000000')::sparsevec
FROM texts AS t
LEFT JOIN (
    SELECT scenario_id, string_agg(term || ':' || weight, ',') AS pairs
    FROM weighed
    GROUP BY scenario_id
) AS w ON w.scenario_id = t.scenario_id;

-- name: forget_words
-- Scenarios that are about to change or to go have no words.
WITH gone AS (
    DELETE FROM staffroom.scenario_words
    WHERE tenant_id = %(tenant_id)s AND scenario_id = ANY(%(scenario_ids)s)
    RETURNING scenario_id, language, length, words
), listed AS MATERIALIZED (
    SELECT g.scenario_id, split_part(pair, ':', 1)::integer AS term,
        split_part(pair, ':', 2)::real AS weight
    FROM gone AS g
    CROSS JOIN LATERAL string_to_table(split_part(ltrim(g.words::text, '{{'), '}}', 1), ',') AS pair
    WHERE pair <> ''
), unlinked AS (
    DELETE FROM staffroom.postings AS p
    USING listed AS l
    WHERE p.tenant_id = %(tenant_id)s AND p.term = l.term AND p.weight = l.weight
        AND p.scenario_id = l.scenario_id
), uncounted AS (
    UPDATE staffroom.vocabulary AS v
    SET scenarios = v.scenarios - l.scenarios
    FROM (SELECT term, count(*) AS scenarios FROM listed GROUP BY term) AS l
    WHERE v.tenant_id = %(tenant_id)s AND v.term = l.term
)
UPDATE staffroom.word_statistics AS t
SET scenarios = t.scenarios - g.scenarios, length = t.length - g.length
FROM (
    SELECT language, count(*) AS scenarios, sum(length) AS length FROM gone GROUP BY language
) AS g
WHERE t.tenant_id = %(tenant_id)s AND t.language = g.language;
