//! How a request is sent, and what is made of its answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::clock::At;
use crate::fault::Name;
use crate::fleet::Fleet;
use crate::history::{Kind, Outcome, Pass, Request};

/// After which a client takes it that nothing comes any more; longer than anything that is allowed.
const PATIENCE: Duration = Duration::from_secs(90);

/// The header by which the second layer of a machine finds the session.
pub const BY_HEADER: &str = "x-session";

/// Which layer of a machine judges a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    ByPath,
    ByHeader,
}

/// A client that believes no environment and follows nothing.
pub fn http(patience: Duration) -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(patience)
        .build()
        .unwrap()
}

/// A machine's name, and where its process listens.
pub type Address = (Name, SocketAddr);

/// What a machine says of itself.
pub async fn health(addr: SocketAddr) -> Option<Value> {
    let answer = http(Duration::from_secs(5)).get(format!("http://{addr}/healthz"));
    answer.send().await.ok()?.json().await.ok()
}

/// A client.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    fleet: Arc<Fleet>,
}

impl Client {
    pub fn new(fleet: &Arc<Fleet>) -> Self {
        Self {
            http: http(PATIENCE),
            fleet: Arc::clone(fleet),
        }
    }

    /// Asks the edge for a session, and writes down what becomes of it.
    pub async fn ask(&self, session: Uuid, kind: Kind, layer: Layer) -> Outcome {
        let edge = self.fleet.edge.url("");
        self.send(&edge, None, session, kind, layer).await
    }

    /// Asks a machine past the edge.
    pub async fn ask_directly(
        &self,
        machine: &Address,
        session: Uuid,
        kind: Kind,
        layer: Layer,
    ) -> Outcome {
        let (name, addr) = machine;
        let base = format!("http://{addr}");
        self.send(&base, Some(name), session, kind, layer).await
    }

    async fn send(
        &self,
        base: &str,
        machine: Option<&Name>,
        session: Uuid,
        kind: Kind,
        layer: Layer,
    ) -> Outcome {
        let url = match layer {
            Layer::ByPath => format!("{base}/session/{session}"),
            Layer::ByHeader => format!("{base}/by-header"),
        };
        let request = match kind {
            Kind::Write => self.http.post(format!("{url}/write")).body("{}"),
            _ => self.http.get(format!("{url}/read")),
        };
        let request = match layer {
            Layer::ByPath => request,
            Layer::ByHeader => request.header(BY_HEADER, session.to_string()),
        };
        let sent = At::now();
        let (outcome, seen) = match request.send().await {
            Ok(response) => outcome(response).await,
            Err(error) => (failure(&error), Seen::default()),
        };
        let request = Request {
            is_direct: machine.is_some(),
            layer,
            way: machine.into_iter().cloned().collect(),
            ..asked(session, kind, sent, outcome.clone())
        };
        self.fleet.recorder.request(request, seen);
        outcome
    }

    pub fn record(&self, session: Uuid, kind: Kind, sent: At, outcome: Outcome, seen: Seen) {
        let request = asked(session, kind, sent, outcome);
        self.fleet.recorder.request(request, seen);
    }

    pub fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }
}

fn asked(session: Uuid, kind: Kind, sent: At, outcome: Outcome) -> Request {
    Request {
        session,
        kind,
        is_direct: false,
        layer: Layer::ByPath,
        sent,
        done: At::now(),
        outcome,
        // The edge tells, in the end.
        way: Vec::new(),
        edge_error: None,
    }
}

/// Reads an answer to its end.
async fn outcome(response: Response) -> (Outcome, Seen) {
    let seen = Seen::of(response.headers());
    if let Some(refused) = refusal(&response) {
        return (refused, seen);
    }
    let status = response.status();
    let outcome = match response.text().await {
        Err(error) => failure(&error),
        Ok(text) if status == StatusCode::OK => Outcome::Passed(pass(&text)),
        Ok(text) if text.is_empty() && status.is_server_error() => Outcome::Edge {
            status: status.as_u16(),
        },
        Ok(text) => Outcome::Failed {
            status: status.as_u16(),
            text,
        },
    };
    (outcome, seen)
}

/// What the layer says in the application's place.
pub fn refusal(response: &Response) -> Option<Outcome> {
    let code = text(response.headers(), "ownership-code")?;
    let status = response.status().as_u16();
    Some(Outcome::Refused { status, code })
}

/// What the head of an answer says of its way.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By which the edge knows the request.
    pub id: Option<String>,
    /// The machine whose answer it is, where machines carry requests.
    pub answered: Option<Name>,
}

impl Seen {
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            id: text(headers, "fly-request-id"),
            answered: text(headers, "ownership-machine"),
        }
    }

    /// Adds the machine that answered to those that the request came to before.
    pub fn ends(&self, way: &mut Vec<Name>) {
        let another = self.answered.clone();
        if let Some(answered) = another.filter(|name| way.last() != Some(name)) {
            way.push(answered);
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

pub fn failure(error: &reqwest::Error) -> Outcome {
    if error.is_timeout() {
        Outcome::Nothing
    } else {
        Outcome::Broken(format!("{error:?}"))
    }
}

/// What the application tells of the right by which it served.
fn pass(text: &str) -> Pass {
    let told: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let string = |name: &str| told[name].as_str().map(ToOwned::to_owned);
    let number = |name: &str| told[name].as_u64();
    let pass = || {
        Some(Pass {
            machine: string("machine")?,
            process: string("process")?,
            epoch: number("epoch")?,
            at: At(number("at")?),
            proved_for: Duration::from_millis(number("provedFor")?),
            written: told.get("written").and_then(Value::as_bool),
        })
    };
    pass().unwrap_or_else(|| panic!("the application does not tell all: {text}"))
}
