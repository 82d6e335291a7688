-- A query of the application, which may leave columns out and return whatever types it likes: the
-- names are looked up in a document, for which the server converts every type. `session.*` and not
-- `session`, which could be a column of the query.
SELECT {outer_id}s.doc ?& ARRAY['owner', 'status'] AS is_complete, s.doc ->> 'owner' AS owner,
    CASE jsonb_typeof(s.doc -> 'status') WHEN 'string' THEN s.doc ->> 'status' END AS status,
    s.doc ->> 'address' AS address, s.doc ->> 'remaining_seconds' AS remaining_seconds,
    s.doc ->> 'epoch' AS epoch, s.doc -> 'attributes' AS attributes, s.doc ->> 'released' AS released,
    s.doc ->> 'presence' AS presence
FROM (
    SELECT {inner_id}to_jsonb(session.*) AS doc FROM ({query}) AS session LIMIT {limit}
) AS s
