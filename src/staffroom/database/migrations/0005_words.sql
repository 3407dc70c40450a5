-- What a scenario says in words, so that a search finds "Tourette" and not only what is like it.
--
-- The operators of full text search are not leakproof, so their indexes are of no use where
-- row-level security holds. Here the index is a B-tree over (tenant, word), compared by equality.

-- The text search configuration of a language, as far as this server has one.
CREATE TABLE staffroom.text_search_languages (
    language text PRIMARY KEY,
    configuration regconfig NOT NULL
);

INSERT INTO staffroom.text_search_languages
SELECT given.language, c.oid::regconfig
FROM (
    VALUES
        ('ar', 'arabic'), ('ca', 'catalan'), ('da', 'danish'), ('de', 'german'), ('el', 'greek'),
        ('en', 'english'), ('es', 'spanish'), ('et', 'estonian'), ('eu', 'basque'),
        ('fi', 'finnish'), ('fr', 'french'), ('ga', 'irish'), ('hi', 'hindi'),
        ('hu', 'hungarian'), ('hy', 'armenian'), ('id', 'indonesian'), ('it', 'italian'),
        ('lt', 'lithuanian'), ('nb', 'norwegian'), ('ne', 'nepali'), ('nl', 'dutch'),
        ('nn', 'norwegian'), ('no', 'norwegian'), ('pt', 'portuguese'), ('ro', 'romanian'),
        ('ru', 'russian'), ('sr', 'serbian'), ('sv', 'swedish'), ('ta', 'tamil'),
        ('tr', 'turkish'), ('yi', 'yiddish')
) AS given (language, configuration)
JOIN pg_ts_config AS c
    ON c.cfgname = given.configuration AND c.cfgnamespace = 'pg_catalog'::regnamespace;

GRANT SELECT ON staffroom.text_search_languages TO staffroom_app;

-- A word without its accents: whoever types in a hurry leaves them out.
CREATE FUNCTION staffroom.without_accents(word text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE
        WHEN octet_length(word) = length(word) THEN word
        ELSE normalize(regexp_replace(normalize(word, NFKD), '[\u0300-\u036f]', '', 'g'), NFKC)
    END
$$;

-- The stems of a text and how often each stands in it, without the words that every text has.
-- Of a language without a stemmer, words are cut into groups of four letters; in writing without
-- spaces, into groups of two.
CREATE FUNCTION staffroom.words_in(language text, body text)
RETURNS TABLE (word text, frequency integer)
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT staffroom.without_accents(part.word), sum(cardinality(w.positions))::integer
    FROM (
        SELECT (
            SELECT l.configuration
            FROM staffroom.text_search_languages AS l
            WHERE l.language = split_part(lower(words_in.language), '-', 1)
        ) AS configuration
    ) AS known
    CROSS JOIN LATERAL unnest(
        to_tsvector(coalesce(known.configuration, 'simple'::regconfig), words_in.body)
    ) AS w
    CROSS JOIN LATERAL (
        SELECT w.lexeme AS word WHERE known.configuration IS NOT NULL
        UNION ALL
        SELECT substr(w.lexeme, start, size.letters)
        FROM (
            SELECT CASE WHEN w.lexeme ~ '[\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7af]' THEN 2 ELSE 4 END
        ) AS size (letters)
        CROSS JOIN LATERAL generate_series(
            1, greatest(1, length(w.lexeme) - size.letters + 1)
        ) AS start
        WHERE known.configuration IS NULL
    ) AS part
    GROUP BY 1
$$;

-- Of the scenarios in a language: how many there are, and how many words they have together.
CREATE TABLE staffroom.word_statistics (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    language text NOT NULL,
    scenarios bigint NOT NULL,
    length bigint NOT NULL,
    PRIMARY KEY (tenant_id, language)
);

-- The words of a library, numbered, and how many of its scenarios have each.
CREATE TABLE staffroom.vocabulary (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    word text COLLATE "C" NOT NULL,
    term integer NOT NULL,
    scenarios integer NOT NULL,
    PRIMARY KEY (tenant_id, word),
    UNIQUE (tenant_id, term)
) WITH (fillfactor = 70);

-- All words of a scenario with their weights, by their numbers.
CREATE TABLE staffroom.scenario_words (
    tenant_id uuid NOT NULL,
    scenario_id uuid NOT NULL,
    revision integer NOT NULL,
    language text NOT NULL,
    length integer NOT NULL,
    words sparsevec NOT NULL,
    PRIMARY KEY (tenant_id, scenario_id),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES staffroom.scenarios ON DELETE CASCADE
);

-- The way from a word to the scenarios that it weighs most in.
CREATE TABLE staffroom.postings (
    tenant_id uuid NOT NULL REFERENCES staffroom.tenants ON DELETE CASCADE,
    term integer NOT NULL,
    weight real NOT NULL,
    scenario_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, term, weight, scenario_id)
);

ALTER TABLE staffroom.postings SET (autovacuum_vacuum_insert_scale_factor = 0.05);

-- What a word may have been meant to be: one letter left out, changed, added, or two exchanged.
CREATE FUNCTION staffroom.one_edit_away(word text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT left(word, place - 1) || substr(word, place + 1)
    FROM generate_series(1, length(word)) AS place
    UNION
    SELECT left(word, place - 1) || substr(word, place + 1, 1) || substr(word, place, 1)
        || substr(word, place + 2)
    FROM generate_series(1, length(word) - 1) AS place
    UNION
    SELECT left(word, place - 1) || letter || substr(word, place + changed)
    FROM generate_series(1, length(word) + 1) AS place,
        unnest(string_to_array('abcdefghijklmnopqrstuvwxyz', NULL)) AS letter,
        generate_series(0, 1) AS changed
$$;

-- A question's words as the library has them, and how many scenarios have each: none has what the
-- library does not know. Words of six letters and more are forgiven one slip.
CREATE FUNCTION staffroom.words_asked(tenant_id uuid, language text, question text)
RETURNS TABLE (word text, term integer, scenarios integer)
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT DISTINCT coalesce(meant.word, w.word), coalesce(v.term, meant.term),
        coalesce(v.scenarios, meant.scenarios, 0)
    FROM staffroom.words_in(words_asked.language, words_asked.question) AS w
    LEFT JOIN staffroom.vocabulary AS v
        ON v.tenant_id = words_asked.tenant_id AND v.word = w.word AND v.scenarios > 0
    LEFT JOIN LATERAL (
        SELECT o.word, o.term, o.scenarios
        FROM staffroom.one_edit_away(w.word) AS near
        JOIN staffroom.vocabulary AS o
            ON o.tenant_id = words_asked.tenant_id AND o.word = near AND o.scenarios > 0
        WHERE v.term IS NULL AND w.word ~ '^[a-z]{6,40}$'
        ORDER BY o.scenarios DESC, o.word
        LIMIT 1
    ) AS meant ON true
$$;

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'word_statistics', 'vocabulary', 'scenario_words', 'postings'
    ] LOOP
        EXECUTE format('ALTER TABLE staffroom.%I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE staffroom.%I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format(
            'CREATE POLICY own_tenant ON staffroom.%I USING (tenant_id = '
            '(SELECT nullif(current_setting(''staffroom.tenant_id'', true), '''')::uuid))',
            tenant_table
        );
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON staffroom.%I TO staffroom_app', tenant_table
        );
    END LOOP;
END
$$;
