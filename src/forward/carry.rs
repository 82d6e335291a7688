//! A request on its way to the owner, and the answer on its way back.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::runtime::{Handle, Id};

use super::{
    answer::{TrySend, Unanswered, answer},
    body::{Carried, Download, Over},
    carrier::{Carrier, Outgoing},
    connection::Connection,
    failure::Failure,
    plan::ForwardTo,
    pool::Ticket,
    upload::{Progress, Upload},
};
use crate::{hop_by_hop, policy::Policy, tunnel};

/// A request that has a place among those that are carried.
pub(super) enum Begun<F> {
    /// Over a connection that was idle.
    Sent { answer: F, over: Over, rest: Rest },
    /// One has to be made.
    Unsent(Box<Request<Upload>>, Ticket, Rest),
}

/// What a request leaves behind when it is sent.
pub(super) struct Rest {
    /// The client's connection, should the owner switch protocols.
    client: Option<OnUpgrade>,
    upload: Option<Arc<Progress>>,
}

impl Carrier {
    /// Sends the request if there is an idle connection. Not in the response's future, which would be larger by
    /// the request, and move it several times.
    pub(super) fn begin(
        &self,
        to: &ForwardTo,
        outgoing: Outgoing,
    ) -> Result<Begun<impl Future<Output = Result<Response<Incoming>, TrySend>> + use<>>, Unanswered>
    {
        let Outgoing {
            request,
            client,
            upload,
        } = outgoing;
        let rest = Rest { client, upload };
        let route = &to.route;
        let admitted = match &route.connections {
            Some(owner) => self.pool.admit_to(owner),
            None => self.pool.admit(&route.target),
        };
        let ticket = match admitted {
            Ok(ticket) => ticket,
            Err(failure) => return Err(Unanswered::not_sent(request, failure)),
        };
        Ok(match ticket.idle() {
            Some(mut connection) => Begun::Sent {
                answer: connection.send(request),
                over: Over {
                    connection,
                    ticket,
                    upload: rest.upload.clone(),
                },
                rest,
            },
            None => Begun::Unsent(Box::new(request), ticket, rest),
        })
    }

    /// Carries the answer back. Dropped, it closes the connection.
    pub(super) async fn finish<F>(
        &self,
        to: &ForwardTo,
        begun: Begun<F>,
        policy: &Policy,
    ) -> Result<Response<Carried>, Unanswered>
    where
        F: Future<Output = Result<Response<Incoming>, TrySend>>,
    {
        let Ok(runtime) = Handle::try_current() else {
            return Err(match begun {
                Begun::Sent { .. } => Unanswered::Failed(Failure::NoRuntime),
                Begun::Unsent(unsent, ..) => Unanswered::NotSent(unsent, Failure::NoRuntime),
            });
        };
        let runtime = runtime.id();
        let (unsent, ticket, rest) = match begun {
            Begun::Sent {
                answer,
                mut over,
                rest,
            } => match self.answered(to, answer, &mut over, policy, runtime).await {
                Ok(response) => return switched_or_carried(response, over, rest, to),
                // The owner closed the connection while it was idle.
                Err(Unanswered::NotSent(unsent, _)) => (unsent, over.ticket, rest),
                Err(unanswered) => return Err(unanswered),
            },
            Begun::Unsent(unsent, ticket, rest) => (unsent, ticket, rest),
        };
        // Boxed, since it is large, and most requests find a connection.
        Box::pin(self.carry(to, unsent, ticket, rest, policy, runtime)).await
    }

    /// Carries the request over a new connection.
    async fn carry(
        &self,
        to: &ForwardTo,
        mut request: Box<Request<Upload>>,
        mut ticket: Ticket,
        rest: Rest,
        policy: &Policy,
        runtime: Id,
    ) -> Result<Response<Carried>, Unanswered> {
        let (mut moved, mut kept) = (None, None::<Connection>);
        loop {
            let is_new = kept.is_none();
            let target = moved.as_ref().unwrap_or(&to.route.target);
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => match self.connector.connect(target).await {
                    Ok(connection) => connection,
                    Err(failure) if moved.is_none() && failure.casts_doubt() => {
                        let Some(target) = self.moved(to, policy).await else {
                            return Err(Unanswered::NotSent(request, failure));
                        };
                        ticket = match self.pool.admit(&target) {
                            Ok(ticket) => ticket,
                            Err(failure) => return Err(Unanswered::NotSent(request, failure)),
                        };
                        kept = ticket.idle();
                        moved = Some(target);
                        continue;
                    }
                    Err(failure) => return Err(Unanswered::NotSent(request, failure)),
                },
            };
            let answer = connection.send(*request);
            let mut over = Over {
                connection,
                ticket,
                upload: rest.upload.clone(),
            };
            match self.answered(to, answer, &mut over, policy, runtime).await {
                Ok(response) => return switched_or_carried(response, over, rest, to),
                Err(Unanswered::NotSent(unsent, _)) if !is_new => {
                    (request, ticket) = (unsent, over.ticket);
                }
                Err(unanswered) => return Err(unanswered),
            }
        }
    }

    async fn answered(
        &self,
        to: &ForwardTo,
        sent: impl Future<Output = Result<Response<Incoming>, TrySend>>,
        over: &mut Over,
        policy: &Policy,
        runtime: Id,
    ) -> Result<Response<Incoming>, Unanswered> {
        let limit = self.settings.response_timeout;
        let doubt = || async {
            Box::pin(policy.recheck(&to.session)).await;
        };
        let (alarm, upload) = (over.connection.alarm(runtime), over.upload.as_deref());
        let answered = answer(sent, limit, alarm, upload, doubt).await;
        if let Err(Unanswered::Failed(Failure::NoAnswerWithin(_))) = answered {
            over.ticket.close_idle();
        }
        answered
    }
}

/// Opens a tunnel if both sides have agreed to switch protocols.
fn switched_or_carried(
    mut response: Response<Incoming>,
    over: Over,
    rest: Rest,
    to: &ForwardTo,
) -> Result<Response<Carried>, Unanswered> {
    let agrees = if to.route.target.tunnels {
        StatusCode::OK
    } else {
        StatusCode::SWITCHING_PROTOCOLS
    };
    if response.status() != agrees {
        return Ok(carried(response, over));
    }
    let Some(client) = rest.client else {
        return Err(Unanswered::Failed(Failure::Unasked));
    };
    let owner = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        // The connection holds the bytes until both have switched.
        tunnel::join(client, owner, ()).await;
        // Over HTTP/2 also at the end, which its tasks have not sent yet.
        over.ticket.give_back(over.connection, None);
    });
    Ok(cleaned(response.map(|_| Carried::Ours(Bytes::new()))))
}

fn carried(response: Response<Incoming>, over: Over) -> Response<Carried> {
    cleaned(response.map(|body| Carried::Owners(Download::new(body, over))))
}

fn cleaned(mut response: Response<Carried>) -> Response<Carried> {
    let status = response.status();
    hop_by_hop::clean_response(response.headers_mut(), status);
    // Which version the owner spoke says nothing about the client's.
    *response.version_mut() = Version::default();
    response
}
