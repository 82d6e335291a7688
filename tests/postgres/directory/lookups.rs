//! What lookups read of a session's owner.

use tower_ownership::{
    Address, MachineId, OwnerStatus, PostgresLookup, SessionId, SessionLookup as _,
};
use uuid::Uuid;

use super::{Process, builder, machine, migrated, owned_by, row, unowned};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;

/// One session for each state of its owner.
async fn fleet(database: &Database) -> Vec<(Uuid, OwnerStatus)> {
    machine(database, "alive", 1.0, "").await;
    machine(database, "draining", 1.0, ", draining = true").await;
    machine(database, "silent", 16.0, "").await;
    machine(database, "left", 1.0, ", left_at = now()").await;
    machine(database, "gone", 1.0, ", gone_at = now(), draining = true").await;
    let mut sessions = vec![(unowned(database).await, OwnerStatus::Unknown)];
    for (owner, presence) in [
        ("alive", OwnerStatus::Alive),
        ("draining", OwnerStatus::Draining),
        ("silent", OwnerStatus::Lost),
        ("left", OwnerStatus::Lost),
        ("gone", OwnerStatus::Lost),
        ("stranger", OwnerStatus::NeverSeen),
    ] {
        sessions.push((owned_by(database, owner).await, presence));
    }
    sessions
}

#[tokio::test]
async fn a_session_comes_with_its_owners_presence() {
    let database = migrated().await;
    let sessions = fleet(&database).await;
    let process = Process::of("m1", &database);
    for (id, presence) in &sessions {
        let found = process.read(*id).await;
        assert_eq!(found.owner_status(), *presence, "{:?}", found.owner());
        let (_, epoch, _) = row(&database, *id).await;
        assert_eq!(found.epoch(), u64::try_from(epoch).ok());
        assert_eq!(found.released(), None);
    }
}

#[tokio::test]
async fn sessions_that_are_asked_for_together_do_too() {
    let database = migrated().await;
    let sessions = fleet(&database).await;
    let lookup = builder(&database).max_batches(1).build().unwrap();
    let asked = sessions
        .iter()
        .map(|(id, _)| lookup.session(SessionId::new(*id)));
    let found = futures_util::future::join_all(asked).await;
    for (found, (_, presence)) in found.into_iter().zip(&sessions) {
        assert_eq!(found.unwrap().unwrap().owner_status(), *presence);
    }
    assert!(database.statements_with("= ANY($1)") > 0);
}

/// Where a client and where another machine reach the owner, also of a session that is asked for with
/// others.
async fn addresses(database: &Database, way: &str, ids: &[Uuid]) -> Vec<[Option<String>; 2]> {
    let url = format!("{}{way}", database.url());
    let lookup = PostgresLookup::builder(url).ownership().max_batches(1);
    let lookup = lookup.build().unwrap();
    let asked = ids.iter().map(|id| lookup.session(SessionId::new(*id)));
    let found = futures_util::future::join_all(asked).await;
    let text = |address: Option<&Address>| address.map(ToString::to_string);
    let addresses = found.into_iter().map(|found| {
        let session = found.unwrap().unwrap();
        [text(session.address()), text(session.owner_address())]
    });
    addresses.collect()
}

const WAYS: [&str; 2] = ["", "?pgbouncer=true"];

#[tokio::test]
async fn an_owners_address_is_that_of_its_heartbeat_or_else_the_rows() {
    let database = migrated().await;
    machine(&database, "m1", 0.0, ", address = 'http://10.0.0.1:80/'").await;
    // Written by hand, as no heartbeat does; it keeps no session from its owner.
    machine(&database, "m2", 0.0, ", address = '10.0.0.2'").await;
    machine(&database, "m3", 0.0, "").await;
    let (mut ids, row) = (Vec::new(), "https://row.example/");
    let machines = ["m1", "m2", "m3", "stranger"];
    for (owner, url) in machines
        .map(|owner| [(owner, None), (owner, Some(row))])
        .as_flattened()
    {
        let session = PreviewSession {
            container_url: url.map(str::to_owned),
            ..PreviewSession::owned_by(owner)
        };
        ids.push(database.insert(&session).await);
    }
    let (heartbeat, row) = (Some("http://10.0.0.1:80/"), Some(row));
    let expected = [
        [heartbeat, heartbeat],
        [row, heartbeat],
        [None, None],
        [row, row],
        [None, None],
        [row, row],
        [None, None],
        [row, row],
    ];
    let expected = expected.map(|both| both.map(|one| one.map(str::to_owned)));
    for way in WAYS {
        assert_eq!(addresses(&database, way, &ids).await, expected, "{way}");
        for (id, expected) in ids.iter().zip(&expected) {
            let found = addresses(&database, way, &[*id]).await;
            assert_eq!(&found[0], expected, "{way}");
        }
    }
}

#[tokio::test]
async fn an_owners_address_needs_no_column_of_the_session() {
    let database = migrated().await;
    machine(&database, "m1", 0.0, ", address = 'http://10.0.0.1:80/'").await;
    let id = owned_by(&database, "m1").await;
    for way in WAYS {
        let url = format!("{}{way}", database.url());
        let lookup = PostgresLookup::builder(url).ownership();
        let lookup = lookup.columns("address=".parse().unwrap()).build().unwrap();
        let found = lookup.session(SessionId::new(id)).await.unwrap().unwrap();
        let address = found.owner_address().unwrap();
        assert_eq!(address.authority(), "10.0.0.1:80");
    }
}

#[tokio::test]
async fn a_fleet_that_keeps_no_presence_has_nobody_missing() {
    let database = migrated().await;
    let id = owned_by(&database, "m2").await;
    let process = Process::of("m1", &database);
    assert_eq!(process.read(id).await.owner_status(), OwnerStatus::Unknown);
    machine(&database, "m3", 0.0, "").await;
    assert_eq!(
        process.read(id).await.owner_status(),
        OwnerStatus::NeverSeen
    );
}

#[tokio::test]
async fn how_long_is_too_long_can_be_said() {
    let database = migrated().await;
    let id = owned_by(&database, "m2").await;
    machine(&database, "m2", 16.0, "").await;
    machine(&database, "m3", 0.0, "").await;
    for (seconds, presence) in [(10, OwnerStatus::Lost), (600, OwnerStatus::Alive)] {
        let lookup = builder(&database).lost_after(std::time::Duration::from_secs(seconds));
        let found = lookup.build().unwrap().session(SessionId::new(id)).await;
        assert_eq!(found.unwrap().unwrap().owner_status(), presence);
    }
}

#[tokio::test]
async fn a_release_proof_is_read() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    database
        .execute("UPDATE preview_sessions SET container_id = NULL, owner_released = 2")
        .await;
    let found = Process::of("m1", &database).read(id).await;
    assert_eq!((found.epoch(), found.released()), (Some(2), Some(2)));
    assert_eq!(found.owner_status(), OwnerStatus::Unknown);
}

#[tokio::test]
async fn attributes_come_along_as_without() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let lookup = builder(&database).attributes(["tier", "owner_released"]);
    let found = lookup.build().unwrap().session(SessionId::new(id)).await;
    assert_eq!(found.unwrap().unwrap().attributes().len(), 2);
}

#[tokio::test]
async fn a_query_of_ones_own_may_tell_the_same() {
    let database = Database::fresh().await;
    let lookup = |columns: &str| {
        PostgresLookup::builder(database.url())
            .query(format!(
                "SELECT 'm1' AS owner, 'active' AS status, {columns} WHERE $1 IS NOT NULL"
            ))
            .build()
            .unwrap()
    };
    let id = SessionId::new(Uuid::new_v4());
    let told = lookup("7 AS epoch, 6 AS released, 'lost' AS presence");
    let found = told.session(id.clone()).await.unwrap().unwrap();
    assert_eq!((found.epoch(), found.released()), (Some(7), Some(6)));
    assert_eq!(found.owner_status(), OwnerStatus::Lost);
    told.verify(&"m1".parse::<MachineId>().unwrap())
        .await
        .unwrap();
    let silent = lookup("NULL::bigint AS released, NULL AS presence");
    let found = silent.session(id.clone()).await.unwrap().unwrap();
    assert_eq!(
        (found.released(), found.owner_status()),
        (None, OwnerStatus::Unknown)
    );
    for wrong in ["-1 AS released", "'asleep' AS presence", "1 AS presence"] {
        assert!(lookup(wrong).session(id.clone()).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn who_does_not_ask_for_it_asks_as_before() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    let lookup = PostgresLookup::builder(database.url()).build().unwrap();
    let found = lookup.session(SessionId::new(id)).await.unwrap().unwrap();
    assert_eq!(found.epoch(), None);
    let asked = database.statements();
    let asked = asked
        .iter()
        .find(|sql| sql.contains("remaining_seconds"))
        .unwrap();
    assert_eq!(
        asked,
        "SELECT t.\"container_id\"::text AS owner, t.\"status\"::text AS status, \
         t.\"container_url\"::text AS address, \
         CASE WHEN isfinite(LEAST(t.\"expires_at\", t.\"ended_at\")) \
         THEN extract(epoch FROM LEAST(t.\"expires_at\", t.\"ended_at\") - now())::float8 \
         WHEN LEAST(t.\"expires_at\", t.\"ended_at\") < now() THEN 0 END AS remaining_seconds \
         FROM \"preview_sessions\" AS t WHERE t.\"id\" = $1 LIMIT 2"
    );
}
