//! The last look before a request passes.

use bytes::Bytes;
use http::Response;

use super::Policy;
use crate::{
    Arrival, Code, Observed, Owned, Reader, Right, Session, Standing, observe::RequestSpan,
    verdict::mine,
};

/// A request that may not pass any more, although it was decided that it may.
pub(crate) struct Lapsed {
    session: Session,
    standing: Standing,
    right: Right,
}

impl Policy {
    /// Whether the request may still pass, asked right before it does.
    ///
    /// Between the decision and the handler stand the log, the verdict hook and the subscriber of
    /// the span. Each may block (a pipe that is full), for longer than the read that was decided by
    /// can be relied on. To tell of the verdict before it is reached was rejected: the event holds
    /// what the decision was made from.
    #[inline]
    pub(crate) fn confirm(&self, owned: &Owned) -> Result<(), Box<Lapsed>> {
        if owned.still_serves() {
            return Ok(());
        }
        self.judge_again(owned)
    }

    #[cold]
    fn judge_again(&self, owned: &Owned) -> Result<(), Box<Lapsed>> {
        let (standing, right) = (self.cache.standing(), owned.right_now());
        if standing == Standing::Serving && right.may_serve() {
            return Ok(());
        }
        Err(Box::new(Lapsed {
            session: owned.session().clone(),
            standing,
            right,
        }))
    }

    /// Refuses a request that may not pass any more: a second verdict, which corrects the first.
    #[cold]
    pub(crate) fn lapsed(
        &self,
        lapsed: &Lapsed,
        span: &RequestSpan,
        reader: Reader,
    ) -> Response<Bytes> {
        let Lapsed {
            session,
            standing,
            right,
        } = lapsed;
        let verdict = mine(*standing, *right);
        let seen = Observed {
            session: Some(session.id()),
            ..self.saw(verdict).of(session)
        };
        let code = seen.code().unwrap_or(Code::LookupUnavailable);
        let arrival = &Arrival::Fresh;
        let rejection = self.rejection(code, seen.owner, arrival, None, Some(*right));
        let rejection = if *right == Right::Expired && *standing == Standing::Serving {
            rejection.held_up()
        } else {
            rejection
        };
        self.refuse(rejection, &seen, span, reader)
    }
}
