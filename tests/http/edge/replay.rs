//! The header form of a replay.

use axum::body::Body;
use axum::response::Response;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tower_ownership::testing::{EdgeErrorKind, EdgeMachine, HopKind};

use super::machine::*;

#[tokio::test]
async fn a_replay_delivers_the_same_request_to_the_owner() {
    let (emitter, owner) = (
        Machine::replaying("instance=e286544f716d89").await,
        Machine::named("owner").await,
    );
    let edge = edge_with(&[(ONE, &emitter), (TWO, &owner)]).await;
    let response = client()
        .put(edge.url("/session/7f/x%20y?q=1&r=%2F"))
        .header("x-custom", "kept")
        .body("payload")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().get("fly-replay").is_none());
    assert!(response.headers().get("x-emitter").is_none());
    assert_eq!(response.text().await.unwrap(), "owner");
    for seen in [emitter.last(), owner.last()] {
        assert_eq!(seen.method, "PUT");
        assert_eq!(seen.uri, "/session/7f/x%20y?q=1&r=%2F");
        assert_eq!(seen.header("x-custom"), Some("kept"));
        assert_eq!(seen.header("host"), Some(edge.addr().to_string().as_str()));
        assert_eq!(seen.body, "payload");
    }
}

#[tokio::test]
async fn any_status_carries_a_replay() {
    for status in [200, 204, 307, 409, 500] {
        let emitter = Machine::start(move |_| {
            Response::builder()
                .status(status)
                .header("fly-replay", "instance=e286544f716d89")
                .body(Body::empty())
                .unwrap()
        })
        .await;
        let edge = edge_with(&[(ONE, &emitter), (TWO, &Machine::named("owner").await)]).await;
        assert_eq!(who(&edge, "/").await, "owner", "{status}");
    }
}

#[tokio::test]
async fn the_target_learns_who_replayed_and_with_what_state() {
    let emitter = Machine::replaying("instance=e286544f716d89;state=own.1").await;
    let owner = Machine::named("owner").await;
    let edge = edge_with(&[(TWO, &owner)]).await;
    edge.add_machine(EdgeMachine::new(ONE, emitter.addr).region("ord"));
    who(&edge, "/").await;

    assert_eq!(emitter.last().header("fly-replay-src"), None);
    let seen = owner.last();
    let src = seen.header("fly-replay-src").unwrap();
    assert!(src.starts_with(&format!("instance={ONE};region=ord;t=")));
    assert!(src.ends_with(";state=own.1"));
    let t: u128 = seen.field("fly-replay-src", "t").unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now.as_micros() - t < 10_000_000, "t is in microseconds");
}

#[tokio::test]
async fn a_second_replay_tells_of_the_last_emitter_only() {
    let one = Machine::replaying("instance=e286544f716d89;state=first").await;
    let two = Machine::replaying("instance=90801679a10038").await;
    let three = Machine::named("three").await;
    let edge = edge_with(&[(ONE, &one), (TWO, &two), (THREE, &three)]).await;
    assert_eq!(who(&edge, "/").await, "three");
    let seen = three.last();
    assert_eq!(seen.field("fly-replay-src", "instance"), Some(TWO));
    assert_eq!(seen.field("fly-replay-src", "state"), None);
    assert_eq!(seen.headers.get_all("fly-replay-src").iter().count(), 1);
}

#[tokio::test]
async fn a_preferred_machine_is_taken_if_it_can_be() {
    let emitter = Machine::replaying("prefer_instance=e286544f716d89").await;
    let (two, three) = (Machine::named("two").await, Machine::named("three").await);
    let edge = edge_with(&[(ONE, &emitter), (THREE, &three), (TWO, &two)]).await;
    for _ in 0..3 {
        assert_eq!(who(&edge, "/").await, "two");
    }
    let note = "fly-preferred-instance-unavailable";
    assert_eq!(two.last().header(note), None);

    edge.remove(TWO);
    let emitter = Machine::replaying("prefer_instance=e286544f716d89;elsewhere=true").await;
    edge.add(ONE, emitter.addr);
    assert_eq!(who(&edge, "/").await, "three");
    assert_eq!(three.last().header(note), Some(TWO));

    // Registered, but nobody listens.
    edge.add(TWO, closed_addr());
    assert_eq!(who(&edge, "/").await, "three");
    assert_eq!(three.last().header(note), Some(TWO));
}

#[tokio::test]
async fn regions_are_tried_in_order() {
    let (two, three) = (Machine::named("two").await, Machine::named("three").await);
    for (list, expected) in [
        ("region=ord", "two"),
        ("region=fra", "three"),
        ("region=\"fra,ord\"", "three"),
        ("region=\"nrt,ord,fra\"", "two"),
        ("region=us", "two"),
        ("region=eu", "three"),
        ("region=\"apac,eu\"", "three"),
        ("region=\"ord,any\"", "two"),
    ] {
        let emitter = Machine::replaying(list).await;
        let edge = edge().region("jnb").start().await.unwrap();
        edge.add(ONE, emitter.addr);
        edge.add_machine(EdgeMachine::new(TWO, two.addr).region("ord"));
        edge.add_machine(EdgeMachine::new(THREE, three.addr).region("fra"));
        assert_eq!(who(&edge, "/").await, expected, "{list}");
    }
}

#[tokio::test]
async fn the_next_region_is_taken_when_the_first_cannot_be_reached() {
    let emitter = Machine::replaying("region=\"ord,fra\"").await;
    let edge = edge_with(&[(ONE, &emitter)]).await;
    edge.add_machine(EdgeMachine::new(TWO, closed_addr()).region("ord"));
    let three = Machine::named("three").await;
    edge.add_machine(EdgeMachine::new(THREE, three.addr).region("fra"));
    assert_eq!(who(&edge, "/").await, "three");
}

#[tokio::test]
async fn another_app_is_only_reached_by_its_name() {
    let target = Machine::named("target").await;
    for (instruction, expected) in [
        ("app=previews", "target"),
        ("app=previews;instance=e286544f716d89", "target"),
        ("instance=e286544f716d89", ""),
        ("app=nobody", ""),
    ] {
        let emitter = Machine::replaying(instruction).await;
        let edge = edge_with(&[(ONE, &emitter)]).await;
        edge.add_machine(EdgeMachine::new(TWO, target.addr).app("previews"));
        assert_eq!(who(&edge, "/").await, expected, "{instruction}");
    }
}

#[tokio::test]
async fn a_replay_without_an_app_stays_in_the_emitters_app() {
    let one = Machine::replaying("app=previews;instance=e286544f716d89").await;
    let two = Machine::replaying("instance=90801679a10038").await;
    let edge = edge_with(&[(ONE, &one)]).await;
    edge.add_machine(EdgeMachine::new(TWO, two.addr).app("previews"));
    let three = Machine::named("three").await;
    edge.add_machine(EdgeMachine::new(THREE, three.addr).app("previews"));
    assert_eq!(who(&edge, "/").await, "three");
}

#[tokio::test]
async fn an_unknown_app_and_an_unknown_machine_have_their_own_codes() {
    for (instruction, code) in [
        ("app=nobody", "PA04"),
        ("instance=gone", "PR02"),
        ("instance=5683d9a1b2c3d4;region=fra", "PR02"),
        ("region=nrt", "PR04"),
    ] {
        let emitter = Machine::replaying(instruction).await;
        let edge = edge_with(&[(ONE, &emitter)]).await;
        assert_bad_gateway(get(&edge, "/").await).await;
        assert_eq!(edge.events()[0].kind.code(), Some(code));
    }
}

#[tokio::test]
async fn elsewhere_leaves_out_the_emitter() {
    let emitter = Machine::replaying("elsewhere=true").await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &Machine::named("two").await)]).await;
    for _ in 0..4 {
        assert_eq!(who(&edge, "/").await, "two");
    }
    assert_eq!(emitter.seen().len(), 4);
}

#[tokio::test]
async fn a_malformed_replay_is_pa03() {
    for instruction in ["instance=a,state=b", "timeout=5s", "region=iad,ord"] {
        let edge = edge_with(&[(ONE, &Machine::replaying(instruction).await)]).await;
        assert_bad_gateway(get(&edge, "/").await).await;
        assert_eq!(kinds(&edge), [EdgeErrorKind::MalformedReplay]);
        assert_eq!(edge.events()[0].kind.code(), Some("PA03"));
    }
}

#[tokio::test]
async fn two_replay_headers_are_malformed() {
    let emitter = Machine::start(|_| {
        Response::builder()
            .header("fly-replay", "instance=e286544f716d89")
            .header("fly-replay", "instance=90801679a10038")
            .body(Body::empty())
            .unwrap()
    })
    .await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &Machine::named("two").await)]).await;
    assert_bad_gateway(get(&edge, "/").await).await;
    assert_eq!(kinds(&edge), [EdgeErrorKind::MalformedReplay]);
}

#[tokio::test]
async fn ten_replays_are_followed_and_the_eleventh_is_pa02() {
    for (limit, status) in [(10, 200), (11, 502)] {
        let answers = AtomicU32::new(0);
        let machine = Machine::start(move |_| {
            if answers.fetch_add(1, Ordering::SeqCst) < limit {
                replay("instance=5683d9a1b2c3d4")
            } else {
                Response::new(Body::empty())
            }
        })
        .await;
        let edge = edge_with(&[(ONE, &machine)]).await;
        assert_eq!(get(&edge, "/").await.status(), status);
        assert_eq!(machine.seen().len(), 11);
        assert_eq!(edge.hops().len(), 11);
        assert!(
            edge.hops()[1..]
                .iter()
                .all(|hop| hop.kind == HopKind::Replayed)
        );
        if status == 502 {
            assert_eq!(edge.events()[0].kind.code(), Some("PA02"));
        }
    }
}

#[tokio::test]
async fn an_edge_that_does_not_honour_replays_shows_them_to_the_client() {
    let edge = edge().honour_replay(false).start().await.unwrap();
    let emitter = Machine::replaying("instance=e286544f716d89").await;
    let owner = Machine::named("owner").await;
    edge.add(ONE, emitter.addr);
    edge.add(TWO, owner.addr);
    let response = get(&edge, "/").await;
    assert_eq!(response.status(), 409);
    assert_eq!(response.headers()["fly-replay"], "instance=e286544f716d89");
    assert_eq!(response.text().await.unwrap(), "the emitter's own text");
    assert!(owner.seen().is_empty());
    assert_eq!(
        edge.hops()[0].replay.as_deref(),
        Some("instance=e286544f716d89")
    );
}

#[tokio::test]
async fn the_longest_timeout_is_no_trouble() {
    let emitter = Machine::replaying("instance=e286544f716d89;timeout=18446744073709551615s").await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &Machine::named("two").await)]).await;
    assert_eq!(who(&edge, "/").await, "two");
}

#[tokio::test]
async fn many_requests_at_once_do_not_mix() {
    let emitter = Machine::replaying("instance=e286544f716d89").await;
    let owner = Machine::start(|seen| {
        let text = format!("{} {}", seen.uri, String::from_utf8_lossy(&seen.body));
        Response::new(Body::from(text))
    })
    .await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &owner)]).await;
    let client = client();
    let requests = (0..200).map(|number| {
        let request = client.post(edge.url(&format!("/{number}")));
        request.body(number.to_string()).send()
    });
    for (number, response) in futures_util::future::join_all(requests)
        .await
        .into_iter()
        .enumerate()
    {
        let text = response.unwrap().text().await.unwrap();
        assert_eq!(text, format!("/{number} {number}"));
    }
}
