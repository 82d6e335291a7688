//! What Fly's Machines API tells of an owner.

mod api;

use crate::scene::{LANDED, OWNER, Scene};
use api::MachinesApi;

const APP: &str = "previews";
const TOKEN: &str = "fo1_of-the-test";

/// A fleet without presence, of which the API knows this.
async fn with_api(api: &MachinesApi) -> Scene {
    let mut scene = Scene::plain().await;
    scene.arguments = vec![format!("--app={APP}"), format!("--fly-api={}", api.url())];
    scene.variables = vec![("FLY_API_TOKEN", TOKEN.to_owned())];
    scene
}

#[tokio::test]
async fn an_owner_that_is_stopped_there_is_stopped() {
    let api = MachinesApi::start(APP, TOKEN).await;
    api.put(OWNER, "stopped");
    let scene = with_api(&api).await;
    let session = scene.owned().await;
    let diagnosed = scene.examine(session).await;
    diagnosed.is(
        "owner-stopped",
        "the owner `e2863555a91708` does not run: the platform says \"stopped\"",
    );
    assert_eq!(
        diagnosed.check("machine"),
        ("problem", "stopped in iad (machines-api)")
    );
}

#[tokio::test]
async fn an_owner_that_it_does_not_know_was_destroyed_or_never_created() {
    let api = MachinesApi::start(APP, TOKEN).await;
    let scene = with_api(&api).await;
    let session = scene.owned().await;
    scene
        .examine(session)
        .await
        .is("owner-gone", "the platform knows no such machine");
    // For a moment after its end, a machine is still shown.
    api.put(OWNER, "destroyed");
    scene
        .examine(session)
        .await
        .is("owner-gone", "the platform knows no such machine");
    // With presence it is known which of the two it was.
    scene.migrate().await;
    scene.examine(session).await.is(
        "owner-never-seen",
        "was never seen, and the platform knows no such machine, so the container was not created",
    );
    scene.beat(OWNER, 90.0, "").await;
    scene.examine(session).await.is(
        "owner-gone",
        "the platform knows no such machine, last seen 1m 30s ago",
    );
}

#[tokio::test]
async fn an_owner_that_was_created_and_never_ran_is_not_started() {
    let api = MachinesApi::start(APP, TOKEN).await;
    api.put(OWNER, "created");
    let scene = with_api(&api).await;
    let session = scene.owned().await;
    scene.examine(session).await.is(
        "owner-not-started",
        "exists and has not started: the platform says \"created\"",
    );
}

#[tokio::test]
async fn the_checklist_is_tested_by_what_the_owner_offers() {
    let api = MachinesApi::start(APP, TOKEN).await;
    api.put(OWNER, "started");
    let scene = with_api(&api).await;
    scene.machine(LANDED, scene.lookup()).await;
    scene.machine(OWNER, scene.lookup()).await;
    let session = scene.owned().await;
    let diagnosed = scene.diagnose(session).await;
    diagnosed.ends(0, "fine", "answered 200");
    assert_eq!(diagnosed.check("same app").0, "fine");
    // The API's machine serves 443, and the edge of this test listens elsewhere.
    let (state, text) = diagnosed.check("target's port");
    assert_eq!(state, "unknown", "{text}");
    assert!(text.ends_with("served all the same"), "{text}");
    assert_eq!(diagnosed.check("wakes").0, "fine");
    assert_eq!(
        diagnosed.check("regions"),
        (
            "fine",
            "from the edge iad to the owner in iad; the replay names no region"
        )
    );
}

#[tokio::test]
async fn a_token_that_may_not_see_the_app_leaves_the_owner_s_state_unknown() {
    let api = MachinesApi::start(APP, "fo1_another").await;
    api.put(OWNER, "stopped");
    let scene = with_api(&api).await;
    let session = scene.owned().await;
    let diagnosed = scene.examine(session).await;
    diagnosed.ends(0, "fine", OWNER);
    let (state, text) = diagnosed.check("machine");
    assert_eq!(state, "unknown");
    assert!(text.contains("does not let this token see"), "{text}");
    assert!(!diagnosed.document.to_string().contains(TOKEN));
}

#[tokio::test]
async fn a_limit_on_questions_is_waited_out_for_as_long_as_the_api_says() {
    let api = MachinesApi::start(APP, TOKEN).await;
    api.put(OWNER, "stopped");
    let scene = with_api(&api).await;
    let session = scene.owned().await;
    api.exhaust(OWNER);
    scene
        .examine(session)
        .await
        .is("owner-stopped", "\"stopped\"");
    assert!(api.refused() >= 1, "it was never refused");
    // And no longer than the doctor's own limit.
    api.exhaust(OWNER);
    let diagnosed = scene.diagnose_with(session, &["--timeout=200ms"]).await;
    diagnosed.ends(0, "fine", OWNER);
    let (state, text) = diagnosed.check("machine");
    assert_eq!(state, "unknown");
    assert!(text.contains("429"), "{text}");
}

#[tokio::test]
async fn an_api_that_is_not_there_leaves_the_owner_s_state_unknown() {
    let api = MachinesApi::start(APP, TOKEN).await;
    let mut scene = with_api(&api).await;
    let port = crate::support::free_port();
    scene.arguments.push(format!("--app={APP}"));
    scene.arguments = vec![
        format!("--app={APP}"),
        format!("--fly-api=http://127.0.0.1:{port}"),
    ];
    let session = scene.owned().await;
    let diagnosed = scene.examine(session).await;
    diagnosed.ends(0, "fine", OWNER);
    let (state, text) = diagnosed.check("machine");
    assert_eq!(state, "unknown");
    assert!(text.contains("cannot be asked"), "{text}");
}
