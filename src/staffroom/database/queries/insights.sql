-- What was asked in a period, how it was answered, and what that says of the library.
-- Ids grow with time: a period is a range of them, read in the order of the key. The time itself
-- decides, because the clock that makes ids is not the database's.

-- name: insight_days
-- Outcomes, latency and what came from kept answers, day by day; the row without a day is the whole.
SELECT day,
    count(*)::integer AS asked,
    count(*) FILTER (WHERE outcome = 'written')::integer AS written,
    count(*) FILTER (WHERE outcome = 'direct')::integer AS direct,
    count(*) FILTER (WHERE outcome = 'quoted')::integer AS quoted,
    count(*) FILTER (WHERE outcome = 'abstained')::integer AS abstained,
    count(answered_ms)::integer AS timed,
    count(answered_ms) FILTER (WHERE NOT was_searched)::integer AS from_cache,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY answered_ms) AS p50_ms,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY answered_ms) AS p95_ms,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY first_sentence_ms) AS first_sentence_p50_ms,
    avg(embedded_ms) FILTER (WHERE was_searched) AS embedding_ms,
    avg(found_ms - embedded_ms) AS search_ms,
    avg(answered_ms - found_ms) AS writing_ms
FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day, outcome,
        timings ? 'found_ms' AS was_searched,
        (timings ->> 'embedded_ms')::float8 AS embedded_ms,
        (timings ->> 'found_ms')::float8 AS found_ms,
        (timings ->> 'answered_ms')::float8 AS answered_ms,
        (timings ->> 'first_sentence_ms')::float8 AS first_sentence_ms
    FROM staffroom.interactions
    WHERE tenant_id = %(tenant_id)s AND interaction_id >= %(first_id)s
        AND created_at >= %(since)s AND created_at < %(until)s
) AS exchanges
GROUP BY GROUPING SETS ((day), ())
ORDER BY day NULLS FIRST;

-- name: insight_scenarios
-- How often answers cited each scenario and what was said of it; then published ones that none
-- cited. A verdict on a whole answer is one on each scenario that it cites.
WITH exchanges AS MATERIALIZED (
    SELECT interaction_id, sentences
    FROM staffroom.interactions
    WHERE tenant_id = %(tenant_id)s AND interaction_id >= %(first_id)s
        AND created_at >= %(since)s AND created_at < %(until)s AND outcome <> 'abstained'
), cited AS MATERIALIZED (
    SELECT DISTINCT e.interaction_id, (citation #>> '{{}}')::uuid AS scenario_id
    FROM exchanges AS e
    CROSS JOIN jsonb_path_query(e.sentences, '$[*].citations[*]') AS citation
), verdicts AS (
    SELECT f.scenario_id, f.verdict
    FROM staffroom.feedback AS f
    JOIN exchanges AS e ON e.interaction_id = f.interaction_id
    WHERE f.tenant_id = %(tenant_id)s AND f.interaction_id >= %(first_id)s
        AND f.scenario_id IS NOT NULL
    UNION ALL
    SELECT c.scenario_id, f.verdict
    FROM staffroom.feedback AS f
    JOIN cited AS c ON c.interaction_id = f.interaction_id
    WHERE f.tenant_id = %(tenant_id)s AND f.interaction_id >= %(first_id)s
        AND f.scenario_id IS NULL
), counted AS MATERIALIZED (
    SELECT scenario_id,
        count(*) FILTER (WHERE verdict IS NULL)::integer AS used,
        count(*) FILTER (WHERE verdict = 'helpful')::integer AS helpful,
        count(*) FILTER (WHERE verdict = 'not_helpful')::integer AS not_helpful,
        count(*) FILTER (WHERE verdict = 'did_not_fit')::integer AS did_not_fit,
        count(*) FILTER (WHERE verdict = 'worked')::integer AS worked
    FROM (
        SELECT scenario_id, NULL AS verdict FROM cited
        UNION ALL
        SELECT scenario_id, verdict FROM verdicts
    ) AS said
    GROUP BY scenario_id
), ranked AS (
    SELECT c.*,
        row_number() OVER (ORDER BY used DESC, scenario_id) AS place_by_use,
        row_number() OVER (
            ORDER BY helpful + worked + not_helpful + did_not_fit DESC, used DESC, scenario_id
        ) AS place_by_verdicts
    FROM counted AS c
    JOIN staffroom.scenarios AS s USING (scenario_id)
    WHERE s.tenant_id = %(tenant_id)s
), unused AS (
    SELECT s.scenario_id, count(*) OVER ()::integer AS size
    FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s AND s.status = 'published'
        AND NOT EXISTS (SELECT FROM cited AS c WHERE c.scenario_id = s.scenario_id)
    ORDER BY s.scenario_id
    LIMIT %(most)s
), shown AS (
    SELECT scenario_id, used, helpful, not_helpful, did_not_fit, worked, NULL::integer AS unused
    FROM ranked
    WHERE place_by_use <= %(most)s OR place_by_verdicts <= %(most)s
    UNION ALL
    SELECT scenario_id, 0, 0, 0, 0, 0, size FROM unused
)
SELECT s.scenario_id AS id, r.name, shown.used, shown.helpful, shown.not_helpful,
    shown.did_not_fit, shown.worked, shown.unused
FROM shown
JOIN staffroom.scenarios AS s ON s.scenario_id = shown.scenario_id
{newest_revision}
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
ORDER BY shown.used DESC, s.scenario_id;

-- name: insight_gaps
-- The newest questions of the period that the library failed and still fails, with their groups;
-- of a group, the most central question first.
SELECT *
FROM (
    SELECT g.group_id, g.state, g.words, m.nearness, i.interaction_id, i.asked AS question,
        i.created_at, m.kind
    FROM staffroom.gap_members AS m
    JOIN staffroom.gap_groups AS g ON g.tenant_id = m.tenant_id AND g.group_id = m.group_id
    JOIN staffroom.interactions AS i
        ON i.tenant_id = m.tenant_id AND i.interaction_id = m.interaction_id
    WHERE m.tenant_id = %(tenant_id)s AND g.tenant_id = %(tenant_id)s
        AND i.tenant_id = %(tenant_id)s AND g.state IN ('open', 'drafted')
        AND m.interaction_id >= %(first_id)s
        AND i.created_at >= %(since)s AND i.created_at < %(until)s
    ORDER BY m.interaction_id DESC
    LIMIT %(most)s
) AS newest
ORDER BY nearness DESC, interaction_id DESC;
