-- Takes session $1, whose life is over, from its owner, for machine $2, whose process is $3, which begins
-- another life of it. The release is proven if no lease of the owner can be valid any more.
UPDATE {table} AS t SET {owner} = NULL,
    {released} = CASE WHEN {is_long_over t} THEN t.{epoch} + 1 ELSE t.{released} END
WHERE t.{id} = $1 AND {is_over t} AND t.{owner} IS NOT NULL AND {may_create}
