-- Finding the nearest scenarios. {vectors} is the current generation's table.

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
