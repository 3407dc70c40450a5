-- Golden questions: what is known to be right, and how well the search found it.

-- name: lock_golden
-- One writer at a time for a tenant's golden questions: there are never too many, and none is
-- removed while it is judged.
SELECT pg_advisory_xact_lock(hashtextextended('staffroom.golden ' || %(tenant_id)s::text, 0));

-- name: golden_room
-- How many there are, and which of them asks the same.
SELECT count(*)::integer AS size,
    (array_agg(golden_id) FILTER (WHERE question_sha256 = %(question_sha256)s))[1] AS same
FROM staffroom.golden_questions
WHERE tenant_id = %(tenant_id)s;

-- name: golden_scenarios
-- Those of the scenarios that there are; they stay until the end of the transaction.
SELECT scenario_id, language
FROM staffroom.scenarios
WHERE tenant_id = %(tenant_id)s AND scenario_id = ANY(%(scenario_ids)s::uuid[])
FOR KEY SHARE;

-- name: asked_of_interaction
-- What the library was searched for in one exchange.
SELECT asked
FROM staffroom.interactions
WHERE tenant_id = %(tenant_id)s AND interaction_id = %(interaction_id)s
FOR KEY SHARE;

-- name: add_golden
-- A question whose right scenarios follow.
INSERT INTO staffroom.golden_questions (
    tenant_id, golden_id, question, question_sha256, language, source, interaction_id, author
) VALUES (
    %(tenant_id)s, %(golden_id)s, %(question)s, %(question_sha256)s, %(language)s, %(source)s,
    %(interaction_id)s, %(author)s
);

-- name: judge_golden
-- How right each scenario is for the question, in place of what was said of it before.
INSERT INTO staffroom.golden_judgements (tenant_id, golden_id, scenario_id, grade)
SELECT %(tenant_id)s, %(golden_id)s, judged.scenario_id, judged.grade
FROM unnest(%(scenario_ids)s::uuid[], %(grades)s::smallint[]) AS judged (scenario_id, grade)
ON CONFLICT (tenant_id, golden_id, scenario_id) DO UPDATE SET grade = excluded.grade;

-- name: get_golden
-- One golden question.
SELECT golden_id AS id, question, language, source, interaction_id, author, created_at
FROM staffroom.golden_questions
WHERE tenant_id = %(tenant_id)s AND golden_id = %(golden_id)s;

-- name: list_golden
-- Golden questions that follow the given one, newest first; ids grow with time.
SELECT golden_id AS id, question, language, source, interaction_id, author, created_at
FROM staffroom.golden_questions
WHERE tenant_id = %(tenant_id)s
    AND (%(after)s::uuid IS NULL OR golden_id < %(after)s::uuid)
ORDER BY golden_id DESC
LIMIT %(limit)s;

-- name: golden_judgements
-- What is known of each question's scenarios, the right ones first.
SELECT j.golden_id, j.scenario_id, r.name, s.status, j.grade
FROM staffroom.golden_judgements AS j
JOIN staffroom.scenarios AS s ON s.tenant_id = j.tenant_id AND s.scenario_id = j.scenario_id
{newest_revision}
WHERE j.tenant_id = %(tenant_id)s AND s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
    AND j.golden_id = ANY(%(golden_ids)s::uuid[])
ORDER BY j.golden_id, j.grade DESC, j.scenario_id;

-- name: remove_golden
-- The question and what was known of it.
DELETE FROM staffroom.golden_questions
WHERE tenant_id = %(tenant_id)s AND golden_id = %(golden_id)s;

-- name: good_feedback
-- Scenarios that teachers found right for what they asked, newest verdict first, but for those that
-- were promoted from that very exchange.
SELECT f.interaction_id, i.asked AS question, f.scenario_id, r.name, f.verdict, f.created_at
FROM staffroom.feedback AS f
JOIN staffroom.interactions AS i
    ON i.tenant_id = f.tenant_id AND i.interaction_id = f.interaction_id
JOIN staffroom.scenarios AS s ON s.tenant_id = f.tenant_id AND s.scenario_id = f.scenario_id
{newest_revision}
WHERE f.tenant_id = %(tenant_id)s AND i.tenant_id = %(tenant_id)s
    AND s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
    AND f.verdict IN ('helpful', 'worked')
    AND NOT EXISTS (
        SELECT FROM staffroom.golden_questions AS g
        JOIN staffroom.golden_judgements AS j
            ON j.tenant_id = g.tenant_id AND j.golden_id = g.golden_id
        WHERE g.tenant_id = %(tenant_id)s AND j.tenant_id = %(tenant_id)s
            AND g.interaction_id = f.interaction_id AND j.scenario_id = f.scenario_id
    )
ORDER BY f.feedback_id DESC
LIMIT %(newest)s;

-- name: judged_already
-- Each golden question, as its digest, with each scenario that it was judged with.
SELECT g.question_sha256, j.scenario_id
FROM staffroom.golden_questions AS g
JOIN staffroom.golden_judgements AS j ON j.tenant_id = g.tenant_id AND j.golden_id = g.golden_id
WHERE g.tenant_id = %(tenant_id)s AND j.tenant_id = %(tenant_id)s;

-- name: add_evaluation
-- How good the search was at a moment.
INSERT INTO staffroom.evaluations (
    tenant_id, evaluation_id, figures, ranks, questions, library_version, model
) VALUES (
    %(tenant_id)s, %(evaluation_id)s, %(figures)s, %(ranks)s, %(questions)s,
    %(library_version)s, %(model)s
)
RETURNING evaluation_id AS id, figures, questions, library_version, model, created_at;

-- name: list_evaluations
-- Evaluations before the given one, newest first, without the ranks of single questions.
SELECT evaluation_id AS id, figures, questions, library_version, model, created_at
FROM staffroom.evaluations
WHERE tenant_id = %(tenant_id)s
    AND (%(before)s::uuid IS NULL OR evaluation_id < %(before)s::uuid)
ORDER BY evaluation_id DESC
LIMIT %(limit)s;

-- name: newest_ranks
-- Where the right scenarios stood in the newest evaluation.
SELECT ranks
FROM staffroom.evaluations
WHERE tenant_id = %(tenant_id)s
ORDER BY evaluation_id DESC
LIMIT 1;
