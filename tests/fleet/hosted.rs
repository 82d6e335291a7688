//! Applications that serve what others wrote: their headers do not command the proxy in front.

use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::any};
use http::{HeaderName, HeaderValue};
use tower_ownership::testing::FlyEdge;
use tower_ownership::{MemoryDirectory, OwnershipLayerBuilder, Session};

use crate::fleet::{OWNER, Server, WRONG, edge, layer, machine_id, new_session};
use crate::support::client::{Answer, get};

/// Answers with the headers of its query.
async fn hosted(Query(headers): Query<Vec<(String, String)>>) -> Response {
    let mut response = r#"{"app":"internal-admin"}"#.into_response();
    for (name, value) in headers {
        let (name, value) = (name.parse::<HeaderName>(), HeaderValue::try_from(value));
        response.headers_mut().insert(name.unwrap(), value.unwrap());
    }
    response
}

struct Hosted {
    edge: FlyEdge,
    _machine: Server,
    _other: Server,
    path: String,
}

impl Hosted {
    async fn start(edit: impl Fn(OwnershipLayerBuilder) -> OwnershipLayerBuilder) -> Self {
        let (sessions, id) = (MemoryDirectory::new(), new_session());
        sessions.insert(Session::owned_by(id.clone(), machine_id(WRONG)));
        let layer = edit(layer(WRONG, sessions)).build().unwrap();
        let machine = Server::start(Router::new().fallback(any(hosted)).layer(layer)).await;
        let other = Server::start(Router::new().fallback(any(async || "reached"))).await;
        let edge = edge().start().await.unwrap();
        edge.add(WRONG, machine.addr);
        edge.add(OWNER, other.addr);
        Self {
            edge,
            _machine: machine,
            _other: other,
            path: format!("/session/{id}/page"),
        }
    }

    async fn get(&self, path: &str, header: &str) -> Answer {
        get(self.edge.url(&format!("{path}?{header}"))).await
    }
}

const REPLAY: &str = "fly-replay=instance%3De286544f716d89";

#[tokio::test]
async fn an_application_that_may_command_the_proxy_does() {
    let hosted = Hosted::start(|layer| layer).await;
    for path in [&hosted.path, "/"] {
        assert_eq!(hosted.get(path, REPLAY).await.text, "reached");
    }
}

#[tokio::test]
async fn what_is_hosted_cannot_command_the_proxy() {
    let hosted = Hosted::start(OwnershipLayerBuilder::hosts_untrusted_content).await;
    for path in [&hosted.path, "/"] {
        for header in [
            REPLAY,
            "content-type=application%2Fvnd.fly.replay%2Bjson",
            "x-accel-redirect=%2Finternal",
            "ownership-code=session-over",
        ] {
            let answer = hosted.get(path, header).await;
            assert_eq!(answer.status, 200, "{path} {header}");
            assert_eq!(answer.text, r#"{"app":"internal-admin"}"#);
            let (name, _) = header.split_once('=').unwrap();
            assert_eq!(answer.header(name), None, "{path} {header}");
        }
        let answer = hosted.get(path, "x-mine=stays").await;
        assert_eq!(answer.header("x-mine"), Some("stays"));
    }
    assert_eq!(hosted.edge.events(), []);
    let unknown = format!("/session/{}", new_session());
    hosted
        .get(&unknown, REPLAY)
        .await
        .is_refused(404, "session-unknown");
}
