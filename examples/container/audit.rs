//! What is wrong with the fleet although no request has met it yet.

use std::{collections::BTreeSet, time::Duration};

use tower_ownership::PostgresDirectory;

/// Of each kind at most so many are found, and counted.
const LIMIT: usize = 1_000;

/// Audits again and again, for the metrics that alerts rest on. Every machine does: one that asks
/// while another one audits is turned away.
pub fn begin(directory: PostgresDirectory, every: Duration) {
    tokio::spawn(async move {
        let mut known = 0;
        loop {
            tokio::time::sleep(every).await;
            match directory.audit(LIMIT).await {
                Ok(Some(audit)) => {
                    let findings = audit.findings.len();
                    // Said once: the metrics tell for how long it goes on.
                    if findings > known {
                        let kinds = audit.findings.iter().map(|one| one.finding.as_str());
                        let kinds: Vec<_> = kinds.collect::<BTreeSet<_>>().into_iter().collect();
                        let kinds = kinds.join(", ");
                        tracing::warn!(findings, kinds, "something is wrong with the fleet");
                    }
                    known = findings;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the fleet could not be audited"),
            }
        }
    });
}
