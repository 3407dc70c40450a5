-- What reports that advice worked are worth.

-- name: begin_standings
-- Each scenario that an exchange rests on has a standing.
INSERT INTO staffroom.standings (tenant_id, scenario_id)
SELECT tenant_id, scenario_id
FROM staffroom.interaction_matches
WHERE tenant_id = %(tenant_id)s AND interaction_id = %(interaction_id)s
ON CONFLICT (tenant_id, scenario_id) DO NOTHING;

-- name: count_worked
-- Counted anew for all that the exchange rests on. A report is one on the scenario that it names, or
-- on each that the answer cites; made twice it counts once.
UPDATE staffroom.standings AS t
SET worked = counted.worked
FROM (
    SELECT own.scenario_id, count(DISTINCT f.interaction_id) AS worked
    FROM staffroom.standings AS own
    JOIN staffroom.interaction_matches AS m
        ON m.tenant_id = own.tenant_id AND m.scenario_id = own.scenario_id
    JOIN staffroom.interactions AS i
        ON i.tenant_id = m.tenant_id AND i.interaction_id = m.interaction_id
    JOIN staffroom.feedback AS f
        ON f.tenant_id = m.tenant_id AND f.interaction_id = m.interaction_id
    WHERE own.tenant_id = %(tenant_id)s AND m.tenant_id = %(tenant_id)s
        AND i.tenant_id = %(tenant_id)s AND f.tenant_id = %(tenant_id)s
        AND own.scenario_id IN (
            SELECT scenario_id
            FROM staffroom.interaction_matches
            WHERE tenant_id = %(tenant_id)s AND interaction_id = %(interaction_id)s
        )
        AND f.verdict = 'worked' AND f.created_at >= own.since
        AND (
            f.scenario_id = own.scenario_id
            OR f.scenario_id IS NULL AND i.sentences @> jsonb_build_array(
                jsonb_build_object('citations', jsonb_build_array(own.scenario_id))
            )
        )
    GROUP BY own.scenario_id
) AS counted
WHERE t.tenant_id = %(tenant_id)s AND t.scenario_id = counted.scenario_id
    AND t.worked <> counted.worked;

-- name: get_standing
-- A scenario's standing; nothing was reported if there is no row of it.
SELECT coalesce(t.worked, 0) AS worked, nullif(t.since, '-infinity') AS reset_at
FROM staffroom.scenarios AS s
LEFT JOIN staffroom.standings AS t
    ON t.tenant_id = s.tenant_id AND t.scenario_id = s.scenario_id
WHERE s.tenant_id = %(tenant_id)s AND s.scenario_id = %(scenario_id)s;

-- name: reset_standing
-- What was reported until now no longer counts.
INSERT INTO staffroom.standings (tenant_id, scenario_id, since)
SELECT s.tenant_id, s.scenario_id, clock_timestamp()
FROM staffroom.scenarios AS s
WHERE s.tenant_id = %(tenant_id)s AND s.scenario_id = %(scenario_id)s
ON CONFLICT (tenant_id, scenario_id) DO UPDATE SET worked = 0, since = excluded.since;
