-- The session that is `which`.
SELECT t.{id}::{id_type} AS id, {session t} FROM {table} AS t WHERE t.{id} = {which} LIMIT {limit}
