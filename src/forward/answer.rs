//! Waits for an answer, and tells whose fault it is that there is none.

use std::{pin::pin, time::Duration};

use http::{Request, StatusCode};
use tokio::time::timeout;

use super::{
    failure::Failure,
    upload::{Progress, Upload},
};

/// How long a client may send nothing of its body before the answer has begun.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A request that did not get a response.
pub(super) enum Unanswered {
    /// No byte of it can have arrived.
    NotSent(Box<Request<Upload>>, Failure),
    Failed(Failure),
    /// The client did not send what could be carried: no fault of the owner.
    Client(StatusCode),
}

type TrySend = hyper::client::conn::TrySendError<Request<Upload>>;

impl Unanswered {
    pub(super) fn not_sent(request: Request<Upload>, failure: Failure) -> Self {
        Self::NotSent(Box::new(request), failure)
    }
}

/// Waits for the head of the answer, for as long as the body moves, or the one that is waited for has
/// time: the owner for its answer, the client for its body.
pub(super) async fn answer<T>(
    sent: impl Future<Output = Result<T, TrySend>>,
    limit: Duration,
    upload: Option<&Progress>,
) -> Result<T, Unanswered> {
    let mut sent = pin!(sent);
    let mut still = Duration::ZERO;
    loop {
        let ends = [limit, CLIENT_TIMEOUT].into_iter();
        let end = ends.filter(|end| *end > still).min().unwrap_or(limit);
        match timeout(end.saturating_sub(still), sent.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(_)) if upload.is_some_and(Progress::is_broken) => {
                return Err(Unanswered::Client(StatusCode::BAD_REQUEST));
            }
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => {
                        Unanswered::not_sent(request, Failure::Broken(error.into_error()))
                    }
                    None => Unanswered::Failed(Failure::Broken(error.into_error())),
                });
            }
            Err(_) => still = end,
        }
        if upload.is_some_and(Progress::has_moved) {
            still = Duration::ZERO;
        } else if !upload.is_some_and(Progress::waits_for_client) {
            if still >= limit {
                return Err(Unanswered::Failed(Failure::NoAnswerWithin(limit)));
            }
        } else if still >= CLIENT_TIMEOUT {
            return Err(Unanswered::Client(StatusCode::REQUEST_TIMEOUT));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waits(limit: u64, upload: &Progress) -> (Duration, Unanswered) {
        let began = tokio::time::Instant::now();
        let limit = Duration::from_secs(limit);
        let sent = std::future::pending::<Result<(), TrySend>>();
        let end = answer(sent, limit, Some(upload)).await.unwrap_err();
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
        assert_eq!(waits(10, &upload).await.0, Duration::from_secs(20));
    }
}
