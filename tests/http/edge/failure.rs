//! Replays that reach nobody, and their fallback.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use axum::response::Response;
use tower_ownership::testing::{EdgeErrorKind, EdgeMachine, HopKind};

use super::machine::*;

const FAILED: &str = "fly-replay-failed";

#[tokio::test]
async fn without_a_fallback_the_client_gets_an_empty_502() {
    let emitter = Machine::replaying("instance=e286544f716d89").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    assert_bad_gateway(get(&edge, "/").await).await;
    assert_eq!(kinds(&edge), [EdgeErrorKind::MachineNotFound]);
    assert_eq!(emitter.seen().len(), 1);
}

#[tokio::test]
async fn a_machine_that_is_gone_is_no_candidate() {
    let emitter = Machine::owning_up(
        "fell back",
        "instance=e286544f716d89;state=own.1;fallback=force_self",
    )
    .await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &Machine::named("two").await)]).await;
    edge.remove(TWO);
    let response = client().post(edge.url("/a?b")).body("payload").send().await;
    assert_eq!(response.unwrap().text().await.unwrap(), "fell back");
    let seen = emitter.last();
    let header = seen.header(FAILED).unwrap();
    let (fields, elapsed) = header.rsplit_once(";elapsed_ms=").unwrap();
    assert_eq!(
        fields,
        "instance=e286544f716d89;app=app;replay_source=5683d9a1b2c3d4;reason=no_candidate"
    );
    assert!(elapsed.parse::<u64>().unwrap() < 1_000);
    assert_eq!(
        (seen.uri.to_string().as_str(), &seen.body[..]),
        ("/a?b", &b"payload"[..])
    );
    assert_eq!(seen.header("fly-replay-src"), None);
    let hop = &edge.hops()[1];
    assert_eq!(hop.kind, HopKind::FellBack);
    assert_eq!(hop.reason.as_deref(), Some("no_candidate"));
}

#[tokio::test]
async fn a_machine_that_does_not_listen_exhausts_the_retries() {
    let emitter =
        Machine::owning_up("fell back", "instance=e286544f716d89;fallback=force_self").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    edge.add_machine(EdgeMachine::new(TWO, closed_addr()).region("ord"));
    assert_eq!(who(&edge, "/").await, "fell back");
    let seen = emitter.last();
    assert_eq!(seen.field(FAILED, "reason"), Some("retries_exhausted"));
    assert_eq!(seen.field(FAILED, "region"), Some("ord"));
    assert_eq!(edge.events()[0].kind.code(), Some("PC07"));
}

#[tokio::test]
async fn a_machine_that_takes_too_long_is_a_timeout() {
    let emitter = Machine::owning_up(
        "fell back",
        "instance=e286544f716d89;timeout=40ms;fallback=force_self",
    )
    .await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    edge.add_machine(EdgeMachine::stopped(TWO, pending));
    assert_eq!(who(&edge, "/").await, "fell back");
    let seen = emitter.last();
    assert_eq!(seen.field(FAILED, "reason"), Some("timeout"));
    let elapsed: u64 = seen.field(FAILED, "elapsed_ms").unwrap().parse().unwrap();
    assert!((40..5_000).contains(&elapsed), "{elapsed}");
}

#[tokio::test]
async fn a_timeout_without_a_fallback_only_makes_the_error_come_sooner() {
    let emitter = Machine::replaying("instance=e286544f716d89;timeout=20ms").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    edge.add_machine(EdgeMachine::stopped(TWO, pending));
    assert_bad_gateway(get(&edge, "/").await).await;
    assert_eq!(kinds(&edge), [EdgeErrorKind::ConnectTimeout]);
}

#[tokio::test]
async fn a_request_that_fell_back_is_not_replayed_again() {
    let emitter = Machine::replaying("instance=e286544f716d89;fallback=force_self").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    assert_bad_gateway(get(&edge, "/").await).await;
    assert_eq!(emitter.seen().len(), 2);
    assert_eq!(
        kinds(&edge),
        [
            EdgeErrorKind::MachineNotFound,
            EdgeErrorKind::ReplayAfterFallback
        ]
    );
}

/// A machine that is unregistered by its own answer.
async fn vanishing(instruction: &'static str, spare: bool) -> (u16, String, Option<Machine>) {
    let edge = Arc::new(edge_with(&[]).await);
    let itself = Arc::clone(&edge);
    let emitter = Machine::start(move |_| {
        itself.remove(ONE);
        replay(instruction)
    })
    .await;
    edge.add(ONE, emitter.addr);
    let three = Machine::named("three").await;
    if spare {
        edge.add(THREE, three.addr);
    }
    let response = get(&edge, "/").await;
    let status = response.status().as_u16();
    (status, response.text().await.unwrap(), Some(three))
}

#[tokio::test]
async fn force_self_means_the_emitter_or_nobody() {
    let (status, body, _) = vanishing("instance=gone;fallback=force_self", true).await;
    assert_eq!((status, body.as_str()), (502, ""));
}

#[tokio::test]
async fn prefer_self_means_the_emitter_or_any_machine_of_its_app() {
    let (status, body, three) = vanishing("instance=gone;fallback=prefer_self", true).await;
    assert_eq!((status, body.as_str()), (200, "three"));
    let seen = three.unwrap().last();
    assert_eq!(seen.field(FAILED, "replay_source"), Some(ONE));
    let (status, _, _) = vanishing("instance=gone;fallback=prefer_self", false).await;
    assert_eq!(status, 502);

    let emitter = Machine::owning_up("itself", "instance=gone;fallback=prefer_self").await;
    let edge = edge_with(&[(THREE, &Machine::named("three").await), (ONE, &emitter)]).await;
    for _ in 0..3 {
        assert_eq!(who(&edge, "/").await, "itself");
    }
}

#[tokio::test]
async fn the_targets_own_error_is_a_success_of_the_replay() {
    for status in [404, 500, 503] {
        let emitter =
            Machine::owning_up("fell back", "instance=e286544f716d89;fallback=force_self").await;
        let owner = Machine::start(move |_| {
            let body = Body::from("its own words");
            Response::builder().status(status).body(body).unwrap()
        })
        .await;
        let edge = edge_with(&[(ONE, &emitter), (TWO, &owner)]).await;
        let response = get(&edge, "/").await;
        assert_eq!(response.status(), status);
        assert_eq!(response.text().await.unwrap(), "its own words");
    }
}

#[tokio::test]
async fn a_target_that_takes_the_connection_and_dies_does_not_fall_back() {
    let emitter =
        Machine::owning_up("fell back", "instance=e286544f716d89;fallback=force_self").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    edge.add(TWO, listener.local_addr().unwrap());
    let dying = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    assert_bad_gateway(get(&edge, "/").await).await;
    dying.await.unwrap();
    assert_eq!(kinds(&edge), [EdgeErrorKind::NoAnswer]);
    let hop = &edge.hops()[1];
    assert_eq!((hop.machine.as_str(), hop.status), (TWO, None));
}

#[tokio::test]
async fn a_target_that_never_answers_is_given_up() {
    let edge = edge()
        .answer_timeout(std::time::Duration::from_millis(30))
        .start()
        .await
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    edge.add(ONE, listener.local_addr().unwrap());
    assert_bad_gateway(get(&edge, "/").await).await;
    assert_eq!(kinds(&edge), [EdgeErrorKind::NoAnswer]);
}

fn waking(to: SocketAddr, fails: u32) -> (EdgeMachine, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let machine = EdgeMachine::stopped(TWO, move || {
        let call = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::task::yield_now().await;
            if call < fails {
                Err(io::Error::other("no capacity"))
            } else {
                Ok(to)
            }
        }
    });
    (machine, calls)
}

#[tokio::test]
async fn a_replay_wakes_a_stopped_machine_once() {
    let emitter = Machine::replaying("instance=e286544f716d89").await;
    let owner = Machine::named("woken").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    let (machine, calls) = waking(owner.addr, 0);
    edge.add_machine(machine);
    let together = futures_util::future::join_all((0..8).map(|_| who(&edge, "/"))).await;
    assert!(together.iter().all(|body| body == "woken"));
    assert_eq!(who(&edge, "/").await, "woken");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn waking_goes_on_when_the_request_gives_up() {
    let emitter = Machine::owning_up(
        "fell back",
        "instance=e286544f716d89;timeout=20ms;fallback=force_self",
    )
    .await;
    let owner = Machine::named("woken").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    let (gate, calls) = (
        Arc::new(tokio::sync::Semaphore::new(0)),
        Arc::new(AtomicU32::new(0)),
    );
    let (opened, counter, addr) = (Arc::clone(&gate), Arc::clone(&calls), owner.addr);
    edge.add_machine(EdgeMachine::stopped(TWO, move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::clone(&opened);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(addr)
        }
    }));
    assert_eq!(who(&edge, "/").await, "fell back");
    gate.add_permits(1);
    while who(&edge, "/").await != "woken" {}
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_wake_that_fails_is_tried_again_and_then_given_up() {
    let emitter =
        Machine::owning_up("fell back", "instance=e286544f716d89;fallback=force_self").await;
    let owner = Machine::named("woken").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    edge.add_machine(waking(owner.addr, 1).0);
    assert_eq!(who(&edge, "/").await, "woken");

    edge.add_machine(waking(owner.addr, 9).0);
    assert_eq!(who(&edge, "/").await, "fell back");
    assert_eq!(
        emitter.last().field(FAILED, "reason"),
        Some("retries_exhausted")
    );
    assert_eq!(edge.events()[0].kind.code(), Some("PM01"));
}

#[tokio::test]
async fn a_stopped_machine_is_not_woken_while_another_runs() {
    let edge = edge().start().await.unwrap();
    edge.land_anywhere();
    let (machine, calls) = waking(Machine::named("woken").await.addr, 0);
    edge.add_machine(machine);
    edge.add(ONE, Machine::named("one").await.addr);
    for _ in 0..4 {
        assert_eq!(who(&edge, "/").await, "one");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    edge.remove(ONE);
    assert_eq!(who(&edge, "/").await, "woken");
}
