-- Eight digits that are the same for every machine that reads this database, a standby of it included, and
-- for no other: the server's cluster and the database in it. A row with a random id was rejected: a
-- restored copy would have it as well, and the plain level has no table of ours.
SELECT left(encode(sha256(convert_to(c.system_identifier || '/' || d.oid, 'UTF8')), 'hex'), 8)
FROM pg_control_system() AS c, pg_database AS d WHERE d.datname = current_database()
