//! What the layer's cache takes in memory.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use allocation_counter::measure;
use futures_util::FutureExt as _;
use http::{Request, Response};
use serde_json::{Map, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    CachePolicy, FlyReplay, LookupError, OwnershipLayer, OwnershipLayerBuilder, PathSegment,
    Session, SessionId, SessionLookup, lookup_fn,
};

use crate::support::{
    fixture::{ME, machine},
    log::logged,
};

const MIB: u64 = 1 << 20;

fn builder(lookup: impl SessionLookup) -> OwnershipLayerBuilder {
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine(machine(ME))
        .replay(FlyReplay::new())
}

/// Sessions of this machine, with as many attributes of a thousand bytes.
fn sessions(attributes: usize) -> impl SessionLookup {
    lookup_fn(move |id: SessionId| {
        let mut session = Session::owned_by(id, machine(ME));
        if attributes > 0 {
            let names = (0..attributes).map(|n| format!("key {n}"));
            let all = names.map(|name| (name, json!("x".repeat(1_000))));
            session = session.with_attributes(all.collect());
        }
        async move { Ok::<_, LookupError>(Some(session)) }
    })
}

/// One request for each of `count` sessions, every one of which is served.
fn ask(layer: &OwnershipLayer, count: u128) {
    for n in 0..count {
        let id = uuid::Uuid::from_u128(n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
        let service = layer.layer(service_fn(async |_: Request<String>| {
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
        let request = Request::get(format!("/session/{id}"))
            .body(String::new())
            .unwrap();
        let Ok(response) = service.oneshot(request).now_or_never().unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[test]
fn sessions_with_large_attributes_are_bounded_by_bytes() {
    let mut kept = None;
    let counted = measure(|| {
        let layer = builder(sessions(111)).build().unwrap();
        ask(&layer, 1_500);
        kept = Some(layer);
    });
    let bytes = u64::try_from(counted.bytes_current).unwrap();
    // As much as there is room for, and not what 1,500 sessions take: 160 MiB.
    assert!((48 * MIB..66 * MIB).contains(&bytes), "{bytes} bytes");
    let sessions = kept.unwrap().cache().len();
    assert!((400..600).contains(&sessions), "{sessions} sessions");
}

#[test]
fn the_bound_in_bytes_can_be_set() {
    let policy = CachePolicy::new().max_attribute_bytes(4 << 20);
    let mut kept = None;
    let counted = measure(|| {
        let layer = builder(sessions(5)).cache_policy(policy).build().unwrap();
        ask(&layer, 3_000);
        kept = Some(layer);
    });
    let bytes = u64::try_from(counted.bytes_current).unwrap();
    assert!((3 * MIB..5 * MIB).contains(&bytes), "{bytes} bytes");
}

/// The other eighth is for unknown ids. Each shard of the table rounds its part.
fn is_seven_eighths_of_800(sessions: usize) {
    assert!((690..=704).contains(&sessions), "{sessions} sessions");
}

#[test]
fn sessions_without_attributes_are_bounded_by_number() {
    for bytes in [0, CachePolicy::DEFAULT_MAX_ATTRIBUTE_BYTES] {
        let policy = CachePolicy::new().max_attribute_bytes(bytes);
        let layer = builder(sessions(0)).cache_policy(policy);
        let layer = layer.cache_capacity(800).build().unwrap();
        ask(&layer, 2_000);
        is_seven_eighths_of_800(layer.cache().len());
    }
}

#[test]
fn the_smallest_cache_keeps_a_session() {
    for capacity in [0, 1, 2] {
        let layer = builder(sessions(1)).cache_capacity(capacity);
        let layer = layer.build().unwrap();
        ask(&layer, 1);
        assert_eq!(layer.cache().len(), 1, "a capacity of {capacity}");
    }
}

#[test]
fn few_attributes_do_not_lower_the_number() {
    let layer = builder(sessions(3)).cache_capacity(800).build().unwrap();
    ask(&layer, 2_000);
    is_seven_eighths_of_800(layer.cache().len());
}

#[test]
fn sessions_too_large_to_be_kept_are_warned_of_once() {
    let log = logged("tower_ownership::layer=warn", async |_| {
        for attributes in [100, 200] {
            let layer = builder(sessions(attributes)).build().unwrap();
            ask(&layer, 3);
        }
    });
    let text = log.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in [
        "session_id=",
        "bytes=2",
        "largest=131072",
        "too large to be cached",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_session_too_large_to_be_kept_is_served() {
    for (attributes, lookups) in [(100, 1), (200, 3)] {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let lookup = lookup_fn(move |id: SessionId| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                let large = json!("x".repeat(attributes * 1_000));
                let attributes = Map::from_iter([("large".to_owned(), large)]);
                let owned = Session::owned_by(id, machine(ME));
                Ok::<_, LookupError>(Some(owned.with_attributes(attributes)))
            }
        });
        let layer = builder(lookup).build().unwrap();
        for _ in 0..3 {
            ask(&layer, 1);
        }
        assert_eq!(asked.load(Ordering::Relaxed), lookups, "{attributes} kB");
    }
}
