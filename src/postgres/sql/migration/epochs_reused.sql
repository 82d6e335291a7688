        -- A row that no trigger has seen, so none that moves to another partition. A row that had this
        -- id before may have been at any epoch. The clock is ahead of all that were counted, and the
        -- proof says that this row had no owner to wait for.
        IF NEW.{epoch_of} IS NULL AND COALESCE(NEW.{epoch}, 0) <= 0 THEN
            IF pg_catalog.pg_typeof(NEW.{epoch})::text <> 'bigint' THEN
                RAISE EXCEPTION 'ids of sessions are reusable only if the epoch is a bigint';
            END IF;
            NEW.{epoch} := (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000::numeric)::bigint;
            NEW.{released} := NEW.{epoch} - (CASE WHEN NEW.{owner} IS NULL THEN 0 ELSE 1 END);
            NEW.{epoch_of} := NEW.{owner}::text;
        END IF;
