-- Scenarios, their revisions and vectors. {vectors} is the current generation's table.

-- name: lock_library
-- One writer at a time for a tenant's scenarios; searches do not wait for it.
SELECT pg_advisory_xact_lock(hashtextextended('staffroom.scenarios ' || %(tenant_id)s::text, 0));

-- name: known_scenarios
-- What the library has under the given keys, and whether a search finds it as it is now.
SELECT s.source_id, s.scenario_id, s.revision, s.text_revision, s.content_sha256,
    v.examples IS NOT NULL AND w.scenario_id IS NOT NULL AS is_indexed
FROM staffroom.scenarios AS s
LEFT JOIN staffroom.{vectors} AS v
    ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id AND v.revision = s.text_revision
LEFT JOIN staffroom.scenario_words AS w
    ON w.tenant_id = s.tenant_id AND w.scenario_id = s.scenario_id AND w.revision = s.text_revision
WHERE s.tenant_id = %(tenant_id)s AND s.source_id = ANY(%(source_ids)s);

-- name: add_scenarios
-- New heads, all in one statement. (COPY is refused where row-level security holds.)
INSERT INTO staffroom.scenarios (
    tenant_id, scenario_id, source_id, revision, text_revision, content_sha256, status, category,
    grade_bands, subjects, setting, tags, language, review_by
)
SELECT %(tenant_id)s, r.scenario_id, r.source_id, r.revision, r.text_revision,
    decode(r.content_sha256, 'hex'), r.status, r.category, r.grade_bands, r.subjects, r.setting, r.tags, r.language, r.review_by
FROM json_to_recordset(%(rows)s) AS r (
    scenario_id uuid, source_id text, revision integer, text_revision integer,
    content_sha256 text, status text,
    category text, grade_bands text[], subjects text[], setting text, tags text[],
    language text, review_by date
);

-- name: update_scenarios
-- Heads follow their newest revision.
UPDATE staffroom.scenarios AS s
SET revision = r.revision, text_revision = r.text_revision,
    content_sha256 = decode(r.content_sha256, 'hex'), status = r.status, category = r.category,
    grade_bands = r.grade_bands, subjects = r.subjects, setting = r.setting,
    tags = r.tags, language = r.language, review_by = r.review_by, updated_at = now()
FROM json_to_recordset(%(rows)s) AS r (
    scenario_id uuid, revision integer, text_revision integer, content_sha256 text, status text,
    category text, grade_bands text[], subjects text[], setting text, tags text[],
    language text, review_by date
)
WHERE s.tenant_id = %(tenant_id)s AND s.scenario_id = r.scenario_id;

-- name: add_revisions
-- Revisions are only ever added.
INSERT INTO staffroom.scenario_revisions (
    tenant_id, scenario_id, revision, name, description, expected_response,
    example_questions, metadata, author, reason
)
SELECT %(tenant_id)s, r.scenario_id, r.revision, r.name, r.description, r.expected_response,
    r.example_questions, r.metadata, %(author)s, %(reason)s
FROM json_to_recordset(%(rows)s) AS r (
    scenario_id uuid, revision integer, name text, description text, expected_response text,
    example_questions text[], metadata jsonb
);

-- name: embedded_texts
-- What scenarios say now, with the vectors of just that, as far as this generation has them.
SELECT s.scenario_id, r.name, r.description, r.example_questions, s.language, v.embedding, v.examples
FROM staffroom.scenarios AS s
{newest_revision}
LEFT JOIN staffroom.{vectors} AS v
    ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id AND v.revision = s.text_revision
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
    AND s.scenario_id = ANY(%(scenario_ids)s);

-- name: delete_vectors
-- The old vectors of scenarios that are about to get new ones.
DELETE FROM staffroom.{vectors}
WHERE tenant_id = %(tenant_id)s AND scenario_id = ANY(%(scenario_ids)s);

-- name: add_vectors
-- A batch of vectors, packed as one binary array, and one of those of their example questions, each
-- with the scenario that it belongs to, in the order of the questions.
INSERT INTO staffroom.{vectors} (tenant_id, scenario_id, revision, embedding, examples)
SELECT %(tenant_id)s, r.scenario_id, r.revision, r.embedding, coalesce(e.examples, '{{}}')
FROM unnest(
    %(scenario_ids)s::uuid[], %(revisions)s::integer[], %(embeddings)s::halfvec[]
) AS r (scenario_id, revision, embedding)
LEFT JOIN (
    SELECT scenario_id, array_agg(example ORDER BY place) AS examples
    FROM unnest(%(example_of)s::uuid[], %(examples)s::halfvec[]) WITH ORDINALITY
        AS o (scenario_id, example, place)
    GROUP BY scenario_id
) AS e ON e.scenario_id = r.scenario_id;

-- name: get_scenario
-- One scenario as it is now.
SELECT {scenario}
FROM staffroom.scenarios AS s
{newest_revision}
WHERE s.tenant_id = %(tenant_id)s AND s.scenario_id = %(scenario_id)s;

-- name: list_scenarios
-- A page of the library in the order in which it was written, after the given id.
SELECT {scenario}
FROM staffroom.scenarios AS s
{newest_revision}
WHERE {scope} AND r.tenant_id = %(tenant_id)s
    AND (%(after)s::uuid IS NULL OR s.scenario_id > %(after)s::uuid)
ORDER BY s.scenario_id
LIMIT %(limit)s;

-- name: list_due
-- What is to be reviewed from one day to another, the most overdue first, after the given one.
SELECT {scenario}
FROM staffroom.scenarios AS s
{newest_revision}
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s AND s.status <> 'retired'
    AND s.review_by BETWEEN coalesce(%(since)s::date, '-infinity') AND %(until)s::date
    AND (
        %(after)s::uuid IS NULL
        OR (s.review_by, s.scenario_id) > (%(after_day)s::date, %(after)s::uuid)
    )
ORDER BY s.review_by, s.scenario_id
LIMIT %(limit)s;

-- name: list_undated
-- What nobody said when to review, in the order in which it was written, after the given one.
SELECT {scenario}
FROM staffroom.scenarios AS s
{newest_revision}
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s AND s.status <> 'retired'
    AND s.review_by IS NULL AND (%(after)s::uuid IS NULL OR s.scenario_id > %(after)s::uuid)
ORDER BY s.scenario_id
LIMIT %(limit)s;

-- name: count_due
-- How many scenarios wait for a review by each of the given days, and how many have no day.
SELECT w.day, count(s.scenario_id)::integer AS size
FROM unnest(%(days)s::date[]) AS w (day)
LEFT JOIN staffroom.scenarios AS s
    ON s.tenant_id = %(tenant_id)s AND s.status <> 'retired' AND s.review_by <= w.day
GROUP BY w.day
UNION ALL
SELECT NULL, count(*)::integer
FROM staffroom.scenarios AS s
WHERE s.tenant_id = %(tenant_id)s AND s.status <> 'retired' AND s.review_by IS NULL;

-- name: list_revisions
-- A scenario's history, oldest first.
SELECT r.revision, r.name, r.description, r.expected_response, r.example_questions, r.metadata,
    r.author, r.reason, r.created_at
FROM staffroom.scenario_revisions AS r
WHERE r.tenant_id = %(tenant_id)s AND r.scenario_id = %(scenario_id)s
ORDER BY r.revision;

-- name: scenarios_to_index
-- What this generation has not embedded yet, or only in part or in an older revision, and what has
-- no words.
SELECT {scenario}
FROM staffroom.scenarios AS s
{newest_revision}
LEFT JOIN staffroom.{vectors} AS v
    ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id AND v.revision = s.text_revision
LEFT JOIN staffroom.scenario_words AS w
    ON w.tenant_id = s.tenant_id AND w.scenario_id = s.scenario_id AND w.revision = s.text_revision
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
    AND (v.examples IS NULL OR w.scenario_id IS NULL)
ORDER BY s.scenario_id
LIMIT %(limit)s;

-- name: vectors_missing
-- How many scenarios have no vectors of this generation at all, counted up to the limit.
SELECT count(*) AS rows
FROM (
    SELECT
    FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s
        AND NOT EXISTS (
            SELECT
            FROM staffroom.{vectors} AS v
            WHERE v.tenant_id = %(tenant_id)s AND v.scenario_id = s.scenario_id
        )
    LIMIT %(limit)s
) AS missing;

-- name: delete_scenario
-- Revisions, vectors, likenesses and the matches of past answers go with it. Those that it was like
-- are compared anew.
WITH lost AS (
    UPDATE staffroom.likeness_done AS d
    SET revision = 0
    FROM staffroom.likenesses AS l
    WHERE d.tenant_id = %(tenant_id)s AND l.tenant_id = %(tenant_id)s
        AND %(scenario_id)s::uuid IN (l.one, l.other) AND d.scenario_id IN (l.one, l.other)
        AND d.scenario_id <> %(scenario_id)s
)
DELETE FROM staffroom.scenarios
WHERE tenant_id = %(tenant_id)s AND scenario_id = %(scenario_id)s;

-- name: facets
-- The values within the filters and how many scenarios have each, the most frequent first.
SELECT facet, value, count(*)::integer AS size
FROM (
    SELECT 'category' AS facet, s.category AS value
    FROM staffroom.scenarios AS s
    WHERE {scope} AND s.category <> ''
    UNION ALL
    SELECT 'grade_band', band
    FROM staffroom.scenarios AS s, unnest(s.grade_bands) AS band
    WHERE {scope}
    UNION ALL
    SELECT 'subject', subject
    FROM staffroom.scenarios AS s, unnest(s.subjects) AS subject
    WHERE {scope}
    UNION ALL
    SELECT 'status', s.status
    FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s
) AS had
GROUP BY facet, value
ORDER BY facet, size DESC, value;

-- name: unknown_values
-- What is filtered by and no scenario of the tenant has, whatever its status.
SELECT 'categories' AS filter, given AS value
FROM unnest(%(categories)s::text[]) AS given
WHERE NOT EXISTS (
    SELECT FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s AND s.category = given
)
UNION ALL
SELECT 'grade_bands', given
FROM unnest(%(grade_bands)s::text[]) AS given
WHERE NOT EXISTS (
    SELECT FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s AND given = ANY(s.grade_bands)
)
UNION ALL
SELECT 'subjects', given
FROM unnest(%(subjects)s::text[]) AS given
WHERE NOT EXISTS (
    SELECT FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s AND given = ANY(s.subjects)
)
UNION ALL
SELECT 'settings', given
FROM unnest(%(settings)s::text[]) AS given
WHERE NOT EXISTS (
    SELECT FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s AND s.setting = given
)
UNION ALL
SELECT 'tags', given
FROM unnest(%(tags)s::text[]) AS given
WHERE NOT EXISTS (
    SELECT FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s AND given = ANY(s.tags)
)
UNION ALL
SELECT 'languages', given
FROM unnest(%(languages)s::text[]) AS given
WHERE NOT EXISTS (
    SELECT FROM staffroom.scenarios AS s
    WHERE s.tenant_id = %(tenant_id)s AND s.language = given
);
