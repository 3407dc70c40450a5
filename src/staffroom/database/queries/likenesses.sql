-- Pairs of scenarios that may be one. {vectors} is the current generation's table.

-- name: try_lock_library
-- As lock_library, but nobody waits: whoever writes goes first.
SELECT pg_try_advisory_xact_lock(
    hashtextextended('staffroom.scenarios ' || %(tenant_id)s::text, 0)
) AS is_locked;

-- name: due_likenesses
-- Scenarios that were not compared as they are now; of all, or of those given.
SELECT {scenario}, s.status, d.text_sha256
FROM staffroom.scenarios AS s
{newest_revision}
JOIN staffroom.{vectors} AS v ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id
LEFT JOIN staffroom.likeness_done AS d
    ON d.tenant_id = s.tenant_id AND d.scenario_id = s.scenario_id
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s AND v.tenant_id = %(tenant_id)s
    AND (d.revision, d.generation_id) IS DISTINCT FROM (s.revision, %(generation_id)s::uuid)
    AND (%(scenario_ids)s::uuid[] IS NULL OR s.scenario_id = ANY(%(scenario_ids)s::uuid[]))
ORDER BY s.scenario_id
LIMIT %(limit)s;

-- name: compared_scenarios
-- How many scenarios there are, and how many of them were compared as they are now.
SELECT count(*)::integer AS total,
    (count(*) FILTER (
        WHERE (d.revision, d.generation_id) IS NOT DISTINCT FROM (s.revision, %(generation_id)s::uuid)
    ))::integer AS done
FROM staffroom.scenarios AS s
LEFT JOIN staffroom.likeness_done AS d
    ON d.tenant_id = s.tenant_id AND d.scenario_id = s.scenario_id
WHERE s.tenant_id = %(tenant_id)s;

-- name: forget_foreign_likenesses
-- Another model's similarities are none of this one's; what was decided stays decided.
DELETE FROM staffroom.likenesses
WHERE tenant_id = %(tenant_id)s AND decision = 'open' AND generation_id <> %(generation_id)s;

-- name: withdraw_likenesses
-- Of the given scenarios: the pairs of those with another text, whatever was decided; the open pairs
-- of the retired ones; and merges whose scenarios are both in use again. Who lost a neighbour so is
-- compared anew.
WITH gone AS (
    DELETE FROM staffroom.likenesses AS l
    WHERE l.tenant_id = %(tenant_id)s
        AND (l.one = ANY(%(scenario_ids)s::uuid[]) OR l.other = ANY(%(scenario_ids)s::uuid[]))
        AND CASE l.decision
            WHEN 'merged' THEN NOT EXISTS (
                SELECT FROM staffroom.scenarios AS s
                WHERE s.tenant_id = %(tenant_id)s AND s.scenario_id IN (l.one, l.other)
                    AND s.status = 'retired'
            )
            ELSE ARRAY[l.one, l.other] && %(changed_ids)s::uuid[]
                OR l.decision = 'open' AND ARRAY[l.one, l.other] && %(retired_ids)s::uuid[]
        END
    RETURNING l.one, l.other
)
UPDATE staffroom.likeness_done AS d
SET revision = 0
FROM gone
WHERE d.tenant_id = %(tenant_id)s AND d.scenario_id IN (gone.one, gone.other)
    AND d.scenario_id <> ALL(%(scenario_ids)s::uuid[]);

-- name: plan_likenesses
-- How the next statement finds what is nearest: a small library is compared whole, in a large one
-- the vector index is walked. Left alone, the planner takes a large one for small.
SELECT set_config('enable_indexscan', CASE WHEN size > %(whole)s THEN 'on' ELSE 'off' END, true),
    set_config('enable_sort', CASE WHEN size > %(whole)s THEN 'off' ELSE 'on' END, true)
FROM (
    SELECT count(*) AS size
    FROM (
        SELECT FROM staffroom.scenarios WHERE tenant_id = %(tenant_id)s LIMIT %(whole)s + 1
    ) AS counted
) AS library;

-- name: plan_as_usual
-- What follows is planned as everywhere.
SELECT set_config('enable_indexscan', 'on', true), set_config('enable_sort', 'on', true);

-- name: add_likenesses
-- Each of the given scenarios with the others that are nearest to it, near or not, and with further
-- ones that are near.
INSERT INTO staffroom.likenesses (tenant_id, one, other, similarity, generation_id)
SELECT DISTINCT ON (one, other) %(tenant_id)s, one, other, similarity, %(generation_id)s
FROM (
    SELECT least(mine.scenario_id, near.scenario_id) AS one,
        greatest(mine.scenario_id, near.scenario_id) AS other, near.similarity,
        row_number() OVER (
            PARTITION BY mine.scenario_id ORDER BY near.similarity DESC, near.scenario_id
        ) AS place
    FROM staffroom.{vectors} AS mine
    CROSS JOIN LATERAL (
        SELECT v.scenario_id, -(v.embedding <#> mine.embedding) AS similarity
        FROM staffroom.{vectors} AS v
        JOIN staffroom.scenarios AS s
            ON s.tenant_id = v.tenant_id AND s.scenario_id = v.scenario_id
        WHERE v.tenant_id = %(tenant_id)s AND s.tenant_id = %(tenant_id)s
            AND s.status <> 'retired' AND v.scenario_id <> mine.scenario_id
        ORDER BY v.embedding <#> mine.embedding
        LIMIT %(most)s
    ) AS near
    WHERE mine.tenant_id = %(tenant_id)s AND mine.scenario_id = ANY(%(scenario_ids)s::uuid[])
) AS pairs
WHERE place <= %(nearest)s OR similarity >= %(near)s::real
ON CONFLICT (tenant_id, one, other) DO UPDATE
SET similarity = excluded.similarity, generation_id = excluded.generation_id;

-- name: settle_likenesses
-- The given scenarios were compared in these revisions.
INSERT INTO staffroom.likeness_done (tenant_id, scenario_id, revision, generation_id, text_sha256)
SELECT %(tenant_id)s, c.scenario_id, c.revision, %(generation_id)s, c.text_sha256
FROM unnest(%(scenario_ids)s::uuid[], %(revisions)s::integer[], %(digests)s::bytea[])
    AS c (scenario_id, revision, text_sha256)
ON CONFLICT (tenant_id, scenario_id) DO UPDATE
SET revision = excluded.revision, generation_id = excluded.generation_id,
    text_sha256 = excluded.text_sha256;

-- name: add_likeness
-- The two are a pair, also if neither is among the nearest of the other.
INSERT INTO staffroom.likenesses (tenant_id, one, other, similarity, generation_id)
SELECT %(tenant_id)s, a.scenario_id, b.scenario_id, -(a.embedding <#> b.embedding),
    %(generation_id)s
FROM staffroom.{vectors} AS a
JOIN staffroom.{vectors} AS b ON b.tenant_id = a.tenant_id
WHERE a.tenant_id = %(tenant_id)s AND a.scenario_id = %(one)s
    AND b.tenant_id = %(tenant_id)s AND b.scenario_id = %(other)s
ON CONFLICT (tenant_id, one, other) DO NOTHING;

-- name: likeness_columns
-- A pair with what its two scenarios are called now.
l.one, a.name AS one_name, s.status AS one_status, s.revision AS one_revision,
    l.other, b.name AS other_name, o.status AS other_status, o.revision AS other_revision,
    l.similarity, l.decision, l.kept, l.decided_by, l.reason, l.decided_at

-- name: likeness_heads
-- From a pair to its two scenarios.
JOIN staffroom.scenarios AS s ON s.tenant_id = l.tenant_id AND s.scenario_id = l.one
JOIN staffroom.scenarios AS o ON o.tenant_id = l.tenant_id AND o.scenario_id = l.other

-- name: likeness_texts
-- From the two scenarios to what they say now.
JOIN staffroom.scenario_revisions AS a
    ON a.tenant_id = s.tenant_id AND a.scenario_id = s.scenario_id AND a.revision = s.revision
JOIN staffroom.scenario_revisions AS b
    ON b.tenant_id = o.tenant_id AND b.scenario_id = o.scenario_id AND b.revision = o.revision

-- name: get_likeness
-- One pair.
SELECT {likeness_columns}
FROM staffroom.likenesses AS l
{likeness_heads}
{likeness_texts}
WHERE l.tenant_id = %(tenant_id)s AND s.tenant_id = %(tenant_id)s AND o.tenant_id = %(tenant_id)s
    AND a.tenant_id = %(tenant_id)s AND b.tenant_id = %(tenant_id)s
    AND l.one = %(one)s AND l.other = %(other)s;

-- name: list_likenesses
-- Pairs after the given one, the most similar first. An open pair is one of two scenarios in use.
SELECT {likeness_columns}
FROM staffroom.likenesses AS l
{likeness_heads}
{likeness_texts}
WHERE l.tenant_id = %(tenant_id)s AND s.tenant_id = %(tenant_id)s AND o.tenant_id = %(tenant_id)s
    AND a.tenant_id = %(tenant_id)s AND b.tenant_id = %(tenant_id)s
    AND l.decision = %(decision)s
    AND (l.decision <> 'open' OR (s.status <> 'retired' AND o.status <> 'retired'))
    AND (%(scenario_id)s::uuid IS NULL OR %(scenario_id)s::uuid IN (l.one, l.other))
    AND (
        %(similarity)s::real IS NULL
        OR l.similarity <= %(similarity)s::real AND (
            l.similarity < %(similarity)s::real
            OR (l.one, l.other) > (%(one)s::uuid, %(other)s::uuid)
        )
    )
ORDER BY l.similarity DESC, l.one, l.other
LIMIT %(limit)s;

-- name: near_likenesses
-- How many open pairs are at least that similar.
SELECT count(*)::integer AS size
FROM staffroom.likenesses AS l
{likeness_heads}
WHERE l.tenant_id = %(tenant_id)s AND s.tenant_id = %(tenant_id)s AND o.tenant_id = %(tenant_id)s
    AND l.decision = 'open' AND l.similarity >= %(near)s::real
    AND s.status <> 'retired' AND o.status <> 'retired';

-- name: decide_likeness
-- What a person decided of a pair.
UPDATE staffroom.likenesses
SET decision = %(decision)s, kept = %(kept)s, decided_by = %(author)s, reason = %(reason)s,
    decided_at = CASE WHEN %(decision)s = 'open' THEN NULL ELSE now() END
WHERE tenant_id = %(tenant_id)s AND one = %(one)s AND other = %(other)s;

-- name: repoint_judgements
-- What was known of a scenario is known of the one that it is merged into; the better grade counts.
WITH moved AS (
    DELETE FROM staffroom.golden_judgements
    WHERE tenant_id = %(tenant_id)s AND scenario_id = %(gone)s
    RETURNING golden_id, grade
)
INSERT INTO staffroom.golden_judgements AS j (tenant_id, golden_id, scenario_id, grade)
SELECT %(tenant_id)s, golden_id, %(kept)s, grade FROM moved
ON CONFLICT (tenant_id, golden_id, scenario_id) DO UPDATE
SET grade = greatest(j.grade, excluded.grade)
RETURNING golden_id;

-- name: repeated_content
-- Of the given keys, those that the library does not have, each with the first scenario that has
-- the same content under another one, if there is one.
SELECT given.source_id, same.scenario_id, same.name
FROM unnest(%(source_ids)s::text[], %(digests)s::bytea[]) AS given (source_id, content_sha256)
LEFT JOIN LATERAL (
    SELECT s.scenario_id, r.name
    FROM staffroom.scenarios AS s
    {newest_revision}
    WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
        AND s.content_sha256 = given.content_sha256
    ORDER BY s.scenario_id
    LIMIT 1
) AS same ON true
WHERE NOT EXISTS (
    SELECT FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s AND s.source_id = given.source_id
);
