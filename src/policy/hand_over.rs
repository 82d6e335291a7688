//! The answer that hands a request over.

use std::mem;

use bytes::Bytes;
use http::{Response, header};

use super::{Policy, refuse::finish};
use crate::{
    Handover, Head, MachineId, NotReplayable, Rejection, RenderContext, Replay, RequestOrigin,
    Session, replay::Verbatim,
};

/// Writes a handover's answer; one of the two ways in which a [`Replay`] does.
pub(crate) type WriteHandover =
    fn(&dyn Replay, &Head<'_>, &Handover<'_>) -> Result<Response<Bytes>, NotReplayable>;

impl Policy {
    pub(crate) fn hand_over(
        &self,
        head: &Head<'_>,
        session: &Session,
        owner: &MachineId,
        origin: &RequestOrigin,
        write: WriteHandover,
    ) -> Result<Response<Bytes>, Rejection> {
        let machine = &self.machine;
        let handover = Handover::new(session, owner, machine, origin);
        let replay = write(&*self.replay, head, &handover)
            .map_err(|why| Rejection::not_replayable(machine.clone(), why))?;
        if replay.extensions().get::<Verbatim>().is_some() {
            return Ok(replay);
        }
        let context = RenderContext::of(head);
        if !replay.body().is_empty() || replay.headers().contains_key(header::LOCATION) {
            return Ok(finish(replay, context));
        }
        let rejection = Rejection::not_honoured(machine.clone(), replay.status());
        if let Some(unread) = self.render.unread(&rejection, context) {
            return Ok(finish(beside(replay, unread), context));
        }
        let rejection = rejection.for_session(session.id().clone(), Some(owner));
        let answer = self.render.render(&rejection, context);
        Ok(finish(beside(replay, &answer), context))
    }
}

/// A replay together with the answer to a client that no proxy takes it from. The replay's own headers
/// win.
fn beside(mut replay: Response<Bytes>, answer: &Response<Bytes>) -> Response<Bytes> {
    *replay.status_mut() = answer.status();
    *replay.body_mut() = answer.body().clone();
    // A map is cloned for less than its fields are inserted for, one by one.
    let own = mem::replace(replay.headers_mut(), answer.headers().clone());
    replay.headers_mut().extend(own);
    replay
}
