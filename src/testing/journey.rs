//! One request, from its arrival to the answer of the machine finally reached.

use std::sync::Arc;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::answer::{EdgeBody, Upload};
use super::connect::Reached;
use super::event::EdgeErrorKind;
use super::hop::{Hop, HopKind};
use super::instruction::{FLY_REPLAY, Instruction, Malformed, REPLAY_JSON};
use super::log::EdgeRecord;
use super::machine::Slot;
use super::shared::Shared;
use super::tasks::TaskGuard;
use super::{headers, json, wire};
use crate::tunnel;

/// The JSON form names a target, a few headers and a path; this is generous.
const MAX_DOCUMENT: usize = 64 * 1024;

/// A request as the next machine will see it, and what happened to it so far.
#[derive(Debug)]
pub(super) struct Journey {
    pub(super) shared: Arc<Shared>,
    pub(super) id: String,
    pub(super) method: Method,
    pub(super) path: PathAndQuery,
    pub(super) headers: HeaderMap,
    /// The host that the client asked for, without a port and in lower case.
    pub(super) host: String,
    pub(super) upload: Upload,
    pub(super) upgrade: Option<OnUpgrade>,
    /// The client's place among the connections that the edge takes at once.
    pub(super) permit: Arc<OwnedSemaphorePermit>,
    pub(super) replays: u32,
    pub(super) fell_back: bool,
    pub(super) cache_bypassed: bool,
}

/// The next delivery: a machine that took the connection.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) reached: Reached,
    pub(super) kind: HopKind,
    pub(super) reason: Option<String>,
    /// What the proxy says in this delivery only.
    pub(super) notes: Vec<(HeaderName, String)>,
}

/// Why the client gets an empty error instead of an answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) kind: EdgeErrorKind,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(kind: EdgeErrorKind, detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_GATEWAY,
            kind,
            detail: detail.into(),
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::new(EdgeErrorKind::MalformedReplay, malformed.0)
    }
}

/// An answer that may still turn out to be a replay.
struct Answer {
    response: Response<Incoming>,
    connection: TaskGuard,
}

impl Journey {
    /// Delivers the request until a machine's answer is not a replay.
    pub(super) async fn run(mut self) -> Result<Response<EdgeBody>, Refusal> {
        let mut stop = self.land().await?;
        loop {
            let slot = Arc::clone(&stop.reached.slot);
            let mut hop = Hop {
                request_id: self.id.clone(),
                machine: slot.id.clone(),
                kind: stop.kind,
                status: None,
                replay: None,
                reason: stop.reason.take(),
            };
            let read = match self.deliver(stop).await {
                Ok(answer) => {
                    hop.status = Some(answer.response.status());
                    self.read(answer, &mut hop).await
                }
                Err(refusal) => Err(refusal),
            };
            self.shared.log.add(EdgeRecord::Hop(hop));
            match read? {
                Read::Answer(answer) => return Ok(self.pass_on(answer)),
                Read::Replay(instruction) => stop = self.follow(*instruction, &slot).await?,
            }
        }
    }

    async fn deliver(&self, stop: Stop) -> Result<Answer, Refusal> {
        let Reached { slot, stream } = stop.reached;
        let request = self.request_for(&slot, stop.notes)?;
        let sent = wire::send(&self.shared.tasks, stream, slot.h2_backend, request);
        let no_answer =
            |why: String| Refusal::new(EdgeErrorKind::NoAnswer, format!("{}: {why}", slot.id));
        match timeout(self.shared.settings.answer_timeout, sent).await {
            Ok(Ok((response, connection))) => Ok(Answer {
                response,
                connection,
            }),
            Ok(Err(error)) => Err(no_answer(error.to_string())),
            Err(_) => Err(no_answer("no answer in time".into())),
        }
    }

    /// The request in the form that the machine speaks.
    fn request_for(
        &self,
        slot: &Slot,
        notes: Vec<(HeaderName, String)>,
    ) -> Result<Request<super::tape::Playback>, Refusal> {
        let cannot = |why: &str| Refusal::new(EdgeErrorKind::CannotSend, why);
        let mut sent = self.headers.clone();
        for (name, value) in notes {
            headers::set(&mut sent, name, &value);
        }
        let mut request = Request::new(self.upload.tape.play());
        if slot.h2_backend {
            if self.upgrade.is_some() {
                return Err(cannot(
                    "an HTTP/1.1 upgrade for a machine that is spoken to in HTTP/2",
                ));
            }
            let authority = headers::text(&sent, "host")
                .and_then(|host| host.parse::<Authority>().ok())
                .ok_or_else(|| cannot("no host"))?;
            sent.remove(header::HOST);
            *request.version_mut() = Version::HTTP_2;
            *request.uri_mut() = Uri::builder()
                .scheme("http")
                .authority(authority)
                .path_and_query(self.path.clone())
                .build()
                .map_err(|error| cannot(&error.to_string()))?;
        } else {
            *request.uri_mut() = Uri::from(self.path.clone());
        }
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = sent;
        Ok(request)
    }

    /// Is the answer a replay?
    async fn read(&self, answer: Answer, hop: &mut Hop) -> Result<Read, Refusal> {
        let (status, fields) = (answer.response.status(), answer.response.headers());
        if let Some(value) = fields.get(FLY_REPLAY) {
            hop.replay = Some(String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
        if status == StatusCode::SWITCHING_PROTOCOLS && self.upgrade.is_none() {
            return Err(Refusal::new(
                EdgeErrorKind::NoAnswer,
                "the machine switched protocols without being asked",
            ));
        }
        // A machine that completed an upgrade has taken the request; there is nothing to replay.
        if !self.shared.settings.honour_replay || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Read::Answer(answer));
        }
        if let Some(instruction) = Instruction::from_headers(fields)? {
            return Ok(Read::Replay(Box::new(instruction)));
        }
        if !is_replay_document(fields) {
            return Ok(Read::Answer(answer));
        }
        // The connection has to live until its document is read.
        let _connection = answer.connection;
        let document = Limited::new(answer.response.into_body(), MAX_DOCUMENT).collect();
        let document = timeout(self.shared.settings.answer_timeout, document)
            .await
            .map_err(|_| Refusal::new(EdgeErrorKind::NoAnswer, "no replay document in time"))?
            .map_err(|error| Refusal::new(EdgeErrorKind::NoAnswer, error.to_string()))?
            .to_bytes();
        hop.replay = Some(String::from_utf8_lossy(&document).into_owned());
        Ok(Read::Replay(Box::new(json::read(&document)?)))
    }

    /// Gives the answer to the client, or joins the two upgraded connections.
    fn pass_on(mut self, answer: Answer) -> Response<EdgeBody> {
        let Answer {
            mut response,
            connection,
        } = answer;
        let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let machine = upgraded.then(|| hyper::upgrade::on(&mut response));
        let (mut head, incoming) = response.into_parts();
        headers::clean_response(&mut head.headers, head.status, head.version);
        head.version = Version::HTTP_11;
        headers::set(&mut head.headers, headers::REQUEST_ID, &self.id);
        let body = match (self.upgrade.take(), machine) {
            (Some(client), Some(machine)) => {
                let tunnel = tunnel::join(client, machine, (connection, self.permit));
                self.shared.tasks.spawn(tunnel).detach();
                EdgeBody::empty()
            }
            _ => EdgeBody::new(incoming, connection, self.upload),
        };
        Response::from_parts(head, body)
    }
}

enum Read {
    Answer(Answer),
    Replay(Box<Instruction>),
}

fn is_replay_document(fields: &HeaderMap) -> bool {
    headers::text(fields, "content-type")
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(REPLAY_JSON))
}
