//! Without a proxy that replays: the client is sent to the owner, and goes there itself.

use axum::body::Bytes;
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tower_ownership::{Address, MemoryDirectory, Redirect, Session, SessionId};

use crate::application::sha256;
use crate::fleet::{Fleet, Machine, OWNER, WRONG, edge, layer, machine_id, new_session};
use crate::support::client::{Answer, SOON, request, send};
use crate::trust_targets::{ask, targets};

async fn fleet() -> (Fleet, SessionId) {
    let fleet = Fleet::with(edge(), |machine, sessions| {
        let to_owner = Redirect::to_session_address(["127.0.0.1"]).unwrap();
        layer(machine, sessions).replay(to_owner)
    })
    .await;
    let session = fleet.session();
    lives_at(&fleet, session.clone(), &fleet.owner.server.url(""));
    (fleet, session)
}

fn lives_at(fleet: &Fleet, session: SessionId, address: &str) {
    let session = Session::owned_by(session, machine_id(OWNER));
    let session = session.with_address(Address::parse(address).unwrap());
    fleet.sessions.insert(session);
}

/// Goes where it is sent.
fn following(method: Method, url: String) -> RequestBuilder {
    let client = reqwest::Client::builder().no_proxy().timeout(SOON);
    client.build().unwrap().request(method, url)
}

#[tokio::test]
async fn a_client_that_follows_is_served_by_the_owner_with_its_method_and_its_body() {
    let (fleet, session) = fleet().await;
    let url = fleet.wrong.server.url(&format!("/session/{session}/x?a=b"));
    let answer = send(following(Method::DELETE, url)).await;
    answer.is_served_by(OWNER);
    assert_eq!(answer.json()["path"], format!("/session/{session}/x"));

    // There is no proxy that has to hold it, so there is no limit either.
    let bytes = Bytes::from(b"abc".repeat(1_000_000));
    let url = fleet
        .wrong
        .server
        .url(&format!("/session/{session}/upload"));
    let answer = send(following(Method::POST, url).body(bytes.clone())).await;
    answer.is_served_by(OWNER);
    assert_eq!(answer.json()["sha256"], sha256(&bytes));
    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn what_browsers_do_not_follow_is_refused_and_not_redirected() {
    let (fleet, session) = fleet().await;
    let url = format!("ws://{}/session/{session}/ws", fleet.wrong.server.addr);
    let Err(Error::Http(answer)) = connect_async(url).await else {
        panic!("no HTTP answer");
    };
    assert_eq!(answer.status(), 421);
    assert_eq!(answer.headers().get("location"), None);

    let url = fleet.wrong.server.url(&format!("/session/{session}"));
    let preflight = request(Method::OPTIONS, url)
        .header("origin", "https://example.com")
        .header("access-control-request-method", "PUT");
    let answer = send(preflight).await;
    answer.is_refused(421, "not-replayable");
    assert_eq!(answer.header("location"), None);
}

#[tokio::test]
async fn nobody_is_sent_to_a_stranger() {
    let (fleet, session) = fleet().await;
    let url = fleet.wrong.server.url(&format!("/session/{session}"));
    for stranger in ["https://evil.example", "http://127.0.0.1.evil.example"] {
        lives_at(&fleet, session.clone(), stranger);
        let answer = send(request(Method::GET, url.clone())).await;
        answer.is_refused(502, "directory-corrupt");
        assert_eq!(answer.header("location"), None);
    }
}

#[tokio::test]
async fn no_spelling_of_the_target_leads_anywhere_but_to_the_owner() {
    let (fleet, session) = fleet().await;
    let there = fleet.owner.server.url("/");
    for target in targets(&session) {
        for host in ["app", "evil.example"] {
            let answer: Answer = ask(fleet.wrong.server.addr, &target, &[host]).await;
            if let Some(location) = answer.header("location") {
                assert!(location.starts_with(&there), "{target}: {location}");
            }
        }
    }
    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn where_the_owners_address_is_the_wrong_machines_the_client_is_not_sent_in_a_circle() {
    let (fleet, session) = fleet().await;
    lives_at(&fleet, session.clone(), &fleet.wrong.server.url(""));
    let url = fleet.wrong.server.url(&format!("/session/{session}"));
    let answers = (0..2).map(|_| send(request(Method::GET, url.clone())));
    for answer in join_all(answers).await {
        answer.is_refused(508, "replay-loop");
    }
}

#[tokio::test]
async fn between_directories_that_contradict_each_other_the_client_gives_up_by_itself() {
    let session = new_session();
    let (here, there) = (MemoryDirectory::new(), MemoryDirectory::new());
    let to_owner = || Redirect::to_session_address(["127.0.0.1"]).unwrap();
    let wrong = Machine::start(WRONG, layer(WRONG, here.clone()).replay(to_owner())).await;
    let owner = Machine::start(OWNER, layer(OWNER, there.clone()).replay(to_owner())).await;
    let lives = |at: &Machine| {
        let address = Address::parse(&at.server.url("")).unwrap();
        Session::owned_by(session.clone(), machine_id(at.id)).with_address(address)
    };
    here.insert(lives(&owner));
    there.insert(lives(&wrong));
    let url = wrong.server.url(&format!("/session/{session}"));
    let error = following(Method::GET, url).send().await.unwrap_err();
    assert!(error.is_redirect(), "{error:?}");
    assert_eq!((wrong.served(&session), owner.served(&session)), (0, 0));
}
