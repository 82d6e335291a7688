//! A connection to an owner, and the tasks that read and write it.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::Either;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
    rt::Executor,
};
use tokio::{runtime::Id, task::JoinSet, time::timeout};

use super::{
    alarm::Alarm,
    upload::{Progress, Upload},
};

/// How long the body of a request may stand still whose answer is complete: an owner that answered early
/// may still read it.
const SETTLING_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, which carries one request at a time. Dropped, it is closed at once.
///
/// HTTP/2 would carry more. But its streams share the connection's window: one client that does not
/// read, or one upload that the owner does not read, would stall the calls of all other clients.
#[derive(Debug)]
pub(super) struct Connection {
    sender: Sender,
    alarm: Alarm,
    _driver: Driver,
}

#[derive(Debug)]
pub(super) enum Sender {
    Http1(http1::SendRequest<Upload>),
    Http2(http2::SendRequest<Upload>),
}

/// The tasks that read and write a connection; they end with this.
#[derive(Debug)]
struct Driver(Tasks);

/// Tasks of one connection: one of HTTP/1, and those that each stream of HTTP/2 begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended are kept until they are asked for.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let tasks = &self.0.0;
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.abort_all();
    }
}

impl Connection {
    pub(super) fn new(sender: Sender, tasks: Tasks) -> Self {
        Self {
            sender,
            alarm: Alarm::new(),
            _driver: Driver(tasks),
        }
    }

    /// Sends a request; completes with the head of its answer.
    pub(super) fn send(
        &mut self,
        request: Request<Upload>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Upload>>>> + use<>
    {
        match &mut self.sender {
            Sender::Http1(sender) => Either::Left(sender.try_send_request(request)),
            Sender::Http2(sender) => Either::Right(sender.try_send_request(request)),
        }
    }

    /// The timer of the request that is being carried, in the runtime that this is called in.
    pub(super) fn alarm(&mut self, runtime: Id) -> &mut Alarm {
        self.alarm.move_to(runtime);
        &mut self.alarm
    }

    pub(super) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => sender.is_ready(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// Waits until the upload has ended and another request can be sent.
    async fn ready(&mut self, upload: Option<&Progress>) -> bool {
        if let Some(upload) = upload {
            // An owner that has answered asks for no body any more, and its client sends none.
            if upload.is_held() {
                return false;
            }
            upload.ended().await;
        }
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Waits until another request can be sent, for as long as the body of this one moves.
    pub(super) async fn settles(&mut self, upload: Option<&Progress>) -> bool {
        settled(self.ready(upload), upload).await
    }
}

/// Waits for a connection to be ready, for as long as the body moves.
async fn settled(ready: impl Future<Output = bool>, upload: Option<&Progress>) -> bool {
    let mut ready = pin!(ready);
    loop {
        match timeout(SETTLING_TIMEOUT, ready.as_mut()).await {
            Ok(is_ready) => return is_ready,
            Err(_) if upload.is_some_and(Progress::has_moved) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_settles_for_as_long_as_its_body_moves() {
        let upload = Progress::default();
        let (began, slow) = (Instant::now(), SETTLING_TIMEOUT.mul_f32(0.8));
        let moving = async {
            for _ in 0..10 {
                sleep(slow).await;
                upload.moves();
            }
            true
        };
        assert!(settled(moving, Some(&upload)).await);
        assert_eq!(began.elapsed(), slow * 10);
        assert!(!settled(std::future::pending(), Some(&upload)).await);
        assert!(began.elapsed() <= slow * 10 + SETTLING_TIMEOUT * 2);
    }
}
