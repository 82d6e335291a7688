//! What is wrong with a session's row.

use uuid::Uuid;

use crate::command::run;
use crate::scene::{OWNER, Scene};

#[tokio::test]
async fn a_session_that_nobody_knows_is_unknown() {
    let scene = Scene::plain().await;
    scene.examine(Uuid::new_v4()).await.is(
        "session-unknown",
        "The directory knows no such session: it answered, and there is no row.",
    );
}

#[tokio::test]
async fn what_is_no_id_is_malformed_also_if_the_database_is_down() {
    let nowhere = "postgres://nobody@127.0.0.1:1/nowhere";
    let said = run(
        &["doctor", "--json", "807efe44", "--database", nowhere],
        &[],
    )
    .await;
    assert_eq!(said.status, 1);
    assert_eq!(said.json()["finding"], "session-malformed");
    assert_eq!(
        said.json()["sentence"],
        "The session id cannot be read: \"807efe44\" cannot be the id of a session here."
    );
}

#[tokio::test]
async fn a_session_is_found_by_what_a_log_shows_of_its_id() {
    let scene = Scene::plain().await;
    let uuid = |text: &str| Uuid::parse_str(text).unwrap();
    for id in [
        "018f4e7c-1f2a-7b3c-9d4e-5f6071829304",
        "018f4e7c-1f2a-7c11-8a2b-0c9e66797425",
    ] {
        scene.session(|session| session.id = uuid(id)).await;
    }
    let url = scene.database.url();
    let asked = async |part: &str| {
        let said = run(&["doctor", "--json", part, "--database", &url], &[]).await;
        let said = said.json();
        let text = |name: &str| said[name].as_str().unwrap().to_owned();
        (text("session"), text("finding"), text("sentence"))
    };
    for part in ["71829304", "…71829304", "018f4e7c-1f2a-7b"] {
        let (session, finding, _) = asked(part).await;
        assert_eq!(session, "018f4e7c-1f2a-7b3c-9d4e-5f6071829304", "{part}");
        assert_ne!(finding, "session-malformed", "{part}");
    }
    let (_, finding, sentence) = asked("018f4e7c").await;
    assert_eq!(finding, "session-malformed");
    assert!(
        sentence.contains("is a part of several session ids"),
        "{sentence}"
    );
    let (_, finding, _) = asked("no-such-id").await;
    assert_eq!(finding, "session-malformed");
}

#[tokio::test]
async fn a_session_that_ended_is_over_and_the_sentence_says_how() {
    let scene = Scene::plain().await;
    let ended = scene
        .session(|session| session.status = "ended".to_owned())
        .await;
    scene.examine(ended).await.is(
        "session-over",
        "The session is over: its status is \"ended\".",
    );
    let expired = scene
        .session(|session| session.expires_in = Some(-125.0))
        .await;
    scene.examine(expired).await.is(
        "session-over",
        "The session is over: its time ran out, or it was ended, 2m 5s ago.",
    );
}

#[tokio::test]
async fn a_session_without_an_owner_is_unassigned() {
    let scene = Scene::plain().await;
    let session = scene.session(|session| session.container_id = None).await;
    scene.examine(session).await.is(
        "session-unassigned",
        "The session has no owner: the row's owner is NULL.",
    );
}

#[tokio::test]
async fn a_session_that_is_being_created_is_starting() {
    let scene = Scene::migrated().await;
    let session = scene.session(|s| s.status = "creating".to_owned()).await;
    scene.examine(session).await.is(
        "session-starting",
        "The session is still being created: its status is \"creating\".",
    );
}

#[tokio::test]
async fn an_owner_that_is_no_machine_id_is_shown_as_it_stands_there() {
    let scene = Scene::migrated().await;
    let session = scene
        .session(|s| s.container_id = Some("machine of the day".to_owned()))
        .await;
    scene.examine(session).await.is(
        "owner-unusable",
        "The row's owner cannot be a machine id: \"machine of the day\".",
    );
}

#[tokio::test]
async fn an_address_that_is_none_makes_the_row_unusable() {
    let scene = Scene::plain().await;
    let session = scene
        .session(|s| s.container_url = Some("ftp://elsewhere".to_owned()))
        .await;
    scene.examine(session).await.is(
        "row-unusable",
        "the session's address cannot be a machine's",
    );
    let arguments = ["--columns=address="];
    scene
        .diagnose_with(session, &arguments)
        .await
        .ends(0, "fine", "no request was made");
}

#[tokio::test]
async fn a_plain_table_is_enough_and_what_it_does_not_tell_is_said() {
    let scene = Scene::plain().await;
    let diagnosed = scene.examine(scene.owned().await).await;
    diagnosed.ends(
        0,
        "fine",
        &format!("its owner is `{OWNER}`, of whose presence nothing is kept"),
    );
    assert_eq!(diagnosed.check("ownership").0, "unknown");
    assert_eq!(diagnosed.check("epoch"), ("unknown", "none is kept"));
    assert_eq!(diagnosed.check("presence").0, "unknown");
    assert_eq!(diagnosed.check("machine").0, "unknown");
    let (state, life) = diagnosed.check("life");
    assert_eq!(state, "fine");
    assert!(
        life.starts_with("59m 5") || life.starts_with("1h"),
        "{life}"
    );
}

#[tokio::test]
async fn a_table_of_other_names_is_looked_at_by_these() {
    let scene = Scene::plain().await;
    let session = Uuid::new_v4();
    scene
        .database
        .execute(&format!(
            "CREATE SCHEMA live;
             CREATE TABLE live.rooms (room text PRIMARY KEY, machine text, state text);
             INSERT INTO live.rooms VALUES ('{session}', '{OWNER}', 'open')"
        ))
        .await;
    let names = [
        "--schema=live",
        "--table=rooms",
        "--id-type",
        "text",
        "--columns=id=room,owner=machine,status=state,address=,expires_at=,ended_at=",
        "--active-status=open,full",
    ];
    let diagnosed = scene.diagnose_with(session, &names).await;
    diagnosed.ends(0, "fine", OWNER);
    assert_eq!(diagnosed.check("life"), ("fine", "without an end"));
}
