//! A million sessions, and what an operator's questions read of them.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;
use tower_ownership::{OwnerStatus, PostgresDirectory, postgres::SessionFilter};

use super::{Process, one};
use crate::support::database::Database;
use crate::support::postgres::Cluster;

const ROWS: u32 = 1_000_000;
const MACHINES: u64 = 1_000;

/// Each of a thousand machines owns nine hundred sessions; a tenth of all are over. The last three
/// machines are lost, draining and unheard of, and their sessions lie at the end of the table, as
/// do two that nobody owns.
async fn fill(database: &Database) {
    database.incident_table().await;
    database
        .execute(&format!(
            "INSERT INTO preview_sessions (id, status, container_id, expires_at, ended_at)
             SELECT md5(n::text)::uuid, CASE WHEN n % 10 = 0 THEN 'stopped' ELSE 'active' END,
                 CASE WHEN n >= {ROWS} - 2 THEN NULL
                     ELSE 'machine-' || lpad((n / 1000)::text, 4, '0') END,
                 now() + interval '1 day',
                 CASE WHEN n % 10 = 0 THEN now() - interval '1 day' END
             FROM generate_series(0, {ROWS} - 1) AS n"
        ))
        .await;
    database.execute(PostgresDirectory::MIGRATION).await;
    // The table is large, so the file leaves the index to do. This one is as an earlier version made
    // it.
    database
        .execute(
            "CREATE INDEX earlier ON preview_sessions ((container_id COLLATE \"C\"))
                 WHERE status IN ('active')",
        )
        .await;
    database
        .execute(&format!(
            "INSERT INTO ownership_machines (machine_id, boot_id)
             SELECT 'machine-' || lpad(n::text, 4, '0'), gen_random_uuid()
             FROM generate_series(0, {MACHINES} - 2) AS n;
             UPDATE ownership_machines SET steady_since = now() - interval '1 hour';
             UPDATE ownership_machines SET beat_at = now() - interval '1 hour'
                 WHERE machine_id = 'machine-0997';
             UPDATE ownership_machines SET draining = true WHERE machine_id = 'machine-0998'"
        ))
        .await;
    database
        .execute("ANALYZE preview_sessions, ownership_machines")
        .await;
}

/// Each node of a plan.
fn nodes(plan: &Value) -> Vec<&Value> {
    let below = plan["Plans"].as_array().into_iter().flatten();
    std::iter::once(plan).chain(below.flat_map(nodes)).collect()
}

struct Plan {
    milliseconds: f64,
    blocks: u64,
    text: String,
}

/// Runs a statement that was sent before once more, with these parameters, and looks how.
async fn explain(database: &Database, of: &str, parameters: &[&str]) -> Plan {
    let statements = database.statements();
    let sent = statements
        .iter()
        .rev()
        .find(|sql| sql.contains(of) && !sql.starts_with("EXPLAIN"));
    let mut explain = format!(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {}",
        sent.unwrap_or_else(|| panic!("{of}"))
    );
    for (at, value) in parameters.iter().enumerate() {
        explain = explain.replace(&format!("${}", at + 1), value);
    }
    let told: Value = one(database, &explain).await;
    let plan = &told[0]["Plan"];
    let mut text = String::new();
    for node in nodes(plan) {
        let of = node["Index Name"].as_str().or(node["CTE Name"].as_str());
        let of = of.or(node["Relation Name"].as_str()).unwrap_or_default();
        let _ = writeln!(
            text,
            "    {} {of} x{} rows {}",
            node["Node Type"].as_str().unwrap_or_default(),
            node["Actual Loops"],
            node["Actual Rows"]
        );
        let is_read_whole = node["Node Type"] == "Seq Scan"
            && of == "preview_sessions"
            && node["Actual Loops"] != 0;
        assert!(!is_read_whole, "{told:#}");
    }
    let blocks = ["Shared Hit Blocks", "Shared Read Blocks"];
    Plan {
        milliseconds: told[0]["Execution Time"].as_f64().unwrap(),
        blocks: blocks.iter().filter_map(|kind| plan[kind].as_u64()).sum(),
        text,
    }
}

#[tokio::test]
async fn what_an_operator_asks_reads_no_more_than_it_has_to() {
    let cluster = Cluster::prepared(|_| vec!["autovacuum=off".to_owned()]).unwrap();
    let database = cluster.database().await;
    fill(&database).await;
    let directory = Process::of("machine-0000", &database).directory;
    audited(&database, &directory).await;
    // As the migration makes it, with the starting sessions.
    database
        .execute(
            "DROP INDEX earlier;
             CREATE INDEX ON preview_sessions ((container_id COLLATE \"C\"))
                 WHERE status IN ('active', 'creating', 'starting', 'pending', 'provisioning');
             ANALYZE preview_sessions",
        )
        .await;
    audited(&database, &directory).await;
    listed(&database, &directory).await;
    reaped(&database, &directory).await;
}

async fn audited(database: &Database, directory: &PostgresDirectory) {
    let found = directory.audit(100).await.unwrap().unwrap();
    let count = |kind: &str| {
        let findings = found.findings.iter();
        findings.filter(|one| one.finding.as_str() == kind).count()
    };
    let kinds = [
        "session-unassigned",
        "owner-lost",
        "owner-never-seen",
        "owner-draining",
    ];
    assert_eq!(kinds.map(count), [2, 100, 100, 100]);
    assert!(found.truncated);
    let plan = explain(database, "advisory", &["100"]).await;
    let table = "SELECT pg_relation_size('preview_sessions') / 8192";
    println!(
        "an audit of {ROWS} sessions of {MACHINES} machines: {:.1} ms, {} of {} pages\n{}",
        plan.milliseconds,
        plan.blocks,
        one::<i64>(database, table).await,
        plan.text
    );
    // A few pages of the index for each owner, and the one that its first row is on.
    assert!(plan.blocks < 10 * MACHINES, "{}", plan.blocks);
}

async fn listed(database: &Database, directory: &PostgresDirectory) {
    for (filter, expected, parameter) in [
        (SessionFilter::All, 50, "NULL::text"),
        (SessionFilter::Unassigned, 2, ""),
        (SessionFilter::OwnersAre(OwnerStatus::Lost), 50, "3"),
        (SessionFilter::OwnersAre(OwnerStatus::Unknown), 2, "0"),
    ] {
        let sessions = directory.sessions(&filter, 50).await.unwrap();
        assert_eq!(sessions.len(), expected, "{filter:?}");
        let plan = explain(database, "remaining_seconds", &["50", parameter]).await;
        println!(
            "{filter:?}: {:.1} ms, {} pages",
            plan.milliseconds, plan.blocks
        );
        assert!(plan.blocks < 10 * MACHINES, "{}", plan.text);
    }
}

async fn reaped(database: &Database, directory: &PostgresDirectory) {
    let hour = Duration::from_secs(60 * 60);
    // As its documentation says.
    database
        .execute(
            "CREATE INDEX ON preview_sessions (LEAST(expires_at, ended_at));
             ANALYZE preview_sessions",
        )
        .await;
    // A tenth of the machines are no more, and each of them owns something.
    database
        .execute(
            "UPDATE ownership_machines SET beat_at = now() - interval '1 day'
                 WHERE machine_id LIKE '%3'",
        )
        .await;
    let reaped = directory.reap(hour, 1_000).await.unwrap();
    assert_eq!((reaped.sessions.len(), reaped.machines.len()), (1_000, 0));
    for what in ["preview_sessions", "ownership_machines"] {
        let parameters = ["3600000::float8", "1000"];
        let plan = explain(database, &format!("DELETE FROM \"{what}\""), &parameters).await;
        println!(
            "reaping {what}: {:.1} ms, {} pages\n{}",
            plan.milliseconds, plan.blocks, plan.text
        );
        assert!(plan.blocks < 20_000, "{}", plan.text);
    }
}
