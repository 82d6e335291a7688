//! How often a request allocates, once its session is known.
//!
//! Numbers of a benchmark vary; these do not, so a change that costs an allocation fails here.

#[path = "../../benches/common/mod.rs"]
mod common;
#[cfg(feature = "metrics")]
#[path = "../../benches/common/recorder.rs"]
mod recorder;

use allocation_counter::measure;
use common::setup::{ME, OTHER, all_owned_by, call, hello, layer, plain_request, sessions};
use http::Request;
use tower::{Layer as _, service_fn};
use tower_ownership::{LookupError, OwnershipLayerBuilder, Session, SessionLookup, lookup_fn};

/// The first extension of a request, and the map that holds it.
const TOLD: u64 = 3;
/// The headers of an answer that is kept.
const ELSEWHERE: u64 = 2;
/// An answer's headers, a page that says why, and the rejection in its extensions.
const UNKNOWN: u64 = 6;

type Builder = OwnershipLayerBuilder;

/// The allocations of one request to a path, after others for the same session.
fn allocations(
    lookup: impl SessionLookup,
    with: impl FnOnce(Builder) -> Builder,
    prefix: &str,
) -> u64 {
    let mut service = layer(lookup, with).layer(service_fn(hello));
    let id = sessions(1)[0].clone();
    let request = || {
        let (mut head, body) = plain_request(&id).into_parts();
        head.uri = format!("{prefix}/{id}/files").parse().unwrap();
        Request::from_parts(head, body)
    };
    for _ in 0..10 {
        call(&mut service, request());
    }
    let (first, second) = (request(), request());
    let one = measure(|| drop(call(&mut service, first)));
    let two = measure(|| drop(call(&mut service, second)));
    assert_eq!(one.count_total, two.count_total);
    one.count_total
}

#[test]
fn a_request_for_no_session_allocates_nothing() {
    assert_eq!(
        allocations(all_owned_by(ME), |builder| builder, "/assets"),
        0
    );
}

#[test]
fn an_owned_request_allocates_nothing() {
    let untold = |builder: Builder| builder.insert_owned(false);
    assert_eq!(allocations(all_owned_by(ME), untold, "/session"), 0);
}

#[cfg(feature = "metrics")]
#[test]
fn counting_an_owned_request_allocates_nothing() {
    let untold = |builder: Builder| builder.insert_owned(false);
    let plain = recorder::Plain::default();
    let count = || allocations(all_owned_by(ME), untold, "/session");
    assert_eq!(metrics::with_local_recorder(&plain, count), 0);
    assert!(plain.total() >= 12, "{}", plain.total());

    let prometheus = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    assert_eq!(metrics::with_local_recorder(&prometheus, count), 0);
    let page = prometheus.handle().render();
    assert!(
        page.contains(r#"verdict="pass",code="",cache="hit"} 11"#),
        "{page}"
    );
}

#[cfg(feature = "metrics")]
#[test]
fn counting_a_refusal_allocates_no_more_than_its_answer() {
    let nobody = || lookup_fn(async |_| Ok::<_, LookupError>(None::<Session>));
    let count = || allocations(nobody(), |builder| builder, "/session");
    let plain = recorder::Plain::default();
    let counted = metrics::with_local_recorder(&plain, count);
    assert_eq!(counted, count());
}

#[test]
fn a_warning_that_is_held_back_allocates_nothing() {
    let down = || lookup_fn(async |_| Err::<Option<Session>, _>(LookupError::unavailable("down")));
    let often = |builder: Builder| builder.warn_interval(std::time::Duration::ZERO);
    let seldom = |builder: Builder| builder;
    let held_back = allocations(down(), seldom, "/session");
    assert_eq!(held_back, allocations(down(), often, "/session"));
}

#[test]
fn telling_a_handler_of_its_session_allocates_only_the_place_for_it() {
    let count = allocations(all_owned_by(ME), |builder| builder, "/session");
    assert!(count <= TOLD, "{count}");
}

#[test]
fn a_request_for_another_machine_allocates_little_more_than_its_answer() {
    let count = allocations(all_owned_by(OTHER), |builder| builder, "/session");
    assert!(count <= ELSEWHERE, "{count}");
}

#[test]
fn a_request_for_an_unknown_session_allocates_its_answer() {
    let nobody = lookup_fn(async |_| Ok::<_, LookupError>(None::<Session>));
    let count = allocations(nobody, |builder| builder, "/session");
    assert!(count <= UNKNOWN, "{count}");
}
