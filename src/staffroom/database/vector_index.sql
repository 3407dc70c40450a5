-- The operator class here and the operator <#> of queries/search.sql belong together; on
-- vectors of unit length the inner product orders as the cosine does, and is cheaper.
-- On a table in parts, every part gets its own.

CREATE INDEX {nearest} ON staffroom.{vectors} USING hnsw (embedding halfvec_ip_ops);
