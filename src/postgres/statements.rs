//! The statements of a directory.

use std::sync::Arc;

use super::sql::{Sql, sql_file};

/// The statements of a directory: each a file in `sql/`, or one file with more than one filling.
macro_rules! statements {
    ($($name:ident = $file:literal $({ $($key:ident: $value:literal),* })?,)*) => {
        /// The statements of a directory, filled in.
        #[derive(Debug)]
        pub(super) struct Statements {
            $(pub(super) $name: Arc<str>,)*
        }

        impl Statements {
            pub(super) fn new(sql: &Sql) -> Self {
                Self {
                    $($name: sql.clone()$($(.template(stringify!($key), $value))*)?.fill(sql_file!($file)).into(),)*
                }
            }

            #[cfg(test)]
            pub(super) fn all(&self) -> impl Iterator<Item = &str> {
                [$(&*self.$name,)*].into_iter()
            }
        }
    };
}

statements! {
    claim = "claim",
    claim_free = "claim_free" {
        new_address: "me.address", seen: "'1' || $3::text || COALESCE(me.address, '')"
    },
    create_lock = "create_lock",
    create_give_up = "create_give_up",
    create_adopt = "create_adopt",
    touch = "touch",
    assign = "assign",
    release = "release" {
        which: "t.{id} = $3 AND t.{epoch} = $4", again: "t.{id} = $3 AND t.{epoch} = $4",
        lock: "FOR NO KEY UPDATE", has_waited: "$5", is_alone: "$6"
    },
    release_these = "release" {
        which: "{is_indexed_active t} AND t.{id} = ANY($3)", again: "{is_indexed_active t}",
        lock: "FOR NO KEY UPDATE SKIP LOCKED", is_alone: "$6",
        has_waited: "(t.{id}, t.{epoch}::bigint) IN (SELECT * FROM unnest($4, $5))"
    },
    release_others = "release" {
        which: "{is_indexed_active t} AND NOT t.{id} = ANY($3)", again: "{is_indexed_active t}",
        lock: "FOR NO KEY UPDATE SKIP LOCKED", is_alone: "$6",
        has_waited: "(t.{id}, t.{epoch}::bigint) IN (SELECT * FROM unnest($4, $5))"
    },
    owned = "owned",
    owned_count = "owned_count",
    owns_nothing = "owns_nothing",
    end = "end",
    end_held = "end_held",
    reap_sessions = "reap_sessions",
    unassigned = "unassigned",
    machines = "machines",
    set_gone = "set_gone",
    fleet_freshness = "fleet_freshness",
    register = "register",
    beat = "beat",
    look = "look",
    put_back = "put_back",
    mark_draining = "mark_draining",
    mark_left = "mark_left",
}
