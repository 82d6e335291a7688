//! What `verify` finds before the first request does.

use tower_ownership::{
    LookupErrorKind, MachineId, PostgresLookup,
    postgres::{
        PostgresFault, PostgresLookupBuilder, PostgresVerified, PostgresVerifyError,
        PostgresWarning,
    },
};
use tower_ownership::{postgres::PostgresIdType, session::SessionIds};

use super::with_session;
use crate::support::chain;
use crate::support::database::Database;
use crate::support::free_port;
use crate::support::incident::PreviewSession;
use crate::support::incident::{columns, lookup};

fn me(id: &str) -> MachineId {
    id.parse().unwrap()
}

async fn verified(lookup: &PostgresLookup) -> PostgresVerified {
    lookup.verify(&me("m1")).await.unwrap()
}

/// All faults, as people read them.
async fn faults(builder: PostgresLookupBuilder) -> Vec<String> {
    let lookup = builder.build().unwrap();
    match lookup.verify(&me("m1")).await {
        Err(error @ PostgresVerifyError::Faults(_)) => {
            let PostgresVerifyError::Faults(faults) = &error else {
                unreachable!()
            };
            let faults: Vec<String> = faults.iter().map(PostgresFault::to_string).collect();
            assert!(faults.iter().all(|fault| error.to_string().contains(fault)));
            faults
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_incidents_table_fits() {
    let (database, _) = with_session().await;
    let lookup = PostgresLookup::builder(database.url())
        .attributes(["user_id", "created_at"])
        .build()
        .unwrap();
    let verified = verified(&lookup).await;
    assert_eq!(verified.warnings(), []);
    assert_eq!(verified.to_string(), "the session directory fits");
}

#[tokio::test]
async fn an_empty_table_fits() {
    let database = Database::fresh().await;
    database.incident_table().await;
    assert_eq!(verified(&lookup(&database)).await.warnings(), []);
}

#[tokio::test]
async fn a_missing_table_is_named() {
    let database = Database::fresh().await;
    assert_eq!(
        faults(PostgresLookup::builder(database.url())).await,
        [r#"there is no table "preview_sessions""#]
    );
    database.incident_table().await;
    let elsewhere = PostgresLookup::builder(database.url())
        .schema("no\"where")
        .table("preview_sessions");
    assert_eq!(
        faults(elsewhere).await,
        [r#"there is no table "no""where"."preview_sessions""#]
    );
}

#[tokio::test]
async fn everything_that_is_wrong_is_named_at_once() {
    let database = Database::fresh().await;
    database
        .execute(
            "CREATE TABLE preview_sessions (id text, status boolean, container_id jsonb,
                 expires_at text, ended_at boolean, owner_epoch numeric)",
        )
        .await;
    let builder = PostgresLookup::builder(database.url())
        .columns(columns("epoch=owner_epoch"))
        .attributes(["user_id"]);
    let column = |name, role, found, wanted| {
        format!(
            r#"column "{name}" of "preview_sessions" should hold the {role} and is of type {found}, not {wanted}"#
        )
    };
    let none = |name, role| {
        format!(r#""preview_sessions" has no column "{name}", which should hold the {role}"#)
    };
    let zoned = "timestamp with time zone";
    assert_eq!(
        faults(builder).await,
        [
            column("id", "session id", "text", "uuid"),
            column("container_id", "owner", "jsonb", "text"),
            column("status", "status", "boolean", "text"),
            none("container_url", "owner's address"),
            column("expires_at", "time of expiry", "text", zoned),
            column("ended_at", "time of its end", "boolean", zoned),
            column("owner_epoch", "epoch", "numeric", "bigint"),
            none("user_id", "attribute"),
        ]
    );
}

#[tokio::test]
async fn other_types_that_work_are_no_faults() {
    let database = Database::fresh().await;
    database
        .execute(
            "CREATE TYPE state AS ENUM ('active'); CREATE DOMAIN machine AS varchar(40);
             CREATE TABLE preview_sessions (id varchar(36) PRIMARY KEY, status state,
                 container_id machine, container_url varchar, expires_at timestamptz(0),
                 ended_at timestamptz, owner_epoch int)",
        )
        .await;
    let lookup = PostgresLookup::builder(database.url())
        .id_type(PostgresIdType::Text)
        .session_ids(SessionIds::uuid())
        .columns(columns("epoch=owner_epoch"))
        .build()
        .unwrap();
    assert_eq!(verified(&lookup).await.warnings(), []);
}

#[tokio::test]
async fn owners_of_another_kind_are_a_warning_with_both_values() {
    let database = Database::fresh().await;
    database.incident_table().await;
    database
        .insert(&PreviewSession::owned_by("e2863555a91708"))
        .await;
    let lookup = lookup(&database);
    let verified = lookup.verify(&me("web-0")).await.unwrap();
    assert_eq!(
        verified.warnings(),
        [PostgresWarning::ForeignOwners {
            stored: "e2863555a91708".to_owned(),
            machine: me("web-0"),
        }]
    );
    let text = verified.to_string();
    assert!(
        text.contains("e2863555a91708") && text.contains("web-0"),
        "{text}"
    );

    // One that looks like us is enough: a fleet may be on the move.
    database.insert(&PreviewSession::owned_by("web-1")).await;
    let verified = lookup.verify(&me("web-0")).await.unwrap();
    assert_eq!(verified.warnings(), []);
}

#[tokio::test]
async fn an_owner_that_is_no_machine_id_is_a_warning() {
    let database = Database::fresh().await;
    database.incident_table().await;
    database.insert(&PreviewSession::owned_by("")).await;
    assert_eq!(
        verified(&lookup(&database)).await.warnings(),
        [PostgresWarning::UnusableOwner {
            stored: String::new()
        }]
    );
}

#[tokio::test]
async fn statuses_that_mean_nothing_to_us_are_a_warning() {
    let database = Database::fresh().await;
    database.incident_table().await;
    for status in ["RUNNING", "ENDED"] {
        database
            .insert(&PreviewSession {
                status: status.to_owned(),
                ..PreviewSession::owned_by("m1")
            })
            .await;
    }
    assert_eq!(
        verified(&lookup(&database)).await.warnings(),
        [PostgresWarning::NoLivingSession {
            statuses: vec!["ENDED".to_owned(), "RUNNING".to_owned()]
        }]
    );
}

#[tokio::test]
async fn what_works_only_by_luck_is_a_warning() {
    let database = Database::fresh().await;
    database
        .execute(
            "CREATE TABLE preview_sessions (id uuid, status text, container_id text,
                 container_url text, expires_at timestamp, ended_at timestamptz);
             CREATE INDEX ON preview_sessions (id) WHERE status = 'active'",
        )
        .await;
    assert_eq!(
        verified(&lookup(&database)).await.warnings(),
        [
            PostgresWarning::NoTimeZone {
                column: "expires_at".to_owned(),
                found: "timestamp without time zone".to_owned(),
            },
            PostgresWarning::NoIndex {
                table: r#""preview_sessions""#.to_owned(),
                column: "id".to_owned(),
            },
        ]
    );
}

#[tokio::test]
async fn a_view_fits() {
    let (database, id) = with_session().await;
    database
        .execute("CREATE VIEW live AS SELECT * FROM preview_sessions")
        .await;
    let lookup = PostgresLookup::builder(database.url()).table("live");
    let lookup = lookup.build().unwrap();
    assert_eq!(verified(&lookup).await.warnings(), []);
    super::found(&lookup, id).await;
}

#[tokio::test]
async fn a_custom_query_is_checked_by_its_columns() {
    let (database, _) = with_session().await;
    let custom = |query: &str| PostgresLookup::builder(database.url()).query(query);
    let good = custom(
        "SELECT container_id AS owner, status, container_url AS address,
                extract(epoch FROM expires_at - now()) AS remaining_seconds,
                1 AS epoch, '{}'::jsonb AS attributes
         FROM preview_sessions WHERE id = $1;",
    );
    assert_eq!(verified(&good.build().unwrap()).await.warnings(), []);

    assert_eq!(
        faults(custom(
            "SELECT container_id, 1 AS status, now() AS remaining_seconds, 1.5 AS epoch
             FROM preview_sessions WHERE id = $1"
        ))
        .await,
        [
            r#"the session query has no column "owner", which should hold the owner"#,
            r#"column "status" of the session query should hold the status and is of type integer, not text"#,
            r#"column "remaining_seconds" of the session query should hold the remaining life and is of type timestamp with time zone, not double precision"#,
            r#"column "epoch" of the session query should hold the epoch and is of type numeric, not bigint"#,
        ]
    );

    let broken = custom("SELECT owner, status FROM nowhere WHERE id = $1");
    let error = broken.build().unwrap().verify(&me("m1")).await.unwrap_err();
    assert!(chain(&error).contains("nowhere"), "{}", chain(&error));
}

#[tokio::test]
async fn a_query_that_is_not_permitted_is_found() {
    let (database, _) = with_session().await;
    let role = format!("clerk_{}", database.name());
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT SELECT (id, status) ON preview_sessions TO {role}"
        ))
        .await;
    let mut config = database.config();
    config.user(role);
    let lookup = PostgresLookup::builder(config).build().unwrap();
    let error = lookup.verify(&me("m1")).await.unwrap_err();
    assert!(
        chain(&error).contains("permission denied"),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_found() {
    let url = format!("postgres://postgres@127.0.0.1:{}/app", free_port());
    let lookup = PostgresLookup::builder(url).build().unwrap();
    match lookup.verify(&me("m1")).await {
        Err(PostgresVerifyError::Lookup(error)) => {
            assert_eq!(error.kind(), LookupErrorKind::Unavailable);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_written() {
    let (database, _) = with_session().await;
    let url = format!(
        "{}?options=-c%20default_transaction_read_only%3Don",
        database.url()
    );
    let lookup = PostgresLookup::builder(url).build().unwrap();
    verified(&lookup).await;
}
