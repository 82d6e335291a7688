//! A database that answers, and denies a machine what it needs: each reason is said in the database's words.

use tower_ownership::testing::FlyEdge;

use super::log::Level;
use super::machine::{Life, Machine};
use super::place::{OWNER, Place, WRONG, migrated};
use crate::support::database::Database;

const BEATS: &str = "tower_ownership::heartbeat: beats do not arrive";

/// A machine whose user is not the one that owns the tables.
struct Denied {
    place: Place,
    machine: Machine,
    user: String,
}

impl Denied {
    async fn new() -> Self {
        let database = migrated(Database::fresh().await).await;
        let user = format!("app_{}", database.name());
        database
            .execute(&format!(
                "CREATE ROLE {user} LOGIN; GRANT SELECT, UPDATE ON preview_sessions TO {user};
                 GRANT SELECT, INSERT, UPDATE ON ownership_machines, ownership_fleet TO {user}"
            ))
            .await;
        let url = database.url().replace("postgres@", &format!("{user}@"));
        let place = Place::with(database, FlyEdge::builder()).await;
        let machine = Machine::start_at(WRONG, &url, Life::Beat, &[]);
        machine.is_ready().await;
        place.edge.add(WRONG, machine.container.addr);
        Self {
            place,
            machine,
            user,
        }
    }

    async fn execute(&self, sql: &str) {
        let sql = sql.replace("{user}", &self.user);
        self.place.database.execute(&sql).await;
    }
}

#[tokio::test]
async fn heartbeats_that_may_not_be_written() {
    let denied = Denied::new().await;
    let table = "ownership_machines";
    let mut client = denied.place.database.client().await;
    let lock = client.transaction().await.unwrap();
    for (sql, cause) in [
        (
            "REVOKE UPDATE",
            "permission denied for table ownership_machines",
        ),
        ("LOCK", "it took too long"),
    ] {
        let before = denied.machine.before().await;
        if sql == "LOCK" {
            let lock_it = format!("LOCK TABLE {table} IN EXCLUSIVE MODE");
            lock.batch_execute(&lock_it).await.unwrap();
        } else {
            denied
                .execute(&format!("{sql} ON {table} FROM {{user}}"))
                .await;
        }
        let told = denied.machine.until(before, BEATS).await;
        let mut aloud = told.lines.iter().filter(|line| line.is_aloud());
        let first = aloud.next().unwrap();
        assert_eq!(first.level, Level::Warn);
        first.says(BEATS).says(cause);
        assert!(told.rose("heartbeats_total{outcome=\"failed\"}") > 0.5);
        if sql != "LOCK" {
            denied
                .execute(&format!("GRANT UPDATE ON {table} TO {{user}}"))
                .await;
            denied.machine.lines_once("beats arrive again").await;
        }
    }
}

#[tokio::test]
async fn sessions_that_may_not_be_read() {
    let denied = Denied::new().await;
    for (sql, cause) in [
        (
            "REVOKE SELECT ON preview_sessions FROM {user}",
            "permission denied for table preview_sessions",
        ),
        (
            "ALTER ROLE {user} CONNECTION LIMIT 0",
            "too many connections for role",
        ),
        ("ALTER ROLE {user} NOLOGIN", "is not permitted to log in"),
    ] {
        denied.execute(sql).await;
        // A role is asked for when a connection begins.
        denied.place.database.kill_backends().await;
        let session = denied.place.session_of(OWNER).await;
        let before = denied.machine.before().await;
        let answer = denied.place.get(session).await;
        answer.is_refused(503, "lookup-unavailable");
        let told = denied.machine.since(before).await;
        told.counted(&["reject/lookup-unavailable/miss +1"]);
        told.rose_by_one("lookup_duration_seconds_count{outcome=\"unavailable\"}");
        let refused = told
            .lines
            .iter()
            .find(|line| line.has_code("lookup-unavailable"));
        let refused = refused.unwrap_or_else(|| panic!("{sql}: {told:#?}"));
        assert_eq!(refused.level, Level::Warn);
        refused.says(cause);
    }
}
