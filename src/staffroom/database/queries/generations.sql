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
