//! A real nginx in front, with the configuration that is shipped: the row of a session names an address,
//! and nginx takes the request there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::{Router, routing::any, serve::ListenerExt};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderName, StatusCode, header};
use reqwest::Method;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tower_ownership::{
    Address, MemoryDirectory, NginxReplay, OwnershipLayerBuilder, Session, SessionId,
};

use crate::application::Application;
use crate::fleet::{self, Machine, OWNER, Server, WRONG, machine_id, new_session};
use crate::support::client::{Answer, SOON, client, get, request, send};
use crate::support::left_out;
use crate::support::nginx::{Nginx, replace};

const NGINX: &str = "nginx as a proxy that replays";
const NOT_INSTALLED: &str = "nginx is not installed; tests/run installs it";

/// As the allow-list of the shipped configuration has it.
pub const LOOPBACK: &str = r"127\.0\.0\.1:[0-9]+";

fn layer(machine: &str, sessions: MemoryDirectory) -> OwnershipLayerBuilder {
    fleet::layer(machine, sessions).replay(NginxReplay::new())
}

fn owned_at(session: &SessionId, machine: &str, server: &Server) -> Session {
    let address = Address::parse(&server.url("")).unwrap();
    Session::owned_by(session.clone(), machine_id(machine)).with_address(address)
}

/// Two machines behind nginx, whose requests land on the wrong one.
pub struct Scene {
    nginx: Nginx,
    pub wrong: Machine,
    owner: Machine,
    pub session: SessionId,
}

impl Scene {
    /// `None` if nginx is not installed.
    pub async fn start() -> Option<Self> {
        Self::with(LOOPBACK, |shipped| shipped, |layer| layer).await
    }

    /// The same with another allow-list, a change to the configuration, and one to the wrong machine's
    /// layer.
    pub async fn with(
        allowed: &str,
        edit: impl FnOnce(String) -> String,
        change: impl FnOnce(OwnershipLayerBuilder) -> OwnershipLayerBuilder,
    ) -> Option<Self> {
        let (sessions, session) = (MemoryDirectory::new(), new_session());
        let wrong = Machine::start(WRONG, change(layer(WRONG, sessions.clone()))).await;
        let owner = Machine::start(OWNER, layer(OWNER, sessions.clone())).await;
        sessions.insert(owned_at(&session, OWNER, &owner.server));
        Some(Self {
            nginx: edited(&wrong.server, allowed, edit)?,
            wrong,
            owner,
            session,
        })
    }

    pub fn url(&self, rest: &str) -> String {
        self.nginx.url(&format!("/session/{}{rest}", self.session))
    }
}

fn nginx(lands_on: &Server, allowed: &str) -> Option<Nginx> {
    edited(lands_on, allowed, |shipped| shipped)
}

fn edited(lands_on: &Server, allowed: &str, edit: impl FnOnce(String) -> String) -> Option<Nginx> {
    let nginx = Nginx::edited(&[lands_on.addr], allowed, edit);
    if nginx.is_none() {
        left_out(NGINX, NOT_INSTALLED);
    }
    nginx
}

/// What only nginx may see of the answer that sent it on.
fn shows_nothing_of_the_handover(answer: &Answer) {
    let ours = [
        "x-owner",
        "x-owner-hops",
        "x-owner-directory",
        "x-accel-redirect",
    ];
    for name in ours.into_iter().chain(["ownership-code", "cache-control"]) {
        assert_eq!(answer.header(name), None, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn nginx_takes_every_method_to_the_owner() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    for method in methods.into_iter().chain([Method::PATCH, Method::OPTIONS]) {
        let asked = request(method.clone(), scene.url("/a%20b?c=d"));
        let answer = send(asked.body("a small body")).await;
        answer.is_served_by(OWNER);
        let path = format!("/session/{}/a%20b", scene.session);
        assert_eq!(answer.json()["path"], path, "{method}");
        shows_nothing_of_the_handover(&answer);
    }
    let head = send(request(Method::HEAD, scene.url(""))).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.header("content-type"), Some("application/json"));
    assert_eq!(scene.wrong.served(&scene.session), 0);
    assert_eq!(scene.owner.served(&scene.session), 7);
}

#[tokio::test]
async fn nginx_asks_the_owner_itself_without_a_detour() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    let Some(nginx) = nginx(&scene.owner.server, LOOPBACK) else {
        return;
    };
    let url = nginx.url(&format!("/session/{}", scene.session));
    get(url).await.is_served_by(OWNER);
    assert_eq!(get(nginx.url("/healthz")).await.text, "healthy");
}

#[tokio::test]
async fn a_websocket_through_nginx_reaches_the_owner() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    let url = scene.url("/ws").replace("http://", "ws://");
    let (mut socket, _) = connect_async(url).await.unwrap();
    for word in ["one", "two"] {
        socket.send(word.into()).await.unwrap();
        let echo = timeout(SOON, socket.next()).await.expect("an echo");
        assert_eq!(echo.unwrap().unwrap(), format!("{OWNER}: {word}").into());
    }
    assert_eq!(scene.wrong.served(&scene.session), 0);
}

#[tokio::test]
async fn events_through_nginx_arrive_as_they_happen() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    let response = client().get(scene.url("/events")).send().await.unwrap();
    let mut events = response.bytes_stream();
    for text in ["first", "second"] {
        // The stream stays open, so what is read was not held back until its end.
        scene.owner.application.events.send(text.into()).unwrap();
        let event = timeout(SOON, events.next()).await.expect("an event");
        let event = event.unwrap().unwrap();
        assert_eq!(event, format!("data: {text}\n\n"));
    }
}

#[tokio::test]
async fn an_owner_that_nginx_cannot_connect_to_is_unreachable() {
    let Some(mut scene) = Scene::start().await else {
        return;
    };
    scene.owner.server.stop().await;
    for method in [Method::GET, Method::POST] {
        let answer = send(request(method, scene.url("")).body("a small body")).await;
        answer.is_refused(503, "owner-unreachable");
        assert!(answer.text.contains("retries_exhausted"), "{answer:?}");
        assert!(answer.header("retry-after").is_some());
    }
}

/// What becomes of a request whose owner accepts it, and then does this.
async fn accepted_by_an_owner_that(hangs: bool) -> Option<Answer> {
    let (sessions, session) = (MemoryDirectory::new(), new_session());
    let wrong = Machine::start(WRONG, layer(WRONG, sessions.clone())).await;
    let owner = Server::with(async move |listener| {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            held.extend(hangs.then_some(stream));
        }
    })
    .await;
    sessions.insert(owned_at(&session, OWNER, &owner));
    let sooner =
        |shipped: String| replace(&shipped, "proxy_read_timeout 60s", "proxy_read_timeout 1s");
    let nginx = edited(&wrong.server, LOOPBACK, sooner)?;
    let answer = get(nginx.url(&format!("/session/{session}"))).await;
    answer.is_refused(503, "owner-unreachable");
    Some(answer)
}

#[tokio::test]
async fn an_owner_that_accepts_and_breaks_off_is_unreachable_for_another_reason() {
    let Some(answer) = accepted_by_an_owner_that(false).await else {
        return;
    };
    assert!(
        answer.text.contains("no reason that is known"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_owner_that_does_not_answer_in_time_is_unreachable_by_timeout() {
    let Some(answer) = accepted_by_an_owner_that(true).await else {
        return;
    };
    assert!(answer.text.contains("(timeout)"), "{answer:?}");
}

#[tokio::test]
async fn nginx_connects_to_no_owner_that_its_list_does_not_allow() {
    let Some(scene) = Scene::with(r"127\.0\.0\.1:1", |shipped| shipped, |layer| layer).await else {
        return;
    };
    let answer = get(scene.url("")).await;
    answer.is_refused(503, "owner-unreachable");
    assert!(answer.text.contains("no_candidate"), "{answer:?}");
    assert_eq!(scene.owner.served(&scene.session), 0);
}

#[tokio::test]
async fn two_tables_that_contradict_each_other_are_a_loop() {
    let (here, there, session) = (
        MemoryDirectory::new(),
        MemoryDirectory::new(),
        new_session(),
    );
    let wrong = Machine::start(WRONG, layer(WRONG, here.clone())).await;
    let owner = Machine::start(OWNER, layer(OWNER, there.clone())).await;
    here.insert(owned_at(&session, OWNER, &owner.server));
    there.insert(owned_at(&session, WRONG, &wrong.server));
    let Some(nginx) = nginx(&wrong.server, LOOPBACK) else {
        return;
    };
    let answer = get(nginx.url(&format!("/session/{session}"))).await;
    answer.is_refused(508, "replay-loop");
    assert_eq!((wrong.served(&session), owner.served(&session)), (0, 0));
}

/// An owner whose application answers as the path says, behind nginx.
async fn answers(status: u16, fields: &'static [(HeaderName, &'static str)]) -> Option<Answer> {
    let (sessions, session) = (MemoryDirectory::new(), new_session());
    let wrong = Machine::start(WRONG, layer(WRONG, sessions.clone())).await;
    let status = StatusCode::from_u16(status).unwrap();
    let answer = move || async move {
        let mut response = http::Response::new("what the owner says".to_owned());
        *response.status_mut() = status;
        for (name, value) in fields {
            let value = http::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    };
    let application = Router::new().fallback(any(answer));
    let application = application.layer(layer(OWNER, sessions.clone()).build().unwrap());
    let owner = Server::start(application).await;
    sessions.insert(owned_at(&session, OWNER, &owner));
    let nginx = nginx(&wrong.server, LOOPBACK)?;
    Some(get(nginx.url(&format!("/session/{session}"))).await)
}

#[tokio::test]
async fn the_owners_own_errors_and_redirects_pass_nginx_as_they_are() {
    for status in [502, 504, 500, 503, 404, 421, 308, 399] {
        let Some(answer) = answers(status, &[]).await else {
            return;
        };
        assert_eq!(answer.status, status);
        assert_eq!(answer.text, "what the owner says");
        shows_nothing_of_the_handover(&answer);
    }
}

#[tokio::test]
async fn the_owners_fields_are_not_mixed_with_those_of_the_handover() {
    let fields = &[
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::SET_COOKIE, "a=b"),
    ];
    let Some(answer) = answers(200, fields).await else {
        return;
    };
    let caching: Vec<_> = answer
        .headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .collect();
    assert_eq!(caching, ["public, max-age=3600"]);
    assert_eq!(answer.header("set-cookie"), Some("a=b"));
    assert_eq!(answer.header("content-type"), None);
}

#[tokio::test]
async fn what_a_client_forges_is_overwritten_by_nginx() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    for (name, value) in [
        ("x-owner-failed", "timeout"),
        ("x-owner-hops", "200"),
        ("x-owner", "127.0.0.1:1"),
        ("x-accel-redirect", "@back"),
    ] {
        let forged = request(Method::GET, scene.url("")).header(name, value);
        send(forged).await.is_served_by(OWNER);
    }
}

#[tokio::test]
async fn a_client_past_nginx_gains_nothing_by_forging() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    let url = scene
        .wrong
        .server
        .url(&format!("/session/{}", scene.session));
    for (name, value, status, code) in [
        ("x-owner-failed", "timeout", 503, "owner-unreachable"),
        ("x-owner-hops", "200", 508, "replay-loop"),
        ("x-owner-hops", "0", 399, "replay-not-honoured"),
        ("x-owner", "127.0.0.1:1", 399, "replay-not-honoured"),
    ] {
        let forged = request(Method::GET, url.clone()).header(name, value);
        let answer = send(forged).await;
        answer.is_refused(status, code);
        let owner = scene.owner.server.addr.to_string();
        let told = (status == 399).then_some(owner.as_str());
        assert_eq!(answer.header("x-owner"), told, "{name}: {value}");
    }
    assert_eq!(scene.wrong.served(&scene.session), 0);
}

#[tokio::test]
async fn nginx_keeps_its_connection_to_the_machine_that_sent_it_on() {
    let (sessions, session) = (MemoryDirectory::new(), new_session());
    let owner = Machine::start(OWNER, layer(OWNER, sessions.clone())).await;
    sessions.insert(owned_at(&session, OWNER, &owner.server));
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let wrong = Application::on(WRONG).router();
    let wrong = wrong.layer(layer(WRONG, sessions).build().unwrap());
    let wrong = Server::with(async move |listener| {
        let listener = listener.tap_io(move |_| {
            counted.fetch_add(1, Relaxed);
        });
        axum::serve(listener, wrong).await.unwrap();
    })
    .await;
    let Some(nginx) = nginx(&wrong, LOOPBACK) else {
        return;
    };
    for _ in 0..5 {
        let url = nginx.url(&format!("/session/{session}"));
        get(url).await.is_served_by(OWNER);
    }
    assert_eq!(connections.load(Relaxed), 1);
    assert_eq!(nginx.log(), "", "no warning, no error");
}
