-- Sessions whose id begins or ends with $1, as a log shows it.
SELECT t.{id}::{id_type} AS id FROM {table} AS t
WHERE left({notified t}, length($1)) = $1 OR right({notified t}, length($1)) = $1 LIMIT 3
