//! `ownership audit`, `sessions` and `machines`.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::command::{Said, ownership, run};
use crate::scene::{LANDED, OWNER, Scene};
use crate::support::incident::PreviewSession;

async fn ask(scene: &Scene, arguments: &[&str]) -> Said {
    let url = scene.database.url();
    let mut all = arguments.to_vec();
    all.extend(["--json", "--database", &url]);
    run(&all, &[]).await
}

fn texts<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    let list = list.as_array().unwrap().iter();
    list.map(|item| item[name].as_str().unwrap_or("-"))
        .collect()
}

/// One session of each kind, and machines that are so.
async fn fleet() -> Scene {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    scene.beat("e2863555a91709", 200.0, "").await;
    for owner in [OWNER, "e2863555a91709", "e286544f716d89"] {
        scene
            .session(|s| s.container_id = Some(owner.to_owned()))
            .await;
    }
    scene.session(|s| s.container_id = None).await;
    scene.session(|s| "ended".clone_into(&mut s.status)).await;
    scene
}

#[tokio::test]
async fn an_audit_finds_what_is_wrong_and_its_status_says_that_it_did() {
    let scene = fleet().await;
    let said = ask(&scene, &["audit"]).await;
    assert_eq!(said.status, 1, "{said:?}");
    let audit = said.json();
    assert_eq!(audit["ownershipKept"], true);
    let mut kinds = texts(&audit["findings"], "finding");
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["owner-lost", "owner-never-seen", "session-unassigned"]
    );
    let told = run(&["audit", "--database", &scene.database.url()], &[]).await;
    assert!(told.out.contains("1 owner-lost"), "{}", told.out);
}

#[tokio::test]
async fn missing_triggers_are_a_finding_and_hide_nothing_else() {
    let scene = fleet().await;
    scene
        .database
        .execute("ALTER TABLE preview_sessions DISABLE TRIGGER ALL")
        .await;
    let said = ask(&scene, &["audit"]).await;
    assert_eq!(said.status, 1, "{said:?}");
    let audit = said.json();
    let kinds = texts(&audit["findings"], "finding");
    for kind in ["owner-lost", "migration-partly", "notify-triggers"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    let told = run(&["audit", "--database", &scene.database.url()], &[]).await;
    assert!(!told.out.contains("is not applied"), "{}", told.out);
    assert_eq!(ask(&scene, &["machines"]).await.status, 0);

    // Of what cannot be read, at least that.
    scene
        .database
        .execute("DROP TABLE ownership_machines")
        .await;
    let said = ask(&scene, &["audit"]).await;
    assert_eq!(said.status, 1, "{said:?}");
    let audit = said.json();
    let kinds = texts(&audit["findings"], "finding");
    assert!(kinds.contains(&"migration-partly"), "{kinds:?}");
}

#[tokio::test]
async fn a_fleet_in_order_is_said_to_be() {
    let scene = Scene::migrated().await;
    scene
        .session(|s| s.container_id = Some(LANDED.to_owned()))
        .await;
    let said = ask(&scene, &["audit"]).await;
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(said.json()["findings"].as_array().unwrap().len(), 0);
    let told = run(&["audit", "--database", &scene.database.url()], &[]).await;
    assert_eq!(told.out, "Nothing is wrong with the fleet.\n");
}

#[tokio::test]
async fn sessions_are_listed_and_filtered() {
    let scene = fleet().await;
    let listed = ask(&scene, &["sessions"]).await.json();
    let owners = texts(&listed["sessions"], "owner");
    assert_eq!(owners, [OWNER, "e2863555a91709", "e286544f716d89", "-"]);
    let presence = texts(&listed["sessions"], "presence");
    assert_eq!(presence, ["alive", "lost", "never-seen", "unknown"]);
    assert_eq!(listed["sessions"][0]["epoch"], 1);
    assert_eq!(listed["truncated"], false);

    for (filter, owners) in [
        (&["--unassigned"][..], &["-"][..]),
        (&["--owner", OWNER], &[OWNER]),
        (&["--owner", "nobody-here"], &[]),
        (&["--presence", "lost"], &["e2863555a91709"]),
    ] {
        let mut arguments = vec!["sessions"];
        arguments.extend(filter);
        let listed = ask(&scene, &arguments).await.json();
        assert_eq!(texts(&listed["sessions"], "owner"), owners, "{filter:?}");
    }
    let listed = ask(&scene, &["sessions", "--limit", "2"]).await.json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(listed["truncated"], true);
}

#[tokio::test]
async fn machines_are_listed_and_filtered() {
    let scene = fleet().await;
    let listed = ask(&scene, &["machines"]).await.json();
    assert_eq!(
        texts(&listed["machines"], "id"),
        [LANDED, OWNER, "e2863555a91709"]
    );
    let lost = ask(&scene, &["machines", "--presence", "lost"])
        .await
        .json();
    assert_eq!(texts(&lost["machines"], "id"), ["e2863555a91709"]);
    let ago = lost["machines"][0]["beatSecondsAgo"].as_f64().unwrap();
    assert!((200.0..260.0).contains(&ago), "{ago}");
    let elsewhere = ask(&scene, &["machines", "--region", "iad"]).await.json();
    assert_eq!(elsewhere["machines"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_plain_table_is_listed_and_what_it_cannot_tell_is_said() {
    let scene = Scene::plain().await;
    scene.owned().await;
    let unassigned = scene.session(|s| s.container_id = None).await;
    scene.session(|s| s.expires_in = Some(-1.0)).await;
    scene
        .session(|s| (s.status, s.container_id) = ("creating".into(), Some("zz".into())))
        .await;
    let listed = ask(&scene, &["sessions"]).await.json();
    assert_eq!(listed["ownershipKept"], false);
    assert_eq!(texts(&listed["sessions"], "owner"), [OWNER, "zz", "-"]);
    assert_eq!(listed["sessions"][0]["epoch"], Value::Null);
    let one = ask(&scene, &["sessions", "--owner", OWNER]).await.json();
    assert_eq!(texts(&one["sessions"], "owner"), [OWNER]);

    let audit = ask(&scene, &["audit"]).await;
    assert_eq!(audit.status, 1);
    assert_eq!(audit.json()["ownershipKept"], false);
    assert_eq!(
        texts(&audit.json()["findings"], "session"),
        [unassigned.to_string()]
    );
    let told = run(&["sessions", "--database", &scene.database.url()], &[]).await;
    assert!(
        told.out.contains("the ownership migration is not applied"),
        "{}",
        told.out
    );
    for question in [&["machines"][..], &["sessions", "--presence", "lost"]] {
        let said = ask(&scene, question).await;
        assert_eq!(said.status, 3, "{said:?}");
        assert!(
            said.err.contains("nothing is known of machines"),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn two_processes_under_one_id_are_a_finding_and_a_presence() {
    let scene = fleet().await;
    let at = ", rival_at = now() - interval '2 s', address = 'http://10.0.0.7:8080/'";
    scene.beat("e286544f716d80", 0.0, at).await;
    // One that was stopped since.
    let before = ", rival_at = now() - interval '90 s'";
    scene.beat("e286544f716d81", 0.0, before).await;
    let audit = ask(&scene, &["audit"]).await;
    assert_eq!(audit.status, 1);
    let findings = audit.json()["findings"].as_array().unwrap().clone();
    let is_rival = |one: &&Value| one["finding"] == "duplicate-identity";
    let rivals: Vec<_> = findings.iter().filter(is_rival).collect();
    assert_eq!(rivals.len(), 1, "{rivals:?}");
    assert_eq!(rivals[0]["machine"], "e286544f716d80");
    let detail = rivals[0]["detail"].as_str().unwrap();
    for part in ["boot ", " at http://10.0.0.7:8080/", "wrote 2s ago"] {
        assert!(detail.contains(part), "no {part:?} in {detail}");
    }
    let listed = run(&["machines", "--database", &scene.database.url()], &[]).await;
    assert!(listed.out.contains("alive, rival "), "{}", listed.out);
    let rivals = ask(&scene, &["machines", "--presence", "rival"]).await;
    assert_eq!(texts(&rivals.json()["machines"], "id"), ["e286544f716d80"]);
}

#[tokio::test]
async fn a_word_that_ends_sessions_unintended_is_a_finding() {
    let scene = fleet().await;
    for word in ["hibernating", "hibernating", "Active", "stopped"] {
        scene.session(|s| word.clone_into(&mut s.status)).await;
    }
    for set in [
        (|s| s.expires_in = Some(-1.0)) as fn(&mut PreviewSession),
        |s| s.container_id = None,
    ] {
        scene
            .session(|s| {
                "paused".clone_into(&mut s.status);
                set(s);
            })
            .await;
    }
    let unknown = async |arguments: &[&str]| {
        let audit = ask(&scene, arguments).await.json();
        let findings = audit["findings"].as_array().unwrap().clone().into_iter();
        let of_words = findings.filter(|one| one["finding"] == "status-unknown");
        let words = of_words.map(|one| one["detail"].as_str().unwrap().to_owned());
        words
            .map(|detail| detail.split(", in").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let two = [
        "\"hibernating\": 2 with an owner and no end",
        "\"Active\": 1 with an owner and no end",
    ];
    assert_eq!(unknown(&["audit"]).await, two);
    let known = ["audit", "--active-status", "active,Active,hibernating"];
    assert!(unknown(&known).await.is_empty());
    // Where all words for over are named, any other one makes the row unreadable.
    let named = ["audit", "--over-status", "ended,hibernating,Active"];
    assert_eq!(
        unknown(&named).await,
        ["\"stopped\": 1 with an owner and no end"]
    );
}

#[tokio::test]
async fn a_session_that_no_machine_takes_says_how_it_lost_its_owner() {
    let scene = fleet().await;
    let taken = scene.owned().await.to_string();
    let database = scene.database.url();
    let arguments = ["release", &taken, "--yes", "--database", &database];
    assert_eq!(run(&arguments, &[]).await.status, 0);
    let released = scene.owned().await;
    scene
        .database
        .execute(&format!(
            "UPDATE preview_sessions SET container_id = NULL, owner_released = owner_epoch + 1 \
             WHERE id = '{released}'"
        ))
        .await;
    let audit = ask(&scene, &["audit"]).await.json();
    let how = |session: &str| {
        let findings = audit["findings"].as_array().unwrap();
        let of_this = findings.iter().find(|one| one["session"] == session);
        of_this.unwrap()["detail"].as_str().unwrap().to_owned()
    };
    assert!(how(&taken).starts_with("it was taken from its last owner"));
    assert!(how(&released.to_string()).starts_with("its last owner gave it up"));
    scene.examine(released).await.is(
        "session-unassigned",
        "its last owner gave it up, and no machine has claimed it",
    );
}

#[tokio::test]
async fn an_id_that_looks_like_another_one_is_quoted() {
    let scene = fleet().await;
    let almost = format!("{OWNER} ");
    scene
        .session(|s| s.container_id = Some(almost.clone()))
        .await;
    let database = scene.database.url();
    for command in ["audit", "sessions"] {
        let said = run(&[command, "--database", &database], &[]).await;
        assert!(said.out.contains(&format!("{almost:?}")), "{}", said.out);
    }
}

#[tokio::test]
async fn machines_that_left_or_were_declared_gone_are_listed_by_that() {
    let scene = fleet().await;
    scene.beat("e286544f716d80", 1.0, ", left_at = now()").await;
    scene.beat("e286544f716d81", 1.0, ", gone_at = now()").await;
    for (presence, id) in [("left", "e286544f716d80"), ("gone", "e286544f716d81")] {
        let listed = ask(&scene, &["machines", "--presence", presence]).await;
        assert_eq!(texts(&listed.json()["machines"], "id"), [id]);
    }
}

#[tokio::test]
async fn a_watch_sees_a_change_and_outlives_a_failure() {
    let scene = fleet().await;
    let url = scene.database.url();
    let arguments = [
        "sessions",
        "--json",
        "--watch",
        "100ms",
        "--unassigned",
        "--database",
        &url,
    ];
    let mut process = ownership(&arguments, &[])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        let line = lines.next_line().await.unwrap().expect("a line");
        serde_json::from_str(&line).unwrap_or_default()
    };
    assert_eq!(next().await["sessions"].as_array().unwrap().len(), 1);
    scene.session(|s| s.container_id = None).await;
    while next().await["sessions"].as_array().map(Vec::len) != Some(2) {}
    scene
        .database
        .execute("ALTER TABLE preview_sessions RENAME TO elsewhere")
        .await;
    while next().await["error"].is_null() {}
    scene
        .database
        .execute("ALTER TABLE elsewhere RENAME TO preview_sessions")
        .await;
    while next().await["sessions"].as_array().map(Vec::len) != Some(2) {}
}
