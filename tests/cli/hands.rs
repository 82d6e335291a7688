//! Commands that change who owns what.

use serde_json::{Value, json};

use crate::command::{Said, run};
use crate::scene::{LANDED, OWNER, Scene};
use crate::support::client::get;
use crate::terminal::answering_at_a_terminal;

const LOST: &str = "e2863555a91709";

/// A machine that is alive beside one that is lost.
async fn fleet() -> Scene {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    scene.beat(LOST, 200.0, "").await;
    scene
}

async fn ask(scene: &Scene, arguments: &[&str]) -> Said {
    let url = scene.database.url();
    let mut all = arguments.to_vec();
    all.extend(["--json", "--database", &url]);
    run(&all, &[]).await
}

/// All that could have been changed.
async fn rows(scene: &Scene) -> String {
    let client = scene.database.client().await;
    let sql = "SELECT string_agg(row::text, E'\n' ORDER BY row::text) FROM (
            SELECT to_jsonb(s) AS row FROM preview_sessions AS s
            UNION ALL SELECT to_jsonb(m) FROM ownership_machines AS m
        ) AS rows";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn value(scene: &Scene, sql: &str) -> String {
    let client = scene.database.client().await;
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn row(scene: &Scene, session: &str) -> String {
    let of = "concat_ws(' ', coalesce(container_id, '-'), owner_epoch, coalesce(owner_released, -1), \
              CASE WHEN ended_at IS NULL THEN status ELSE 'ended' END)";
    let sql = format!("SELECT {of} FROM preview_sessions WHERE id = '{session}'");
    value(scene, &sql).await
}

fn results(said: &Said) -> Vec<Value> {
    said.json()["results"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let scene = fleet().await;
    let session = scene.owned().await.to_string();
    scene.session(|s| s.ended_ago = Some(864_000.0)).await;
    let before = rows(&scene).await;
    for arguments in [
        &["gone", OWNER][..],
        &["readmit", OWNER],
        &["assign", &session, "--to", LANDED],
        &["release", &session],
        &["release", "--owner", OWNER],
        &["end", &session],
        &["reap"],
    ] {
        let mut arguments = arguments.to_vec();
        arguments.push("--dry-run");
        let said = ask(&scene, &arguments).await;
        assert_eq!(said.status, 0, "{arguments:?}: {said:?}");
        let document = said.json();
        assert_eq!(document["dryRun"], true);
        assert_eq!(document["done"], false);
        assert_eq!(document["command"], arguments[0]);
        assert!(document["cost"].as_str().unwrap().len() > 10);
        assert_eq!(results(&said).len(), 1, "{said:?}");
        assert_eq!(rows(&scene).await, before, "{arguments:?}");
        let database = scene.database.url();
        arguments.extend(["--database", &database]);
        let told = run(&arguments, &[]).await;
        assert!(told.out.contains("nothing was changed"), "{told:?}");
        assert!(told.out.contains("Cost: "), "{told:?}");
    }
    // The rehearsal is the statement itself, so it knows what would come of it.
    let assigned = ask(&scene, &["assign", &session, "--to", LANDED, "--dry-run"]).await;
    let expected = json!([{ "session": session, "from": OWNER, "epoch": 2 }]);
    assert_eq!(assigned.json()["results"], expected);
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_nothing_is_done() {
    let scene = fleet().await;
    let session = scene.owned().await.to_string();
    let before = rows(&scene).await;
    for arguments in [
        &["gone", OWNER][..],
        &["readmit", OWNER],
        &["assign", &session, "--to", LANDED],
        &["release", &session],
        &["end", &session],
        &["reap"],
    ] {
        let said = ask(&scene, arguments).await;
        assert_eq!(said.status, 2, "{said:?}");
        assert!(said.err.contains("give --yes"), "{said:?}");
    }
    assert_eq!(rows(&scene).await, before);
}

#[tokio::test]
async fn a_question_is_asked_at_a_terminal_and_only_yes_is_consent() {
    let scene = fleet().await;
    let session = scene.owned().await.to_string();
    let url = scene.database.url();
    let arguments = ["end", &session, "--database", &url];
    let before = rows(&scene).await;
    for answer in ["n\n", "\n", "sure\n"] {
        let (screen, status) = answering_at_a_terminal(80, answer, &arguments).await;
        assert!(screen.contains("End 1 session for good? [y/N]"), "{screen}");
        assert!(
            screen.contains("Cost: requests for them read 410"),
            "{screen}"
        );
        assert!(screen.contains("nothing was changed"), "{screen}");
        assert_eq!(status, 1, "{screen}");
        assert_eq!(rows(&scene).await, before);
    }
    let (screen, status) = answering_at_a_terminal(80, "y\n", &arguments).await;
    assert_eq!(status, 0, "{screen}");
    assert!(screen.contains("1 session ended."), "{screen}");
    assert_eq!(row(&scene, &session).await, format!("{OWNER} 1 -1 ended"));
}

#[tokio::test]
async fn a_machine_is_declared_gone_and_readmitted() {
    let scene = fleet().await;
    scene.owned().await;
    let presence = "SELECT (gone_at IS NOT NULL)::text FROM ownership_machines \
         WHERE machine_id = 'e2863555a91708'";
    let said = ask(&scene, &["gone", OWNER, "--yes"]).await;
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(said.json()["done"], true);
    let cost = said.json()["cost"].as_str().unwrap().to_owned();
    assert!(cost.contains("its 1 session read 503 owner-lost"), "{cost}");
    assert_eq!(value(&scene, presence).await, "true");
    let said = ask(&scene, &["readmit", OWNER, "--yes"]).await;
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(value(&scene, presence).await, "false");

    for command in ["gone", "readmit"] {
        let said = ask(&scene, &[command, "e28635550000ff", "--yes"]).await;
        assert_eq!(said.status, 1, "{said:?}");
        let results = results(&said);
        let why = results[0]["refused"].as_str().unwrap();
        assert!(why.contains("no such machine is known"), "{why}");
    }
}

#[tokio::test]
async fn sessions_are_assigned_to_machines_that_are_alive() {
    let scene = fleet().await;
    let session = scene.owned().await.to_string();
    for (machine, why) in [
        (LOST, "is lost"),
        ("e28635550000ff", "was never seen"),
        (OWNER, "owns it already"),
    ] {
        let said = ask(&scene, &["assign", &session, "--to", machine, "--yes"]).await;
        assert_eq!(said.status, 1, "{said:?}");
        assert_eq!(said.json()["done"], false);
        let results = results(&said);
        let refused = results[0]["refused"].as_str().unwrap();
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(row(&scene, &session).await, format!("{OWNER} 1 -1 active"));
    // By the end of its id, as a log shows it.
    let end = &session[session.len() - 12..];
    let said = ask(&scene, &["assign", end, "--to", LANDED, "--dry-run"]).await;
    assert_eq!(results(&said)[0]["session"], session);
    // Without a question, what is no session's id must not be a part of another one's.
    let said = ask(&scene, &["assign", end, "--to", LANDED, "--yes"]).await;
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.err.contains("give the whole id"), "{said:?}");
    let said = ask(&scene, &["assign", &session, "--to", LANDED, "--yes"]).await;
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(row(&scene, &session).await, format!("{LANDED} 2 -1 active"));

    let unknown = "00000000-0000-4000-8000-000000000000";
    let said = ask(&scene, &["assign", unknown, "--to", LANDED, "--yes"]).await;
    assert_eq!(said.status, 1, "{said:?}");
    assert_eq!(results(&said)[0]["refused"], "there is no such session");
}

#[tokio::test]
async fn sessions_of_a_machine_are_released_without_a_proof_that_it_has_stopped() {
    let scene = fleet().await;
    let sessions = [scene.owned().await, scene.owned().await];
    let said = ask(&scene, &["release", "--owner", OWNER, "--yes", "--limit=1"]).await;
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(results(&said).len(), 1);
    let said = ask(&scene, &["release", "--owner", OWNER, "--yes"]).await;
    assert_eq!(said.status, 0, "{said:?}");
    for session in sessions {
        let row = row(&scene, &session.to_string()).await;
        assert_eq!(
            row, "- 2 -1 active",
            "a proof would let the next owner serve at once"
        );
    }
    let said = ask(&scene, &["release", "--owner", OWNER, "--yes"]).await;
    assert_eq!(said.status, 1, "{said:?}");
    let again = sessions[0].to_string();
    let said = ask(&scene, &["release", &again, "--yes"]).await;
    assert_eq!(results(&said)[0]["refused"], "it has no owner");
    assert_eq!(said.status, 1, "{said:?}");
}

#[tokio::test]
async fn what_is_over_is_neither_assigned_nor_released_nor_ended_again() {
    let scene = fleet().await;
    let over = scene
        .session(|s| "ended".clone_into(&mut s.status))
        .await
        .to_string();
    let before = rows(&scene).await;
    for arguments in [
        &["assign", &over, "--to", LANDED][..],
        &["release", &over],
        &["end", &over],
    ] {
        let mut arguments = arguments.to_vec();
        arguments.push("--yes");
        let said = ask(&scene, &arguments).await;
        assert_eq!(said.status, 1, "{said:?}");
        assert_eq!(results(&said)[0]["refused"], "it is over");
    }
    assert_eq!(rows(&scene).await, before);
}

#[tokio::test]
async fn what_is_long_over_is_reaped() {
    let scene = fleet().await;
    let living = scene.owned().await.to_string();
    let old = scene
        .session(|s| s.ended_ago = Some(864_000.0))
        .await
        .to_string();
    scene.session(|s| s.ended_ago = Some(3_600.0)).await;
    let said = ask(&scene, &["reap", "--yes"]).await;
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(
        said.json()["results"],
        json!([{ "session": old, "epoch": 1 }])
    );
    let said = ask(&scene, &["reap", "--yes", "--older-than", "30m"]).await;
    assert_eq!(results(&said).len(), 1, "{said:?}");
    assert_eq!(row(&scene, &living).await, format!("{OWNER} 1 -1 active"));
    // What has been done is done.
    let said = ask(&scene, &["reap", "--yes"]).await;
    assert_eq!((said.status, results(&said).len()), (0, 0), "{said:?}");
    let said = ask(&scene, &["reap", "--yes", "--older-than", "5s"]).await;
    assert_eq!(said.status, 2, "{said:?}");
}

#[tokio::test]
async fn no_owner_is_changed_while_triggers_are_missing() {
    let scene = fleet().await;
    let session = scene.owned().await.to_string();
    scene
        .database
        .execute("ALTER TABLE preview_sessions DISABLE TRIGGER ALL")
        .await;
    let before = rows(&scene).await;
    let said = ask(&scene, &["assign", &session, "--to", LANDED, "--yes"]).await;
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("ownership migrate --run"), "{said:?}");
    assert_eq!(rows(&scene).await, before);
}

#[tokio::test]
async fn a_session_whose_owner_cannot_be_a_machine_is_assigned_or_ended() {
    let scene = fleet().await;
    for (arguments, after) in [
        (
            &["assign", "--to", LANDED][..],
            format!("{LANDED} 2 -1 active"),
        ),
        (&["end"], "not one 1 -1 ended".to_owned()),
    ] {
        let session = scene
            .session(|s| s.container_id = Some("not one".to_owned()))
            .await
            .to_string();
        let said = ask(&scene, &["release", &session, "--yes"]).await;
        assert_eq!(said.status, 1, "{said:?}");
        let said = ask(&scene, &[arguments, &[&session, "--yes"]].concat()).await;
        assert_eq!(said.status, 0, "{said:?}");
        assert_eq!(row(&scene, &session).await, after);
    }
}

/// A client's answers, in the words of each command's cost.
#[tokio::test]
async fn what_a_command_costs_is_what_clients_read() {
    let scene = fleet().await;
    for id in [LANDED, OWNER] {
        scene.machine(id, scene.living_lookup()).await;
    }
    let client = async |session: &str| get(scene.edge.url(&format!("/session/{session}"))).await;
    let session = scene.owned().await.to_string();
    let act = async |arguments: &[&str]| {
        let mut arguments = arguments.to_vec();
        arguments.push("--yes");
        let said = ask(&scene, &arguments).await;
        assert_eq!(said.status, 0, "{said:?}");
        said.json()["cost"].as_str().unwrap().to_owned()
    };
    assert_eq!(client(&session).await.status, 200);
    for (arguments, status, code) in [
        (
            &["assign", &session, "--to", LANDED][..],
            503,
            "session-moving",
        ),
        (&["release", &session], 503, "session-unassigned"),
        (&["assign", &session, "--to", OWNER], 503, "session-moving"),
        (&["gone", OWNER], 503, "owner-lost"),
        (&["end", &session], 410, "session-over"),
    ] {
        let cost = act(arguments).await;
        assert!(cost.contains(&format!("{status} {code}")), "{cost}");
        client(&session).await.is_refused(status, code);
    }
    let long_ago = "UPDATE preview_sessions SET ended_at = now() - interval '10 d'";
    scene.database.execute(long_ago).await;
    let cost = act(&["reap"]).await;
    assert!(cost.contains("404 session-unknown"), "{cost}");
    client(&session).await.is_refused(404, "session-unknown");
}

#[tokio::test]
async fn completions_and_manual_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = run(&["completions", shell], &[]).await;
        assert_eq!(said.status, 0, "{said:?}");
        assert!(said.out.contains("readmit") && said.out.contains("dry-run"));
    }
    let page = run(&["man"], &[]).await;
    assert!(page.out.contains(".TH ownership 1"), "{}", page.out);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert_eq!(run(&["man", "--dir", path], &[]).await.status, 0);
    let page = std::fs::read_to_string(dir.path().join("ownership-assign.1")).unwrap();
    assert!(page.contains("\\-\\-dry\\-run"), "{page}");
}
