-- Embedding models and what their scores mean.

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

-- name: remove_generation
-- Nothing refers to it any more, by the owner.
DELETE FROM staffroom.generations WHERE generation_id = %(generation_id)s;

-- name: new_rows
-- What a table of scenarios' rows got after the given scenario, to be copied out.
SELECT t.* FROM staffroom.{vectors} AS t
WHERE t.tenant_id = %(tenant_id)s AND t.scenario_id > %(after)s

-- name: new_postings
-- As new_rows. Looked up one by one: no index leads from a scenario to them.
SELECT p.*
FROM staffroom.scenario_words AS w
CROSS JOIN LATERAL string_to_table(split_part(ltrim(w.words::text, '{{'), '}}', 1), ',') AS pair
CROSS JOIN LATERAL (
    SELECT t.*
    FROM staffroom.postings AS t
    WHERE t.tenant_id = %(tenant_id)s AND t.term = split_part(pair, ':', 1)::integer
        AND t.weight = split_part(pair, ':', 2)::real AND t.scenario_id = w.scenario_id
    OFFSET 0
) AS p
WHERE w.tenant_id = %(tenant_id)s AND w.scenario_id > %(after)s

-- name: newest_scenario
-- What the library got last.
SELECT s.scenario_id
FROM staffroom.scenarios AS s
WHERE s.tenant_id = %(tenant_id)s
ORDER BY s.scenario_id DESC
LIMIT 1;

-- name: lock_vector_index
-- One process builds it; the others wait.
SELECT pg_advisory_xact_lock(hashtext(%(name)s));

-- name: index_stands
-- Whether there is an index of that name. Read by rows, as of now: a lookup by name remembers what it
-- did not find before.
SELECT EXISTS (
    SELECT FROM pg_indexes AS i WHERE i.schemaname = 'staffroom' AND i.indexname = %(name)s
) AS stands;

-- name: table_bytes
-- What a table takes, with all its parts.
SELECT (pg_table_size(whole) + coalesce(sum(pg_table_size(t.relid)), 0))::bigint AS bytes
FROM CAST('staffroom.' || %(name)s AS regclass) AS whole
LEFT JOIN pg_partition_tree(whole) AS t ON t.isleaf
GROUP BY whole;
