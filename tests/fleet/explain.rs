//! Explanations of requests as they really arrive: through the proxy, past it, and given back by it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use http::request::Parts;
use tower_ownership::testing::FlyEdge;
use tower_ownership::{
    MemoryDirectory, OwnershipLayer, Session, SessionId,
    explain::{Explanation, Finding},
};

use crate::application::Application;
use crate::fleet::{OWNER, Server, WRONG, edge, layer, machine_id, new_session};
use crate::support::client::get;

/// A machine that keeps the head of the last request that came to it.
struct Machine {
    layer: OwnershipLayer,
    server: Server,
    last: Arc<Mutex<Option<Parts>>>,
}

impl Machine {
    async fn start(id: &'static str, sessions: &MemoryDirectory) -> Self {
        let layer = layer(id, sessions.clone()).build().unwrap();
        let last = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&last);
        let keep = from_fn(move |request: Request, next: Next| {
            let (head, body) = request.into_parts();
            *kept.lock().unwrap() = Some(head.clone());
            next.run(Request::from_parts(head, body))
        });
        let router: Router = Application::on(id).router();
        let router = router.layer(layer.clone()).layer(keep);
        Self {
            layer,
            server: Server::start(router).await,
            last,
        }
    }

    /// Why the last request was answered as it was.
    async fn explain(&self) -> Explanation {
        let head = self.last.lock().unwrap().take().expect("a request");
        self.layer.explain(&head).await
    }
}

async fn owned_elsewhere() -> (FlyEdge, Machine, SessionId) {
    let (sessions, session) = (MemoryDirectory::new(), new_session());
    sessions.insert(Session::owned_by(session.clone(), machine_id(OWNER)));
    let machine = Machine::start(WRONG, &sessions).await;
    let edge = edge().start().await.unwrap();
    edge.add(WRONG, machine.server.addr);
    (edge, machine, session)
}

#[tokio::test]
async fn a_request_that_the_proxy_gave_back_is_explained_by_what_the_proxy_said() {
    let (edge, machine, session) = owned_elsewhere().await;
    let answer = get(edge.url(&format!("/session/{session}"))).await;
    answer.is_refused(503, "owner-unreachable");
    let explanation = machine.explain().await;
    assert_eq!(
        explanation.finding,
        Finding::OwnerUnreachable,
        "{explanation}"
    );
    let arrival = &explanation.inputs["origin"];
    assert_eq!(arrival["how"], "failed");
    assert_eq!(arrival["reason"], "no_candidate");
    assert_eq!(arrival["replaySource"], WRONG);
    // The answer that it shows is the one that the client read.
    let shown = &explanation.inputs["directory"]["response"];
    assert_eq!(shown["status"], answer.status);
    assert_eq!(shown["detail"], answer.json()["detail"]);
    for header in shown["headers"].as_array().unwrap() {
        let (name, value) = header.as_str().unwrap().split_once(": ").unwrap();
        assert_eq!(answer.header(name), Some(value));
    }
}

#[tokio::test]
async fn a_request_that_came_past_the_proxy_is_told_from_one_that_came_through() {
    let (edge, machine, session) = owned_elsewhere().await;
    let path = format!("/session/{session}");
    let answer = get(machine.server.url(&path)).await;
    answer.is_refused(409, "replay-not-honoured");
    let explanation = machine.explain().await;
    assert_eq!(
        explanation.finding,
        Finding::ReplayNotHonoured,
        "{explanation}"
    );
    let shown = &explanation.inputs["directory"]["response"];
    assert_eq!(shown["code"], answer.code().unwrap());
    assert_eq!(shown["detail"], answer.json()["detail"]);

    let owner = Machine::start(OWNER, &MemoryDirectory::new()).await;
    edge.add(OWNER, owner.server.addr);
    get(edge.url(&path))
        .await
        .is_refused(404, "session-unknown");
    let explanation = machine.explain().await;
    assert_eq!(explanation.finding, Finding::Fine, "{explanation}");
    assert_eq!(explanation.inputs["origin"]["cameThrough"], true);
    // The other machine reads another directory, and was replayed to.
    let explanation = owner.explain().await;
    assert_eq!(explanation.finding, Finding::SessionUnknown);
    assert_eq!(explanation.inputs["origin"]["how"], "replayed");
    assert_eq!(explanation.inputs["origin"]["hops"], 1);
}
