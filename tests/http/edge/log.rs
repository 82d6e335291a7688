//! What the edge tells about its work.

use tower_ownership::testing::{EdgeErrorKind, EdgeRecord, HopKind};

use super::machine::*;

#[tokio::test]
async fn a_request_can_be_followed_hop_by_hop() {
    let emitter = Machine::replaying("instance=e286544f716d89;state=own.1").await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &Machine::named("owner").await)]).await;
    get(&edge, "/other").await;
    let response = get(&edge, "/").await;
    let id = response.headers()["fly-request-id"].to_str().unwrap();
    let hops = edge.hops_of(id);
    assert_eq!(edge.hops().len(), 4);
    let kinds: Vec<_> = hops.iter().map(|hop| hop.kind).collect();
    assert_eq!(kinds, [HopKind::Landed, HopKind::Replayed]);
    let told: Vec<_> = hops.iter().map(ToString::to_string).collect();
    assert_eq!(
        told.join(" -> "),
        "5683d9a1b2c3d4 409 fly-replay instance=e286544f716d89;state=own.1 -> e286544f716d89 200"
    );
}

#[tokio::test]
async fn other_kinds_of_hops_say_so() {
    let emitter = Machine::owning_up("fell back", "instance=gone;fallback=force_self").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    get(&edge, "/").await;
    let told = edge.hops()[1].to_string();
    assert_eq!(told, "5683d9a1b2c3d4 (fallback: no_candidate) 200");
    let told = edge.events()[0].to_string();
    assert!(
        told.starts_with("[PR02] MachineNotFound: machine gone"),
        "{told}"
    );
}

#[tokio::test]
async fn a_subscriber_sees_hops_and_errors_in_their_order() {
    let emitter = Machine::replaying("instance=gone").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    let mut watch = edge.subscribe();
    get(&edge, "/").await;
    let Some(EdgeRecord::Hop(hop)) = watch.next().await else {
        panic!("the hop comes first");
    };
    assert_eq!((hop.machine.as_str(), hop.kind), (ONE, HopKind::Landed));
    let Some(EdgeRecord::Event(event)) = watch.next().await else {
        panic!("then the error");
    };
    assert_eq!(event.kind, EdgeErrorKind::MachineNotFound);
    assert_eq!(event.request_id, hop.request_id);
    edge.shutdown().await;
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn the_log_forgets_the_oldest() {
    let edge = edge().log_capacity(3).start().await.unwrap();
    edge.add(ONE, Machine::named("one").await.addr);
    let mut watch = edge.subscribe();
    let mut ids = Vec::new();
    for _ in 0..8 {
        let response = get(&edge, "/").await;
        ids.push(
            response.headers()["fly-request-id"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
    }
    let kept: Vec<_> = edge.hops().into_iter().map(|hop| hop.request_id).collect();
    assert_eq!(kept, ids[5..]);
    // A watcher that sleeps does not hold the edge up; it loses what is old.
    let Some(EdgeRecord::Hop(hop)) = watch.next().await else {
        panic!("a hop");
    };
    assert_ne!(hop.request_id, ids[0]);
    edge.clear_log();
    assert_eq!((edge.hops(), edge.events()), (vec![], vec![]));
}

#[tokio::test]
async fn what_machines_write_is_kept_in_part() {
    let long = "x".repeat(20_000);
    let emitter = Machine::start(move |_| replay(&long)).await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    get(&edge, "/").await;
    assert_eq!(edge.hops()[0].replay.as_ref().unwrap().len(), 4_096);
    assert_eq!(edge.events()[0].detail.len(), 4_096);
}
