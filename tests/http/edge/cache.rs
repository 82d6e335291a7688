//! The replay cache by path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use tower_ownership::testing::{EdgeErrorKind, FlyEdge, HopKind};

use super::machine::*;

const STATUS: &str = "fly-replay-cache-status";

/// A machine that replays to [`TWO`], with these further headers.
async fn caching(extra: &'static [(&'static str, &'static str)]) -> Machine {
    Machine::start(move |_| {
        let mut response = replay("instance=e286544f716d89");
        for (name, value) in extra {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response
    })
    .await
}

const SESSION: &[(&str, &str)] = &[
    ("fly-replay-cache", "/session/7f/*"),
    ("fly-replay-cache-ttl-secs", "60"),
];

async fn fleet(extra: &'static [(&'static str, &'static str)]) -> (FlyEdge, Machine, Machine) {
    let (emitter, owner) = (caching(extra).await, Machine::named("owner").await);
    let edge = edge_with(&[(ONE, &emitter), (TWO, &owner)]).await;
    (edge, emitter, owner)
}

async fn skip(edge: &FlyEdge, path: &str) {
    client()
        .get(edge.url(path))
        .header("fly-replay-cache-control", "skip")
        .send()
        .await
        .unwrap();
}

/// Passes the cache by.
async fn asking_the_app(edge: &FlyEdge, path: &str) {
    let request = client().get(edge.url(path));
    let request = request.header("fly-force-instance-id", ONE);
    request.send().await.unwrap();
}

#[tokio::test]
async fn a_hit_goes_to_the_target_without_asking_the_source() {
    let (edge, emitter, owner) = fleet(SESSION).await;
    assert_eq!(who(&edge, "/session/7f/a").await, "owner");
    assert_eq!(owner.last().header(STATUS), Some("miss"));
    assert!(owner.last().header("fly-replay-src").is_some());
    assert_eq!(emitter.last().header(STATUS), None);
    assert_eq!(edge.cached_replays(), 1);

    assert_eq!(who(&edge, "/session/7f/b?c").await, "owner");
    assert_eq!(emitter.seen().len(), 1);
    assert_eq!(owner.last().header(STATUS), Some("hit"));
    assert_eq!(owner.last().header("fly-replay-src"), None);
    assert_eq!(edge.hops().last().unwrap().kind, HopKind::CacheHit);
}

#[tokio::test]
async fn other_paths_and_other_hosts_are_not_hit() {
    let (edge, emitter, _) = fleet(SESSION).await;
    who(&edge, "/session/7f/a").await;
    client()
        .get(edge.url("/session/7f/a"))
        .header("host", "other.example")
        .send()
        .await
        .unwrap();
    assert_eq!(emitter.seen().len(), 2);
    // The pattern of this answer does not match the request, so it is no good either.
    assert_bad_gateway(get(&edge, "/session/8a/a").await).await;
    assert_eq!(emitter.seen().len(), 3);
    assert_eq!(kinds(&edge), [EdgeErrorKind::MalformedReplay]);
}

#[tokio::test]
async fn a_host_is_compared_without_its_port() {
    let (edge, emitter, _) = fleet(&[
        ("fly-replay-cache", "preview.example/a/*"),
        ("fly-replay-cache-ttl-secs", "60"),
    ])
    .await;
    for host in ["preview.example:80", "Preview.Example:8080"] {
        let request = client().get(edge.url("/a/b")).header("host", host);
        request.send().await.unwrap();
    }
    assert_eq!(emitter.seen().len(), 1);
}

#[tokio::test]
async fn an_entry_lives_as_long_as_it_was_told() {
    let (edge, emitter, _) = fleet(SESSION).await;
    who(&edge, "/session/7f/a").await;
    edge.advance(Duration::from_secs(58));
    who(&edge, "/session/7f/a").await;
    assert_eq!(emitter.seen().len(), 1);
    edge.advance(Duration::from_secs(2));
    assert_eq!(edge.cached_replays(), 0);
    who(&edge, "/session/7f/a").await;
    assert_eq!(emitter.seen().len(), 2);
}

#[tokio::test]
async fn a_client_may_skip_the_cache_only_if_the_app_allowed_it() {
    let (edge, emitter, owner) = fleet(SESSION).await;
    who(&edge, "/session/7f/a").await;
    skip(&edge, "/session/7f/a").await;
    assert_eq!(emitter.seen().len(), 1);
    assert_eq!(owner.last().header(STATUS), Some("hit"));

    let (edge, emitter, owner) = fleet(&[
        ("fly-replay-cache", "/session/7f/*"),
        ("fly-replay-cache-ttl-secs", "60"),
        ("fly-replay-cache-allow-bypass", "yes"),
    ])
    .await;
    who(&edge, "/session/7f/a").await;
    skip(&edge, "/session/7f/a").await;
    assert_eq!(emitter.seen().len(), 2);
    assert_eq!(owner.last().header(STATUS), Some("bypass"));
}

#[tokio::test]
async fn the_target_can_invalidate_its_entry() {
    let emitter = caching(SESSION).await;
    let moved = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&moved);
    let owner = Machine::start(move |seen| {
        if flag.load(Ordering::SeqCst) && seen.header(STATUS) == Some("hit") {
            let mut response = replay("instance=90801679a10038;state=own.1");
            let invalidate = "invalidate".parse().unwrap();
            response
                .headers_mut()
                .insert("fly-replay-cache", invalidate);
            response
        } else {
            Response::new(Body::from("owner"))
        }
    })
    .await;
    let three = Machine::named("three").await;
    let edge = edge_with(&[(ONE, &emitter), (TWO, &owner), (THREE, &three)]).await;
    who(&edge, "/session/7f/a").await;
    moved.store(true, Ordering::SeqCst);
    assert_eq!(who(&edge, "/session/7f/a").await, "three");
    assert_eq!(three.last().field("fly-replay-src", "instance"), Some(TWO));
    assert_eq!(edge.cached_replays(), 0);
    who(&edge, "/session/7f/a").await;
    assert_eq!(emitter.seen().len(), 2);
}

#[tokio::test]
async fn what_a_hit_could_not_carry_is_refused() {
    for instruction in [
        "instance=e286544f716d89;state=own.1",
        "instance=e286544f716d89;timeout=5s",
        "instance=e286544f716d89;fallback=force_self",
    ] {
        let emitter = Machine::start(move |_| {
            let mut response = replay(instruction);
            for (name, value) in SESSION {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        })
        .await;
        let edge = edge_with(&[(ONE, &emitter), (TWO, &Machine::named("two").await)]).await;
        assert_bad_gateway(get(&edge, "/session/7f/a").await).await;
        assert_eq!(kinds(&edge), [EdgeErrorKind::CacheConflict]);
        assert_eq!(edge.cached_replays(), 0);
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_malformed() {
    for extra in [
        &[
            ("fly-replay-cache", "/*"),
            ("fly-replay-cache-ttl-secs", "9"),
        ][..],
        &[("fly-replay-cache", "/*")],
        &[
            ("fly-replay-cache", "/*"),
            ("fly-replay-cache-ttl-secs", "soon"),
        ],
        &[
            ("fly-replay-cache", "everything"),
            ("fly-replay-cache-ttl-secs", "60"),
        ],
    ] {
        let (edge, _, _) = fleet(extra).await;
        assert_bad_gateway(get(&edge, "/").await).await;
        assert_eq!(kinds(&edge), [EdgeErrorKind::MalformedReplay]);
    }
}

#[tokio::test]
async fn a_hit_that_leads_nowhere_asks_the_app_again() {
    let (edge, emitter, _) = fleet(SESSION).await;
    who(&edge, "/session/7f/a").await;
    edge.remove(TWO);
    assert_bad_gateway(get(&edge, "/session/7f/a").await).await;
    assert_eq!(emitter.seen().len(), 2);
    assert_eq!(
        kinds(&edge),
        [EdgeErrorKind::NoCandidate, EdgeErrorKind::MachineNotFound]
    );
    // And the entry is forgotten, should the machine come back.
    edge.add(ONE, Machine::named("app").await.addr);
    who(&edge, "/session/7f/a").await;
    edge.add(TWO, Machine::named("owner").await.addr);
    assert_eq!(who(&edge, "/session/7f/a").await, "app");
}

#[tokio::test]
async fn the_longest_prefix_wins() {
    let emitter = Machine::start(|seen| {
        let (target, prefix) = match seen.uri.path() {
            "/a/b/first" => ("instance=90801679a10038", "/a/b/*"),
            _ => ("instance=e286544f716d89", "/a/*"),
        };
        let mut response = replay(target);
        let headers = response.headers_mut();
        headers.insert("fly-replay-cache", prefix.parse().unwrap());
        headers.insert("fly-replay-cache-ttl-secs", "60".parse().unwrap());
        response
    })
    .await;
    let (two, three) = (Machine::named("two").await, Machine::named("three").await);
    let edge = edge_with(&[(ONE, &emitter), (TWO, &two), (THREE, &three)]).await;
    for path in ["/a/first", "/a/b/first"] {
        asking_the_app(&edge, path).await;
    }
    assert_eq!(edge.cached_replays(), 2);
    assert_eq!(who(&edge, "/a/b/second").await, "three");
    assert_eq!(who(&edge, "/a/c").await, "two");
    assert_eq!(emitter.seen().len(), 2);
}

#[tokio::test]
async fn the_cache_has_a_cap() {
    let emitter = Machine::start(|seen| {
        let mut response = replay("instance=e286544f716d89");
        let headers = response.headers_mut();
        headers.insert("fly-replay-cache", seen.uri.path().parse().unwrap());
        headers.insert("fly-replay-cache-ttl-secs", "60".parse().unwrap());
        response
    })
    .await;
    let edge = edge().cache_capacity(2).start().await.unwrap();
    edge.add(ONE, emitter.addr);
    edge.add(TWO, Machine::named("two").await.addr);
    for path in ["/a", "/b", "/b", "/c"] {
        who(&edge, path).await;
    }
    assert_eq!(edge.cached_replays(), 2);
    assert_eq!(emitter.seen().len(), 3);
    who(&edge, "/b").await;
    who(&edge, "/c").await;
    assert_eq!(emitter.seen().len(), 3, "the oldest was dropped, not these");
    who(&edge, "/a").await;
    assert_eq!(emitter.seen().len(), 4);
}

#[tokio::test]
async fn a_forced_machine_passes_the_cache_by() {
    let (edge, emitter, _) = fleet(SESSION).await;
    who(&edge, "/session/7f/a").await;
    asking_the_app(&edge, "/session/7f/a").await;
    assert_eq!(emitter.seen().len(), 2);
    assert_eq!(edge.cached_replays(), 1, "the same entry, stored anew");
}
