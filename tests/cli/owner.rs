//! What is wrong with a session's owner.

use crate::scene::{LANDED, OWNER, Scene};

#[tokio::test]
async fn the_incident_is_a_container_that_was_not_created_and_no_timing_problem() {
    let scene = Scene::migrated().await;
    scene.machine(LANDED, scene.living_lookup()).await;
    let session = scene.owned().await;
    let diagnosed = scene.diagnose(session).await;
    diagnosed.is(
        "owner-never-seen",
        "The row is fine, the request was handled by `56837ddda10348`, and the owner \
         `e2863555a91708` was never seen, so the container was not created; it is not a database \
         timing problem.",
    );
    assert_eq!(diagnosed.check("status"), ("fine", "active (\"active\")"));
    assert_eq!(diagnosed.check("epoch"), ("fine", "1"));
    assert_eq!(diagnosed.check("handled by"), ("fine", LANDED));
    assert_eq!(
        diagnosed.check("presence"),
        ("problem", "e2863555a91708 was never seen")
    );
    assert_eq!(
        diagnosed.check("honoured"),
        (
            "unknown",
            "not testable from here: `owner-never-seen` is decided before any replay"
        )
    );
}

#[tokio::test]
async fn without_presence_the_proxy_says_that_there_is_no_such_machine() {
    let scene = Scene::plain().await;
    scene.machine(LANDED, scene.lookup()).await;
    let session = scene.owned().await;
    let diagnosed = scene.diagnose(session).await;
    diagnosed.is(
        "owner-gone",
        "The row is fine, the request was handled by `56837ddda10348`, and the owner \
         `e2863555a91708` does not exist: the proxy knows no such machine, so it was destroyed, or \
         never created; it is not a database timing problem.",
    );
    assert_eq!(
        diagnosed.check("fallback"),
        (
            "problem",
            "it was used (no_candidate): a request that came back is not replayed again"
        )
    );
}

#[tokio::test]
async fn an_owner_that_is_silent_for_too_long_is_lost_since_then() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 200.0, "").await;
    let session = scene.owned().await;
    scene.examine(session).await.is(
        "owner-lost",
        "the owner `e2863555a91708` is lost: it was last seen 3m 20s ago",
    );
    let patient = scene.diagnose_with(session, &["--lost-after=10min"]).await;
    patient.ends(0, "fine", "which is alive");
}

#[tokio::test]
async fn an_owner_that_has_left_or_was_declared_gone_is_lost_and_says_so() {
    let scene = Scene::migrated().await;
    scene
        .beat(OWNER, 1.0, ", left_at = now() - interval '62 s'")
        .await;
    let session = scene.owned().await;
    scene
        .examine(session)
        .await
        .is("owner-lost", "is lost: it has left 1m 2s ago");
    scene
        .database
        .execute("UPDATE ownership_machines SET gone_at = now() - interval '61 s'")
        .await;
    scene
        .examine(session)
        .await
        .is("owner-lost", "is lost: it was declared gone 1m 1s ago");
}

#[tokio::test]
async fn an_owner_that_gives_its_sessions_up_is_draining() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, ", draining = true").await;
    let session = scene.owned().await;
    scene
        .examine(session)
        .await
        .is("owner-draining", "the owner `e2863555a91708` is draining");
}

#[tokio::test]
async fn two_processes_of_one_machine_are_told_by_the_row_that_both_write() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, ", rival_at = now()").await;
    let session = scene.owned().await;
    scene.examine(session).await.is(
        "duplicate-identity",
        "two processes run under the machine id of the owner `e2863555a91708`",
    );
}

#[tokio::test]
async fn an_owner_of_another_form_than_all_machines_is_a_mixed_up_identity() {
    let scene = Scene::migrated().await;
    let session = scene
        .session(|session| session.container_id = Some("preview-web-0".to_owned()))
        .await;
    scene.examine(session).await.is(
        "wrong-identity",
        "this session's is `preview-web-0`, while machines are called like `56837ddda10348`",
    );
}

#[tokio::test]
async fn an_owner_that_beats_and_serves_is_fine() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    for machine in [LANDED, OWNER] {
        scene.machine(machine, scene.living_lookup()).await;
    }
    let session = scene.owned().await;
    let diagnosed = scene.diagnose(session).await;
    diagnosed.ends(
        0,
        "fine",
        "Nothing is wrong: the row is fine, its owner is `e2863555a91708`, which is alive, and a \
         request for it was answered 200.",
    );
    assert_eq!(diagnosed.check("answer").0, "fine");
    assert_eq!(diagnosed.check("through the proxy").0, "fine");
    assert_eq!(diagnosed.check("honoured").0, "fine");
    assert_eq!(diagnosed.document["also"].as_array().unwrap().len(), 0);
}
