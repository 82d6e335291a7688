//! Middlewares that many services have already.

use std::convert::Infallible;

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{HeaderValue, Response, header::COOKIE};
use tower::{Layer as _, service_fn};
use tower_governor::{
    GovernorLayer, governor::GovernorConfigBuilder, key_extractor::SmartIpKeyExtractor,
};
use tower_http::trace::TraceLayer;
use tower_ownership::SessionId;
use tower_sessions::{Session, SessionManagerLayer, SessionStore, session::Record};
use tower_sessions_moka_store::MokaStore;

use crate::{
    common::setup::{ME, hello},
    row::{Calls, Request, Requests, Row, request},
    stack,
};

pub(crate) fn trace() -> Calls {
    stack::calls(TraceLayer::new_for_http().layer(service_fn(hello)))
}

/// So many requests that none is refused. Its answers need a body of axum's; an empty one costs no
/// more than ours.
pub(crate) fn governor() -> Calls {
    let config = GovernorConfigBuilder::default()
        .key_extractor(SmartIpKeyExtractor)
        .per_nanosecond(1)
        .burst_size(1_000_000_000)
        .finish()
        .expect("a limit");
    let answer = |_: Request| std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())));
    stack::calls(GovernorLayer::new(config).layer(service_fn(answer)))
}

/// The session is named by a cookie, and its owner is read out of it.
pub(crate) fn sessions(ids: &[SessionId]) -> Row {
    const OWNER: &str = "owner";
    let store = MokaStore::new(Some(100_000));
    let cookie = |_: &SessionId| {
        let mut record = Record {
            id: tower_sessions::session::Id::default(),
            data: [(OWNER.to_owned(), ME.into())].into(),
            expiry_date: far(),
        };
        let created = store.create(&mut record).now_or_never();
        created.expect("no wait").expect("a record");
        let cookie = format!("theme=dark; id={}", record.id);
        HeaderValue::try_from(cookie).expect("a cookie")
    };
    let cookies: Vec<_> = ids.iter().map(cookie).collect();
    let requests = Requests::new(1_024, move |at| {
        let mut request = request("/session/files/main.rs?v=1");
        request
            .headers_mut()
            .insert(COOKIE, cookies[at as usize].clone());
        request
    });
    let service = service_fn(async |request: Request| {
        let session = request.extensions().get::<Session>().expect("a session");
        let owner = session.get::<String>(OWNER).await.expect("an owner");
        assert_eq!(owner.as_deref(), Some(ME));
        hello(request).await
    });
    let calls = stack::calls(SessionManagerLayer::new(store).layer(service));
    stack::row("tower-sessions on moka, one value read", requests, calls)
}

fn far() -> tower_sessions::cookie::time::OffsetDateTime {
    let day = tower_sessions::cookie::time::Duration::days(1);
    tower_sessions::cookie::time::OffsetDateTime::now_utc() + day
}
