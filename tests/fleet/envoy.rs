//! A real Envoy in front, which follows redirects to inner addresses itself, as far as it does.

use reqwest::Method;
use tower_ownership::{
    Address, MemoryDirectory, OwnershipLayerBuilder, Redirect, Session, SessionId,
};

use crate::application::sha256;
use crate::fleet::{self, Machine, OWNER, WRONG, machine_id, new_session};
use crate::support::client::{Answer, request, send};
use crate::support::envoy::Envoy;
use crate::support::left_out;
use crate::uploads::noise;

fn layer(machine: &str, sessions: MemoryDirectory) -> OwnershipLayerBuilder {
    let to_owner = Redirect::to_session_address(["127.0.0.1"]).unwrap();
    fleet::layer(machine, sessions).replay(to_owner)
}

fn owned_at(session: &SessionId, machine: &Machine) -> Session {
    let address = Address::parse(&machine.server.url("")).unwrap();
    Session::owned_by(session.clone(), machine_id(machine.id)).with_address(address)
}

/// Two machines behind Envoy, whose requests land on the wrong one.
struct Scene {
    envoy: Envoy,
    wrong: Machine,
    owner: Machine,
    session: SessionId,
}

impl Scene {
    /// `None` if Envoy is not installed. `there`: what the owner's table holds.
    async fn start(owner_is_wrong: bool) -> Option<Self> {
        let (here, session) = (MemoryDirectory::new(), new_session());
        let there = if owner_is_wrong {
            MemoryDirectory::new()
        } else {
            here.clone()
        };
        let wrong = Machine::start(WRONG, layer(WRONG, here.clone())).await;
        let owner = Machine::start(OWNER, layer(OWNER, there.clone())).await;
        if owner_is_wrong {
            there.insert(owned_at(&session, &wrong));
        }
        here.insert(owned_at(&session, &owner));
        let Some(envoy) = Envoy::start(wrong.server.addr) else {
            let why = "it is not installed; tests/run installs it";
            left_out("Envoy, which follows redirects", why);
            return None;
        };
        Some(Self {
            envoy,
            wrong,
            owner,
            session,
        })
    }

    async fn ask(&self, method: Method, rest: &str, body: impl Into<reqwest::Body>) -> Answer {
        let url = format!("http://{}/session/{}{rest}", self.envoy.addr, self.session);
        // As clients name it, so that Envoy does not take it for an inner address.
        let request = request(method, url).header("host", "app.example.com");
        send(request.body(body)).await
    }
}

#[tokio::test]
async fn envoy_follows_a_redirect_with_method_and_body() {
    let Some(scene) = Scene::start(false).await else {
        return;
    };
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        let answer = scene.ask(method, "/a?b=c", "a small body").await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.header("location"), None);
    }
    let head = scene.ask(Method::HEAD, "", "").await;
    assert_eq!(head.status, 200);
    assert_eq!(scene.wrong.served(&scene.session), 0);
}

#[tokio::test]
async fn envoy_carries_an_upload_that_it_can_hold() {
    let Some(scene) = Scene::start(false).await else {
        return;
    };
    for length in [100_000, 900_000] {
        for _ in 0..20 {
            let bytes = noise(length);
            let answer = scene.ask(Method::POST, "/upload", bytes.clone()).await;
            answer.is_served_by(OWNER);
            assert_eq!(answer.json()["sha256"], sha256(&bytes));
        }
    }
}

#[tokio::test]
async fn envoy_refuses_an_upload_that_it_cannot_hold() {
    let Some(scene) = Scene::start(false).await else {
        return;
    };
    let answer = scene.ask(Method::POST, "/upload", noise(2_000_000)).await;
    assert_eq!((answer.status, answer.code()), (413, None));
    assert_eq!(scene.owner.served(&scene.session), 0);
}

#[tokio::test]
async fn behind_envoy_an_owner_that_is_down_is_envoys_own_error() {
    let Some(mut scene) = Scene::start(false).await else {
        return;
    };
    scene.owner.server.stop().await;
    let answer = scene.ask(Method::GET, "", "").await;
    assert_eq!((answer.status, answer.code()), (503, None));
}

#[tokio::test]
async fn behind_envoy_a_loop_of_two_tables_ends_in_a_redirect_to_an_inner_address() {
    let Some(scene) = Scene::start(true).await else {
        return;
    };
    let answer = scene.ask(Method::GET, "", "").await;
    assert_eq!(answer.status, 307);
    let inner = answer.header("location").unwrap();
    assert!(inner.starts_with("http://127.0.0.1:"), "{inner}");
    assert_eq!(scene.owner.served(&scene.session), 0);
}

#[tokio::test]
async fn behind_envoy_a_websocket_is_refused() {
    let Some(scene) = Scene::start(false).await else {
        return;
    };
    let url = format!("http://{}/session/{}/ws", scene.envoy.addr, scene.session);
    let upgrade = request(Method::GET, url)
        .header("host", "app.example.com")
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    let answer = send(upgrade).await;
    answer.is_refused(421, "not-replayable");
}
