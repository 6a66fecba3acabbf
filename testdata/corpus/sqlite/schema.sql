CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE INDEX note_at ON note (at);
CREATE VIRTUAL TABLE words USING fts5(body);
INSERT INTO words VALUES ('the quick brown fox'), ('jumps over the lazy dog');
