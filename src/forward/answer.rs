//! Waits for an answer, and tells whose fault it is that there is none.

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use http::{Request, StatusCode};

use super::{
    alarm::Alarm,
    failure::Failure,
    upload::{Progress, Upload},
};

/// How long a client may send nothing of its body before the answer has begun.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an owner may take before it is doubted, and how often from then on. One that is frozen is
/// lost long before its time is over, and the next requests should not wait for it.
const DOUBT_AFTER: Duration = Duration::from_secs(1);
const DOUBT_AGAIN: Duration = Duration::from_secs(5);

/// A request that did not get a response.
pub(super) enum Unanswered {
    /// No byte of it can have arrived.
    NotSent(Box<Request<Upload>>, Failure),
    Failed(Failure),
    /// The client did not send what could be carried: no fault of the owner.
    Client(StatusCode),
}

pub(super) type TrySend = hyper::client::conn::TrySendError<Request<Upload>>;

impl Unanswered {
    pub(super) fn not_sent(request: Request<Upload>, failure: Failure) -> Self {
        Self::NotSent(Box::new(request), failure)
    }
}

/// Waits for the head of the answer, for as long as the body moves, or the one that is waited for has
/// time: the owner for its answer, the client for its body. While the owner takes long, `doubt` is run
/// now and then.
pub(super) async fn answer<T, F: Future<Output = ()>>(
    sent: impl Future<Output = Result<T, TrySend>>,
    limit: Duration,
    alarm: &mut Alarm,
    upload: Option<&Progress>,
    doubt: impl Fn() -> F,
) -> Result<T, Unanswered> {
    let mut sent = pin!(sent);
    let (mut still, mut doubt_at) = (Duration::ZERO, DOUBT_AFTER);
    loop {
        let ends = [limit, CLIENT_TIMEOUT, doubt_at].into_iter();
        let end = ends.filter(|end| *end > still).min().unwrap_or(limit);
        let rings = alarm.set(end.saturating_sub(still));
        match select(sent.as_mut(), rings).await {
            Either::Left((sent, _)) => return told(sent, upload),
            Either::Right(_) => still = end,
        }
        if upload.is_some_and(Progress::has_moved) {
            still = Duration::ZERO;
        } else if !upload.is_some_and(Progress::waits_for_client) {
            if still >= limit {
                return Err(Unanswered::Failed(Failure::NoAnswerWithin(limit)));
            }
            if still >= doubt_at {
                doubt_at = still + DOUBT_AGAIN;
                if let Either::Left((sent, _)) = select(sent.as_mut(), pin!(doubt())).await {
                    return told(sent, upload);
                }
            }
        } else if still >= CLIENT_TIMEOUT {
            return Err(Unanswered::Client(StatusCode::REQUEST_TIMEOUT));
        }
    }
}

/// What a request came to, and whose fault it is if that is no response.
fn told<T>(sent: Result<T, TrySend>, upload: Option<&Progress>) -> Result<T, Unanswered> {
    sent.map_err(|mut error| {
        if upload.is_some_and(Progress::is_broken) {
            return Unanswered::Client(StatusCode::BAD_REQUEST);
        }
        match error.take_message() {
            Some(request) => Unanswered::not_sent(request, Failure::Broken(error.into_error())),
            None => Unanswered::Failed(Failure::Broken(error.into_error())),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::sleep;

    use super::*;

    async fn waits(limit: u64, upload: &Progress) -> (Duration, Unanswered) {
        let began = tokio::time::Instant::now();
        let limit = Duration::from_secs(limit);
        let sent = std::future::pending::<Result<(), TrySend>>();
        let end = answer(sent, limit, &mut Alarm::new(), Some(upload), async || {})
            .await
            .unwrap_err();
        (began.elapsed(), end)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_runs_out_of_time() {
        for limit in [1, 60, 200] {
            let upload = Progress::default();
            upload.waits(true);
            let (time, end) = waits(limit, &upload).await;
            assert_eq!(time, CLIENT_TIMEOUT);
            assert!(matches!(
                end,
                Unanswered::Client(StatusCode::REQUEST_TIMEOUT)
            ));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_that_takes_long_is_doubted() {
        for waits_for_client in [false, true] {
            let (upload, doubts) = (Progress::default(), Cell::new(0));
            upload.waits(waits_for_client);
            let sent = std::future::pending::<Result<(), TrySend>>();
            // One that hangs holds up nothing.
            let doubt = async || {
                doubts.set(doubts.get() + 1);
                if doubts.get() == 2 {
                    sleep(Duration::from_secs(2)).await;
                }
            };
            let limit = Duration::from_secs(14);
            let end = answer(sent, limit, &mut Alarm::new(), Some(&upload), doubt).await;
            assert!(end.is_err());
            // At 1, 6 and 11 s.
            assert_eq!(doubts.get(), if waits_for_client { 0 } else { 3 });
        }
        let sent = async {
            sleep(DOUBT_AFTER * 2).await;
            Ok::<_, TrySend>(())
        };
        let hangs = || std::future::pending::<()>();
        let limit = Duration::from_secs(14);
        assert!(
            answer(sent, limit, &mut Alarm::new(), None, hangs)
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_has_its_time_from_when_the_body_last_moved() {
        for limit in [1, 60, 200] {
            let upload = Progress::default();
            let (time, end) = waits(limit, &upload).await;
            assert_eq!(time, Duration::from_secs(limit));
            assert!(matches!(
                end,
                Unanswered::Failed(Failure::NoAnswerWithin(_))
            ));
        }
        let upload = Progress::default();
        upload.moves();
        let time = DOUBT_AFTER + Duration::from_secs(10);
        assert_eq!(waits(10, &upload).await.0, time);
    }
}
