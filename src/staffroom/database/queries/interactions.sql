-- What was asked, answered and said of it.

-- name: add_interaction
-- A question, its embedding, what was answered, and how.
INSERT INTO staffroom.interactions (
    tenant_id, interaction_id, conversation_id, question, asked, generation_id,
    question_embedding, answer, sentences, more, outcome, writer, prompt_version,
    library_version, timings, threshold, best_relevance
) VALUES (
    %(tenant_id)s, %(interaction_id)s, %(conversation_id)s, %(question)s, %(asked)s,
    %(generation_id)s, %(question_embedding)s, %(answer)s, %(sentences)s, %(more)s, %(outcome)s,
    %(writer)s, %(prompt_version)s, %(library_version)s, %(timings)s, %(threshold)s,
    %(best_relevance)s
);

-- name: add_interaction_matches
-- What the answer rested on, best first; a scenario that was deleted meanwhile is left out.
INSERT INTO staffroom.interaction_matches (
    tenant_id, interaction_id, rank, scenario_id, revision, relevance
)
SELECT %(tenant_id)s, %(interaction_id)s, match.rank, r.scenario_id, r.revision, match.relevance
FROM unnest(
    %(scenario_ids)s::uuid[], %(revisions)s::integer[], %(relevances)s::real[]
) WITH ORDINALITY AS match (scenario_id, revision, relevance, rank)
JOIN staffroom.scenario_revisions AS r
    ON r.scenario_id = match.scenario_id AND r.revision = match.revision
WHERE r.tenant_id = %(tenant_id)s;

-- name: get_interaction
-- What was stored of one exchange.
SELECT i.interaction_id AS id, i.conversation_id, i.question, i.asked, i.answer, i.sentences,
    i.more, i.outcome, i.writer, g.model AS embedding_model, i.prompt_version,
    i.library_version, i.timings, i.threshold, i.best_relevance, i.created_at
FROM staffroom.interactions AS i
JOIN staffroom.generations AS g ON g.generation_id = i.generation_id
WHERE i.tenant_id = %(tenant_id)s AND i.interaction_id = %(interaction_id)s;

-- name: get_turns
-- The newest exchanges of the conversation that an exchange belongs to; ids grow with time.
SELECT conversation_id, question, asked, sentences
FROM staffroom.interactions
WHERE tenant_id = %(tenant_id)s AND conversation_id = (
    SELECT conversation_id FROM staffroom.interactions
    WHERE tenant_id = %(tenant_id)s AND interaction_id = %(interaction_id)s
)
ORDER BY interaction_id DESC
LIMIT %(limit)s;

-- name: list_interactions
-- Exchanges before the given one, newest first; ids grow with time.
SELECT interaction_id AS id, question, outcome, best_relevance, created_at
FROM staffroom.interactions
WHERE tenant_id = %(tenant_id)s
    AND (%(before)s::uuid IS NULL OR interaction_id < %(before)s::uuid)
    AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s::text)
ORDER BY interaction_id DESC
LIMIT %(limit)s;

-- name: list_gaps
-- Questions that nothing fitted, newest first.
SELECT interaction_id, question, best_relevance, threshold, created_at
FROM staffroom.interactions
WHERE tenant_id = %(tenant_id)s AND outcome = 'abstained'
ORDER BY interaction_id DESC
LIMIT %(limit)s;

-- name: get_interaction_matches
-- What that answer rested on, best first.
SELECT m.scenario_id, m.revision, m.relevance, r.name
FROM staffroom.interaction_matches AS m
JOIN staffroom.scenario_revisions AS r
    ON r.tenant_id = m.tenant_id AND r.scenario_id = m.scenario_id AND r.revision = m.revision
WHERE m.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
    AND m.interaction_id = %(interaction_id)s
ORDER BY m.rank;

-- name: add_feedback
-- A verdict on an answer, or on one scenario that it cites.
INSERT INTO staffroom.feedback (
    tenant_id, feedback_id, interaction_id, verdict, reason, comment, scenario_id
) VALUES (
    %(tenant_id)s, %(feedback_id)s, %(interaction_id)s, %(verdict)s, %(reason)s, %(comment)s,
    %(scenario_id)s
);

-- name: get_feedback
-- What was said of one answer, oldest first.
SELECT feedback_id AS id, verdict, reason, comment, scenario_id, created_at
FROM staffroom.feedback
WHERE tenant_id = %(tenant_id)s AND interaction_id = %(interaction_id)s
ORDER BY feedback_id;
