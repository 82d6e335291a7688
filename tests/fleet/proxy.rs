//! What a client reads when the way to the owner is not what it should be.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use tower_ownership::testing::{EdgeErrorKind, EdgeMachine, HopKind};
use tower_ownership::{FlyReplay, MemoryDirectory, Session, observe::Observed, replay::Fallback};

use crate::fleet::{
    Fleet, Machine, OWNER, Server, THIRD, WRONG, edge, layer, machine_id, new_session,
};
use crate::support::client::{Answer, HTML, get, request, send};

async fn page(url: String) -> Answer {
    send(request(Method::GET, url).header("accept", HTML)).await
}

#[tokio::test]
async fn a_request_that_lands_on_the_wrong_machine_is_served_by_the_owner() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let path = format!("/session/{session}/files/1?a=b");
    let answer = get(fleet.edge.url(&path)).await;
    answer.is_served_by(OWNER);
    assert_eq!(answer.json()["session"], session.to_string());
    assert_eq!(answer.json()["path"], format!("/session/{session}/files/1"));
    assert_eq!(answer.header("fly-replay"), None);
    assert_eq!(
        (fleet.wrong.served(&session), fleet.owner.served(&session)),
        (0, 1)
    );
}

#[tokio::test]
async fn behind_a_proxy_that_ignores_fly_replay_the_answer_says_exactly_that() {
    let fleet = Fleet::with(edge().honour_replay(false), layer).await;
    let session = fleet.session();
    let path = format!("/session/{session}");
    for url in [fleet.edge.url(&path), fleet.wrong.server.url(&path)] {
        let answer = get(url.clone()).await;
        answer.is_refused(409, "replay-not-honoured");
        let problem = answer.json();
        assert_eq!(problem["code"], "replay-not-honoured");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));

        let answer = page(url).await;
        answer.is_refused(409, "replay-not-honoured");
        assert!(
            answer
                .header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        assert!(
            answer.text.contains("replay-not-honoured"),
            "{}",
            answer.text
        );
        assert!(answer.text.contains("This page is somewhere else"));
    }
    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn an_owner_that_does_not_listen_is_unreachable_and_found_again_when_it_does() {
    let mut fleet = Fleet::start().await;
    let session = fleet.session();
    let url = fleet.edge.url(&format!("/session/{session}"));
    get(url.clone()).await.is_served_by(OWNER);

    fleet.owner.server.stop().await;
    let answer = get(url.clone()).await;
    answer.is_refused(503, "owner-unreachable");
    assert!(answer.header("retry-after").is_some());
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("retries_exhausted"), "{detail}");
    let way = [
        (WRONG.to_owned(), HopKind::Landed),
        (WRONG.to_owned(), HopKind::FellBack),
    ];
    assert_eq!(fleet.way(), way);
    assert!(
        page(url.clone())
            .await
            .text
            .contains("can’t be reached right now")
    );

    let again = fleet.owner.application.router();
    let again = again.layer(layer(OWNER, fleet.sessions.clone()).build().unwrap());
    fleet.owner.server = Server::start(again).await;
    fleet.edge.add(OWNER, fleet.owner.server.addr);
    get(url).await.is_served_by(OWNER);
    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn an_owner_that_was_destroyed_is_unreachable_and_the_answer_knows_why() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    fleet.edge.remove(OWNER);
    let answer = get(fleet.edge.url(&format!("/session/{session}"))).await;
    answer.is_refused(503, "owner-unreachable");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("no_candidate"), "{detail}");
}

#[tokio::test]
async fn an_owner_that_sleeps_is_woken_and_serves() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let addr = fleet.owner.server.addr;
    let sleeping = EdgeMachine::stopped(OWNER, move || async move { Ok(addr) });
    fleet.edge.add_machine(sleeping);
    let answer = get(fleet.edge.url(&format!("/session/{session}"))).await;
    answer.is_served_by(OWNER);
}

#[tokio::test]
async fn an_owner_that_takes_too_long_to_wake_is_unreachable_by_timeout() {
    let fleet = Fleet::with(edge(), |machine, sessions| {
        layer(machine, sessions).replay(FlyReplay::new().timeout(Duration::from_millis(100)))
    })
    .await;
    let session = fleet.session();
    let sleeping = EdgeMachine::stopped(OWNER, std::future::pending);
    fleet.edge.add_machine(sleeping);
    let answer = get(fleet.edge.url(&format!("/session/{session}"))).await;
    answer.is_refused(503, "owner-unreachable");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("timeout"), "{detail}");
}

#[tokio::test]
async fn with_prefer_self_the_machine_itself_answers_and_any_other_one_in_its_stead() {
    let fleet = Fleet::with(edge(), |machine, sessions| {
        layer(machine, sessions).replay(FlyReplay::new().fallback(Fallback::PreferSelf))
    })
    .await;
    let session = fleet.session();
    let url = fleet.edge.url(&format!("/session/{session}"));
    fleet.edge.remove(OWNER);
    get(url.clone()).await.is_refused(503, "owner-unreachable");
    let way = [
        (WRONG.to_owned(), HopKind::Landed),
        (WRONG.to_owned(), HopKind::FellBack),
    ];
    assert_eq!(fleet.way(), way);

    assert_eq!(fleet.wrong.served(&session), 0);
}

#[tokio::test]
async fn with_prefer_self_any_other_machine_answers_for_one_that_went_away_meanwhile() {
    let sessions = MemoryDirectory::new();
    let session = new_session();
    sessions.insert(Session::owned_by(session.clone(), machine_id(OWNER)));
    let edge = Arc::new(edge().start().await.unwrap());
    let forgetting = Arc::clone(&edge);
    let prefer_self = || FlyReplay::new().fallback(Fallback::PreferSelf);
    let leaving = layer(WRONG, sessions.clone())
        .replay(prefer_self())
        .on_verdict(move |_: &Observed<'_>| forgetting.remove(WRONG));
    let wrong = Machine::start(WRONG, leaving).await;
    let third = Machine::start(THIRD, layer(THIRD, sessions).replay(prefer_self())).await;
    for machine in [&wrong, &third] {
        edge.add(machine.id, machine.server.addr);
    }

    let answer = get(edge.url(&format!("/session/{session}"))).await;
    answer.is_refused(503, "owner-unreachable");
    let way: Vec<_> = edge
        .hops()
        .into_iter()
        .map(|hop| (hop.machine, hop.kind))
        .collect();
    assert_eq!(
        way,
        [
            (WRONG.to_owned(), HopKind::Landed),
            (THIRD.to_owned(), HopKind::FellBack),
        ]
    );
    assert_eq!((wrong.served(&session), third.served(&session)), (0, 0));
}

#[tokio::test]
async fn without_a_fallback_the_client_sees_the_proxys_bare_error() {
    let fleet = Fleet::with(edge(), |machine, sessions| {
        layer(machine, sessions).replay(FlyReplay::new().fallback(Fallback::None))
    })
    .await;
    let session = fleet.session();
    fleet.edge.remove(OWNER);
    let answer = get(fleet.edge.url(&format!("/session/{session}"))).await;
    assert_eq!((answer.status, answer.text.as_str()), (502, ""));
    assert_eq!(fleet.edge.events()[0].kind, EdgeErrorKind::MachineNotFound);
    assert_eq!(
        fleet.third.served(&session),
        0,
        "{THIRD} has nothing to do with it"
    );
}
