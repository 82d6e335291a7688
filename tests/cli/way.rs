//! What is wrong on the way to a session's owner.

use axum::http::StatusCode;
use tower_ownership::testing::{FlyEdge, HopKind};
use tower_ownership::{
    Cookie, Header, MachineId, MemoryDirectory, OwnershipLayerBuilder, PostgresLookup, Session,
    SessionAbsent,
};
use uuid::Uuid;

use crate::command::run;
use crate::scene::{LANDED, OWNER, Scene, serving};
use crate::support::free_port;
use crate::support::server::serve;

fn memory(session: Uuid, owner: &str) -> MemoryDirectory {
    let sessions = MemoryDirectory::new();
    let owner: MachineId = owner.parse().unwrap();
    sessions.insert(Session::owned_by(session.into(), owner));
    sessions
}

#[tokio::test]
async fn a_proxy_that_knows_no_replays_hands_the_client_our_own_answer() {
    let scene = Scene::behind(FlyEdge::builder().honour_replay(false)).await;
    scene.migrate().await;
    scene.beat(OWNER, 0.0, "").await;
    for machine in [LANDED, OWNER] {
        scene.machine(machine, scene.living_lookup()).await;
    }
    let session = scene.owned().await;
    let diagnosed = scene.diagnose(session).await;
    diagnosed.is(
        "replay-not-honoured",
        "The row is fine, the request was handled by `56837ddda10348`, and no proxy acts on the \
         replay to the owner `e2863555a91708`, although the answer came through Fly's proxy",
    );
    assert_eq!(diagnosed.check("honoured").0, "problem");
    let (state, replay) = diagnosed.check("well-formed");
    assert_eq!(state, "fine");
    assert!(replay.contains("instance=e2863555a91708"), "{replay}");
}

#[tokio::test]
async fn a_machine_that_is_asked_directly_is_not_behind_the_proxy() {
    let scene = Scene::plain().await;
    let session = scene.owned().await;
    let direct = {
        use tower_ownership::{FlyReplay, OwnershipLayer, PathSegment};
        let layer = OwnershipLayer::builder(scene.lookup())
            .session(PathSegment::after("/session").unwrap())
            .machine(LANDED.parse::<MachineId>().unwrap())
            .replay(FlyReplay::new())
            .build()
            .unwrap();
        let router = axum::Router::new().fallback(async || "served");
        serve(router.layer(layer)).await
    };
    let url = format!("http://{direct}/session/{{session}}/page");
    let diagnosed = scene.diagnose_with(session, &["--url", &url]).await;
    diagnosed.is(
        "replay-not-honoured",
        "the request was handled by a machine that did not say its name, and no proxy acts on the \
         replay to the owner `e2863555a91708`, because the request did not come through a proxy \
         that does",
    );
    assert_eq!(diagnosed.check("through the proxy").0, "problem");
    assert_eq!(diagnosed.check("http handler").0, "unknown");
    for name in ["same network", "same organisation"] {
        let (state, text) = diagnosed.check(name);
        assert_eq!(state, "unknown");
        assert!(text.starts_with("not testable from here"), "{text}");
    }
}

#[tokio::test]
async fn two_machines_that_each_name_the_other_are_a_loop() {
    let scene = Scene::plain().await;
    let session = scene.owned().await;
    scene.machine(LANDED, memory(session, OWNER)).await;
    scene.machine(OWNER, memory(session, LANDED)).await;
    let diagnosed = scene.diagnose(session).await;
    diagnosed.is(
        "replay-loop",
        "went round in circles without coming to the owner `e2863555a91708`",
    );
    assert_eq!(diagnosed.check("loops").0, "problem");
    let (_, hops) = diagnosed.check("hops");
    assert!(hops.ends_with("by `via`"), "{hops}");
}

#[tokio::test]
async fn a_machine_that_reads_another_directory_is_told_from_one_that_is_right() {
    let scene = Scene::plain().await;
    scene.machine(LANDED, MemoryDirectory::new()).await;
    let session = scene.owned().await;
    scene.diagnose(session).await.is(
        "directory-differs",
        "the request was handled by `56837ddda10348`, and the machine that answered reads another \
         database, another table, or a replica that lags: it answered `session-unknown`.",
    );
}

#[tokio::test]
async fn a_machine_that_cannot_ask_the_database_is_not_the_database_s_fault() {
    let scene = Scene::plain().await;
    let nowhere = format!("postgres://postgres@127.0.0.1:{}/nowhere", free_port());
    let lookup = PostgresLookup::builder(nowhere.as_str()).build().unwrap();
    scene.machine(LANDED, lookup).await;
    let session = scene.owned().await;
    scene.diagnose(session).await.is(
        "directory-down-there",
        "the request was handled by `56837ddda10348`, and the machine that answered cannot ask the \
         directory, which answers from here.",
    );
}

#[tokio::test]
async fn an_owner_that_lost_the_session_says_so() {
    let scene = Scene::plain().await;
    let session = scene
        .session(|s| s.container_id = Some(LANDED.to_owned()))
        .await;
    let layer = {
        use tower_ownership::{FlyReplay, OwnershipLayer, PathSegment};
        OwnershipLayer::builder(scene.lookup())
            .session(PathSegment::after("/session").unwrap())
            .machine(LANDED.parse::<MachineId>().unwrap())
            .replay(FlyReplay::new())
            .expose_internals(true)
            .build()
            .unwrap()
    };
    let router = axum::Router::new().fallback(async || {
        let mut response = axum::response::IntoResponse::into_response(StatusCode::NOT_FOUND);
        response.extensions_mut().insert(SessionAbsent);
        response
    });
    scene.edge.add(LANDED, serve(router.layer(layer)).await);
    scene
        .diagnose(session)
        .await
        .is("session-absent", "runs and does not hold the session");
}

#[tokio::test]
async fn a_guard_that_says_no_is_no_fault_of_the_way() {
    let scene = Scene::plain().await;
    let session = scene.owned().await;
    scene
        .machine_with(LANDED, scene.lookup(), |layer| layer.guard(|_, _| false))
        .await;
    scene
        .diagnose(session)
        .await
        .is("session-forbidden", "guard does not let this request");
}

#[tokio::test]
async fn the_wrong_machine_without_the_layer_is_suspected_of_being_just_that() {
    let scene = Scene::plain().await;
    scene.machine_without_the_layer(LANDED).await;
    let session = scene.owned().await;
    scene.diagnose(session).await.is(
        "application-refused",
        "a machine that did not say its name answered 404 without an `Ownership-Code`",
    );
}

#[tokio::test]
async fn a_fleet_without_a_machine_is_answered_by_the_proxy_alone() {
    let scene = Scene::plain().await;
    let session = scene.owned().await;
    scene.diagnose(session).await.is(
        "proxy-error",
        "the proxy answers by itself: 503 with an empty body",
    );
}

#[tokio::test]
async fn an_owner_that_does_not_listen_is_unreachable() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    scene.machine(LANDED, scene.living_lookup()).await;
    scene.edge.add(OWNER, ([127, 0, 0, 1], free_port()).into());
    let session = scene.owned().await;
    scene.diagnose(session).await.is(
        "owner-unreachable",
        "the owner `e2863555a91708` cannot be reached: the proxy could not connect to it \
         (retries_exhausted)",
    );
}

#[tokio::test]
async fn a_url_that_nothing_answers_is_said_with_its_reason() {
    let scene = Scene::plain().await;
    let session = scene.owned().await;
    let url = format!("http://127.0.0.1:{}", free_port());
    let diagnosed = scene.diagnose_with(session, &["--url", &url]).await;
    diagnosed.is("url-unreachable", "the public URL gives no answer: http");
    let (_, text) = diagnosed.check("answer");
    assert!(text.to_lowercase().contains("refused"), "{text}");
}

#[tokio::test]
async fn an_owner_that_was_destroyed_a_moment_ago_is_gone_although_it_is_alive_in_the_directory() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 4.0, "").await;
    scene.machine(LANDED, scene.living_lookup()).await;
    let session = scene.owned().await;
    scene.diagnose(session).await.is(
        "owner-gone",
        "the owner `e2863555a91708` does not exist: the proxy knows no such machine, although it \
         was seen ",
    );
}

#[tokio::test]
async fn a_machine_that_serves_what_another_one_owns_is_wrong() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    scene.edge.add(LANDED, serve(serving(LANDED)).await);
    let session = scene.owned().await;
    let diagnosed = scene.diagnose(session).await;
    diagnosed.is(
        "wrong-machine",
        "a machine that is not the owner `e2863555a91708` serves the session: `56837ddda10348` \
         answered 200 in its place",
    );
    assert_eq!(
        diagnosed.check("handled by"),
        ("problem", "56837ddda10348, which is not the owner")
    );
    assert_eq!(diagnosed.check("honoured").0, "unknown");

    // That the owner is lost makes it no better.
    let silent = "UPDATE ownership_machines SET beat_at = now() - interval '200 s'
         WHERE machine_id <> '56837ddda10348'";
    scene.database.execute(silent).await;
    let diagnosed = scene.diagnose(session).await;
    diagnosed.is("wrong-machine", "answered 200 in its place");
    assert_eq!(diagnosed.document["also"][0]["finding"], "owner-lost");

    scene.edge.add(OWNER, serve(serving(OWNER)).await);
    scene.edge.land_on(OWNER);
    let diagnosed = scene.diagnose(session).await;
    diagnosed.is(
        "heartbeats-missing",
        "the owner `e2863555a91708` runs, and its heartbeats do not arrive: it was last seen ",
    );
}

#[tokio::test]
async fn a_session_in_a_header_or_a_cookie_is_asked_for_there() {
    for (by_cookie, header) in [
        (false, "Mcp-Session-Id: {session}"),
        (true, "cookie: theme=dark; sid={session}"),
    ] {
        let scene = Scene::plain().await;
        for machine in [LANDED, OWNER] {
            let place = |layer: OwnershipLayerBuilder| {
                if by_cookie {
                    layer.session(Cookie::named("sid").unwrap())
                } else {
                    layer.session(Header::mcp_session_id())
                }
            };
            scene.machine_with(machine, scene.lookup(), place).await;
        }
        let session = scene.owned().await;
        let url = scene.edge.url("/mcp");
        let arguments = ["--url", &url, "--header", header];
        let diagnosed = scene.diagnose_with(session, &arguments).await;
        diagnosed.ends(0, "fine", "");
        let ways: Vec<_> = scene.edge.hops().into_iter().map(|hop| hop.kind).collect();
        assert_eq!(ways, [HopKind::Landed, HopKind::Replayed]);

        scene.edge.remove(OWNER);
        let diagnosed = scene.diagnose_with(session, &arguments).await;
        diagnosed.is("owner-gone", "");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_a_wrong_option() {
    let session = Uuid::new_v4().to_string();
    for header in ["no colon", "no name: {session}", ": {session}"] {
        let arguments = [
            "doctor",
            &session,
            "--database",
            "postgres://nobody@127.0.0.1:1/nowhere",
            "--url",
            "http://127.0.0.1:1/",
            "--header",
            header,
        ];
        let said = run(&arguments, &[]).await;
        assert_eq!(said.status, 2, "{header}: {said:?}");
    }
}
