//! The cases that every directory has to pass.

use std::time::Duration;

use tower_ownership::{
    MachineId, PostgresDirectory, SessionId,
    directory::conformance::{self, FeedHarness, Harness},
    postgres::PostgresFeed,
};

use super::{builder, migrated};
use crate::support::database::Database;

struct Postgres {
    database: Database,
    lost_after: Duration,
}

impl Harness for Postgres {
    type Directory = PostgresDirectory;

    async fn fresh(lost_after: Duration) -> Self {
        Self {
            database: migrated().await,
            lost_after,
        }
    }

    async fn process(&self) -> PostgresDirectory {
        let lookup = builder(&self.database)
            .attributes([Self::ATTRIBUTE])
            .lost_after(self.lost_after);
        lookup.build().unwrap().directory().unwrap()
    }

    async fn create(&self, id: &SessionId, owner: Option<MachineId>) {
        let insert = "INSERT INTO preview_sessions (id, status, container_id, expires_at)
             VALUES ($1, 'active', $2, now() + interval '1 day')";
        let owner = owner.as_ref().map(MachineId::as_str);
        let client = self.database.client().await;
        client
            .execute(insert, &[&id.as_uuid(), &owner])
            .await
            .unwrap();
    }

    async fn assign(&self, id: &SessionId, owner: Option<MachineId>) {
        let update = "UPDATE preview_sessions SET container_id = $2 WHERE id = $1";
        let owner = owner.as_ref().map(MachineId::as_str);
        let client = self.database.client().await;
        client
            .execute(update, &[&id.as_uuid(), &owner])
            .await
            .unwrap();
    }

    async fn end(&self, id: &SessionId) {
        let update = "UPDATE preview_sessions SET ended_at = now() WHERE id = $1";
        let client = self.database.client().await;
        client.execute(update, &[&id.as_uuid()]).await.unwrap();
    }

    async fn forget_machine(&self, machine: &MachineId) {
        let delete = "DELETE FROM ownership_machines WHERE machine_id = $1";
        let client = self.database.client().await;
        client.execute(delete, &[&machine.as_str()]).await.unwrap();
    }

    async fn declare_gone(&self, machine: &MachineId) {
        assert!(self.process().await.declare_gone(machine).await.unwrap());
    }

    async fn pass(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        self.database
            .execute(&format!(
                "UPDATE ownership_machines SET beat_at = beat_at - interval '{seconds} s',
                 steady_since = steady_since - interval '{seconds} s';
                 UPDATE preview_sessions SET expires_at = expires_at - interval '{seconds} s',
                 ended_at = ended_at - interval '{seconds} s'"
            ))
            .await;
    }
}

impl FeedHarness for Postgres {
    type Feed = PostgresFeed;

    async fn feed(&self) -> PostgresFeed {
        let lookup = builder(&self.database).build().unwrap();
        lookup.change_feed().build().unwrap()
    }
}

#[tokio::test]
async fn postgresql_tells_of_the_changes_that_a_directory_has_to_tell_of() {
    let failures = Box::pin(conformance::changes::<Postgres>()).await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test]
async fn postgresql_does_what_a_directory_has_to() {
    let failures = Box::pin(conformance::all::<Postgres>()).await;
    assert!(failures.is_empty(), "{failures:#?}");
}
