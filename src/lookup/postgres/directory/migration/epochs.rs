//! The function and the triggers by which epochs rise, whatever writes.

use crate::lookup::postgres::{
    identifier::Identifier,
    migration::{qualified, tag},
    ownership::Ownership,
    table::Table,
};

/// The triggers that run the function, in the order of their names.
pub(in crate::lookup::postgres) const EPOCH_TRIGGERS: [&str; 2] =
    ["zz_tower_ownership_insert", "zz_tower_ownership_update"];

/// The function that raises epochs is not the one that notifies, which has a migration of its own:
/// applied later, that would replace the one function by its own, and a trigger that runs `BEFORE`
/// a write and returns NULL swallows the write.
pub(in crate::lookup::postgres) fn epoch_function(table: &Table) -> String {
    qualified(table, "_tower_ownership_epoch")
}

/// Byte by byte: a type or a collation may call two owners equal that are two machines.
fn differs(column: &Identifier) -> String {
    format!("OLD.{column}::text COLLATE \"C\" IS DISTINCT FROM NEW.{column}::text COLLATE \"C\"")
}

/// The text of the function, as the server keeps it.
pub(super) fn body(table: &Table, ownership: &Ownership) -> String {
    let (epoch, released, of) = (&ownership.epoch, &ownership.released, &ownership.epoch_of);
    let (id, owner) = (&table.id, &table.owner);
    let (id_differs, owner_differs) = (differs(id), differs(owner));
    let drifted = format!(
        r#"(OLD.{of} COLLATE "C" IS DISTINCT FROM OLD.{owner}::text COLLATE "C" AND OLD.{of} IS DISTINCT FROM '')"#
    );
    format!(
        r#"
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- An UPDATE that moves a row to another partition arrives here, so the epoch may be that of
        -- a row which lives on. It may be higher than it has to be, never lower.
        IF NEW.{of} <> '' AND NEW.{of} COLLATE "C" IS DISTINCT FROM NEW.{owner}::text COLLATE "C" THEN
            NEW.{epoch} := NEW.{epoch} + 1;
        END IF;
        NEW.{epoch} := GREATEST(NEW.{epoch}, CASE WHEN NEW.{owner} IS NULL THEN 0 ELSE 1 END);
        -- Such a row brings its proof along, without which its owner would wait again. One that
        -- names no owner for its epoch, or another one, is not such a row.
        IF NEW.{of} COLLATE "C" IS DISTINCT FROM NEW.{owner}::text COLLATE "C"
            OR NEW.{released} > NEW.{epoch} - (CASE WHEN NEW.{owner} IS NULL THEN 0 ELSE 1 END)
        THEN
            NEW.{released} := NULL;
        END IF;
    ELSIF {id_differs} THEN
        -- Rows may swap ids, and the row that had this id before may be at any epoch. The clock is
        -- ahead of all epochs that were counted, and of those that an earlier change of id made.
        IF pg_typeof(NEW.{epoch}) <> 'bigint'::regtype THEN
            RAISE EXCEPTION 'the id of a session can change only if its epoch is a bigint';
        END IF;
        NEW.{epoch} := GREATEST(COALESCE(OLD.{epoch}, 1) + 1,
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
        NEW.{released} := NULL;
    ELSIF {drifted} THEN
        -- The owner changed while this trigger was missing or disabled. Never a first epoch, which
        -- is served without a wait.
        NEW.{epoch} := GREATEST(COALESCE(OLD.{epoch}, 1) + 1, 2);
        NEW.{released} := NULL;
    ELSIF {owner_differs} THEN
        NEW.{epoch} := COALESCE(OLD.{epoch}, 1) + 1;
        -- The proof of a release: an owner gave the session up, and names the epoch that this
        -- makes. It holds for the epoch after that one, so whatever comes next voids it.
        IF OLD.{owner} IS NULL OR NEW.{owner} IS NOT NULL
            OR NEW.{released} IS DISTINCT FROM NEW.{epoch}
        THEN
            -- One that is ahead of the epoch was written while this trigger was missing.
            NEW.{released} := CASE WHEN OLD.{released} <= OLD.{epoch} THEN OLD.{released} END;
        END IF;
    ELSE
        NEW.{epoch} := COALESCE(OLD.{epoch}, 1);
        NEW.{released} := CASE WHEN OLD.{released} <= OLD.{epoch} THEN OLD.{released} END;
    END IF;
    -- The owner that the epoch is for. A reader that finds another one knows that the epoch proves
    -- nothing.
    NEW.{of} := NEW.{owner}::text;
    RETURN NEW;
END
"#
    )
}

/// The statements that make both.
pub(super) fn statements(table: &Table, ownership: &Ownership) -> String {
    let (name, function) = (table.qualified(), epoch_function(table));
    let (epoch, released, of) = (&ownership.epoch, &ownership.released, &ownership.epoch_of);
    let owner = &table.owner;
    let (id_differs, owner_differs) = (differs(&table.id), differs(owner));
    let body = body(table, ownership);
    let tag = tag(&body);
    let [insert, update] = EPOCH_TRIGGERS;
    format!(
        r#"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS {tag}{body}{tag};

-- Triggers run in the order of their names, and these have to see what the others made of the row.
-- No `UPDATE OF`: it would look at the statement, and another trigger may change the owner, too.
-- Nor `ENABLE ALWAYS`: a logical replica has to keep the epochs of its publisher.
CREATE OR REPLACE TRIGGER {insert}
    BEFORE INSERT ON {name}
    FOR EACH ROW EXECUTE FUNCTION {function}();

CREATE OR REPLACE TRIGGER {update}
    BEFORE UPDATE ON {name}
    FOR EACH ROW WHEN (
        {owner_differs}
        OR {id_differs}
        OR OLD.{epoch} IS DISTINCT FROM NEW.{epoch}
        OR OLD.{released} IS DISTINCT FROM NEW.{released}
        OR OLD.{of} IS DISTINCT FROM NEW.{of}
        OR NEW.{of} COLLATE "C" IS DISTINCT FROM NEW.{owner}::text COLLATE "C"
    )
    EXECUTE FUNCTION {function}();
"#
    )
}
