//! What is wrong with a fleet.

use std::time::Duration;

use serde_json::json;
use tower_ownership::{
    CachePolicy, OwnerStatus, PostgresDirectory, SessionId,
    explain::Finding,
    postgres::{Audit, SessionFilter},
};
use tower_ownership::{postgres::PostgresIdType, session::SessionIds};
use uuid::Uuid;

use super::{Process, builder, machine, migrated, one, owned_by, row, unowned};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::incident::columns;

const FLY: &str = "e2863555a91708";
const OTHER: &str = "148ed599c14189";

async fn audit(process: &Process, limit: usize) -> Audit {
    process.directory.audit(limit).await.unwrap().unwrap()
}

#[tokio::test]
async fn where_all_is_well_nothing_is_found() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    assert_eq!(audit(&process, 10).await, Audit::default());
    machine(&database, FLY, 1.0, "").await;
    machine(&database, OTHER, 1.0, "").await;
    for _ in 0..3 {
        owned_by(&database, FLY).await;
    }
    // What is over, or not there yet, is nobody's concern.
    for set in [
        (|session| session.status = "stopped".to_owned()) as fn(&mut PreviewSession),
        |session| session.status = "starting".to_owned(),
        |session| session.ended_ago = Some(1.0),
        |session| session.expires_in = Some(-1.0),
    ] {
        for owner in [None, Some("stranger".to_owned())] {
            let mut session = PreviewSession::owned_by("unset");
            session.container_id = owner;
            set(&mut session);
            database.insert(&session).await;
        }
    }
    assert_eq!(audit(&process, 10).await, Audit::default());
}

#[tokio::test]
async fn each_kind_is_found_and_told_as_json() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    machine(&database, FLY, 1.0, "").await;
    machine(&database, "d2863555a91708", 16.0, "").await;
    machine(&database, "a2863555a91708", 1.0, ", draining = true").await;
    machine(&database, "web-0", 1.0, "").await;
    machine(&database, "lost-1", 60.0, "").await;
    owned_by(&database, FLY).await;
    let mut expected = Vec::new();
    let free = unowned(&database).await;
    expected.push(
        json!({"finding": "session-unassigned", "session": free.to_string(), "epoch": 0,
            "detail": "it never had an owner"}),
    );
    for (kind, owner) in [
        ("owner-lost", "d2863555a91708"),
        ("owner-never-seen", OTHER),
        ("owner-draining", "a2863555a91708"),
    ] {
        let id = owned_by(&database, owner).await.to_string();
        expected.push(json!({"finding": kind, "session": id, "owner": owner, "epoch": 1}));
    }
    expected.push(json!({"finding": "wrong-identity", "machine": "web-0"}));
    let found = audit(&process, 10).await;
    let expected = json!({"findings": expected, "truncated": false});
    assert_eq!(serde_json::to_value(&found).unwrap(), expected);
}

/// A session that is being created by a machine that is lost is refused `owner-lost`, so it is found.
#[tokio::test]
async fn a_starting_session_of_a_lost_owner_is_found() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    machine(&database, FLY, 1.0, "").await;
    machine(&database, OTHER, 60.0, "").await;
    machine(&database, "a2863555a91708", 1.0, ", draining = true").await;
    // What is being created by a machine that is not there yet, or that drains, may well come.
    for owner in [
        None,
        Some(FLY),
        Some("a2863555a91708"),
        Some("b2863555a91708"),
    ] {
        let mut session = PreviewSession::owned_by("unset");
        session.container_id = owner.map(str::to_owned);
        session.status = "creating".to_owned();
        database.insert(&session).await;
    }
    for status in ["creating", "starting", "pending", "provisioning"] {
        let mut session = PreviewSession::owned_by(OTHER);
        session.status = status.to_owned();
        let id = database.insert(&session).await;
        let (mut ended, mut expired) = (session.clone(), session);
        (ended.id, ended.ended_ago) = (Uuid::new_v4(), Some(1.0));
        (expired.id, expired.expires_in) = (Uuid::new_v4(), Some(-1.0));
        database.insert(&ended).await;
        database.insert(&expired).await;
        assert_eq!(lost(&process).await, [id], "{status}");
        let id = SessionId::new(id);
        for filter in [
            SessionFilter::OwnersAre(OwnerStatus::Lost),
            SessionFilter::OwnedBy(OTHER.parse().unwrap()),
        ] {
            let listed = process.directory.sessions(&filter, 10).await.unwrap();
            let listed: Vec<_> = listed
                .iter()
                .map(|one| (one.id.clone(), &one.status))
                .collect();
            assert_eq!(
                listed,
                [(id.clone(), &Some(status.to_owned()))],
                "{filter:?}"
            );
        }
        database
            .execute(&format!("DELETE FROM preview_sessions WHERE id = '{id}'"))
            .await;
    }
    assert_eq!(audit(&process, 10).await, Audit::default());
}

/// The sessions that the audit finds, all of which have to be those of lost owners.
async fn lost(process: &Process) -> Vec<Uuid> {
    let found = audit(process, 10).await.findings;
    assert!(
        found.iter().all(|one| one.finding == Finding::OwnerLost),
        "{found:?}"
    );
    let sessions = found
        .iter()
        .filter_map(|one| one.session.as_ref()?.as_uuid());
    sessions.copied().collect()
}

/// The server rejects each statement that compares an enum with a word that it does not have.
#[tokio::test]
async fn an_enum_without_the_starting_words_is_audited() {
    for (labels, starts) in [
        ("'active', 'creating', 'stopped'", true),
        ("'active', 'stopped'", false),
    ] {
        let database = Database::fresh().await;
        database.incident_table().await;
        database
            .execute(&format!(
                "CREATE TYPE state AS ENUM ({labels});
                 ALTER TABLE preview_sessions ALTER status TYPE state USING status::state"
            ))
            .await;
        for _ in 0..2 {
            database.execute(PostgresDirectory::MIGRATION).await;
        }
        let process = Process::of("m1", &database);
        let migrated = process.directory.migrate().await.unwrap();
        assert_eq!((migrated.done, migrated.left), (vec![], vec![]), "{labels}");
        let verified = process.lookup.verify(&FLY.parse().unwrap()).await.unwrap();
        assert_eq!(verified.warnings(), []);
        machine(&database, FLY, 1.0, "").await;
        machine(&database, OTHER, 3_700.0, "").await;
        let status = if starts { "creating" } else { "active" };
        database
            .execute(&format!(
                "INSERT INTO preview_sessions (id, status, container_id, expires_at)
                 VALUES (gen_random_uuid(), '{status}', '{OTHER}', now() + interval '1 day')"
            ))
            .await;
        let id: Uuid = one(&database, "SELECT id FROM preview_sessions").await;
        assert_eq!(lost(&process).await, [id], "{labels}");
        let filter = SessionFilter::OwnersAre(OwnerStatus::Lost);
        let listed = process.directory.sessions(&filter, 10).await.unwrap();
        assert_eq!(listed[0].id, SessionId::new(id), "{labels}");
        let hour = Duration::from_secs(3_600);
        assert_eq!(
            process.directory.reap(hour, 10).await.unwrap().machines,
            [""; 0]
        );
    }
}

/// Until the migration is applied again, an index of active sessions only is what is asked.
#[tokio::test]
async fn an_index_of_active_sessions_is_used_and_replaced() {
    let old = "DROP INDEX preview_sessions_tower_ownership_owner;
         CREATE INDEX preview_sessions_tower_ownership_owner
             ON preview_sessions ((container_id COLLATE \"C\")) WHERE status IN ('active')";
    let database = migrated().await;
    let process = Process::of("m1", &database);
    machine(&database, FLY, 1.0, "").await;
    machine(&database, OTHER, 3_700.0, "").await;
    let mut session = PreviewSession::owned_by(OTHER);
    session.status = "creating".to_owned();
    let starting = database.insert(&session).await;
    for by_file in [true, false] {
        database.execute(old).await;
        let verified = process.lookup.verify(&FLY.parse().unwrap()).await.unwrap();
        let warnings: Vec<String> = verified
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(
            warnings.len() == 1 && warnings[0].contains("not hold exactly the active and starting"),
            "{warnings:?}"
        );
        let active = owned_by(&database, OTHER).await;
        assert_eq!(lost(&process).await, [active]);
        database
            .execute(&format!(
                "DELETE FROM preview_sessions WHERE id = '{active}'"
            ))
            .await;
        let hour = Duration::from_secs(3_600);
        assert_eq!(
            process.directory.reap(hour, 10).await.unwrap().machines,
            [""; 0]
        );
        if by_file {
            database.execute(PostgresDirectory::MIGRATION).await;
        } else {
            let migrated = process.directory.migrate().await.unwrap();
            assert_eq!(migrated.done, ["index of owners"]);
            assert_eq!(migrated.left, []);
        }
        process.lookup.verify(&FLY.parse().unwrap()).await.unwrap();
        assert_eq!(lost(&process).await, [starting]);
    }
}

#[tokio::test]
async fn of_each_kind_no_more_are_found_than_asked_for() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    machine(&database, "here", 1.0, "").await;
    for name in ["lost.1", "lost.2"] {
        machine(&database, name, 60.0, "").await;
        for _ in 0..3 {
            owned_by(&database, name).await;
        }
    }
    for _ in 0..6 {
        unowned(&database).await;
    }
    for (limit, each, truncated) in [
        (0, 0, true),
        (5, 5, true),
        (6, 6, false),
        (usize::MAX, 6, false),
    ] {
        let found = audit(&process, limit).await;
        let of = |kind| {
            found
                .findings
                .iter()
                .filter(|one| one.finding == kind)
                .count()
        };
        assert_eq!(of(Finding::SessionUnassigned), each, "{limit}");
        assert_eq!(of(Finding::OwnerLost), each, "{limit}");
        assert_eq!(of(Finding::WrongIdentity), limit.min(1), "{limit}");
        assert_eq!(found.truncated, truncated, "{limit}");
    }
}

#[tokio::test]
async fn a_fleet_without_presence_misses_nobody() {
    let database = migrated().await;
    owned_by(&database, "m2").await;
    let found = audit(&Process::of("m1", &database), 10).await;
    assert_eq!(found, Audit::default());
}

#[tokio::test]
async fn missing_triggers_and_owners_without_epochs_are_found() {
    let database = migrated().await;
    machine(&database, FLY, 1.0, "").await;
    machine(&database, OTHER, 1.0, "").await;
    let id = owned_by(&database, FLY).await;
    let process = Process::of("m1", &database);
    assert_eq!(audit(&process, 10).await, Audit::default());
    database
        .execute(&format!(
            "ALTER TABLE preview_sessions DISABLE TRIGGER zz_tower_ownership_update;
             UPDATE preview_sessions SET container_id = '{OTHER}';
             DROP TRIGGER tower_ownership_row ON preview_sessions"
        ))
        .await;
    let found = serde_json::to_value(&audit(&process, 10).await.findings).unwrap();
    let table = r#"of "preview_sessions" is"#;
    assert_eq!(
        found,
        json!([
            {"finding": "owner-without-epoch", "session": id.to_string(), "owner": OTHER, "epoch": 1},
            {
                "finding": "migration-partly",
                "detail": format!("trigger \"zz_tower_ownership_update\" {table} disabled"),
            },
            {
                "finding": "notify-triggers",
                "detail": format!("trigger \"tower_ownership_row\" {table} missing"),
            },
        ])
    );
    process.directory.migrate().await.unwrap();
    assert_eq!(audit(&process, 10).await, Audit::default());
}

/// The functions of the server stand in a schema that is searched first.
#[tokio::test]
async fn a_full_queue_and_a_replica_are_found() {
    let database = migrated().await;
    database
        .execute(&format!(
            "CREATE SCHEMA fake;
             CREATE FUNCTION fake.pg_notification_queue_usage() RETURNS float8
                 LANGUAGE sql AS 'SELECT 0.25::float8';
             ALTER DATABASE {} SET search_path = fake, pg_catalog, public",
            database.name()
        ))
        .await;
    let kinds = async || {
        let process = Process::of("m1", &database);
        let findings = audit(&process, 10).await.findings;
        let found = findings.into_iter().map(|one| (one.finding, one.detail));
        found.collect::<Vec<_>>()
    };
    let used = Some("25.0 % of the queue are used".to_owned());
    assert_eq!(kinds().await, [(Finding::NotifyQueue, used)]);
    database
        .execute(
            "CREATE FUNCTION fake.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'",
        )
        .await;
    assert_eq!(kinds().await, [(Finding::Replica, None)]);
}

/// As pg_try_advisory_xact_lock says, and for one table only.
#[tokio::test]
async fn one_machine_audits_at_a_time() {
    let database = migrated().await;
    unowned(&database).await;
    let process = Process::of("m1", &database);
    audit(&process, 10).await;
    let statements = database.statements();
    let asked = statements
        .iter()
        .find(|sql| sql.contains("mine AS MATERIALIZED"));
    let elsewhere = database.client().await;
    elsewhere.batch_execute("BEGIN").await.unwrap();
    let asked = asked.unwrap().replace("$1", "10");
    elsewhere.query(&asked, &[]).await.unwrap();
    assert_eq!(process.directory.audit(10).await.unwrap(), None);
    database
        .execute("CREATE TABLE others (LIKE preview_sessions INCLUDING ALL)")
        .await;
    let other = Process::with("m1", builder(&database).table("others"), CachePolicy::new());
    other.directory.migrate().await.unwrap();
    assert_eq!(audit(&other, 10).await, Audit::default());
    elsewhere.batch_execute("COMMIT").await.unwrap();
    assert_eq!(audit(&process, 10).await.findings.len(), 1);
}

#[tokio::test]
async fn an_owner_that_cannot_be_one_was_never_seen() {
    let database = migrated().await;
    machine(&database, "here", 1.0, "").await;
    let id = owned_by(&database, "not a machine").await;
    let found = audit(&Process::of("m1", &database), 10).await;
    let one = &found.findings[0];
    assert_eq!(one.finding, Finding::OwnerNeverSeen);
    assert_eq!(one.session, Some(SessionId::new(id)));
    assert_eq!(one.owner, row(&database, id).await.0);
}

/// The statement is made for any table.
#[tokio::test]
async fn an_owner_may_be_of_any_type() {
    let database = Database::fresh().await;
    database
        .execute(
            "CREATE TABLE \"od'd\" (id text PRIMARY KEY, machine bigint, other text);
             INSERT INTO \"od'd\" VALUES (gen_random_uuid(), 17), (gen_random_uuid(), NULL),
                 (E'no\\nid', 18)",
        )
        .await;
    let odd = builder(&database)
        .table("od'd")
        .schema("public")
        .columns(columns(
            "owner=machine,status=,address=,expires_at=,ended_at=",
        ))
        .id_type(PostgresIdType::Text)
        .session_ids(SessionIds::uuid());
    let process = Process::with("17", odd, CachePolicy::new());
    process.directory.migrate().await.unwrap();
    machine(&database, "17", 60.0, "").await;
    machine(&database, "19", 0.0, "").await;
    let kinds: Vec<_> = audit(&process, 10)
        .await
        .findings
        .into_iter()
        .map(|one| (one.finding, one.owner, one.session.is_some()))
        .collect();
    let owner = |number: u32| Some(number.to_string());
    assert_eq!(
        kinds,
        [
            (Finding::SessionUnassigned, None, true),
            (Finding::OwnerLost, owner(17), true),
            (Finding::OwnerNeverSeen, owner(18), false),
        ]
    );
}
