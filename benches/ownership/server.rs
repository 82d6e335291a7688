//! What the server had to do.

use std::{fs, path::Path};

use crate::support::database::Database;
use crate::support::postgres::Cluster;

/// Processor time and transactions of a server, so far.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) seconds: f64,
    pub(crate) transactions: f64,
}

impl Work {
    /// Backends report what they did once a second, and when they end.
    pub(crate) async fn now(cluster: &Cluster, database: &Database) -> Self {
        let row = database.client().await;
        let row = row
            .query_one(
                "SELECT (xact_commit + xact_rollback)::float8 FROM pg_stat_database \
                 WHERE datname = current_database()",
                &[],
            )
            .await;
        Self {
            seconds: seconds(cluster.dir()),
            transactions: row.expect("statistics").get(0),
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            seconds: self.seconds - before.seconds,
            transactions: self.transactions - before.transactions,
        }
    }
}

/// Of the postmaster, of those that it has started, and of those of them that have ended.
fn seconds(dir: &Path) -> f64 {
    let pid = fs::read_to_string(dir.join("data/postmaster.pid")).expect("a running server");
    let postmaster = pid.lines().next().expect("a process id").to_owned();
    let mut ticks = 0;
    for process in fs::read_dir("/proc").expect("Linux").flatten() {
        let Ok(stat) = fs::read_to_string(process.path().join("stat")) else {
            // It is no process, or has ended.
            continue;
        };
        // The name before it may have blanks in it.
        let Some((_, fields)) = stat.rsplit_once(") ") else {
            continue;
        };
        let fields: Vec<&str> = fields.split(' ').collect();
        let is_it = process.file_name().to_str() == Some(postmaster.as_str());
        // As `proc_pid_stat(5)` numbers them, less three: utime and stime, then those of ended
        // children.
        let counted = match fields[1] {
            _ if is_it => &fields[11..15],
            parent if parent == postmaster => &fields[11..13],
            _ => continue,
        };
        ticks += counted
            .iter()
            .map(|ticks| ticks.parse::<u64>().expect("ticks"))
            .sum::<u64>();
    }
    // Linux reports them at 100 Hz to all programs, whatever the kernel's own tick.
    ticks as f64 / 100.0
}
