//! Requests that go round in circles, and heads that lie about it.

use reqwest::Method;
use tower_ownership::forward::Forwarding;
use tower_ownership::testing::{EdgeMachine, FlyEdge};
use tower_ownership::{FlyReplay, MemoryDirectory, OwnershipLayer};

use super::{Machine, Pair, builder, forward, layer, session_at};
use crate::application::Application;
use crate::fleet::{OWNER, Server, WRONG, edge, new_session};
use crate::support::client::{get, request, send};

#[tokio::test]
async fn two_wrong_tables_end_after_two_hops() {
    let (here, there) = (MemoryDirectory::new(), MemoryDirectory::new());
    let wrong = Machine::start(WRONG, &here, forward()).await;
    let owner = Machine::start(OWNER, &there, forward()).await;
    let session = new_session();
    here.insert(session_at(&session, OWNER, &owner.server.url("")));
    there.insert(session_at(&session, WRONG, &wrong.server.url("")));
    let answer = get(wrong.server.url(&format!("/session/{session}"))).await;
    answer.is_refused(508, "replay-loop");
    let served = [&wrong, &owner].map(|machine| machine.application.served(&session));
    assert_eq!(served, [0, 0]);
}

#[tokio::test]
async fn a_machine_does_not_carry_requests_to_itself() {
    let sessions = MemoryDirectory::new();
    let wrong = Machine::start(WRONG, &sessions, forward()).await;
    let session = new_session();
    // A row that has another machine at this one's address.
    sessions.insert(session_at(&session, OWNER, &wrong.server.url("")));
    let answer = get(wrong.server.url(&format!("/session/{session}"))).await;
    answer.is_refused(508, "replay-loop");
}

#[tokio::test]
async fn a_forged_hop_serves_no_request_at_the_wrong_machine() {
    let pair = Pair::start().await;
    let session = pair.session();
    for forged in [
        "0",
        "1",
        "1;from=x",
        "2",
        "255",
        "256",
        "-1",
        "",
        "1;from=5683d9a1b2c3d4",
    ] {
        for machine in [&pair.wrong, &pair.owner] {
            let url = machine.server.url(&format!("/session/{session}"));
            let asking = request(Method::GET, url).header("ownership-forwarded", forged);
            let answer = send(asking).await;
            match answer.status {
                200 => answer.is_served_by(OWNER),
                _ => answer.is_refused(508, "replay-loop"),
            }
        }
    }
    assert_eq!(pair.wrong.application.served(&session), 0);
}

/// A layer that has Fly replay what it can, and carries the rest.
fn chained(machine: &str, sessions: &MemoryDirectory) -> OwnershipLayer<Forwarding> {
    let builder = builder(machine, sessions).replay(FlyReplay::new());
    builder.forward(forward()).build().unwrap()
}

#[tokio::test]
async fn a_forged_hop_hides_neither_a_failed_replay_nor_other_hops() {
    let sessions = MemoryDirectory::new();
    let wrong = Machine::with(WRONG, chained(WRONG, &sessions), |router| router).await;
    let owner = Machine::with(OWNER, chained(OWNER, &sessions), |router| router).await;
    let session = new_session();
    sessions.insert(session_at(&session, OWNER, &owner.server.url("")));
    let failed = ("fly-replay-failed", "instance=owner;reason=timeout");
    let replayed = ("fly-replay-src", "instance=x;state=own.2");
    let carried = ("ownership-forwarded", "2;from=x");
    for (said, status, code) in [
        (failed, 503, "owner-unreachable"),
        (replayed, 508, "replay-loop"),
        (carried, 508, "replay-loop"),
    ] {
        let url = wrong.server.url(&format!("/session/{session}"));
        let forged = request(Method::GET, url).header("ownership-forwarded", "0");
        send(forged.header(said.0, said.1))
            .await
            .is_refused(status, code);
    }
}

#[tokio::test]
async fn what_fly_cannot_replay_is_carried() {
    let sessions = MemoryDirectory::new();
    let wrong = Machine::with(WRONG, chained(WRONG, &sessions), |router| router).await;
    let owner = Machine::with(OWNER, chained(OWNER, &sessions), |router| router).await;
    let edge: FlyEdge = edge().start().await.unwrap();
    for machine in [&wrong, &owner] {
        edge.add_machine(EdgeMachine::new(machine.id, machine.server.addr));
    }
    let session = new_session();
    sessions.insert(session_at(&session, OWNER, &owner.server.url("")));
    // Small: by the edge, which sees two hops. Large: past it.
    for (length, hops) in [(900_000, 2), (3_000_000, 1)] {
        edge.clear_log();
        let url = edge.url(&format!("/session/{session}/upload"));
        let answer = send(request(Method::POST, url).body(vec![0; length])).await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.json()["bytes"], length);
        assert_eq!(edge.hops().len(), hops);
    }
}

#[tokio::test]
async fn a_layer_within_another_carries_for_itself() {
    let (by_path, by_header) = (MemoryDirectory::new(), MemoryDirectory::new());
    let start = async |machine: &'static str| {
        let header = tower_ownership::Header::named("x-room").unwrap();
        let inner = OwnershipLayer::builder(by_header.clone())
            .session(header)
            .machine(crate::fleet::machine_id(machine))
            .forward(forward())
            .build()
            .unwrap();
        let application = Application::on(machine);
        let router = application.router().layer(inner);
        Server::start(router.layer(layer(machine, &by_path, forward()))).await
    };
    let (wrong, owner) = (start(WRONG).await, start(OWNER).await);
    let (session, room) = (new_session(), new_session());
    by_path.insert(session_at(&session, WRONG, &wrong.url("")));
    by_header.insert(session_at(&room, OWNER, &owner.url("")));
    // The session is here, and its room is not: the owner of the room sends it back, and so on.
    let url = wrong.url(&format!("/session/{session}"));
    let asking = request(Method::GET, url.clone()).header("x-room", room.to_string());
    send(asking).await.is_refused(508, "replay-loop");
    by_path.insert(session_at(&session, OWNER, &owner.url("")));
    let asking = request(Method::GET, url).header("x-room", room.to_string());
    send(asking).await.is_served_by(OWNER);
}
