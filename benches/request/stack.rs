//! The layer alone, polled with a waker that does nothing.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_ownership::{
    FlyReplay, MachineId, MemoryLookup, OwnershipLayer, PathSegment, Session, SessionId,
    SessionLookup,
};
use uuid::Uuid;

use crate::row::{Calls, Request, Requests, Row};

/// This machine, and the one that owns what this one does not.
pub(crate) const ME: &str = "56837ddda10348";
const OTHER: &str = "e2863555a91708";

const SESSIONS: usize = 1_024;
const BATCH: u32 = 256;

/// The bare service, and every kind of request beside it.
pub(crate) fn rows() -> (Row, Vec<Row>) {
    let ids: Vec<SessionId> = (0..SESSIONS).map(|_| Uuid::new_v4().into()).collect();
    let row = |name, requests, calls| Row::new(name, BATCH, requests, calls);
    let bare = |name| {
        row(
            name,
            Requests::for_sessions(&ids),
            calls(service_fn(answer)),
        )
    };
    let owned_by = |owner: Option<&str>| {
        let lookup = MemoryLookup::new();
        for id in &ids {
            if let Some(owner) = owner {
                lookup.insert(Session::owned_by(*id, machine(owner)));
            }
        }
        calls(layer(lookup).layer(service_fn(answer)))
    };
    let rows = vec![
        bare("bare service, beside itself"),
        row("no session", Requests::for_none(&ids), owned_by(Some(ME))),
        row("owned", Requests::for_sessions(&ids), owned_by(Some(ME))),
        row(
            "elsewhere",
            Requests::for_sessions(&ids),
            owned_by(Some(OTHER)),
        ),
        row("unknown", Requests::for_sessions(&ids), owned_by(None)),
    ];
    (bare("bare service"), rows)
}

/// The layer as a user builds it.
pub(crate) fn layer(lookup: impl SessionLookup) -> OwnershipLayer {
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").expect("a prefix"))
        .machine(machine(ME))
        .replay(FlyReplay::new())
        .build()
        .expect("a layer")
}

fn machine(name: &str) -> MachineId {
    name.parse().expect("a machine id")
}

fn answer(_: Request) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
}

fn calls<S>(mut service: S) -> Calls
where
    S: Service<Request, Error = Infallible> + 'static,
{
    Box::new(move |batch| {
        let mut cx = Context::from_waker(Waker::noop());
        for request in batch.drain(..) {
            let ready = service.poll_ready(&mut cx);
            assert!(ready.is_ready());
            let future = pin!(service.call(request));
            let Poll::Ready(Ok(response)) = future.poll(&mut cx) else {
                panic!("nothing here has to wait");
            };
            drop(black_box(response));
        }
    })
}
