//! Lists of machines and of sessions.

use std::time::Duration;

use serde_json::json;
use tower_ownership::{
    CachePolicy, LookupErrorKind, OwnerStatus, SessionId, postgres::SessionFilter,
};
use uuid::Uuid;

use super::{Process, builder, machine, me, migrated, owned_by, unowned};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::incident::columns;

/// A fleet in which every owner is as its name says, and owns one session.
async fn fleet(database: &Database) {
    machine(database, "alive", 1.0, "").await;
    machine(database, "draining", 1.0, ", draining = true").await;
    machine(database, "lost", 16.0, "").await;
    machine(database, "left", 1.0, ", left_at = now()").await;
    machine(database, "gone", 1.0, ", gone_at = now()").await;
    for owner in ["alive", "draining", "lost", "left", "gone", "stranger"] {
        owned_by(database, owner).await;
    }
    unowned(database).await;
}

#[tokio::test]
async fn machines_are_listed_with_how_they_are() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    assert_eq!(process.directory.machines().await.unwrap(), []);
    fleet(&database).await;
    let presence = process.directory.heartbeat().app("shop").region("fra");
    let _present = presence.start(&process.node).await.unwrap();
    let machines = process.directory.machines().await.unwrap();
    let told: Vec<_> = machines
        .iter()
        .map(|one| {
            (
                one.id.as_str(),
                one.presence,
                one.draining,
                one.left,
                one.gone,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("alive", OwnerStatus::Alive, false, false, false),
            ("draining", OwnerStatus::Draining, true, false, false),
            ("gone", OwnerStatus::Lost, false, false, true),
            ("left", OwnerStatus::Lost, false, true, false),
            ("lost", OwnerStatus::Lost, false, false, false),
            ("m1", OwnerStatus::Alive, false, false, false),
        ]
    );
    assert!(machines[4].beat_ago >= Duration::from_secs(16));
    assert!(machines[5].started_ago < Duration::from_secs(15));
    let mut told = serde_json::to_value(&machines[5]).unwrap();
    for age in ["startedSecondsAgo", "beatSecondsAgo"] {
        assert!(told[age].as_f64().unwrap() < 15.0, "{told}");
        told.as_object_mut().unwrap().remove(age);
    }
    let expected = json!({
        "id": "m1", "app": "shop", "region": "fra", "address": null, "version": null,
        "presence": "alive", "draining": false, "left": false, "gone": false,
    });
    assert_eq!(told, expected);
}

async fn owners(process: &Process, filter: SessionFilter, limit: usize) -> Vec<String> {
    let sessions = process.directory.sessions(&filter, limit).await.unwrap();
    let owners = sessions.into_iter().map(|one| one.owner);
    owners
        .map(|owner| owner.unwrap_or_else(|| "-".to_owned()))
        .collect()
}

#[tokio::test]
async fn sessions_are_listed_by_what_their_owners_are() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    fleet(&database).await;
    for (filter, expected) in [
        (
            SessionFilter::All,
            &["alive", "draining", "gone", "left", "lost", "stranger", "-"][..],
        ),
        (SessionFilter::Unassigned, &["-"]),
        (SessionFilter::OwnedBy(me("left")), &["left"]),
        (SessionFilter::OwnedBy(me("lef")), &[]),
        (SessionFilter::OwnersAre(OwnerStatus::Alive), &["alive"]),
        (
            SessionFilter::OwnersAre(OwnerStatus::Draining),
            &["draining"],
        ),
        (
            SessionFilter::OwnersAre(OwnerStatus::Lost),
            &["gone", "left", "lost"],
        ),
        (
            SessionFilter::OwnersAre(OwnerStatus::NeverSeen),
            &["stranger"],
        ),
        (SessionFilter::OwnersAre(OwnerStatus::Unknown), &["-"]),
    ] {
        assert_eq!(
            owners(&process, filter.clone(), 100).await,
            expected,
            "{filter:?}"
        );
        for limit in [0, 1, 2] {
            let some = owners(&process, filter.clone(), limit).await;
            assert_eq!(some.len(), limit.min(expected.len()), "{filter:?}");
        }
    }
    database.execute("DELETE FROM ownership_machines").await;
    let all = owners(
        &process,
        SessionFilter::OwnersAre(OwnerStatus::Unknown),
        100,
    )
    .await;
    assert_eq!(
        all.len(),
        7,
        "a fleet without presence knows of nobody how they are"
    );
}

#[tokio::test]
async fn a_session_is_told_as_it_stands_in_the_table() {
    let database = migrated().await;
    machine(&database, "m1", 1.0, "").await;
    let process = Process::of("m1", &database);
    let mut session = PreviewSession::owned_by("m1");
    let id = database.insert(&session).await;
    for change in [
        (|session| session.status = "stopped".to_owned()) as fn(&mut PreviewSession),
        |session| session.ended_ago = Some(1.0),
        |session| session.expires_in = Some(-1.0),
    ] {
        let mut over = session.clone();
        over.id = Uuid::new_v4();
        change(&mut over);
        database.insert(&over).await;
    }
    (session.id, session.expires_in) = (Uuid::new_v4(), None);
    session.container_id = Some("not a machine".to_owned());
    let endless = database.insert(&session).await;
    let sessions = process.directory.sessions(&SessionFilter::All, 100).await;
    let sessions = sessions.unwrap();
    let [known, odd] = sessions.as_slice() else {
        panic!("{sessions:?}");
    };
    assert_eq!(known.id, SessionId::new(id));
    let mut told = serde_json::to_value(known).unwrap();
    let remaining = told["remainingSeconds"].take();
    assert!((3_000.0..=3_600.0).contains(&remaining.as_f64().unwrap()));
    let expected = json!({
        "id": id.to_string(), "status": "active", "owner": "m1", "epoch": 1,
        "presence": "alive", "remainingSeconds": null,
    });
    assert_eq!(told, expected);
    assert_eq!(
        (odd.id.clone(), odd.remaining),
        (SessionId::new(endless), None)
    );
    assert_eq!(odd.owner.as_deref(), Some("not a machine"));
    assert_eq!(odd.presence, OwnerStatus::NeverSeen);
}

#[tokio::test]
async fn a_table_with_less_is_listed_with_less() {
    let database = migrated().await;
    database
        .execute("DROP INDEX preview_sessions_tower_ownership_owner")
        .await;
    owned_by(&database, "m1").await;
    let bare = builder(&database).columns(columns("status=,ended_at=,expires_at="));
    let process = Process::with("m1", bare, CachePolicy::new());
    process.directory.migrate().await.unwrap();
    for filter in [
        SessionFilter::All,
        SessionFilter::OwnedBy(me("m1")),
        SessionFilter::OwnersAre(OwnerStatus::Unknown),
    ] {
        let sessions = process.directory.sessions(&filter, 100).await.unwrap();
        assert_eq!(
            (sessions[0].status.as_ref(), sessions[0].remaining),
            (None, None)
        );
    }
}

#[tokio::test]
async fn what_was_not_migrated_is_said_so() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let process = Process::of("m1", &database);
    let errors = [
        process.directory.machines().await.unwrap_err(),
        process
            .directory
            .sessions(&SessionFilter::All, 1)
            .await
            .unwrap_err(),
        process.directory.audit(1).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), LookupErrorKind::Unavailable);
        assert!(error.to_string().contains("migration"), "{error}");
    }
}
