//! What tower asks of a middleware, and what a user may take for granted.

use std::{
    convert::Infallible,
    future::{Future, pending, poll_fn},
    marker::PhantomPinned,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_ownership::{
    CachePolicy, FlyReplay, LookupError, MachineId, MemoryDirectory, Ownership, OwnershipLayer,
    PathSegment, ResponseBody, ResponseFuture, Session, SessionLookup, lookup_fn,
};
use tower_test::mock;

use crate::support::fixture::{SESSION, directory, id};

fn me() -> MachineId {
    "me".parse().unwrap()
}

fn layer(lookup: impl SessionLookup) -> OwnershipLayer {
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine(me())
        .replay(FlyReplay::new())
        .cache_policy(CachePolicy::always_ask())
        .build()
        .unwrap()
}

fn mine() -> MemoryDirectory {
    directory(Session::owned_by(id(), me()))
}

fn request<B>(path: &str, body: B) -> Request<B> {
    Request::get(path).body(body).unwrap()
}

fn session_path() -> String {
    format!("/session/{SESSION}")
}

/// A body without a byte that holds something.
struct Holds<T>(T);

impl<T> Body for Holds<T> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// An inner service that insists on being polled ready before each call, as tower allows it to.
#[derive(Default)]
struct Picky {
    ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Picky {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: Arc::clone(&self.calls),
        }
    }
}

impl<B> Service<Request<B>> for Picky {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        assert!(self.ready, "called without having been polled ready");
        self.ready = false;
        self.calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Response::new(String::new())))
    }
}

#[tokio::test]
async fn the_service_that_was_polled_ready_is_the_one_called() {
    let picky = Picky::default();
    let calls = Arc::clone(&picky.calls);
    let mut service = layer(mine()).layer(picky);
    for path in [session_path(), "/".to_owned(), session_path()] {
        poll_fn(|cx| <Ownership<Picky> as Service<Request<String>>>::poll_ready(&mut service, cx))
            .await
            .unwrap();
        service.call(request(&path, String::new())).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_request_passes_when_the_inner_service_is_ready_for_it() {
    for path in ["/".to_owned(), session_path()] {
        let (inner, mut handle) = mock::pair::<Request<String>, Response<String>>();
        handle.allow(0);
        let mut service = layer(mine()).layer(inner);
        poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
        let mut answer = pin!(service.call(request(&path, String::new())));
        assert!(poll(answer.as_mut()).is_pending());
        handle.allow(1);
        assert!(poll(answer.as_mut()).is_pending());
        let (_, respond) = handle.next_request().await.unwrap();
        respond.send_response(Response::new("hello".to_owned()));
        assert_eq!(answer.await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test]
async fn an_owned_request_reaches_the_inner_service_and_its_answer_comes_back() {
    let (inner, mut handle) = mock::pair::<Request<String>, Response<String>>();
    let mut service = layer(mine()).layer(inner);
    poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    let answer = tokio::spawn(service.call(request(&session_path(), String::new())));
    let (seen, respond) = handle.next_request().await.unwrap();
    assert_eq!(seen.uri().path(), session_path());
    respond.send_response(Response::new("hello".to_owned()));
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_inner_service() {
    let (inner, mut handle) = mock::pair::<Request<String>, Response<String>>();
    let service = layer(MemoryDirectory::new()).layer(inner);
    let response = service
        .oneshot(request(&session_path(), String::new()))
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
    assert!(
        handle.next_request().await.is_none(),
        "nothing was asked before the service was dropped"
    );
}

#[tokio::test]
async fn errors_of_the_inner_service_are_untouched() {
    #[derive(Debug, PartialEq)]
    struct Mine(u8);
    let failing = service_fn(async |_: Request<String>| Err::<Response<String>, _>(Mine(7)));
    for path in ["/".to_owned(), session_path()] {
        let service = layer(mine()).layer(failing);
        assert_eq!(
            service
                .oneshot(request(&path, String::new()))
                .await
                .unwrap_err(),
            Mine(7)
        );
    }
}

#[tokio::test]
async fn an_inner_service_that_is_neither_send_nor_unpin_nor_static_may_be_wrapped() {
    let text = String::from("borrowed");
    let (text, local) = (&text, &Rc::new(()));
    let inner = service_fn(move |request: Request<Holds<(&str, Rc<()>)>>| {
        let (local, length) = (Rc::clone(local), text.len() + request.body().0.0.len());
        async move {
            let pinned = std::future::ready(PhantomPinned).await;
            std::future::ready(()).await;
            let PhantomPinned = pinned;
            Ok::<_, Infallible>(Response::new((local, length)))
        }
    });
    for path in ["/".to_owned(), session_path()] {
        let service = layer(mine()).layer(inner);
        let request = request(&path, Holds((text.as_str(), Rc::clone(local))));
        let _: Response<ResponseBody<(Rc<()>, usize)>> = service.oneshot(request).await.unwrap();
    }
}

#[test]
fn what_ought_to_be_send_and_sync_is() {
    fn send<T: Send>() {}
    fn sync<T: Sync + Send + Clone>() {}
    type Inner = tower::util::BoxCloneSyncService<Request<String>, Response<String>, Infallible>;
    sync::<OwnershipLayer>();
    send::<tower_ownership::OwnershipLayerBuilder>();
    sync::<Ownership<Inner>>();
    send::<ResponseFuture<Inner, String>>();
    send::<ResponseBody<String>>();
    sync::<LookupError>();
    sync::<tower_ownership::Owned>();
    sync::<tower_ownership::Rejection>();
}

/// A lookup that never answers and whose question can be seen to be still open.
fn open_question() -> (impl SessionLookup, Arc<AtomicUsize>, Weak<()>) {
    let (asked, held) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
    let (count, open) = (Arc::clone(&asked), Arc::downgrade(&held));
    let slot = std::sync::Mutex::new(Some(held));
    let lookup = lookup_fn(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let held = slot.lock().unwrap().take();
        async move {
            let answer = pending().await;
            drop(held);
            answer
        }
    });
    (lookup, asked, open)
}

#[test]
fn a_dropped_future_leaves_nothing_behind() {
    let (lookup, asked, open) = open_question();
    let picky = Picky::default();
    let calls = Arc::clone(&picky.calls);
    let body = Arc::new(());
    let mut service = layer(lookup).layer(picky);
    let _ = <Ownership<Picky> as Service<Request<Holds<Arc<()>>>>>::poll_ready(
        &mut service,
        &mut Context::from_waker(Waker::noop()),
    );
    let mut response = Box::pin(service.call(request(&session_path(), Holds(Arc::clone(&body)))));
    assert!(poll(response.as_mut()).is_pending());
    assert_eq!((asked.load(Ordering::Relaxed), open.strong_count()), (1, 1));
    drop(response);
    assert_eq!(
        open.strong_count(),
        0,
        "the lookup is dropped with its request"
    );
    assert_eq!(
        (Arc::strong_count(&body), calls.load(Ordering::Relaxed)),
        (1, 0)
    );
}

#[tokio::test]
async fn nothing_is_asked_before_the_future_is_polled() {
    let (lookup, asked, _) = open_question();
    let mut service = layer(lookup).layer(Picky::default());
    let ready = <Ownership<Picky> as ServiceExt<Request<String>>>::ready(&mut service);
    let response = ready
        .await
        .unwrap()
        .call(request(&session_path(), String::new()));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    drop(response);
}

#[tokio::test]
async fn layers_nest_and_clones_share() {
    let lookup = mine();
    let layer = layer(lookup.clone());
    let service = layer.layer(layer.clone().layer(Picky::default()));
    assert_eq!(
        service
            .clone()
            .oneshot(request(&session_path(), String::new()))
            .await
            .unwrap()
            .status(),
        200
    );
    lookup.remove(&id());
    assert_eq!(
        service
            .oneshot(request(&session_path(), String::new()))
            .await
            .unwrap()
            .status(),
        404
    );
}

#[tokio::test]
async fn every_verdict_is_observed_once() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let lookup = mine();
    let layer = OwnershipLayer::builder(lookup.clone())
        .session(PathSegment::after("/session").unwrap())
        .machine(me())
        .replay(FlyReplay::new())
        .cache_policy(CachePolicy::always_ask())
        .on_verdict(move |observed: &tower_ownership::observe::Observed<'_>| {
            let code = observed.code().map(tower_ownership::RejectionCode::as_str);
            log.lock().unwrap().push((observed.verdict.as_str(), code));
        })
        .build()
        .unwrap();
    let service = layer.layer(Picky::default());
    let send = |path: String| service.clone().oneshot(request(&path, String::new()));
    send("/".to_owned()).await.unwrap();
    send(session_path()).await.unwrap();
    send("/session/%ff".to_owned()).await.unwrap();
    lookup.insert(Session::owned_by(id(), "other".parse().unwrap()));
    send(session_path()).await.unwrap();
    lookup.remove(&id());
    send(session_path()).await.unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            ("pass", None),
            ("pass", None),
            ("reject", Some("session-malformed")),
            ("replay", None),
            ("reject", Some("session-unknown")),
        ]
    );
}

#[test]
fn a_layer_that_cannot_work_is_not_built() {
    use std::time::Duration;
    use tower_ownership::{
        BuildError,
        replay::{Fallback, InvalidReplay, ReplayCache},
    };
    let builder = || OwnershipLayer::builder(MemoryDirectory::new()).machine(me());
    let with = |replay: FlyReplay| {
        builder()
            .session(PathSegment::after("/session").unwrap())
            .replay(replay)
            .build()
            .unwrap_err()
    };
    assert_eq!(
        builder().replay(FlyReplay::new()).build().unwrap_err(),
        BuildError::NoSession
    );
    assert_eq!(
        builder()
            .session(PathSegment::after("/s").unwrap())
            .build()
            .unwrap_err(),
        BuildError::NoReplay
    );
    let cache = || ReplayCache::under("/session");
    let refused = [
        FlyReplay::new().timeout(Duration::ZERO),
        FlyReplay::new().app("no app"),
        FlyReplay::new().app(""),
        FlyReplay::new().status(http::StatusCode::SWITCHING_PROTOCOLS),
        FlyReplay::new().status(http::StatusCode::NO_CONTENT),
        FlyReplay::new().status(http::StatusCode::TEMPORARY_REDIRECT),
        FlyReplay::new()
            .cache(cache())
            .timeout(Duration::from_secs(1)),
        FlyReplay::new()
            .cache(cache())
            .fallback(Fallback::ForceSelf),
        FlyReplay::new().cache(cache().lifetime(Duration::from_secs(9))),
        FlyReplay::new().cache(ReplayCache::under("session\r\n")),
    ];
    for replay in refused {
        assert!(
            matches!(with(replay.clone()), BuildError::Replay(_)),
            "{replay:?}"
        );
    }
    assert_eq!(
        with(
            FlyReplay::new()
                .cache(cache())
                .timeout(Duration::from_secs(1))
        ),
        BuildError::Replay(InvalidReplay::CacheWithTimeoutOrFallback)
    );
}

#[test]
fn the_layer_names_itself_without_telling_more() {
    let layer = layer(mine());
    assert_eq!(layer.machine().as_str(), "me");
    assert!(format!("{layer:?} {:?}", layer.layer(())).contains("me"));
    let _: fn(Box<dyn std::error::Error>) =
        |error| drop(error.downcast::<tower_ownership::BuildError>());
}

/// Answers that hand requests over are kept for others: for none that reads another language.
#[tokio::test]
async fn a_handovers_page_is_in_the_language_of_each_visitor() {
    let owner = "e2863555a91708".parse().unwrap();
    let layer = OwnershipLayer::builder(directory(Session::owned_by(id(), owner)))
        .session(PathSegment::after("/session").unwrap())
        .machine(me())
        .replay(FlyReplay::new())
        .build()
        .unwrap();
    let mut service = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    for _ in 0..3 {
        for language in ["en", "de", "fr", "es", "ja"] {
            let request = Request::get(session_path())
                .header("accept", "text/html,*/*;q=0.8")
                .header("accept-language", language)
                .body(String::new())
                .unwrap();
            let response = service.ready().await.unwrap().call(request).await.unwrap();
            assert_eq!(response.status(), 409);
            assert!(response.headers().contains_key("fly-replay"));
            assert_eq!(response.headers()["content-language"], language);
        }
    }
}
