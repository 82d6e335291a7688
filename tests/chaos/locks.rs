//! Transactions of other programs that lock rows or tables for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::fault::Locked;
use crate::fleet::Fleet;
use crate::support::database::connect;
use crate::troubles::{Open, Trouble};

/// How long the lock itself is waited for, while every later transaction waits behind it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Those that are open, by their numbers.
#[derive(Default)]
pub struct Locks(Mutex<BTreeMap<usize, (Option<Client>, Open)>>);

impl Locks {
    pub async fn take(&self, fleet: &Fleet, number: usize, what: Locked, sessions: &[Uuid]) {
        let (trouble, sql) = match what {
            Locked::Rows { .. } | Locked::Followed(_) => {
                let ids: Vec<String> = sessions.iter().map(ToString::to_string).collect();
                let rows = format!(
                    "SELECT FROM preview_sessions WHERE id = ANY('{{{}}}') FOR UPDATE",
                    ids.join(",")
                );
                (Trouble::RowsLocked, rows)
            }
            Locked::Table { table, reads: true } => {
                let lock = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
                (Trouble::Unreadable, lock)
            }
            Locked::Table { table, .. } => {
                let lock = format!("LOCK TABLE {table} IN EXCLUSIVE MODE");
                (Trouble::Unwritable, lock)
            }
        };
        let open = match trouble {
            Trouble::RowsLocked => fleet.recorder.begin_of(trouble, sessions),
            _ => fleet.recorder.begin(trouble, None),
        };
        let locked = timeout(PATIENCE, async {
            let client = connect(&fleet.ground.database.url()).await.ok()?;
            let locked = client.batch_execute(&format!("BEGIN; {sql}")).await;
            locked.ok().map(|()| client)
        });
        let client = locked.await.ok().flatten();
        fleet.recorder.note(format!("locked: {}", client.is_some()));
        self.0.lock().await.insert(number, (client, open));
    }

    pub async fn give_back(&self, fleet: &Fleet, number: usize) {
        let Some((client, open)) = self.0.lock().await.remove(&number) else {
            return;
        };
        if let Some(client) = client {
            // It fails if the server was restarted meanwhile, which ended the transaction, too.
            let _ = timeout(PATIENCE, client.batch_execute("ROLLBACK")).await;
        }
        fleet.recorder.end(open);
    }
}
