-- Parts that other statements include by name, in braces.

-- name: scenario
-- The columns of a scenario as people read it.
s.scenario_id, s.source_id, s.revision, s.created_at, s.updated_at,
    r.name, r.description, r.expected_response, r.example_questions, r.metadata

-- name: newest_revision
-- From a head to what it says now.
JOIN staffroom.scenario_revisions AS r
    ON r.tenant_id = s.tenant_id AND r.scenario_id = s.scenario_id AND r.revision = s.revision

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
AND (%(review_from)s::date IS NULL OR s.review_by >= %(review_from)s::date)
AND (%(review_until)s::date IS NULL OR s.review_by <= %(review_until)s::date)
AND (%(without_overdue_on)s::date IS NULL OR s.review_by IS NULL OR s.review_by >= %(without_overdue_on)s::date)
