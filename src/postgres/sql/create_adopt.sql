-- Makes machine $2, whose process is $3, the owner of session $1, whose life has long been over, and which
-- was taken from its owner without a proof. Only an owner that gives a session up can prove that.
UPDATE {table} AS t SET {owner} = {owner_value}
WHERE t.{id} = $1 AND {is_over t} AND {lacks_proof t} AND {may_create}
