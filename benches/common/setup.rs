//! The layer, the service in it and the sessions, as the benchmarks use them.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::Service;
use tower_ownership::{
    CachePolicy, FlyReplay, LookupError, MachineId, OwnershipLayer, OwnershipLayerBuilder,
    PathSegment, Session, SessionId, SessionLookup, lookup_fn,
};

use super::dice::Dice;

/// This machine, and the one that owns what this one does not.
pub const ME: &str = "56837ddda10348";
pub const OTHER: &str = "e2863555a91708";

/// The layer as a user builds it, but for what `with` changes.
///
/// What is cached stays fresh for as long as a benchmark runs: a hit is what is measured, and
/// how often there is one is the user's choice.
pub fn layer(
    lookup: impl SessionLookup,
    with: impl FnOnce(OwnershipLayerBuilder) -> OwnershipLayerBuilder,
) -> OwnershipLayer {
    let long = CachePolicy::LONGEST;
    let freshness = CachePolicy::new().owned(long).elsewhere(long).unknown(long);
    let builder = OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").expect("a prefix"))
        .machine(machine(ME))
        .replay(FlyReplay::new())
        .cache_policy(freshness);
    with(builder).build().expect("a layer")
}

pub fn machine(name: &str) -> MachineId {
    name.parse().expect("a machine id")
}

/// A directory in which every session is owned by the same machine, whatever its id.
pub fn all_owned_by(owner: &str) -> impl SessionLookup {
    let owner = machine(owner);
    lookup_fn(move |id| {
        let session = Session::owned_by(id, owner.clone());
        ready(Ok::<_, LookupError>(Some(session)))
    })
}

/// A directory that knows no session.
pub fn none() -> impl SessionLookup {
    lookup_fn(|_| ready(Ok::<_, LookupError>(None)))
}

/// So many sessions, the same in every run.
pub fn sessions(count: u32) -> Vec<SessionId> {
    let mut dice = Dice::new(count.into());
    (0..count).map(|_| dice.uuid().into()).collect()
}

/// As many sessions whose ids are no UUIDs: 21 characters, as nanoid makes them.
pub fn named_sessions(count: u32) -> Vec<SessionId> {
    let name = |id: SessionId| id.to_string().replace('-', "_").split_off(15);
    let named = |id| SessionId::parse(&name(id)).expect("an id");
    sessions(count).into_iter().map(named).collect()
}

/// The application: it says hello, and costs next to nothing.
pub fn hello<B>(_: Request<B>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
}

/// What a browser sends along with a request, in eight fields.
pub const FIELDS: [(&str, &str); 8] = [
    ("host", "previews.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("cookie", "theme=dark"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-request-id", "01JDV7K2M4ZQ6Y"),
];

/// A browser's request for a session.
pub fn plain_request(id: &SessionId) -> Request<Full<Bytes>> {
    let mut request = Request::get(format!("/session/{id}/files/main.rs?v=1"));
    for (name, value) in FIELDS {
        request = request.header(name, value);
    }
    request.body(Full::default()).expect("a request")
}

/// Calls a service that has nothing to wait for, unless another thread looks the same session up.
pub fn call<S, B>(service: &mut S, request: Request<B>) -> S::Response
where
    S: Service<Request<B>, Error = Infallible>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let mut future = pin!(service.call(request));
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(response)) => return response,
            Poll::Ready(Err(never)) => match never {},
            Poll::Pending => std::thread::yield_now(),
        }
    }
}
