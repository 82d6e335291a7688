{variables}
BEGIN
    IF (
        SELECT sum(pg_catalog.pg_relation_size(relid)) FROM (
            SELECT {table_literal}::regclass AS relid
            UNION SELECT relid FROM pg_catalog.pg_partition_tree({table_literal}::regclass)
        ) AS tree
    ) <= {small} THEN
        IF holds_others THEN
            DROP INDEX {index};
        END IF;
        EXECUTE {now} || indexed;
        {fill};
    ELSE
        IF EXISTS (SELECT FROM {table} AS t WHERE {due}) THEN
            RAISE WARNING USING MESSAGE = {filling};
        END IF;
        IF to_regclass({index_literal}) IS NULL THEN
            RAISE WARNING USING MESSAGE = {by_hand} || indexed;
        ELSIF holds_others THEN
            RAISE WARNING USING MESSAGE = {again} || indexed || {last};
        END IF;
    END IF;
END
