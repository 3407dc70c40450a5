-- One partition of a generation's vectors. Nobody has a right to it and no policy lets a row pass:
-- rows are read and written through the table that it is a part of.

CREATE TABLE staffroom.{partition} PARTITION OF staffroom.{vectors}
    FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number});

ALTER TABLE staffroom.{partition} ENABLE ROW LEVEL SECURITY;
ALTER TABLE staffroom.{partition} FORCE ROW LEVEL SECURITY;
