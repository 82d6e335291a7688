BEGIN
    -- What is usual comes first: each condition costs a transaction of one row about a microsecond.
    IF TG_OP = 'UPDATE' AND {owner_text OLD} IS DISTINCT FROM {owner_text NEW}
        AND NOT {drifted OLD} AND {id_text OLD} IS NOT DISTINCT FROM {id_text NEW}
    THEN
        NEW.{epoch} := COALESCE(OLD.{epoch}, 1) + 1;
        -- The proof of a release: an owner gave the session up, and names the epoch that this
        -- makes. It holds for the epoch after that one, so whatever comes next voids it. Of a proof that
        -- is older, one that is ahead of the epoch was written while this trigger was missing.
        NEW.{released} := CASE
            WHEN OLD.{owner} IS NOT NULL AND NEW.{owner} IS NULL AND NEW.{released} = NEW.{epoch}
                THEN NEW.{released}
            WHEN OLD.{released} <= OLD.{epoch} THEN OLD.{released} END;
    ELSIF TG_OP = 'UPDATE' AND {owner_text OLD} IS NOT DISTINCT FROM {owner_text NEW}
        AND {id_text OLD} IS NOT DISTINCT FROM {id_text NEW}
        AND OLD.{epoch} = NEW.{epoch} AND OLD.{released} IS NOT DISTINCT FROM NEW.{released}
        AND OLD.{epoch_of} IS NOT DISTINCT FROM NEW.{epoch_of}
        AND NEW.{epoch_of} COLLATE "C" IS NOT DISTINCT FROM {owner_text NEW}
    THEN
        -- A write of other columns.
        RETURN NEW;
    ELSIF TG_OP = 'INSERT' THEN
{epochs_reused}        -- An UPDATE that moves a row to another partition arrives here, so the epoch may be that of
        -- a row which lives on. It may be higher than it has to be, never lower.
        IF NEW.{epoch_of} <> '' AND NEW.{epoch_of} COLLATE "C" IS DISTINCT FROM NEW.{owner}::text COLLATE "C" THEN
            NEW.{epoch} := NEW.{epoch} + 1;
        END IF;
        NEW.{epoch} := GREATEST(NEW.{epoch}, CASE WHEN NEW.{owner} IS NULL THEN 0 ELSE 1 END);
        -- Such a row brings its proof along, without which its owner would wait again. One that
        -- names no owner for its epoch, or another one, is not such a row.
        IF NEW.{epoch_of} COLLATE "C" IS DISTINCT FROM NEW.{owner}::text COLLATE "C"
            OR NEW.{released} > NEW.{epoch} - (CASE WHEN NEW.{owner} IS NULL THEN 0 ELSE 1 END)
        THEN
            NEW.{released} := NULL;
        END IF;
    ELSIF {id_text OLD} IS DISTINCT FROM {id_text NEW} THEN
        -- Rows may swap ids, and the row that had this id before may be at any epoch. The clock is
        -- ahead of all epochs that were counted, and of those that an earlier change of id made.
        IF pg_catalog.pg_typeof(NEW.{epoch})::text <> 'bigint' THEN
            RAISE EXCEPTION 'the id of a session can change only if its epoch is a bigint';
        END IF;
        NEW.{epoch} := GREATEST(COALESCE(OLD.{epoch}, 1) + 1,
            (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000::numeric)::bigint);
        NEW.{released} := NULL;
    ELSIF {drifted OLD} THEN
        -- The owner changed while this trigger was missing or disabled. Never a first epoch, which
        -- is served without a wait.
        NEW.{epoch} := GREATEST(COALESCE(OLD.{epoch}, 1) + 1, 2);
        NEW.{released} := NULL;
    ELSE
        NEW.{epoch} := COALESCE(OLD.{epoch}, 1);
        NEW.{released} := CASE WHEN OLD.{released} <= OLD.{epoch} THEN OLD.{released} END;
    END IF;
    -- The owner that the epoch is for. A reader that finds another one knows that the epoch proves
    -- nothing.
    NEW.{epoch_of} := NEW.{owner}::text;
    RETURN NEW;
END
