//! Sessions whose ids are no UUIDs, in every type of column.

use std::time::Duration;

use tower_ownership::{
    CachePolicy, OnUnassigned, PostgresLookup, Query, SessionDirectory as _, SessionId,
    SessionLookup as _,
    directory::EndIf,
    ownership::FeedState,
    postgres::{PostgresIdType, PostgresLookupBuilder, PostgresVerifyError, SessionFilter},
    session::SessionIds,
};

use super::{Process, machine, me};
use crate::support::database::Database;
use crate::support::until_async;

struct Kind {
    column: PostgresIdType,
    sql: &'static str,
    /// Ids, and how SQL writes them.
    ids: [(&'static str, &'static str); 3],
    /// One that the column cannot hold.
    unfit: &'static str,
}

const LONG: &str = "a-name-that-is-longer-than-what-an-id-holds-in-place-0123456789";

const KINDS: [Kind; 6] = [
    Kind {
        column: PostgresIdType::Text,
        sql: "text",
        ids: [
            ("lobby", "'lobby'"),
            ("the blue room \u{e9}'\"", "E'the blue room \u{e9}\\'\"'"),
            (
                LONG,
                "'a-name-that-is-longer-than-what-an-id-holds-in-place-0123456789'",
            ),
        ],
        unfit: "807efe44\u{85}",
    },
    Kind {
        column: PostgresIdType::Text,
        sql: "varchar(255)",
        ids: [
            ("*", "'*'"),
            ("beat 0000000000000001", "'beat 0000000000000001'"),
            (
                "807EFE44-D63E-4A24-88F5-DBE96112830A",
                "'807EFE44-D63E-4A24-88F5-DBE96112830A'",
            ),
        ],
        unfit: "\u{7f}",
    },
    Kind {
        column: PostgresIdType::Char,
        sql: "char(80)",
        ids: [
            ("lobby", "'lobby'"),
            (" x y", "' x y'"),
            (
                LONG,
                "'a-name-that-is-longer-than-what-an-id-holds-in-place-0123456789'",
            ),
        ],
        unfit: "lobby ",
    },
    Kind {
        column: PostgresIdType::Bigint,
        sql: "bigint",
        ids: [
            ("42", "42"),
            ("-1", "-1"),
            ("9223372036854775807", "9223372036854775807"),
        ],
        unfit: "042",
    },
    Kind {
        column: PostgresIdType::Bigint,
        sql: "integer",
        ids: [("1", "1"), ("2", "2"), ("3", "3")],
        unfit: "lobby",
    },
    Kind {
        column: PostgresIdType::Bytea,
        sql: "bytea",
        ids: [
            ("lobby", "'lobby'"),
            ("back\\slash", "convert_to(E'back\\\\slash', 'UTF8')"),
            ("Zo\u{eb}", "convert_to('Zo\u{eb}', 'UTF8')"),
        ],
        unfit: "\u{1}",
    },
];

impl Kind {
    async fn database(&self) -> (Database, PostgresLookupBuilder) {
        let database = Database::fresh().await;
        database
            .execute(&format!(
                "CREATE TABLE preview_sessions (id {} PRIMARY KEY, status text NOT NULL,
                     container_id text, container_url text, expires_at timestamptz,
                     ended_at timestamptz)",
                self.sql
            ))
            .await;
        let builder = self.builder(&database);
        let directory = builder.clone().build().unwrap().directory().unwrap();
        let migration = directory.migration().unwrap();
        database.execute(&migration).await;
        for (_, literal) in self.ids {
            let insert = "INSERT INTO preview_sessions (id, status)";
            database
                .execute(&format!("{insert} VALUES ({literal}, 'active')"))
                .await;
        }
        (database, builder)
    }

    fn builder(&self, database: &Database) -> PostgresLookupBuilder {
        let builder = PostgresLookup::builder(database.url()).ownership();
        builder.id_type(self.column)
    }

    fn ids(&self) -> [SessionId; 3] {
        self.ids.map(|(id, _)| id.parse().unwrap())
    }
}

#[tokio::test]
async fn a_session_of_any_id_is_claimed_served_moved_and_ended() {
    for kind in &KINDS {
        let (database, builder) = kind.database().await;
        let lookup = builder.build().unwrap();
        lookup.verify(&me("m1")).await.unwrap();
        let m1 = Process::around("m1", lookup.clone(), |layer| {
            let long = CachePolicy::new().owned(Duration::from_secs(60));
            // A path with a backslash in it could be read in two ways.
            let layer = layer.session(Query::named("session").unwrap());
            layer.cache_policy(long).on_unassigned(OnUnassigned::Claim)
        });
        let _presence = m1.present().await;
        let feed = lookup.change_feed().start(m1.cache.clone()).unwrap();
        until_async("it listens", async || {
            matches!(feed.health().state, FeedState::Listening { .. })
        })
        .await;
        let [first, second, third] = kind.ids();
        for id in [&first, &second, &third] {
            assert_eq!(m1.answer(id.clone()).await, "epoch 1", "{} {id}", kind.sql);
        }

        // Told of by the trigger, since the cache would hold it for a minute.
        let (_, literal) = kind.ids[0];
        let moves = format!("UPDATE preview_sessions SET container_id = 'm2' WHERE id = {literal}");
        database.execute(&moves).await;
        until_async("the change feed delivers the move", async || {
            m1.answer(first.clone()).await != "epoch 1"
        })
        .await;

        let ended = m1.directory.end(second.clone(), EndIf::Any).await.unwrap();
        assert_eq!(ended, Some(1), "{}", kind.sql);
        until_async("the change feed delivers the end", async || {
            m1.answer(second.clone()).await == "session-over"
        })
        .await;
        let released = m1.directory.release_all(&m1.node).await.unwrap();
        let released: Vec<_> = released.into_iter().map(|one| one.session).collect();
        assert!(released.contains(&third), "{}", kind.sql);
    }
}

#[tokio::test]
async fn many_are_read_at_once() {
    for kind in &KINDS {
        let (_database, builder) = kind.database().await;
        // One query is on its way, so the others go out together.
        let lookup = builder.max_batches(1).build().unwrap();
        let lookups = kind.ids().into_iter().cycle().take(12).map(async |id| {
            let session = lookup.session(id.clone()).await.unwrap().unwrap();
            assert_eq!(*session.id(), id, "{}", kind.sql);
        });
        futures_util::future::join_all(lookups).await;
    }
}

#[tokio::test]
async fn an_id_that_the_column_cannot_hold_is_unknown_without_a_query() {
    for kind in &KINDS {
        let (database, builder) = kind.database().await;
        let process = Process::with("m1", builder, CachePolicy::new());
        let before = database.statements_with("preview_sessions");
        let Ok(id) = kind.unfit.parse::<SessionId>() else {
            continue;
        };
        assert_eq!(
            process.answer(id.clone()).await,
            "session-unknown",
            "{}",
            kind.sql
        );
        assert_eq!(process.lookup.session(id.clone()).await.unwrap(), None);
        assert_eq!(
            process.directory.end(id.clone(), EndIf::Any).await.unwrap(),
            None
        );
        let after = database.statements_with("preview_sessions");
        assert_eq!(after, before, "{}", kind.sql);
    }
}

#[tokio::test]
async fn lists_and_audits_show_any_id() {
    for kind in &KINDS {
        let (database, builder) = kind.database().await;
        database
            .execute("UPDATE preview_sessions SET container_id = 'm9'")
            .await;
        machine(&database, "m1", 0.0, "").await;
        let directory = builder.clone().build().unwrap().directory().unwrap();
        let mut expected = kind.ids();
        expected.sort_unstable();
        let listed = directory.sessions(&SessionFilter::All, 10).await.unwrap();
        let mut listed: Vec<_> = listed.into_iter().map(|one| one.id).collect();
        listed.sort_unstable();
        assert_eq!(listed, expected, "{}", kind.sql);
        let audit = directory.audit(10).await.unwrap().unwrap();
        let mut found: Vec<_> = audit
            .findings
            .into_iter()
            .filter_map(|one| one.session)
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", kind.sql);
    }
}

#[tokio::test]
async fn a_column_of_another_type_than_was_said_is_found_by_verify() {
    for kind in &KINDS {
        let (database, _) = kind.database().await;
        let wrong = match kind.column {
            PostgresIdType::Bigint => PostgresIdType::Text,
            _ => PostgresIdType::Bigint,
        };
        let lookup = PostgresLookup::builder(database.url()).ownership();
        let lookup = lookup.id_type(wrong).build().unwrap();
        let error = lookup.verify(&me("m1")).await.unwrap_err();
        assert!(matches!(error, PostgresVerifyError::Faults(_)), "{error}");
    }
}

#[tokio::test]
async fn a_column_of_text_may_hold_uuids_that_clients_spell_as_they_like() {
    let database = Database::fresh().await;
    database
        .execute(
            "CREATE TABLE preview_sessions (id text PRIMARY KEY, status text, container_id text,
                 container_url text, expires_at timestamptz, ended_at timestamptz);
             INSERT INTO preview_sessions VALUES
                 ('807efe44-d63e-4a24-88f5-dbe96112830a', 'active', 'm1')",
        )
        .await;
    let builder = PostgresLookup::builder(database.url())
        .ownership()
        .id_type(PostgresIdType::Text)
        .session_ids(SessionIds::uuid());
    let directory = builder.clone().build().unwrap().directory().unwrap();
    database.execute(&directory.migration().unwrap()).await;
    let process = Process::with("m1", builder, CachePolicy::new());
    let _presence = process.present().await;
    for id in [
        "807efe44-d63e-4a24-88f5-dbe96112830a",
        "807EFE44-D63E-4A24-88F5-DBE96112830A",
        "807efe44d63e4a2488f5dbe96112830a",
    ] {
        let id: SessionId = id.parse().unwrap();
        assert_eq!(process.answer(id.clone()).await, "epoch 1", "{id}");
    }
    let other: SessionId = "lobby".parse().unwrap();
    assert_eq!(process.answer(other).await, "session-unknown");
}

#[cfg(feature = "doctor")]
#[tokio::test]
async fn the_doctor_takes_any_id() {
    use tower_ownership::{doctor::Doctor, explain::Finding};

    for kind in &KINDS {
        let (database, builder) = kind.database().await;
        database
            .execute("UPDATE preview_sessions SET container_id = 'm9'")
            .await;
        machine(&database, "m1", 0.0, "").await;
        let doctor = Doctor::postgres(builder).unwrap();
        let (id, _) = kind.ids[1];
        let diagnosis = doctor.diagnose(id).await;
        assert_eq!(
            diagnosis.finding,
            Finding::OwnerNeverSeen,
            "{} {diagnosis:?}",
            kind.sql
        );
    }
}
