-- What a draft would be beside what is there. {vectors} is the current generation's table.

-- name: like_draft
-- The scenarios nearest to a draft, whatever their status, but for the one that is being edited.
SELECT nearest.scenario_id AS id, r.name, nearest.status, nearest.similarity
FROM (
    SELECT s.tenant_id, s.scenario_id, s.revision, s.status,
        -(v.embedding <#> %(embedding)s) AS similarity
    FROM staffroom.{vectors} AS v
    JOIN staffroom.scenarios AS s
        ON s.tenant_id = v.tenant_id AND s.scenario_id = v.scenario_id
    WHERE v.tenant_id = %(tenant_id)s AND s.tenant_id = %(tenant_id)s
        AND s.status = ANY(%(statuses)s::text[])
        AND (%(but)s::uuid IS NULL OR s.scenario_id <> %(but)s::uuid)
    ORDER BY v.embedding <#> %(embedding)s
    LIMIT %(limit)s
) AS nearest
JOIN staffroom.scenario_revisions AS r
    ON r.tenant_id = nearest.tenant_id AND r.scenario_id = nearest.scenario_id
        AND r.revision = nearest.revision
WHERE r.tenant_id = %(tenant_id)s
ORDER BY nearest.similarity DESC, nearest.scenario_id;

-- name: place_draft
-- What comes into question beside a draft, with its scores, as if the draft were in the library;
-- the draft's own cosines are known to whoever asks.
WITH draft AS MATERIALIZED (
    SELECT w.word, w.frequency, sum(w.frequency) OVER () AS length
    FROM staffroom.words_in(%(language)s, %(body)s) AS w
), counted AS MATERIALIZED (
    SELECT split_part(lower(%(language)s), '-', 1) AS language, 1::bigint AS scenarios,
        coalesce((SELECT max(length) FROM draft), 0) AS length
    UNION ALL
    SELECT language, scenarios, length
    FROM staffroom.word_statistics
    WHERE tenant_id = %(tenant_id)s
), spoken AS MATERIALIZED (
    SELECT t.language, w.word, w.term, w.scenarios + (d.word IS NOT NULL)::integer AS scenarios
    FROM (SELECT DISTINCT language FROM counted) AS t
    CROSS JOIN LATERAL staffroom.words_asked(%(tenant_id)s, t.language, %(question)s) AS w
    LEFT JOIN draft AS d ON d.word = w.word
), {asked}, {question}, {near}, {led_to} {scored}
UNION ALL
SELECT %(draft_id)s, %(similarity)s::double precision, %(example)s::double precision, coalesce((
    SELECT sum(a.rarity * d.frequency / (d.frequency + 1.2 * (0.25 + 0.75 * d.length / mean.length)))
    FROM asked AS a
    JOIN draft AS d ON d.word = a.word
    CROSS JOIN (
        SELECT sum(length)::real / sum(scenarios) AS length
        FROM counted
        WHERE language = split_part(lower(%(language)s), '-', 1)
    ) AS mean
) / (SELECT sum(rarity) FROM asked), 0), split_part(lower(%(language)s), '-', 1), 0;

-- name: asked_like_draft
-- The questions nearest to a draft, among the newest that were asked while this model embedded them.
SELECT question, embedding, -(embedding <#> %(embedding)s) AS similarity
FROM (
    SELECT DISTINCT ON (lower(asked)) asked AS question, question_embedding AS embedding
    FROM (
        SELECT asked, question_embedding, interaction_id
        FROM staffroom.interactions
        WHERE tenant_id = %(tenant_id)s AND generation_id = %(generation_id)s
        ORDER BY interaction_id DESC
        LIMIT %(newest)s
    ) AS recent
    ORDER BY lower(asked), interaction_id DESC
) AS different
ORDER BY similarity DESC, question
LIMIT %(limit)s;
