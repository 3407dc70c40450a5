-- Everything of a tenant that a backup holds, in the one order that it always has, and the way back.

-- name: kept_revision
-- The columns of a revision in a backup.
r.scenario_id, s.source_id, r.revision, r.name, r.description, r.expected_response,
    r.example_questions, r.metadata, r.author, r.reason, r.created_at

-- name: kept_golden
-- The columns of a golden question in a backup, its judgements among them.
g.golden_id, g.question, g.language, g.source, g.author, g.created_at, (
        SELECT coalesce(json_agg(json_build_object(
            'scenario_id', j.scenario_id, 'grade', j.grade
        ) ORDER BY j.scenario_id), '[]')
        FROM staffroom.golden_judgements AS j
        WHERE j.tenant_id = %(tenant_id)s AND j.golden_id = g.golden_id
    ) AS judgements

-- name: kept_evaluation
-- The columns of an evaluation in a backup.
e.evaluation_id, e.figures, e.ranks, e.questions, e.library_version, e.model, e.created_at

-- name: kept_decision
-- The columns of a decision on two scenarios that may be one, in a backup.
l.one, l.other, l.similarity, l.decision, coalesce(l.kept::text, '') AS kept, l.decided_by,
    l.reason, l.decided_at AS created_at

-- name: masked
-- The id that an exchange has in one backup: whoever lacks the key cannot tell which it is.
encode(substr(sha256(%(key)s || uuid_send(i.interaction_id)), 1, 16), 'hex')::uuid

-- name: begin_snapshot
-- All that is read afterwards is from one moment, however long that takes.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: exchanges
-- Exchanges with their place in their conversation, and what was asked in it shortly before.
(
    SELECT own.*, row_number() OVER (
            PARTITION BY own.conversation_id ORDER BY own.interaction_id
        ) AS turn, array_agg(own.question) OVER (
            PARTITION BY own.conversation_id ORDER BY own.interaction_id
            ROWS BETWEEN 12 PRECEDING AND 1 PRECEDING
        ) AS told
    FROM staffroom.interactions AS own
    WHERE own.tenant_id = %(tenant_id)s
)

-- name: backup_scenarios
-- Each scenario as it is now.
SELECT {scenario}
FROM staffroom.scenarios AS s
{newest_revision}
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
ORDER BY s.scenario_id;

-- name: backup_revisions
-- Each scenario as it was, oldest first.
SELECT {kept_revision}
FROM staffroom.scenario_revisions AS r
JOIN staffroom.scenarios AS s ON s.tenant_id = r.tenant_id AND s.scenario_id = r.scenario_id
WHERE r.tenant_id = %(tenant_id)s AND s.tenant_id = %(tenant_id)s
ORDER BY r.scenario_id, r.revision;

-- name: backup_golden
-- Golden questions with their judgements. Where they were asked is not told.
SELECT {kept_golden}
FROM staffroom.golden_questions AS g
WHERE g.tenant_id = %(tenant_id)s
ORDER BY g.golden_id;

-- name: backup_evaluations
-- How well the search found them, run by run.
SELECT {kept_evaluation}
FROM staffroom.evaluations AS e
WHERE e.tenant_id = %(tenant_id)s
ORDER BY e.evaluation_id;

-- name: backup_decisions
-- What was decided of scenarios that may be one.
SELECT {kept_decision}
FROM staffroom.likenesses AS l
WHERE l.tenant_id = %(tenant_id)s AND l.decision <> 'open'
ORDER BY l.one, l.other;

-- name: backup_interactions
-- Exchanges under the ids that the key gives them, in the order of those, which is none: nothing
-- tells who asked, in which conversation, or when on that day.
SELECT {masked} AS id, i.created_at, i.turn, i.told, i.question, i.asked, i.answer, i.sentences, i.more,
    i.outcome, i.writer, g.model AS embedding_model, i.prompt_version, i.threshold,
    i.best_relevance, (
        SELECT coalesce(json_agg(json_build_object(
            'scenario_id', m.scenario_id, 'revision', m.revision, 'relevance', m.relevance
        ) ORDER BY m.rank), '[]')
        FROM staffroom.interaction_matches AS m
        WHERE m.tenant_id = %(tenant_id)s AND m.interaction_id = i.interaction_id
    ) AS matches
FROM {exchanges} AS i
JOIN staffroom.generations AS g ON g.generation_id = i.generation_id
ORDER BY id;

-- name: backup_feedback
-- What was said of them, with what was asked, so that one name stays one pupil.
SELECT {masked} AS interaction_id, f.created_at, f.verdict, f.reason, f.comment, f.scenario_id,
    i.told, i.question, i.asked
FROM staffroom.feedback AS f
JOIN {exchanges} AS i
    ON i.tenant_id = f.tenant_id AND i.interaction_id = f.interaction_id
WHERE f.tenant_id = %(tenant_id)s AND i.tenant_id = %(tenant_id)s
ORDER BY {masked}, sha256(%(key)s || uuid_send(f.feedback_id));

-- name: occupied
-- Scenarios that have the id or the key of one that is to be restored.
SELECT s.scenario_id, s.source_id, s.revision
FROM staffroom.scenarios AS s
WHERE s.tenant_id = %(tenant_id)s
    AND (s.scenario_id = ANY(%(scenario_ids)s::uuid[]) OR s.source_id = ANY(%(source_ids)s));

-- name: occupied_revisions
-- What is known of those scenarios, as a backup tells it.
SELECT {kept_revision}
FROM staffroom.scenario_revisions AS r
JOIN staffroom.scenarios AS s ON s.tenant_id = r.tenant_id AND s.scenario_id = r.scenario_id
WHERE r.tenant_id = %(tenant_id)s AND s.tenant_id = %(tenant_id)s
    AND r.scenario_id = ANY(%(scenario_ids)s::uuid[])
ORDER BY r.scenario_id, r.revision;

-- name: occupied_golden
-- Golden questions that have the id of one that is to be restored, or ask the same.
SELECT {kept_golden}
FROM staffroom.golden_questions AS g
WHERE g.tenant_id = %(tenant_id)s
    AND (g.golden_id = ANY(%(ids)s::uuid[]) OR g.question_sha256 = ANY(%(digests)s::bytea[]));

-- name: occupied_evaluations
-- Evaluations that have the id of one that is to be restored.
SELECT {kept_evaluation}
FROM staffroom.evaluations AS e
WHERE e.tenant_id = %(tenant_id)s AND e.evaluation_id = ANY(%(ids)s::uuid[]);

-- name: occupied_decisions
-- What was decided already of pairs that a backup tells of.
SELECT {kept_decision}
FROM staffroom.likenesses AS l
JOIN unnest(%(ones)s::uuid[], %(others)s::uuid[]) AS given (one, other)
    ON given.one = l.one AND given.other = l.other
WHERE l.tenant_id = %(tenant_id)s AND l.decision <> 'open';

-- name: restore_scenarios
-- Heads as they were: made with their first revision, changed with their newest.
INSERT INTO staffroom.scenarios (
    tenant_id, scenario_id, source_id, revision, text_revision, content_sha256, status, category,
    grade_bands, subjects, setting, tags, language, review_by, created_at, updated_at
)
SELECT %(tenant_id)s, r.scenario_id, r.source_id, r.revision, r.text_revision,
    decode(r.content_sha256, 'hex'), r.status, r.category, r.grade_bands, r.subjects, r.setting, r.tags, r.language, r.review_by,
    r.created_at, r.updated_at
FROM json_to_recordset(%(rows)s) AS r (
    scenario_id uuid, source_id text, revision integer, text_revision integer,
    content_sha256 text, status text, category text, grade_bands text[], subjects text[], setting text, tags text[],
    language text, review_by date, created_at timestamptz, updated_at timestamptz
);

-- name: restore_revisions
-- Revisions by whom, when and why they were made.
INSERT INTO staffroom.scenario_revisions (
    tenant_id, scenario_id, revision, name, description, expected_response, example_questions,
    metadata, author, reason, created_at
)
SELECT %(tenant_id)s, r.scenario_id, r.revision, r.name, r.description, r.expected_response,
    r.example_questions, r.metadata, r.author, r.reason, r.created_at
FROM json_to_recordset(%(rows)s) AS r (
    scenario_id uuid, revision integer, name text, description text, expected_response text,
    example_questions text[], metadata jsonb, author text, reason text, created_at timestamptz
);

-- name: restore_golden
-- Golden questions by whom and when they were written or promoted.
INSERT INTO staffroom.golden_questions (
    tenant_id, golden_id, question, question_sha256, language, source, author, created_at
)
SELECT %(tenant_id)s, r.golden_id, r.question, decode(r.question_sha256, 'hex'), r.language,
    r.source, r.author, r.created_at
FROM json_to_recordset(%(rows)s) AS r (
    golden_id uuid, question text, question_sha256 text, language text, source text, author text,
    created_at timestamptz
);

-- name: restore_judgements
-- What was known of the questions' scenarios.
INSERT INTO staffroom.golden_judgements (tenant_id, golden_id, scenario_id, grade)
SELECT %(tenant_id)s, r.golden_id, j.scenario_id, j.grade
FROM json_to_recordset(%(rows)s) AS r (golden_id uuid, judgements json)
CROSS JOIN LATERAL json_to_recordset(r.judgements) AS j (scenario_id uuid, grade smallint);

-- name: restore_evaluations
-- Evaluations with their figures.
INSERT INTO staffroom.evaluations (
    tenant_id, evaluation_id, figures, ranks, questions, library_version, model, created_at
)
SELECT %(tenant_id)s, r.evaluation_id, r.figures, r.ranks, r.questions, r.library_version, r.model,
    r.created_at
FROM json_to_recordset(%(rows)s) AS r (
    evaluation_id uuid, figures jsonb, ranks jsonb, questions integer, library_version bigint,
    model text, created_at timestamptz
);

-- name: restore_decisions
-- Decisions by whom, when and why they were made. A pair that waits for one has it now.
INSERT INTO staffroom.likenesses AS l (
    tenant_id, one, other, similarity, generation_id, decision, kept, decided_by, reason, decided_at
)
SELECT %(tenant_id)s, r.one, r.other, r.similarity, r.generation_id, r.decision,
    nullif(r.kept, '')::uuid, r.decided_by, r.reason, r.created_at
FROM json_to_recordset(%(rows)s) AS r (
    one uuid, other uuid, similarity real, generation_id uuid, decision text, kept text,
    decided_by text, reason text, created_at timestamptz
)
ON CONFLICT (tenant_id, one, other) DO UPDATE
SET decision = excluded.decision, kept = excluded.kept, decided_by = excluded.decided_by,
    reason = excluded.reason, decided_at = excluded.decided_at;
