//! Faults that are SQL: what the command says first, what it must not say first, because it is not the
//! cause, and what the log and the metrics of a machine say that runs meanwhile.

use futures_util::StreamExt;
use serde_json::Value;
use tower_ownership::PostgresLookup;
use uuid::Uuid;

use super::machine::{Life, Machine};
use crate::command::run;
use crate::scene::{LANDED, OWNER, Scene};
use crate::support::client::get;
use crate::support::database::Database;
use crate::support::until_async;

/// A fault of a fleet in order: a session of [`OWNER`]'s, which is heard, as is the machine that requests
/// land on.
struct Fault {
    what: &'static str,
    /// `SESSION` stands for the session's id.
    sql: &'static str,
    /// What the doctor says first.
    first: &'static str,
    /// What it must not say first.
    not_first: &'static [&'static str],
    /// What the audit finds, if it can.
    audit: Option<&'static str>,
    machine: Shows,
}

/// What a machine shows that is not the owner, and was ready before.
enum Shows {
    /// It refuses requests with this code, for which its event says this.
    Refusal(&'static str, &'static str),
    /// It hands requests over as before, and its audits find this.
    Finding(&'static str),
    /// Only the owner does.
    Nothing,
}
use Shows::{Finding, Nothing, Refusal};

const FAULTS: &[Fault] = &[
    Fault {
        what: "the column of epochs was dropped: machines cannot read the session",
        sql: "ALTER TABLE preview_sessions DROP COLUMN owner_epoch CASCADE",
        first: "migration-partly",
        not_first: &["directory-down-there", "fine"],
        audit: Some("migration-partly"),
        machine: Refusal("lookup-unavailable", "owner_epoch"),
    },
    Fault {
        what: "the table of machines was dropped",
        sql: "DROP TABLE ownership_machines CASCADE",
        first: "migration-partly",
        not_first: &["directory-down-there", "owner-never-seen", "fine"],
        audit: Some("migration-partly"),
        machine: Refusal("lookup-unavailable", "ownership_machines"),
    },
    Fault {
        what: "triggers are disabled",
        sql: "ALTER TABLE preview_sessions DISABLE TRIGGER ALL",
        first: "migration-partly",
        not_first: &["fine", "session-moving"],
        audit: Some("migration-partly"),
        machine: Finding("migration-partly"),
    },
    Fault {
        what: "triggers are disabled, and the owner is lost",
        sql: "ALTER TABLE preview_sessions DISABLE TRIGGER ALL;
            UPDATE ownership_machines SET beat_at = now() - interval '2 min'
                WHERE machine_id = 'e2863555a91708'",
        first: "migration-partly",
        not_first: &["owner-lost", "session-moving"],
        audit: Some("owner-lost"),
        machine: Refusal("owner-lost", "owner_status=\"lost\""),
    },
    Fault {
        what: "the table was exchanged for one that has no triggers",
        sql:
            "CREATE TABLE copy (LIKE preview_sessions INCLUDING ALL);
            INSERT INTO copy SELECT * FROM preview_sessions;
            ALTER TABLE preview_sessions RENAME TO old; ALTER TABLE copy RENAME TO preview_sessions",
        first: "migration-partly",
        not_first: &["fine"],
        audit: Some("migration-partly"),
        machine: Finding("migration-partly"),
    },
    Fault {
        what: "the owner was changed while triggers were missing",
        sql: "ALTER TABLE preview_sessions DISABLE TRIGGER ALL;
            UPDATE preview_sessions SET container_id = '56837ddda10348';
            ALTER TABLE preview_sessions ENABLE TRIGGER ALL",
        first: "owner-without-epoch",
        not_first: &["directory-differs", "row-unusable", "fine"],
        audit: Some("owner-without-epoch"),
        machine: Refusal(
            "directory-corrupt",
            "the session's owner changed while the ownership triggers were",
        ),
    },
    Fault {
        what: "a notify trigger was dropped",
        sql: "DROP TRIGGER tower_ownership_change ON preview_sessions",
        first: "notify-triggers",
        not_first: &["fine"],
        audit: Some("notify-triggers"),
        machine: Finding("notify-triggers"),
    },
    Fault {
        what: "a table of the change log was dropped",
        sql: "DROP TABLE preview_sessions_tower_ownership_log0",
        first: "notify-triggers",
        not_first: &["fine"],
        audit: Some("notify-triggers"),
        machine: Finding("notify-triggers"),
    },
    Fault {
        what: "heartbeats of the owner do not arrive",
        sql: "UPDATE ownership_machines SET beat_at = now() - interval '2 min'
            WHERE machine_id = 'e2863555a91708'",
        first: "owner-lost",
        not_first: &["fine", "owner-gone"],
        audit: Some("owner-lost"),
        machine: Refusal("owner-lost", "owner_status=\"lost\""),
    },
    Fault {
        what: "two processes run under the owner's id",
        sql: "UPDATE ownership_machines SET rival_at = now() WHERE machine_id = 'e2863555a91708'",
        first: "duplicate-identity",
        not_first: &["fine"],
        audit: Some("duplicate-identity"),
        machine: Nothing,
    },
    Fault {
        what: "the owner's id has a blank at its end",
        sql: "UPDATE preview_sessions SET container_id = 'e2863555a91708 '",
        first: "owner-unusable",
        not_first: &["owner-never-seen", "fine"],
        audit: Some("owner-never-seen"),
        machine: Refusal("directory-corrupt", "cannot be a machine id"),
    },
    Fault {
        what: "the orchestrator writes hosts' names",
        sql: "UPDATE preview_sessions SET container_id = 'preview-web-0'",
        first: "wrong-identity",
        not_first: &["owner-never-seen", "owner-gone"],
        audit: Some("owner-never-seen"),
        machine: Refusal("owner-never-seen", "owner=\"preview-web-0\""),
    },
    Fault {
        what: "a word in the status that the lookup does not know",
        sql: "UPDATE preview_sessions SET status = 'hibernating'",
        first: "session-over",
        not_first: &["directory-differs", "fine"],
        audit: Some("status-unknown"),
        machine: Refusal("session-over", ""),
    },
    Fault {
        what: "a column of another type",
        sql: "ALTER TABLE preview_sessions RENAME expires_at TO before;
            ALTER TABLE preview_sessions ADD expires_at text",
        first: "column-type",
        not_first: &["row-unusable", "directory-differs", "directory-down"],
        audit: None,
        machine: Refusal("lookup-unavailable", "the columns are not of the types"),
    },
    Fault {
        what: "a drain gave the session up, and no machine claims it",
        sql: "UPDATE preview_sessions SET container_id = NULL, owner_released = owner_epoch + 1",
        first: "session-unassigned",
        not_first: &["session-starting", "fine"],
        audit: Some("session-unassigned"),
        machine: Refusal("session-unassigned", ""),
    },
    Fault {
        what: "the owner was declared gone",
        sql: "UPDATE ownership_machines SET gone_at = now() WHERE machine_id = 'e2863555a91708'",
        first: "owner-lost",
        not_first: &["fine"],
        audit: Some("owner-lost"),
        machine: Refusal("owner-lost", "owner_status=\"lost\""),
    },
];

async fn fleet() -> (Scene, Uuid) {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    for id in [LANDED, OWNER] {
        scene.machine(id, scene.living_lookup()).await;
    }
    let session = scene.owned().await;
    (scene, session)
}

async fn audit(scene: &Scene) -> (Vec<String>, i32) {
    let said = run(
        &["audit", "--json", "--database", &scene.database.url()],
        &[],
    )
    .await;
    let document = said.json();
    let findings = document["findings"].as_array().cloned().unwrap_or_default();
    let kind = |finding: &Value| finding["finding"].as_str().unwrap().to_owned();
    (findings.iter().map(kind).collect(), said.status)
}

#[tokio::test]
async fn each_fault_is_named_first_and_found_by_the_audit() {
    let (scene, session) = fleet().await;
    scene
        .diagnose(session)
        .await
        .ends(0, "fine", "answered 200");
    assert_eq!(audit(&scene).await, (Vec::new(), 0));
    for fault in FAULTS {
        let (scene, session) = fleet().await;
        scene.database.execute(fault.sql).await;
        let said = scene.diagnose(session).await;
        let first = said.document["finding"].as_str().unwrap();
        let what = fault.what;
        assert!(
            !fault.not_first.contains(&first),
            "{what}: {:#}",
            said.document
        );
        assert_eq!(first, fault.first, "{what}: {:#}", said.document);
        assert_eq!(said.status, 1, "{what}");
        let Some(kind) = fault.audit else {
            continue;
        };
        let (found, status) = audit(&scene).await;
        assert!(found.iter().any(|one| one == kind), "{what}: {found:?}");
        assert_eq!(status, 1, "{what}");
    }
}

/// A third machine, which does not own the session.
const ASKED: &str = "90801679a10038";

#[tokio::test]
async fn each_fault_shows_in_log_and_metrics_of_a_running_machine() {
    // One after the other they take three times as long.
    let shown = futures_util::stream::iter(FAULTS).map(shows);
    shown.buffer_unordered(6).collect::<Vec<()>>().await;
}

async fn shows(fault: &Fault) {
    let what = fault.what;
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    let session = scene.owned().await;
    let machine = match fault.machine {
        Nothing => return,
        Refusal(..) => Machine::start(ASKED, &scene.database, Life::BeatForLong).await,
        Finding(_) => Machine::auditing(ASKED, &scene.database).await,
    };
    let before = machine.before().await;
    scene.database.execute(fault.sql).await;
    if let Finding(kind) = fault.machine {
        let series = format!("tower_ownership_audit_findings{{kind=\"{kind}\"}}");
        until_async(what, async || {
            let page = get(machine.container.url("/metrics")).await.text;
            let mut lines = page.lines();
            lines.any(|line| line.starts_with(&series) && !line.ends_with(" 0"))
        })
        .await;
    }
    let answer = get(machine.container.url(&format!("/session/{session}"))).await;
    let told = machine.since(before).await;
    let says = match fault.machine {
        Nothing => return,
        Refusal(code, says) => {
            assert_eq!(answer.code(), Some(code), "{what}: {answer:?}");
            told.counted(&[&format!("reject/{code}/miss +1")]);
            let mut lines = told.lines.iter();
            let line = lines.find(|line| line.has_code(code));
            line.unwrap_or_else(|| panic!("{what}: {told:#?}"))
                .says(says);
            says
        }
        Finding(kind) => {
            told.counted(&["replay//miss +1"]);
            kind
        }
    };
    // What else may be said aloud, and first, is the cause.
    let mut aloud = told.lines.iter().filter(|line| line.is_aloud());
    assert!(
        aloud.all(|line| line.text.contains(says)),
        "{what}: {told:#?}"
    );
}

/// Its heartbeats go to the other database, too, so after a while its owner is lost there.
#[tokio::test]
async fn a_machine_on_another_database_is_named_before_the_owner_that_it_makes_lost() {
    for silent in [0.0, 60.0] {
        let scene = Scene::migrated().await;
        scene.beat(OWNER, silent, "").await;
        let session = scene
            .session(|s| s.container_id = Some(OWNER.to_owned()))
            .await;
        let other = Database::fresh().await;
        other.incident_table().await;
        other
            .execute(tower_ownership::PostgresDirectory::MIGRATION)
            .await;
        let lookup = PostgresLookup::builder(other.url())
            .ownership()
            .build()
            .unwrap();
        scene.machine(LANDED, lookup).await;
        let said = scene.diagnose(session).await;
        said.is("directory-differs", "reads another database");
    }
}

/// Fly's machines have ids of one form, so no other machine has to be known.
#[tokio::test]
async fn a_host_s_name_for_an_owner_is_no_machine_that_was_destroyed() {
    let scene = Scene::plain().await;
    let lookup = scene.lookup();
    scene
        .machine_with(LANDED, lookup, |layer| layer.expose_internals(false))
        .await;
    let session = scene
        .session(|s| s.container_id = Some("preview-web-0".to_owned()))
        .await;
    scene.diagnose(session).await.is(
        "wrong-identity",
        "while machines are called like `e2863555a91708`",
    );
}
