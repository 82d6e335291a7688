-- The session that is `which`, and whether the server is a standby: what a standby says of an owner may
-- have been true some time ago, and a machine would serve by it for as long as the standby lags. The
-- same statement says so, since a pooler may send the next one to another server; and in a row that
-- there is even if there is no session. An outer join, because a condition that depends on no table is
-- not looked at where the planner knows that there is no row.
SELECT here.standby, t.{id}::{id_type} AS id, {session t}
FROM (SELECT pg_is_in_recovery() AS standby) AS here
LEFT JOIN {table} AS t ON t.{id} = {which} LIMIT {limit}
