//! Replays across organisations and private networks.

use tower_ownership::testing::{EdgeErrorKind, EdgeMachine, FlyEdge, FlyEdgeBuilder};

use super::machine::*;

/// A machine that replays to the app `previews`, whose only machine is what `change` makes of it.
async fn replays_to(
    change: impl FnOnce(EdgeMachine) -> EdgeMachine,
    edge: FlyEdgeBuilder,
    replay: &'static str,
) -> (FlyEdge, Machine) {
    let emitter = Machine::replaying(replay).await;
    let owner = Machine::named("owner").await;
    let edge = edge.land_on(ONE).start().await.unwrap();
    edge.add(ONE, emitter.addr);
    edge.add_machine(change(EdgeMachine::new(TWO, owner.addr).app("previews")));
    (edge, owner)
}

const TO_PREVIEWS: &str = "instance=e286544f716d89;app=previews";

#[tokio::test]
async fn another_organisation_has_to_allow_its_sources() {
    let theirs = |machine: EdgeMachine| machine.organization("theirs");
    let fallback = "app=previews;fallback=force_self";
    for replay in [TO_PREVIEWS, fallback] {
        let (edge, owner) = replays_to(theirs, edge(), replay).await;
        assert_bad_gateway(get(&edge, "/").await).await;
        assert_eq!(kinds(&edge), [EdgeErrorKind::OtherOrganization]);
        assert_eq!(kinds(&edge)[0].code(), Some("PA05"));
        assert!(owner.seen().is_empty());
    }
    let others = edge().replay_source("theirs", "somewhere");
    let (edge_of_others, _) = replays_to(theirs, others, TO_PREVIEWS).await;
    assert_bad_gateway(get(&edge_of_others, "/").await).await;
    let allowed = edge().replay_source("theirs", "personal");
    let (edge, _) = replays_to(theirs, allowed, TO_PREVIEWS).await;
    assert_eq!(who(&edge, "/").await, "owner");
}

#[tokio::test]
async fn another_network_has_to_be_allowed() {
    let apart = |machine: EdgeMachine| machine.network("apart");
    let (refusing, owner) = replays_to(apart, edge(), TO_PREVIEWS).await;
    assert_bad_gateway(get(&refusing, "/").await).await;
    assert_eq!(kinds(&refusing), [EdgeErrorKind::CrossNetwork]);
    assert!(owner.seen().is_empty());
    let allowed = edge().cross_network_replays("personal");
    let (edge, _) = replays_to(apart, allowed, TO_PREVIEWS).await;
    assert_eq!(who(&edge, "/").await, "owner");
}
