//! Fleets without a proxy that replays: a redirect leads to a session's owner.

use std::net::SocketAddr;

use tower_ownership::{
    CachePolicy, MachineId, MemoryDirectory, OwnershipLayer, PathSegment, Redirect, Session,
    SessionLookup,
};
use uuid::Uuid;

use crate::scene::{Diagnosed, LANDED, OWNER, Scene, serving};
use crate::support::free_port;
use crate::support::server::serve;

/// A machine of such a fleet, which says who it is.
async fn machine(id: &'static str, lookup: impl SessionLookup) -> SocketAddr {
    let layer = OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine(id.parse::<MachineId>().unwrap())
        .replay(Redirect::to_session_address(["127.0.0.1"]).unwrap())
        .cache_policy(CachePolicy::always_ask())
        .expose_internals(true)
        .build()
        .unwrap();
    serve(serving(id).layer(layer)).await
}

async fn owned_at(scene: &Scene, address: SocketAddr) -> Uuid {
    let at = Some(format!("http://{address}"));
    scene.session(|session| session.container_url = at).await
}

async fn diagnose(scene: &Scene, session: Uuid, public: SocketAddr) -> Diagnosed {
    let url = format!("http://{public}");
    scene.diagnose_with(session, &["--url", &url]).await
}

#[tokio::test]
async fn a_redirect_is_followed_to_the_owner() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    let landed = machine(LANDED, scene.living_lookup()).await;
    let owner = machine(OWNER, scene.living_lookup()).await;
    let session = owned_at(&scene, owner).await;
    let diagnosed = diagnose(&scene, session, landed).await;
    diagnosed.ends(0, "fine", "a request for it was answered 200");
    assert_eq!(diagnosed.check("handled by"), ("fine", OWNER));
    assert_eq!(
        diagnosed.check("hops"),
        (
            "fine",
            &*format!("a redirect to http://{owner}/session/{session}")
        )
    );
    let (state, text) = diagnosed.check("replayed");
    assert_eq!(state, "unknown");
    assert!(text.contains("by a redirect"), "{text}");
    let checks = diagnosed.document["checks"].as_array().unwrap();
    let of_replays = checks.iter().filter(|check| check["topic"] == "fly-replay");
    assert_eq!(of_replays.count(), 1, "{:#}", diagnosed.document);
}

#[tokio::test]
async fn an_address_that_leads_to_another_machine_is_the_wrong_one() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    let landed = machine(LANDED, scene.living_lookup()).await;
    let another = serve(serving("148ed599c14189")).await;
    let session = owned_at(&scene, another).await;
    diagnose(&scene, session, landed).await.is(
        "wrong-machine",
        "`148ed599c14189` answered 200 in its place",
    );
}

#[tokio::test]
async fn an_owner_that_does_not_answer_where_the_redirect_leads_is_unreachable() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    let landed = machine(LANDED, scene.living_lookup()).await;
    let nowhere: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let session = owned_at(&scene, nowhere).await;
    let diagnosed = diagnose(&scene, session, landed).await;
    diagnosed.is(
        "owner-unreachable",
        &format!(
            "the owner `e2863555a91708` cannot be reached: http://{nowhere}/session/{session}, \
             where a redirect leads, gave no answer: "
        ),
    );
    let (state, text) = diagnosed.check("answer");
    assert_eq!(state, "problem");
    assert!(text.starts_with(&format!("http://{nowhere}/")), "{text}");
}

#[tokio::test]
async fn two_machines_that_redirect_to_each_other_are_a_loop() {
    let scene = Scene::plain().await;
    let (here, there) = (MemoryDirectory::new(), MemoryDirectory::new());
    let landed = machine(LANDED, here.clone()).await;
    let owner = machine(OWNER, there.clone()).await;
    let session = owned_at(&scene, owner).await;
    for (lookup, id, at) in [(here, OWNER, owner), (there, LANDED, landed)] {
        let row = Session::owned_by(session.into(), id.parse().unwrap());
        let address = format!("http://{at}").parse().unwrap();
        lookup.insert(row.with_address(address));
    }
    let diagnosed = diagnose(&scene, session, landed).await;
    diagnosed.is(
        "replay-loop",
        "without coming to the owner `e2863555a91708`: it was redirected once more after 4 \
         redirects",
    );
    assert_eq!(diagnosed.check("answer").0, "problem");
}
