//! Where fresh requests land.

use tower_ownership::testing::{EdgeErrorKind, EdgeMachine, FlyEdge, HopKind};

use super::machine::*;

async fn three() -> FlyEdge {
    let edge = FlyEdge::builder()
        .connect_attempts(2)
        .connect_pause(std::time::Duration::from_millis(1))
        .region("jnb")
        .start()
        .await
        .unwrap();
    for (id, name, region) in [
        (ONE, "one", "iad"),
        (TWO, "two", "fra"),
        (THREE, "three", "ord"),
    ] {
        let addr = Machine::named(name).await.addr;
        edge.add_machine(EdgeMachine::new(id, addr).region(region));
    }
    edge
}

async fn asking(edge: &FlyEdge, name: &str, value: &str) -> (u16, String) {
    let response = client()
        .get(edge.url("/"))
        .header(name, value)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn fresh_requests_take_turns() {
    let edge = three().await;
    let mut names = Vec::new();
    for _ in 0..6 {
        names.push(who(&edge, "/").await);
    }
    assert_eq!(names, ["one", "two", "three", "one", "two", "three"]);
    assert!(edge.hops().iter().all(|hop| hop.kind == HopKind::Landed));
}

#[tokio::test]
async fn turns_can_be_ended_and_taken_up_again() {
    let edge = three().await;
    edge.land_on(TWO);
    for _ in 0..4 {
        assert_eq!(who(&edge, "/").await, "two");
    }
    edge.land_anywhere();
    let (first, second) = (who(&edge, "/").await, who(&edge, "/").await);
    assert_ne!(first, second);
    edge.land_on("unknown");
    assert_eq!(get(&edge, "/").await.status(), 503);
}

#[tokio::test]
async fn an_edge_without_machines_answers_503() {
    let edge = FlyEdge::start().await.unwrap();
    let response = get(&edge, "/").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.text().await.unwrap(), "");
    assert_eq!(kinds(&edge), [EdgeErrorKind::NoCandidate]);
}

#[tokio::test]
async fn a_machine_that_does_not_listen_is_passed_over() {
    let edge = three().await;
    edge.add(ONE, closed_addr());
    assert_eq!(edge.machines(), [ONE, TWO, THREE]);
    for _ in 0..4 {
        assert_ne!(who(&edge, "/").await, "one");
    }
}

#[tokio::test]
async fn a_client_can_force_a_machine_and_nothing_else_is_tried() {
    let edge = three().await;
    for _ in 0..3 {
        assert_eq!(asking(&edge, "fly-force-instance-id", TWO).await.1, "two");
    }
    edge.remove(TWO);
    assert_eq!(
        asking(&edge, "fly-force-instance-id", TWO).await,
        (503, String::new())
    );
}

#[tokio::test]
async fn a_client_can_prefer_a_machine() {
    let edge = three().await;
    let spare = Machine::named("spare").await;
    edge.add(THREE, spare.addr);
    for _ in 0..3 {
        assert_eq!(asking(&edge, "fly-prefer-instance-id", TWO).await.1, "two");
    }
    edge.remove(TWO);
    edge.remove(ONE);
    assert_eq!(
        asking(&edge, "fly-prefer-instance-id", TWO).await.1,
        "spare"
    );
    assert_eq!(
        spare.last().header("fly-preferred-instance-unavailable"),
        Some(TWO)
    );
}

#[tokio::test]
async fn a_client_can_prefer_or_force_regions() {
    let edge = three().await;
    for _ in 0..3 {
        assert_eq!(
            asking(&edge, "fly-prefer-region", "nrt, fra").await.1,
            "two"
        );
        assert_eq!(
            asking(&edge, "fly-force-region", "nrt,ord").await.1,
            "three"
        );
    }
    assert_eq!(asking(&edge, "fly-prefer-region", "nrt").await.0, 200);
    assert_eq!(asking(&edge, "fly-force-region", "nrt").await.0, 503);
}

#[tokio::test]
async fn machines_of_other_apps_take_no_fresh_requests() {
    let edge = FlyEdge::builder().app("router").start().await.unwrap();
    let addr = Machine::named("one").await.addr;
    edge.add_machine(EdgeMachine::new(ONE, addr).app("previews"));
    assert_eq!(get(&edge, "/").await.status(), 503);
    edge.add(TWO, Machine::named("two").await.addr);
    for _ in 0..2 {
        assert_eq!(who(&edge, "/").await, "two");
    }
}
