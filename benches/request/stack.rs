//! The layer alone, polled with a waker that does nothing.

use std::{convert::Infallible, hint::black_box};

use tower::{Layer as _, Service, service_fn};
use tower_ownership::{LookupError, Session, SessionId, SessionLookup, lookup_fn};

use crate::{
    common::setup::{self, ME, OTHER, all_owned_by, call, hello, named_sessions, sessions},
    row::{Calls, Request, Requests, Row},
};

pub(crate) const HOT: u32 = 1_024;
const MANY: u32 = 1_000_000;
const BATCH: u32 = 256;

/// Room for all of [`MANY`], beside the part that is for unknown ids.
const CAPACITY: usize = 1 << 21;
pub(crate) const DEFAULT_CAPACITY: usize = tower_ownership::OwnershipLayer::DEFAULT_CACHE_CAPACITY;

/// The bare service, and every kind of request beside it.
pub(crate) fn rows() -> (Row, Vec<Row>) {
    let ids = sessions(HOT);
    let for_hot = || Requests::for_sessions(&ids);
    let names = named_sessions(HOT);
    let for_named = || Requests::for_sessions(&names);
    let owned = |tell| ours(all_owned_by(ME), tell, DEFAULT_CAPACITY);
    let elsewhere = ours(all_owned_by(OTHER), true, DEFAULT_CAPACITY);
    let no_session = lookup_fn(async |_| Ok::<_, LookupError>(None::<Session>));
    let unknown = ours(no_session, true, DEFAULT_CAPACITY);
    let rows = vec![
        bare("bare service, beside itself", &ids),
        row("no session", Requests::for_none(&ids), owned(true)),
        row("owned", for_hot(), owned(true)),
        row("owned, handlers not told", for_hot(), owned(false)),
        row("text id, owned", for_named(), owned(true)),
        row("text id, handlers not told", for_named(), owned(false)),
        row("elsewhere", for_hot(), elsewhere),
        row("unknown", for_hot(), unknown),
    ];
    (bare("bare service", &ids), rows)
}

/// The same for sessions that are in no CPU's cache. Their requests are not either, so the bare
/// service takes longer, too.
pub(crate) fn rows_of_many() -> (Row, Vec<Row>) {
    let ids = sessions(MANY);
    let for_many = || Requests::for_sessions(&ids);
    let owned = |tell| ours(all_owned_by(ME), tell, CAPACITY);
    let rows = vec![
        bare("bare service, beside itself", &ids),
        row("owned", for_many(), owned(true)),
        row("owned, handlers not told", for_many(), owned(false)),
    ];
    (bare("bare service", &ids), rows)
}

pub(crate) fn ours(lookup: impl SessionLookup, tell: bool, capacity: usize) -> Calls {
    let layer = setup::layer(lookup, |builder| {
        builder.cache_capacity(capacity).insert_owned(tell)
    });
    calls(layer.layer(service_fn(hello)))
}

pub(crate) fn bare(name: &'static str, ids: &[SessionId]) -> Row {
    row(name, Requests::for_sessions(ids), calls(service_fn(hello)))
}

pub(crate) fn row(name: &'static str, requests: Requests, calls: Calls) -> Row {
    Row::new(name, BATCH, requests, calls)
}

pub(crate) fn calls<S>(mut service: S) -> Calls
where
    S: Service<Request, Error = Infallible> + 'static,
{
    Box::new(move |batch| {
        for request in batch.drain(..) {
            drop(black_box(call(&mut service, request)));
        }
    })
}
