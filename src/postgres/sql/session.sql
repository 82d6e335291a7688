-- The session that is `which`, with its id where there may be several.
SELECT {id_column}{session t} FROM {table} AS t WHERE t.{id} = {which} LIMIT {limit}
