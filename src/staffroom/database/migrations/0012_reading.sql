-- How the file of an import is read: which column is which field, its encoding, delimiter, sheet
-- and header. What nobody said was found out when the file came in, and is kept here, too.

ALTER TABLE staffroom.imports ADD COLUMN options jsonb NOT NULL DEFAULT '{}';
