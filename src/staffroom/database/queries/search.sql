-- Finding scenarios: by meaning, by words or by both, scored, ordered and read in one round trip.
-- {vectors} is the current generation's table. The legs of a search are put together by what is asked.

-- name: scope_size
-- How many scenarios a search has to compare, counted no further than %(at_most)s.
SELECT count(*) AS size
FROM (SELECT 1 FROM staffroom.scenarios AS s WHERE {scope} LIMIT %(at_most)s) AS counted;

-- name: spoken
-- The question's words in each language of the library, and how many scenarios have them.
counted AS MATERIALIZED (
    SELECT language, scenarios
    FROM staffroom.word_statistics
    WHERE tenant_id = %(tenant_id)s AND scenarios > 0
), spoken AS MATERIALIZED (
    SELECT t.language, w.word, w.term, w.scenarios
    FROM counted AS t
    CROSS JOIN LATERAL staffroom.words_asked(%(tenant_id)s, t.language, %(question)s) AS w
)

-- name: asked
-- The words that are looked for, with how rare they are, those first that the library knows. What
-- it does not know counts as asked in the one language that it knows best.
asked AS MATERIALIZED (
    SELECT s.word, s.term, ln(1 + (n.scenarios - s.scenarios + 0.5) / (s.scenarios + 0.5)) AS rarity
    FROM spoken AS s
    CROSS JOIN (SELECT sum(scenarios)::real AS scenarios FROM counted) AS n
    WHERE s.scenarios > 0 OR s.language = (
        SELECT language
        FROM spoken
        GROUP BY language
        ORDER BY avg((scenarios > 0)::integer) DESC, language
        LIMIT 1
    )
    GROUP BY s.word, s.term, rarity
    ORDER BY s.term IS NULL, rarity DESC, s.word
    LIMIT %(most_asked)s
)

-- name: question
-- The question as a vector that gives, times a scenario's words, the share of the highest possible
-- BM25 score that the scenario has.
question AS MATERIALIZED (
    SELECT (
        '{{' || string_agg(term || ':' || (rarity / 2.2 / total)::real, ',') || '}}/1000000000'
    )::sparsevec AS words
    FROM asked
    CROSS JOIN (SELECT sum(rarity) AS total FROM asked) AS of_all
)

-- name: near
-- Compares every vector in scope: "+ 0" hides the distance from the vector index.
near AS MATERIALIZED (
    SELECT v.scenario_id
    FROM staffroom.scenarios AS s
    JOIN staffroom.{vectors} AS v
        ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id
    WHERE v.tenant_id = %(tenant_id)s AND {scope}
    ORDER BY (v.embedding <#> %(embedding)s::halfvec) + 0, v.scenario_id
    LIMIT %(depth)s
)

-- name: walked
-- Walks the vector index. Ordered by distance alone, or the index cannot serve it.
near AS MATERIALIZED (
    SELECT v.scenario_id
    FROM staffroom.{vectors} AS v
    JOIN staffroom.scenarios AS s
        ON s.tenant_id = v.tenant_id AND s.scenario_id = v.scenario_id
    WHERE v.tenant_id = %(tenant_id)s AND {scope}
    ORDER BY v.embedding <#> %(embedding)s::halfvec
    LIMIT %(depth)s
)

-- name: led_to
-- The scenarios to which the question's words lead, read from the end of each word that weighs most.
-- Only the first of them are held against the filters, one by one.
said AS MATERIALIZED (
    SELECT led.scenario_id
    FROM (
        SELECT p.scenario_id, sum(a.rarity * p.weight) AS weight
        FROM asked AS a
        CROSS JOIN LATERAL (
            SELECT p.scenario_id, p.weight
            FROM staffroom.postings AS p
            WHERE p.tenant_id = %(tenant_id)s AND p.term = a.term
            ORDER BY p.weight DESC
            LIMIT (SELECT greatest(100, %(most_postings)s / count(*)) FROM asked)
        ) AS p
        GROUP BY p.scenario_id
        ORDER BY weight DESC, p.scenario_id
        LIMIT %(most_led)s
    ) AS led
    JOIN staffroom.scenarios AS s
        ON s.tenant_id = %(tenant_id)s AND s.scenario_id = led.scenario_id
    WHERE {scope}
    ORDER BY led.weight DESC, led.scenario_id
    LIMIT %(depth)s
)

-- name: compared
-- Every word in scope compared, each scenario once: where the way by words would lead past a filter, or
-- is the only one.
said AS MATERIALIZED (
    SELECT scenario_id
    FROM (
        SELECT w.scenario_id, w.words <#> (SELECT words FROM question) AS distance
        FROM staffroom.scenarios AS s
        JOIN staffroom.scenario_words AS w
            ON w.tenant_id = s.tenant_id AND w.scenario_id = s.scenario_id
        WHERE w.tenant_id = %(tenant_id)s AND {scope}
        OFFSET 0
    ) AS measured
    WHERE distance < 0
    ORDER BY distance, scenario_id
    LIMIT %(depth)s
)

-- name: scored
-- The scores of every scenario that comes into question, with that of its nearest example question,
-- and how many the way by meaning gave.
SELECT c.scenario_id, -(v.embedding <#> %(embedding)s::halfvec) AS similarity,
    (SELECT max(-(e <#> %(embedding)s::halfvec)) FROM unnest(v.examples) AS e) AS example,
    coalesce(-(w.words <#> (SELECT words FROM question)), 0) AS share,
    coalesce(w.language, '') AS language, (SELECT count(*) FROM near) AS near
FROM (SELECT scenario_id FROM near UNION SELECT scenario_id FROM said) AS c
JOIN staffroom.{vectors} AS v ON v.tenant_id = %(tenant_id)s AND v.scenario_id = c.scenario_id
LEFT JOIN staffroom.scenario_words AS w
    ON w.tenant_id = %(tenant_id)s AND w.scenario_id = c.scenario_id

-- name: scored_by_meaning
-- As scored, where words do not count.
SELECT c.scenario_id, -(v.embedding <#> %(embedding)s::halfvec) AS similarity,
    (SELECT max(-(e <#> %(embedding)s::halfvec)) FROM unnest(v.examples) AS e) AS example,
    0::double precision AS share, '' AS language, (SELECT count(*) FROM near) AS near
FROM near AS c
JOIN staffroom.{vectors} AS v ON v.tenant_id = %(tenant_id)s AND v.scenario_id = c.scenario_id

-- name: scored_by_words
-- As scored, where meaning does not count.
SELECT c.scenario_id, 0::double precision AS similarity, NULL::double precision AS example,
    -(w.words <#> (SELECT words FROM question)) AS share, w.language, 0::bigint AS near
FROM said AS c
JOIN staffroom.scenario_words AS w
    ON w.tenant_id = %(tenant_id)s AND w.scenario_id = c.scenario_id

-- name: candidates
-- What comes into question, in no order.
WITH {legs} {scores};

-- name: found
-- The best of what comes into question, best first, with what they say, their vectors and how often
-- it was reported that they worked. The score is that of retrieval/fusion.py: the cosine of the best
-- view, and what the share of the words counts beside it.
WITH {legs}, best AS MATERIALIZED (
    SELECT scenario_id, near,
        similarity + %(examples_weight)s::double precision
            * greatest(0, coalesce(example, -1) - similarity)
            + share * coalesce(
                (%(word_weights)s::jsonb ->> language)::double precision,
                %(other_words)s::double precision
            ) AS score
    FROM ({scores}) AS scored
    ORDER BY score DESC, scenario_id
    LIMIT %(most)s
)
SELECT {scenario}, v.embedding, coalesce(t.worked, 0) AS worked, b.score, b.near
FROM best AS b
JOIN staffroom.scenarios AS s ON s.tenant_id = %(tenant_id)s AND s.scenario_id = b.scenario_id
{newest_revision}
JOIN staffroom.{vectors} AS v ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id
LEFT JOIN staffroom.standings AS t
    ON t.tenant_id = %(tenant_id)s AND t.scenario_id = s.scenario_id
WHERE r.tenant_id = %(tenant_id)s AND v.tenant_id = %(tenant_id)s
ORDER BY b.score DESC, b.scenario_id;

-- name: told
-- What scenarios say, as found gives it.
SELECT {scenario}, v.embedding, coalesce(t.worked, 0) AS worked
FROM staffroom.scenarios AS s
{newest_revision}
JOIN staffroom.{vectors} AS v ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id
LEFT JOIN staffroom.standings AS t
    ON t.tenant_id = %(tenant_id)s AND t.scenario_id = s.scenario_id
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s AND v.tenant_id = %(tenant_id)s
    AND s.scenario_id = ANY(%(scenario_ids)s);

-- name: nearest_walking
-- How near those are that the walk finds.
WITH {walked}
SELECT -(v.embedding <#> %(embedding)s::halfvec) AS similarity
FROM near AS c
JOIN staffroom.{vectors} AS v ON v.tenant_id = %(tenant_id)s AND v.scenario_id = c.scenario_id;

-- name: nearest_exactly
-- How near the nearest are, by comparing every vector in scope.
SELECT -(v.embedding <#> %(embedding)s::halfvec) AS similarity
FROM staffroom.scenarios AS s
JOIN staffroom.{vectors} AS v
    ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id
WHERE v.tenant_id = %(tenant_id)s AND {scope}
ORDER BY (v.embedding <#> %(embedding)s::halfvec) + 0
LIMIT %(limit)s;

-- name: search_bare
-- The least that a search can be: what `staffroom bench search` measures ours against.
SELECT v.scenario_id
FROM staffroom.{vectors} AS v
WHERE v.tenant_id = %(tenant_id)s
ORDER BY v.embedding <#> %(embedding)s
LIMIT %(limit)s;
