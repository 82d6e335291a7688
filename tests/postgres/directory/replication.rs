//! Where the triggers do not fire: on a logical replica, and for whoever writes as one.

use uuid::Uuid;

use super::{migrated, migrated_in, owned_by, row};
use crate::support::postgres::Cluster;

/// One that counted for itself would begin at 1 with the rows that were there before, and two
/// machines could serve a session after a change to the replica.
#[tokio::test]
async fn a_logical_replica_has_the_epochs_of_its_publisher() {
    let logical = || vec!["wal_level=logical".to_owned()];
    let cluster = Cluster::prepared(|_| logical()).unwrap();
    let (publisher, subscriber) = (migrated_in(&cluster).await, migrated_in(&cluster).await);
    let copied = owned_by(&publisher, "m1").await;
    for owner in ["'m2'", "NULL", "'m3'"] {
        let moves = format!("UPDATE preview_sessions SET container_id = {owner}");
        publisher.execute(&moves).await;
    }
    // In one cluster the slot has to be made apart, or the subscription waits for itself.
    publisher
        .execute("CREATE PUBLICATION fleet FOR TABLE preview_sessions, ownership_machines")
        .await;
    publisher
        .execute("SELECT pg_create_logical_replication_slot('fleet', 'pgoutput')")
        .await;
    subscriber
        .execute(&format!(
            "CREATE SUBSCRIPTION fleet CONNECTION 'host=127.0.0.1 port={} user=postgres dbname={}'
                 PUBLICATION fleet WITH (create_slot = false, slot_name = 'fleet')",
            publisher.port(),
            publisher.name()
        ))
        .await;
    let is_like = async |id: Uuid, set: &str| {
        let (owner, epoch, released) = row(&publisher, id).await;
        let released = released.map_or("NULL".to_owned(), |epoch| epoch.to_string());
        let owner = owner.map_or("NULL".to_owned(), |owner| format!("'{owner}'"));
        let same = format!(
            "SELECT count(*) = 1 FROM preview_sessions WHERE id = '{id}' AND owner_epoch = {epoch}
                 AND owner_released IS NOT DISTINCT FROM {released}
                 AND container_id IS NOT DISTINCT FROM {owner}"
        );
        subscriber.eventually(&same).await;
        assert_eq!(
            row(&subscriber, id).await,
            row(&publisher, id).await,
            "{set}"
        );
    };
    is_like(copied, "the copy").await;
    assert_eq!(row(&subscriber, copied).await.1, 4);
    let streamed = owned_by(&publisher, "m1").await;
    for set in [
        "container_id = NULL, owner_released = owner_epoch + 1",
        "container_id = 'm2'",
        "container_id = 'm3'",
        "tier = 'x'",
        // Last comes a change that is waited for: an earlier one must not arrive after what is
        // written to the subscriber below.
        "container_id = NULL",
    ] {
        publisher
            .execute(&format!("UPDATE preview_sessions SET {set}"))
            .await;
        is_like(copied, set).await;
        is_like(streamed, set).await;
    }
    // It counts on from there when it is written to itself.
    subscriber
        .execute("UPDATE preview_sessions SET container_id = 'm4'")
        .await;
    assert_eq!(row(&subscriber, copied).await.1, 9);
    subscriber
        .execute(
            "ALTER SUBSCRIPTION fleet DISABLE;
             ALTER SUBSCRIPTION fleet SET (slot_name = NONE);
             DROP SUBSCRIPTION fleet",
        )
        .await;
}

/// After a failover that lost commits somebody has to raise the epochs, and nobody else may.
#[tokio::test]
async fn epochs_can_be_mended_by_who_switches_the_triggers_off() {
    let database = migrated().await;
    let id = owned_by(&database, "m1").await;
    database
        .execute(
            "SET session_replication_role = replica;
             UPDATE preview_sessions SET owner_epoch = owner_epoch + 1000",
        )
        .await;
    let owned = |owner: &str, epoch| (Some(owner.to_owned()), epoch, None);
    assert_eq!(row(&database, id).await, owned("m1", 1_001));
    // Then the writer has to count, too.
    database
        .execute(
            "SET session_replication_role = replica;
             UPDATE preview_sessions SET container_id = 'm2'",
        )
        .await;
    assert_eq!(row(&database, id).await, owned("m2", 1_001));
    database
        .execute("UPDATE preview_sessions SET container_id = 'm3'")
        .await;
    assert_eq!(row(&database, id).await, owned("m3", 1_002));
}
