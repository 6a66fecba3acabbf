CREATE TABLE item (id serial PRIMARY KEY, name text, added timestamptz DEFAULT now(), code uuid DEFAULT gen_random_uuid());
INSERT INTO item (name) VALUES ('chair'), ('table');
ANALYZE;
