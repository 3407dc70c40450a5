-- What has to exist before the first migration, made by the role that the URL names.
--
-- staffroom_owner owns every table and runs migrations; staffroom_app is what all
-- other work runs as. Neither can log in: a login is a member of one or both, and
-- each transaction says which it is.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'staffroom_owner') THEN
        CREATE ROLE staffroom_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'staffroom_app') THEN
        CREATE ROLE staffroom_app NOLOGIN;
    END IF;
    IF NOT pg_has_role('staffroom_owner', 'MEMBER') THEN
        GRANT staffroom_owner TO CURRENT_USER;
    END IF;
    IF NOT pg_has_role('staffroom_app', 'MEMBER') THEN
        GRANT staffroom_app TO CURRENT_USER;
    END IF;
END
$$;

CREATE EXTENSION IF NOT EXISTS vector;

CREATE SCHEMA IF NOT EXISTS staffroom AUTHORIZATION staffroom_owner;

SET LOCAL ROLE staffroom_owner;

GRANT USAGE ON SCHEMA staffroom TO staffroom_app;

CREATE TABLE IF NOT EXISTS staffroom.schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT ON staffroom.schema_migrations TO staffroom_app;
