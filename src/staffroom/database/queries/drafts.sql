-- What a draft would be beside what is there. {vectors} is the current generation's table.

-- name: like_draft
-- The scenarios nearest to a draft, whatever their status, but for the one that is being edited.
SELECT nearest.scenario_id AS id, r.name, nearest.status, nearest.similarity
FROM (
    SELECT s.tenant_id, s.scenario_id, s.revision, s.status,
        -(v.embedding <#> %(embedding)s) AS similarity
    FROM staffroom.{vectors} AS v
    JOIN staffroom.scenarios AS s
        ON s.tenant_id = v.tenant_id AND s.scenario_id = v.scenario_id
    WHERE v.tenant_id = %(tenant_id)s AND s.tenant_id = %(tenant_id)s
        AND s.status = ANY(%(statuses)s::text[])
        AND (%(but)s::uuid IS NULL OR s.scenario_id <> %(but)s::uuid)
    ORDER BY v.embedding <#> %(embedding)s
    LIMIT %(limit)s
) AS nearest
JOIN staffroom.scenario_revisions AS r
    ON r.tenant_id = nearest.tenant_id AND r.scenario_id = nearest.scenario_id
        AND r.revision = nearest.revision
WHERE r.tenant_id = %(tenant_id)s
ORDER BY nearest.similarity DESC, nearest.scenario_id;

-- name: asked_like_draft
-- The questions nearest to a draft, among the newest that were asked while this model embedded them.
SELECT question, embedding, -(embedding <#> %(embedding)s) AS similarity
FROM (
    SELECT DISTINCT ON (lower(asked)) asked AS question, question_embedding AS embedding
    FROM (
        SELECT asked, question_embedding, interaction_id
        FROM staffroom.interactions
        WHERE tenant_id = %(tenant_id)s AND generation_id = %(generation_id)s
        ORDER BY interaction_id DESC
        LIMIT %(newest)s
    ) AS recent
    ORDER BY lower(asked), interaction_id DESC
) AS different
ORDER BY similarity DESC, question
LIMIT %(limit)s;
