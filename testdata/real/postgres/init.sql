CREATE EXTENSION ip4r;
CREATE TABLE ranges (name text PRIMARY KEY, range ip4r NOT NULL);
INSERT INTO ranges VALUES ('documentation', '192.0.2.0/24'), ('private', '10.0.0.0/8');
