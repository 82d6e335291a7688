//! Sessions that the application creates and ends in its responses.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::poll;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    FlyReplay, Header, LookupError, MachineId, MemoryDirectory, NodeState, OwnershipLayer,
    OwnershipLayerBuilder, PathSegment, Session, SessionDirectory, SessionId, SessionLookup,
    SessionStatus,
    directory::{Claimed, Created, EndIf, NewSession},
    extract::{FirstOf, Location, ResponseHeader},
    ownership::{RegisterError, Registrar},
};

use crate::support::fixture::{ME, OWNER, machine};

/// A directory whose writes can be held up, or fail.
#[derive(Clone, Default)]
struct Directory {
    inner: MemoryDirectory,
    lookups: Arc<AtomicUsize>,
    is_down: bool,
    gate: Option<Arc<tokio::sync::Semaphore>>,
}

impl Directory {
    fn get(&self, id: &str) -> Option<Session> {
        self.inner.get(&id.parse().unwrap())
    }
}

impl SessionLookup for Directory {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.inner.session(id).await
    }
}

impl SessionDirectory for Directory {
    async fn claim(&self, seen: Session, by: MachineId) -> Result<Option<Claimed>, LookupError> {
        self.inner.claim(seen, by).await
    }

    async fn create(&self, new: NewSession, by: MachineId) -> Result<Created, LookupError> {
        if self.is_down {
            return Err(LookupError::unavailable("the directory is down"));
        }
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        self.inner.create(new, by).await
    }

    async fn touch(
        &self,
        session: SessionId,
        by: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> Result<bool, LookupError> {
        self.inner.touch(session, by, epoch, lifetime).await
    }

    async fn end(&self, session: SessionId, condition: EndIf) -> Result<Option<u64>, LookupError> {
        if self.is_down {
            return Err(LookupError::unavailable("the directory is down"));
        }
        self.inner.end(session, condition).await
    }
}

fn builder(directory: &Directory, me: &str) -> OwnershipLayerBuilder {
    let places = FirstOf::new(Header::mcp_session_id()).or(PathSegment::after("/room").unwrap());
    OwnershipLayer::builder(directory.clone())
        .directory(directory.clone())
        .session(places)
        .registers(ResponseHeader::mcp_session_id())
        .registers(Location::after("/room").unwrap())
        .machine(machine(me))
        .replay(FlyReplay::new())
}

fn layer(directory: &Directory, me: &str) -> OwnershipLayer {
    builder(directory, me).build().unwrap()
}

/// What the application answers: `session` in its response, and a status.
#[derive(Clone)]
struct Says(&'static str, &'static str, u16);

const NOTHING: Says = Says("x-nothing", "x", 200);

/// The answer to one request through the layer.
async fn send(layer: &OwnershipLayer, request: Request<String>, says: Says) -> Response<Bytes> {
    let application = service_fn(move |_: Request<String>| {
        let Says(name, value, status) = says.clone();
        let response = Response::builder().status(status).header(name, value);
        async move { Ok::<_, Infallible>(response.body(Full::new(Bytes::from("the app"))).unwrap()) }
    });
    let Ok(response) = layer.layer(application).oneshot(request).await;
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn request(method: Method, path: &str, session: Option<&str>) -> Request<String> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(session) = session {
        request = request.header("mcp-session-id", session);
    }
    request.body(String::new()).unwrap()
}

fn is_refused(response: &Response<Bytes>, code: &str) {
    let text = String::from_utf8_lossy(response.body());
    assert!(text.contains(code), "{response:?}");
    let text = format!("{response:?}");
    assert!(!text.contains("abc") && !text.contains("the app"), "{text}");
}

const BORN: Says = Says("mcp-session-id", "abc", 200);

#[tokio::test]
async fn a_session_is_registered_before_the_client_learns_its_id() {
    let directory = Directory::default();
    let (mine, others) = (layer(&directory, ME), layer(&directory, OWNER));
    let response = send(&mine, request(Method::POST, "/mcp", None), BORN).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["mcp-session-id"], "abc");
    let session = directory.get("abc").unwrap();
    assert_eq!(session.owner(), Some(&machine(ME)));
    // The machine that holds it needs no lookup, and the other one finds it.
    let next = || request(Method::POST, "/mcp", Some("abc"));
    let response = send(&mine, next(), NOTHING).await;
    assert_eq!(response.body(), "the app");
    assert_eq!(directory.lookups.load(Ordering::SeqCst), 0);
    let response = send(&others, next(), NOTHING).await;
    let replay = response.headers()["fly-replay"].to_str().unwrap();
    assert!(replay.contains(ME), "{replay}");
}

#[tokio::test]
async fn a_response_waits_for_the_directory() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let directory = Directory {
        gate: Some(Arc::clone(&gate)),
        ..Directory::default()
    };
    let mine = layer(&directory, ME);
    let mut sent = Box::pin(send(&mine, request(Method::POST, "/mcp", None), BORN));
    assert!(poll!(&mut sent).is_pending());
    assert_eq!(directory.get("abc"), None);
    gate.add_permits(1);
    assert_eq!(sent.await.headers()["mcp-session-id"], "abc");
}

#[tokio::test]
async fn an_id_does_not_leave_if_the_directory_cannot_be_written() {
    let directory = Directory {
        is_down: true,
        ..Directory::default()
    };
    let mine = layer(&directory, ME);
    for says in [BORN, Says("location", "/room/abc", 201)] {
        let response = send(&mine, request(Method::POST, "/mcp", None), says).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        is_refused(&response, "session-unregistered");
    }
    // What gives out no session is not held back.
    let response = send(&mine, request(Method::POST, "/mcp", None), NOTHING).await;
    assert_eq!(response.body(), "the app");
}

#[tokio::test]
async fn an_id_of_another_machines_session_does_not_leave() {
    let directory = Directory::default();
    directory
        .inner
        .add(&"abc".parse().unwrap(), Some(machine(OWNER)));
    let mine = layer(&directory, ME);
    let response = send(&mine, request(Method::POST, "/mcp", None), BORN).await;
    is_refused(&response, "session-unregistered");
    assert_eq!(directory.get("abc").unwrap().owner(), Some(&machine(OWNER)));
}

#[tokio::test]
async fn an_id_that_this_machine_has_registered_may_be_told_again() {
    let directory = Directory::default();
    let mine = layer(&directory, ME);
    for _ in 0..2 {
        let response = send(&mine, request(Method::POST, "/mcp", None), BORN).await;
        assert_eq!(response.body(), "the app");
    }
    assert_eq!(directory.get("abc").unwrap().epoch(), Some(1));
}

#[tokio::test]
async fn a_session_may_be_created_by_a_request_for_another_one() {
    let directory = Directory::default();
    let mine = layer(&directory, ME);
    send(&mine, request(Method::POST, "/mcp", None), BORN).await;
    let room = Says("location", "/room/lobby", 201);
    let response = send(&mine, request(Method::POST, "/rooms", Some("abc")), room).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(directory.get("lobby").is_some());
}

#[tokio::test]
async fn a_delete_of_the_session_ends_it_and_other_deletes_do_not() {
    let directory = Directory::default();
    let mine = layer(&directory, ME);
    send(&mine, request(Method::POST, "/mcp", None), BORN).await;
    let room = Says("location", "/room/lobby", 201);
    send(&mine, request(Method::POST, "/rooms", None), room).await;
    let status = |id| directory.get(id).unwrap().status();
    let failed = Says("x-nothing", "x", 404);
    send(&mine, request(Method::DELETE, "/mcp", Some("abc")), failed).await;
    send(
        &mine,
        request(Method::DELETE, "/room/lobby/chair", None),
        NOTHING,
    )
    .await;
    assert_eq!(
        (status("abc"), status("lobby")),
        (SessionStatus::Active, SessionStatus::Active)
    );
    send(&mine, request(Method::DELETE, "/mcp", Some("abc")), NOTHING).await;
    send(&mine, request(Method::DELETE, "/room/lobby", None), NOTHING).await;
    assert_eq!(
        (status("abc"), status("lobby")),
        (SessionStatus::Over, SessionStatus::Over)
    );
    let after = send(&mine, request(Method::GET, "/room/lobby", None), NOTHING).await;
    assert_eq!(after.status(), StatusCode::GONE);
}

#[tokio::test]
async fn what_is_registered_can_be_completed() {
    let directory = Directory::default();
    let mine = builder(&directory, ME)
        .registers_with(|new, head| {
            assert_eq!(head.status, StatusCode::OK);
            new.lifetime(Duration::from_secs(60))
        })
        .build()
        .unwrap();
    send(&mine, request(Method::POST, "/mcp", None), BORN).await;
    let left = directory.get("abc").unwrap().remaining().unwrap();
    assert!(
        left > Duration::from_secs(50) && left <= Duration::from_secs(60),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_handler_registers_a_session_by_itself() {
    let directory = Directory::default();
    let mine = builder(&directory, ME).insert_registrar().build().unwrap();
    let application = service_fn(|request: Request<String>| async move {
        let registrar = request.extensions().get::<Registrar>().unwrap().clone();
        let id: SessionId = "lobby".parse().unwrap();
        let owned = registrar.register(id.clone()).await.unwrap();
        assert_eq!((owned.id(), owned.epoch()), (&id, Some(1)));
        let again = registrar.register(id).await;
        assert!(matches!(again, Err(RegisterError::Taken(_))), "{again:?}");
        assert!(registrar.end(&owned).await.unwrap());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let Ok(_) = mine
        .layer(application)
        .oneshot(request(Method::POST, "/rooms", None))
        .await;
    assert_eq!(
        directory.get("lobby").unwrap().status(),
        SessionStatus::Over
    );
}

#[tokio::test]
async fn a_machine_that_drains_registers_nothing() {
    let directory = Directory::default();
    let mine = layer(&directory, ME);
    mine.node().advance(NodeState::Draining);
    let response = send(&mine, request(Method::POST, "/mcp", None), BORN).await;
    is_refused(&response, "session-unregistered");
    assert_eq!(directory.get("abc"), None);
}

#[test]
fn a_layer_that_registers_needs_a_directory() {
    let sessions = MemoryDirectory::new();
    let built = OwnershipLayer::builder(sessions)
        .session(Header::mcp_session_id())
        .registers(ResponseHeader::mcp_session_id())
        .machine(machine(ME))
        .replay(FlyReplay::new())
        .build();
    assert_eq!(built.unwrap_err(), tower_ownership::BuildError::NoDirectory);
}

/// A lookup that runs what is given to it for the background.
#[derive(Clone)]
struct Runs(MemoryDirectory);

impl SessionLookup for Runs {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        self.0.session(id).await
    }

    fn spawn(&self, work: tower_ownership::directory::Refresh) {
        tokio::spawn(work);
    }
}

#[tokio::test]
async fn the_expiry_of_a_session_in_use_is_put_off_at_most_once_per_interval() {
    let now = Arc::new(std::sync::Mutex::new(Duration::from_secs(1_000)));
    let clock = Arc::clone(&now);
    let directory = MemoryDirectory::new().with_clock(move || *clock.lock().unwrap());
    let id: SessionId = "abc".parse().unwrap();
    let hour = Duration::from_secs(3_600);
    let created = directory.create(NewSession::new(id.clone()).lifetime(hour), machine(ME));
    created.await.unwrap();
    let mine = OwnershipLayer::builder(Runs(directory.clone()))
        .directory(directory.clone())
        .session(Header::mcp_session_id())
        .machine(machine(ME))
        .replay(FlyReplay::new())
        .cache_policy(tower_ownership::CachePolicy::always_ask())
        .sliding_expiry(hour)
        .build()
        .unwrap();
    let left = || directory.get(&id).unwrap().remaining().unwrap();
    let serve = async || {
        let response = send(&mine, request(Method::GET, "/mcp", Some("abc")), NOTHING).await;
        assert_eq!(response.body(), "the app");
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    };
    serve().await;
    assert_eq!(left(), hour, "nothing is due");
    *now.lock().unwrap() += hour / 20;
    serve().await;
    assert_eq!(left(), hour * 19 / 20, "not yet");
    *now.lock().unwrap() += hour / 10;
    serve().await;
    assert_eq!(left(), hour);
    // Within the interval, by the layer's own clock, nothing more is written.
    *now.lock().unwrap() += hour / 5;
    serve().await;
    assert_eq!(left(), hour * 4 / 5);
}
