-- Every statement that Staffroom runs after migration, by name.
-- {vectors} is the current generation's table; the other braces name a fragment below.

-- name: scenario
-- The columns of a scenario as people read it.
s.scenario_id, s.source_id, s.revision, s.created_at, s.updated_at,
    r.name, r.description, r.expected_response, r.example_questions, r.metadata

-- name: newest_revision
-- From a head to what it says now.
JOIN staffroom.scenario_revisions AS r
    ON r.tenant_id = s.tenant_id AND r.scenario_id = s.scenario_id AND r.revision = s.revision

-- name: begin_tenant
-- Role, tenant and search settings of a transaction; local, so that nothing stays on a pooled connection.
SELECT
    set_config('role', 'staffroom_app', true),
    set_config('staffroom.tenant_id', %(tenant_id)s::text, true),
    set_config('plan_cache_mode', 'force_custom_plan', true),
    set_config('hnsw.iterative_scan', 'relaxed_order', true),
    set_config('hnsw.ef_search', %(ef_search)s::text, true);

-- name: add_tenant
-- A tenant exists from its first use on.
INSERT INTO staffroom.tenants (tenant_id, name)
VALUES (%(tenant_id)s, %(name)s)
ON CONFLICT (tenant_id) DO NOTHING;

-- name: erase_tenant
-- Everything that belongs to a tenant refers to it and goes with it.
DELETE FROM staffroom.tenants WHERE tenant_id = %(tenant_id)s;

-- name: tables
-- What belongs to Staffroom in this database.
SELECT relname::text AS name
FROM pg_class
WHERE relnamespace = 'staffroom'::regnamespace AND relkind = 'r';

-- name: server_versions
-- What answers.
SELECT current_setting('server_version') AS postgresql, extversion AS pgvector
FROM pg_extension
WHERE extname = 'vector';

-- name: needs_starter_library
-- A tenant gets the starter library once, so that what it deletes stays deleted.
SELECT starter_library_at IS NULL AS needed
FROM staffroom.tenants
WHERE tenant_id = %(tenant_id)s;

-- name: mark_starter_library
-- Set after the last scenario is in: a load that was killed is done again.
UPDATE staffroom.tenants
SET starter_library_at = now()
WHERE tenant_id = %(tenant_id)s;

-- name: scope
-- Which scenarios a caller may see: the tenant's own that pass the filters. An empty filter lets all pass.
s.tenant_id = %(tenant_id)s
AND s.status = ANY(%(statuses)s::text[])
AND (cardinality(%(categories)s::text[]) = 0 OR s.category = ANY(%(categories)s::text[]))
AND (cardinality(%(grade_bands)s::text[]) = 0 OR s.grade_bands && %(grade_bands)s::text[])
AND (cardinality(%(subjects)s::text[]) = 0 OR s.subjects && %(subjects)s::text[])
AND (cardinality(%(settings)s::text[]) = 0 OR s.setting = ANY(%(settings)s::text[]))
AND (cardinality(%(tags)s::text[]) = 0 OR s.tags && %(tags)s::text[])
AND (cardinality(%(languages)s::text[]) = 0 OR s.language = ANY(%(languages)s::text[]))

-- name: scope_size
-- How many scenarios a search has to compare, counted no further than %(at_most)s.
SELECT count(*) AS size
FROM (SELECT 1 FROM staffroom.scenarios AS s WHERE {scope} LIMIT %(at_most)s) AS counted;

-- name: search_exact
-- Compares every vector in scope: "+ 0" hides the distance from the vector index.
SELECT nearest.similarity, {scenario}
FROM (
    SELECT v.tenant_id, v.scenario_id, -(v.embedding <#> %(embedding)s) AS similarity
    FROM staffroom.scenarios AS s
    JOIN staffroom.{vectors} AS v
        ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id
    WHERE v.tenant_id = %(tenant_id)s AND {scope}
    ORDER BY (v.embedding <#> %(embedding)s) + 0, v.scenario_id
    LIMIT %(limit)s
) AS nearest
JOIN staffroom.scenarios AS s
    ON s.tenant_id = nearest.tenant_id AND s.scenario_id = nearest.scenario_id
{newest_revision}
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
ORDER BY nearest.similarity DESC, s.scenario_id;

-- name: search_nearest
-- Walks the vector index until the limit is filled. Ordered by distance alone, or the index cannot serve it.
SELECT nearest.similarity, {scenario}
FROM (
    SELECT v.tenant_id, v.scenario_id, -(v.embedding <#> %(embedding)s) AS similarity
    FROM staffroom.{vectors} AS v
    JOIN staffroom.scenarios AS s
        ON s.tenant_id = v.tenant_id AND s.scenario_id = v.scenario_id
    WHERE v.tenant_id = %(tenant_id)s AND {scope}
    ORDER BY v.embedding <#> %(embedding)s
    LIMIT %(limit)s
) AS nearest
JOIN staffroom.scenarios AS s
    ON s.tenant_id = nearest.tenant_id AND s.scenario_id = nearest.scenario_id
{newest_revision}
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s
ORDER BY nearest.similarity DESC, s.scenario_id;

-- name: search_bare
-- The least that a search can be: what `staffroom bench search` measures ours against.
SELECT v.scenario_id
FROM staffroom.{vectors} AS v
WHERE v.tenant_id = %(tenant_id)s
ORDER BY v.embedding <#> %(embedding)s
LIMIT %(limit)s;

-- name: library_version
-- How often the tenant's library has changed.
SELECT library_version AS version FROM staffroom.tenants WHERE tenant_id = %(tenant_id)s;

-- name: advance_library
-- Answers that were kept from before are stale.
UPDATE staffroom.tenants
SET library_version = library_version + 1
WHERE tenant_id = %(tenant_id)s;

-- name: lock_library
-- One writer at a time for a tenant's scenarios; searches do not wait for it.
SELECT pg_advisory_xact_lock(hashtextextended('staffroom.scenarios ' || %(tenant_id)s::text, 0));

-- name: known_scenarios
-- What the library has under the given keys, and whether this generation has its vector.
SELECT s.source_id, s.scenario_id, s.revision, s.content_sha256, v.revision AS vector_revision
FROM staffroom.scenarios AS s
LEFT JOIN staffroom.{vectors} AS v
    ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id
WHERE s.tenant_id = %(tenant_id)s AND s.source_id = ANY(%(source_ids)s);

-- name: add_scenarios
-- New heads, all in one statement. (COPY is refused where row-level security holds.)
INSERT INTO staffroom.scenarios (
    tenant_id, scenario_id, source_id, revision, content_sha256, status, category,
    grade_bands, subjects, setting, tags, language, review_by
)
SELECT %(tenant_id)s, r.scenario_id, r.source_id, r.revision, decode(r.content_sha256, 'hex'),
    r.status, r.category, r.grade_bands, r.subjects, r.setting, r.tags, r.language, r.review_by
FROM json_to_recordset(%(rows)s) AS r (
    scenario_id uuid, source_id text, revision integer, content_sha256 text, status text,
    category text, grade_bands text[], subjects text[], setting text, tags text[],
    language text, review_by date
);

-- name: update_scenarios
-- Heads follow their newest revision.
UPDATE staffroom.scenarios AS s
SET revision = r.revision, content_sha256 = decode(r.content_sha256, 'hex'), status = r.status,
    category = r.category, grade_bands = r.grade_bands, subjects = r.subjects,
    setting = r.setting, tags = r.tags, language = r.language, review_by = r.review_by,
    updated_at = now()
FROM json_to_recordset(%(rows)s) AS r (
    scenario_id uuid, revision integer, content_sha256 text, status text,
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

-- name: delete_vectors
-- The old vectors of scenarios that are about to get new ones.
DELETE FROM staffroom.{vectors}
WHERE tenant_id = %(tenant_id)s AND scenario_id = ANY(%(scenario_ids)s);

-- name: add_vectors
-- A batch of vectors, packed as one binary array.
INSERT INTO staffroom.{vectors} (tenant_id, scenario_id, revision, embedding)
SELECT %(tenant_id)s, r.scenario_id, r.revision, r.embedding
FROM unnest(
    %(scenario_ids)s::uuid[], %(revisions)s::integer[], %(embeddings)s::halfvec[]
) AS r (scenario_id, revision, embedding);

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

-- name: list_revisions
-- A scenario's history, oldest first.
SELECT r.revision, r.name, r.description, r.expected_response, r.example_questions, r.metadata,
    r.author, r.reason, r.created_at
FROM staffroom.scenario_revisions AS r
WHERE r.tenant_id = %(tenant_id)s AND r.scenario_id = %(scenario_id)s
ORDER BY r.revision;

-- name: scenarios_without_vector
-- What this generation has not embedded yet, or only in an older revision.
SELECT {scenario}
FROM staffroom.scenarios AS s
{newest_revision}
LEFT JOIN staffroom.{vectors} AS v
    ON v.tenant_id = s.tenant_id AND v.scenario_id = s.scenario_id AND v.revision = s.revision
WHERE s.tenant_id = %(tenant_id)s AND r.tenant_id = %(tenant_id)s AND v.scenario_id IS NULL
ORDER BY s.scenario_id
LIMIT %(limit)s;

-- name: delete_scenario
-- Revisions, vectors and the matches of past answers go with it.
DELETE FROM staffroom.scenarios
WHERE tenant_id = %(tenant_id)s AND scenario_id = %(scenario_id)s;

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

-- name: add_audit
-- Who changed what.
INSERT INTO staffroom.audit (tenant_id, audit_id, actor, action, subject_id, detail)
VALUES (%(tenant_id)s, %(audit_id)s, %(actor)s, %(action)s, %(subject_id)s, %(detail)s);

-- name: find_generation
-- The vectors that belong to a model.
SELECT generation_id AS id, model, dimensions, vectors_table, calibration
FROM staffroom.generations
WHERE model = %(model)s;

-- name: set_calibration
-- How scores of this model become relevance, by the owner.
UPDATE staffroom.generations SET calibration = %(calibration)s WHERE model = %(model)s;

-- name: add_generation
-- Entered together with its table, by the owner.
INSERT INTO staffroom.generations (generation_id, model, dimensions, vectors_table)
VALUES (%(generation_id)s, %(model)s, %(dimensions)s, %(vectors_table)s);
