-- Questions that the library failed, in groups of one meaning.
-- Braces and percent signs are doubled where they are SQL's own.

-- name: lock_gaps
-- One at a time groups a tenant's questions.
SELECT pg_advisory_xact_lock(hashtextextended('staffroom.gaps ' || %(tenant_id)s::text, 0));

-- name: gap_work
-- Whether anything has happened that the groups do not know of.
SELECT EXISTS (
    SELECT FROM staffroom.interactions AS i
    WHERE i.tenant_id = %(tenant_id)s AND i.outcome = 'abstained' AND NOT EXISTS (
        SELECT FROM staffroom.gap_members AS m
        WHERE m.tenant_id = i.tenant_id AND m.interaction_id = i.interaction_id
    )
) OR EXISTS (
    SELECT FROM staffroom.feedback AS f
    WHERE f.tenant_id = %(tenant_id)s AND f.verdict IN ('not_helpful', 'did_not_fit')
        AND NOT EXISTS (
            SELECT FROM staffroom.gap_members AS m
            WHERE m.tenant_id = f.tenant_id AND m.interaction_id = f.interaction_id
        )
) OR EXISTS (
    SELECT FROM staffroom.gap_groups AS g
    WHERE g.tenant_id = %(tenant_id)s AND (
        g.told_of <> (
            SELECT count(*) FROM staffroom.gap_members AS m
            WHERE m.tenant_id = g.tenant_id AND m.group_id = g.group_id
        ) OR g.scenario_id IS NULL AND g.state = 'drafted'
        OR g.state = 'answered' AND NOT EXISTS (
            SELECT FROM staffroom.scenarios AS s
            WHERE s.tenant_id = g.tenant_id AND s.scenario_id = g.scenario_id
                AND s.status = 'published'
        )
    )
) AS is_due;

-- name: reopen_gaps
-- Groups whose scenario was deleted are open again, and those that were answered by one that was
-- taken back are being written again.
WITH reopened AS (
    UPDATE staffroom.gap_groups AS g
    SET state = CASE WHEN g.scenario_id IS NULL THEN 'open' ELSE 'drafted' END, outcome = NULL,
        changed_at = now()
    WHERE g.tenant_id = %(tenant_id)s AND (
        g.scenario_id IS NULL AND g.state = 'drafted'
        OR g.state = 'answered' AND NOT EXISTS (
            SELECT FROM staffroom.scenarios AS s
            WHERE s.tenant_id = g.tenant_id AND s.scenario_id = g.scenario_id
                AND s.status = 'published'
        )
    )
    RETURNING g.group_id
)
UPDATE staffroom.gap_members
SET answered_at = NULL
WHERE tenant_id = %(tenant_id)s AND group_id IN (SELECT group_id FROM reopened);

-- name: new_gaps
-- The newest questions that are in no group yet: those that nothing fitted, and those whose answer
-- was found wanting.
SELECT i.interaction_id, i.generation_id, i.question_embedding AS embedding,
    CASE i.outcome WHEN 'abstained' THEN 'unanswered' ELSE 'poorly_rated' END AS kind
FROM staffroom.interactions AS i
WHERE i.tenant_id = %(tenant_id)s
    AND i.interaction_id IN (
        SELECT a.interaction_id FROM staffroom.interactions AS a
        WHERE a.tenant_id = %(tenant_id)s AND a.outcome = 'abstained'
        UNION
        SELECT f.interaction_id FROM staffroom.feedback AS f
        WHERE f.tenant_id = %(tenant_id)s AND f.verdict IN ('not_helpful', 'did_not_fit')
    )
    AND NOT EXISTS (
        SELECT FROM staffroom.gap_members AS m
        WHERE m.tenant_id = i.tenant_id AND m.interaction_id = i.interaction_id
    )
ORDER BY i.interaction_id DESC
LIMIT %(most)s;

-- name: gap_calibrations
-- What scores of the models mean that questions were embedded by; without the scope, which is long.
SELECT generation_id, model, calibration || '{{"scope": null}}'::jsonb AS calibration
FROM staffroom.generations
WHERE generation_id = ANY(%(generation_ids)s::uuid[]);

-- name: gap_middles
-- The groups that a new question may join, with the mean of their questions' vectors. A group that
-- somebody began to work on is settled: its questions stay.
SELECT g.group_id, g.state <> 'open' OR g.note <> '' AS is_settled,
    avg(i.question_embedding) AS middle, count(*) AS size
FROM staffroom.gap_groups AS g
JOIN staffroom.gap_members AS m ON m.tenant_id = g.tenant_id AND m.group_id = g.group_id
JOIN staffroom.interactions AS i
    ON i.tenant_id = m.tenant_id AND i.interaction_id = m.interaction_id
WHERE g.tenant_id = %(tenant_id)s AND m.tenant_id = %(tenant_id)s AND i.tenant_id = %(tenant_id)s
    AND g.generation_id = %(generation_id)s AND g.state <> 'answered'
GROUP BY g.group_id, g.state, g.note
ORDER BY g.group_id;

-- name: gap_vectors
-- The questions of some groups, newest first.
SELECT m.interaction_id, m.group_id, i.question_embedding AS embedding
FROM staffroom.gap_members AS m
JOIN staffroom.interactions AS i
    ON i.tenant_id = m.tenant_id AND i.interaction_id = m.interaction_id
WHERE m.tenant_id = %(tenant_id)s AND i.tenant_id = %(tenant_id)s
    AND m.group_id = ANY(%(group_ids)s::uuid[])
ORDER BY m.interaction_id DESC;

-- name: add_gap_groups
-- New groups, open.
INSERT INTO staffroom.gap_groups (tenant_id, group_id, generation_id)
SELECT %(tenant_id)s, new.group_id, %(generation_id)s
FROM unnest(%(group_ids)s::uuid[]) AS new (group_id);

-- name: put_gap_members
-- Each question is in the group that is named for it.
INSERT INTO staffroom.gap_members (tenant_id, interaction_id, group_id, kind)
SELECT %(tenant_id)s, i.interaction_id, put.group_id,
    CASE i.outcome WHEN 'abstained' THEN 'unanswered' ELSE 'poorly_rated' END
FROM unnest(%(interaction_ids)s::uuid[], %(group_ids)s::uuid[]) AS put (interaction_id, group_id)
JOIN staffroom.interactions AS i ON i.interaction_id = put.interaction_id
WHERE i.tenant_id = %(tenant_id)s
ON CONFLICT (tenant_id, interaction_id) DO UPDATE SET group_id = excluded.group_id;

-- name: drop_empty_gaps
-- Groups whose questions all went elsewhere, or were erased.
DELETE FROM staffroom.gap_groups AS g
WHERE g.tenant_id = %(tenant_id)s AND NOT EXISTS (
    SELECT FROM staffroom.gap_members AS m
    WHERE m.tenant_id = g.tenant_id AND m.group_id = g.group_id
);

-- name: changed_gaps
-- Groups that have gained or lost questions since their words were told.
SELECT g.group_id
FROM staffroom.gap_groups AS g
WHERE g.tenant_id = %(tenant_id)s AND (
    g.group_id = ANY(%(group_ids)s::uuid[]) OR g.told_of <> (
        SELECT count(*) FROM staffroom.gap_members AS m
        WHERE m.tenant_id = g.tenant_id AND m.group_id = g.group_id
    )
);

-- name: measure_gaps
-- How near each question of those groups is to the middle of its group.
UPDATE staffroom.gap_members AS m
SET nearness = -(i.question_embedding <#> middles.middle)
FROM staffroom.interactions AS i, (
    SELECT o.group_id, avg(q.question_embedding) AS middle
    FROM staffroom.gap_members AS o
    JOIN staffroom.interactions AS q
        ON q.tenant_id = o.tenant_id AND q.interaction_id = o.interaction_id
    WHERE o.tenant_id = %(tenant_id)s AND q.tenant_id = %(tenant_id)s
        AND o.group_id = ANY(%(group_ids)s::uuid[])
    GROUP BY o.group_id
) AS middles
WHERE m.tenant_id = %(tenant_id)s AND i.tenant_id = %(tenant_id)s
    AND i.interaction_id = m.interaction_id AND middles.group_id = m.group_id;

-- name: gap_words
-- The words of those groups, and of the newest questions in others to compare them with: in how
-- many questions of the group each stem is, and the form that it mostly has. Words that every text
-- has are left out in the languages that the interface speaks.
SELECT m.group_id, w.stem, mode() WITHIN GROUP (ORDER BY w.word) AS word,
    count(*)::integer AS questions
FROM staffroom.gap_members AS m
JOIN staffroom.interactions AS i
    ON i.tenant_id = m.tenant_id AND i.interaction_id = m.interaction_id
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (known.stem) known.stem, part.token AS word
    FROM ts_parse('default', lower(i.asked)) AS part
    CROSS JOIN LATERAL (
        SELECT (ts_lexize('english_stem', part.token))[1] AS stem
        WHERE ts_lexize('spanish_stem', part.token) <> '{{}}'
    ) AS known
    WHERE part.tokid IN (1, 2, 16, 17) AND length(part.token) > 2 AND known.stem IS NOT NULL
    ORDER BY known.stem, part.token
) AS w
WHERE m.tenant_id = %(tenant_id)s AND i.tenant_id = %(tenant_id)s AND (
    m.group_id = ANY(%(group_ids)s::uuid[]) OR m.interaction_id IN (
        SELECT n.interaction_id FROM staffroom.gap_members AS n
        WHERE n.tenant_id = %(tenant_id)s
        ORDER BY n.interaction_id DESC
        LIMIT %(newest)s
    )
)
GROUP BY m.group_id, w.stem;

-- name: tell_gaps
-- The words of those groups, and of how many questions they tell.
UPDATE staffroom.gap_groups AS g
SET words = ARRAY(SELECT json_array_elements_text(told.words)), told_of = (
    SELECT count(*) FROM staffroom.gap_members AS m
    WHERE m.tenant_id = g.tenant_id AND m.group_id = g.group_id
)
FROM json_to_recordset(%(rows)s) AS told (group_id uuid, words json)
WHERE g.tenant_id = %(tenant_id)s AND g.group_id = told.group_id;

-- name: list_gap_groups
-- Groups, largest first or newest first, of one state or of all, or the one or those of a scenario.
SELECT g.group_id AS id, g.state, g.words, g.scenario_id, s.name AS scenario_name,
    s.status AS scenario_status, g.note, g.outcome, g.created_at, g.changed_at, held.*
FROM staffroom.gap_groups AS g
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS size, min(i.created_at) AS first, max(i.created_at) AS last,
        count(m.answered_at)::integer AS answered,
        (count(*) FILTER (WHERE m.kind = 'poorly_rated'))::integer AS poorly_rated,
        (array_agg(i.asked ORDER BY m.nearness DESC, m.interaction_id DESC))[1] AS label
    FROM staffroom.gap_members AS m
    JOIN staffroom.interactions AS i
        ON i.tenant_id = m.tenant_id AND i.interaction_id = m.interaction_id
    WHERE m.tenant_id = %(tenant_id)s AND i.tenant_id = %(tenant_id)s AND m.group_id = g.group_id
) AS held
LEFT JOIN LATERAL (
    SELECT s.status, r.name
    FROM staffroom.scenarios AS s
    {newest_revision}
    WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
        AND s.scenario_id = g.scenario_id
) AS s ON true
WHERE g.tenant_id = %(tenant_id)s AND held.size > 0
    AND (%(state)s::text IS NULL OR g.state = %(state)s::text)
    AND (%(after)s::uuid IS NULL OR g.group_id < %(after)s::uuid)
    AND (%(group_id)s::uuid IS NULL OR g.group_id = %(group_id)s::uuid)
    AND (%(scenario_id)s::uuid IS NULL OR g.scenario_id = %(scenario_id)s::uuid)
ORDER BY CASE WHEN %(is_by_size)s THEN held.size END DESC NULLS LAST, g.group_id DESC
LIMIT %(limit)s;

-- name: count_gap_groups
-- How many groups there are in each state.
SELECT state, count(*)::integer AS groups
FROM staffroom.gap_groups
WHERE tenant_id = %(tenant_id)s
GROUP BY state;

-- name: gap_questions
-- The questions of a group, the most central first.
SELECT m.interaction_id, i.asked AS question, i.created_at, m.kind, m.answered_at,
    i.question_embedding AS embedding
FROM staffroom.gap_members AS m
JOIN staffroom.interactions AS i
    ON i.tenant_id = m.tenant_id AND i.interaction_id = m.interaction_id
WHERE m.tenant_id = %(tenant_id)s AND i.tenant_id = %(tenant_id)s
    AND m.group_id = %(group_id)s
ORDER BY m.nearness DESC, m.interaction_id DESC
LIMIT %(limit)s;

-- name: lock_gap_group
-- A group as it is; it stays so until the end of the transaction.
SELECT state, scenario_id
FROM staffroom.gap_groups
WHERE tenant_id = %(tenant_id)s AND group_id = %(group_id)s
FOR UPDATE;

-- name: set_gap_group
-- What somebody decided on a group.
UPDATE staffroom.gap_groups
SET state = %(state)s, scenario_id = %(scenario_id)s, note = coalesce(%(note)s, note),
    outcome = CASE WHEN %(scenario_id)s::uuid IS NOT DISTINCT FROM scenario_id THEN outcome END,
    changed_at = now()
WHERE tenant_id = %(tenant_id)s AND group_id = %(group_id)s;

-- name: forget_gap_answers
-- The questions of a group count as not answered.
UPDATE staffroom.gap_members
SET answered_at = NULL
WHERE tenant_id = %(tenant_id)s AND group_id = %(group_id)s;

-- name: release_gaps
-- Questions of a group leave it, to be grouped anew.
DELETE FROM staffroom.gap_members
WHERE tenant_id = %(tenant_id)s AND group_id = %(group_id)s
    AND interaction_id = ANY(%(questions)s::uuid[]);

-- name: settle_gap_group
-- What publishing the group's scenario brought.
UPDATE staffroom.gap_groups
SET outcome = %(outcome)s, changed_at = now(), state = CASE
    WHEN state = 'drafted' AND %(is_answered)s THEN 'answered' ELSE state
END
WHERE tenant_id = %(tenant_id)s AND group_id = %(group_id)s AND scenario_id = %(scenario_id)s;

-- name: answer_gaps
-- Of those questions of a group, some are answered since now or before, the others are not.
UPDATE staffroom.gap_members
SET answered_at = CASE
    WHEN interaction_id = ANY(%(answered)s::uuid[]) THEN coalesce(answered_at, now())
END
WHERE tenant_id = %(tenant_id)s AND group_id = %(group_id)s
    AND interaction_id = ANY(%(asked)s::uuid[]);
