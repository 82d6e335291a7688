//! How a request is sent, and what is made of its answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::clock::At;
use crate::fleet::Fleet;
use crate::history::{Kind, Outcome, Pass, Request};
use crate::recorder::RequestId;

/// After which a client takes it that nothing comes any more; longer than anything that is allowed.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client that believes no environment and follows nothing.
pub fn http(patience: Duration) -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(patience)
        .build()
        .unwrap()
}

/// What a machine says of itself.
pub async fn health(addr: SocketAddr) -> Option<Value> {
    let answer = http(Duration::from_secs(5)).get(format!("http://{addr}/healthz"));
    answer.send().await.ok()?.json().await.ok()
}

/// Somebody who asks.
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

    /// Asks the edge for a session, and writes down what becomes of it. Says whether it was served.
    pub async fn ask(&self, session: Uuid, kind: Kind) -> bool {
        let url = |rest: &str| self.fleet.edge.url(&format!("/session/{session}/{rest}"));
        match kind {
            Kind::Write => self.send(session, kind, Method::POST, url("write")).await,
            _ => self.send(session, kind, Method::GET, url("read")).await,
        }
    }

    async fn send(&self, session: Uuid, kind: Kind, method: Method, url: String) -> bool {
        let request = self.http.request(method.clone(), url);
        let request = if method == Method::POST {
            request.body("{}")
        } else {
            request
        };
        let sent = At::now();
        let (outcome, id) = match request.send().await {
            Ok(response) => outcome(response).await,
            Err(error) => (failure(&error), None),
        };
        let is_served = matches!(outcome, Outcome::Passed(_));
        self.record(session, kind, sent, outcome, id);
        is_served
    }

    pub fn record(&self, session: Uuid, kind: Kind, sent: At, outcome: Outcome, id: RequestId) {
        let request = Request {
            session,
            kind,
            sent,
            done: At::now(),
            outcome,
            way: Vec::new(),
            edge_error: None,
        };
        self.fleet.recorder.request(request, id);
    }

    pub fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }
}

/// Asks the older of two processes, past the edge, until it is gone.
pub async fn ask_elder(fleet: Arc<Fleet>, addr: SocketAddr) {
    let client = Client::new(&fleet);
    let mut dice = fastrand::Rng::with_seed(fleet.settings.seed ^ u64::from(addr.port()));
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        let sessions = fleet.recorder.lock().sessions.clone();
        let recent = sessions.len().saturating_sub(40);
        if let Some(session) = dice.choice(&sessions[recent..]) {
            let url = format!("http://{addr}/session/{session}/read");
            client.send(*session, Kind::Elder, Method::GET, url).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads an answer to its end.
async fn outcome(response: Response) -> (Outcome, RequestId) {
    let id = text(&response, "fly-request-id");
    if let Some(refused) = refusal(&response) {
        return (refused, id);
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
    (outcome, id)
}

/// What the layer says in the application's place.
pub fn refusal(response: &Response) -> Option<Outcome> {
    let code = text(response, "ownership-code")?;
    let status = response.status().as_u16();
    Some(Outcome::Refused { status, code })
}

pub fn text(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
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
