//! The task: connect, listen, drop everything, trust.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::{FutureExt as _, future::select};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};
use tokio_postgres::{Error, Notification};

use super::{
    backoff::Backoff,
    error::WatchError,
    health::Status,
    payload::Payload,
    wire::{Endpoint, Wire},
};
use crate::{
    CacheHandle,
    postgres::{identifier::Identifier, migration::notify},
    random::{self, jittered},
};

pub(super) struct Task {
    pub(super) endpoint: Endpoint,
    pub(super) ears: Ears,
    pub(super) heartbeat: Duration,
    pub(super) deadline: Duration,
    /// How long the server waits for what it sends to be taken; `None`: as it is configured.
    pub(super) send_timeout: Option<Duration>,
    /// Finds the trigger, where the table is known.
    pub(super) is_installed: Option<String>,
}

/// The trigger is looked for once in so many heartbeats: every 30 s by default.
const LOOKS: u32 = 6;

/// What listens, and whom it tells.
pub(super) struct Ears {
    pub(super) channel: Identifier,
    pub(super) caches: Vec<CacheHandle>,
    pub(super) status: Arc<Status>,
}

/// A heartbeat that was sent and of which nothing has been heard.
type Beat = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

enum Event {
    Heard(Notification),
    Alarm,
    /// The trigger has to be looked for.
    Look,
    Broken(WatchError),
}

impl Task {
    /// Watches until `stop` is used or dropped.
    pub(super) async fn run(self, stop: oneshot::Receiver<()>) {
        let _end = End(Arc::clone(&self.ears.status));
        let work = pin!(self.work());
        select(stop, work).await;
    }

    async fn work(&self) -> Infallible {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.listen().await {
                Ok(wire) => {
                    self.ears.status.listening();
                    let since = Instant::now();
                    let error = self.follow(wire).await;
                    // A server that lets us in and throws us out again must not make us drop what
                    // is cached ten times a second.
                    if since.elapsed() >= Backoff::LONGEST {
                        backoff.reset();
                    }
                    error
                }
                Err(error) => error,
            };
            self.ears.status.down(error);
            sleep(backoff.next()).await;
        }
    }

    /// Listens, and then drops what was cached while nobody did. Not before: what a lookup reads
    /// between the two is either true or will be told of.
    async fn listen(&self) -> Result<Wire, WatchError> {
        let mut wire = Wire::connect(&self.endpoint).await?;
        let client = wire.client();
        let ears = &self.ears;
        let sql = format!("LISTEN {}", ears.channel);
        wire.answer(client.batch_execute(&sql), self.deadline, |heard| {
            ears.hear(heard);
        })
        .await?
        .map_err(|error| WatchError::Refused(Arc::new(error)))?;
        self.prove(&mut wire).await?;
        self.limit_sending(&mut wire).await?;
        self.look_for_trigger(&mut wire).await?;
        for cache in &self.ears.caches {
            cache.forget_all();
        }
        Ok(wire)
    }

    /// Shows that notifications arrive. The first one comes from another connection: a pooler in
    /// transaction mode delivers what a client sends to itself, and nothing else.
    async fn prove(&self, wire: &mut Wire) -> Result<(), WatchError> {
        let ears = &self.ears;
        let number = random::number();
        let sql = notify(&ears.channel, &Payload::beat(number));
        let mut arrived = false;
        let mut hear = |heard: &Notification| {
            arrived |= ears.hear(heard) == Some(Payload::Beat(number));
        };
        if !send(&self.endpoint, &sql, self.deadline).await {
            // The server may have no more room, and we have one connection. It will have to do.
            let client = wire.client();
            let sent = client.batch_execute(&sql);
            wire.answer(sent, self.deadline, &mut hear)
                .await?
                .map_err(WatchError::lost)?;
        }
        let deadline = Instant::now() + self.deadline;
        while !arrived {
            let next = poll_fn(|cx| wire.poll_next(cx));
            match tokio::time::timeout_at(deadline, next).await {
                Ok(heard) => arrived |= ears.hear(&heard?) == Some(Payload::Beat(number)),
                Err(_) => break,
            }
        }
        if arrived {
            return Ok(());
        }
        // If the server answers, then it is not the network that keeps it from being heard. A
        // pooler's server should not go on listening for others.
        let sql = format!("UNLISTEN {}", ears.channel);
        let client = wire.client();
        let asked = client.batch_execute(&sql);
        wire.answer(asked, self.deadline, |_| {})
            .await?
            .map_err(WatchError::lost)?;
        Err(WatchError::Undelivered)
    }

    /// Has the server close the connection if this process takes nothing for so long.
    ///
    /// A listener that is stopped is not idle to the server: its backend waits in a write, within a
    /// transaction that holds back VACUUM and the queue of notifications of the whole server. The
    /// kernel of a stopped process goes on answering, so no keepalive ends that. It is a setting of
    /// the server's socket, so only the server can make it. Set after the connection has proved to be
    /// direct, because a pooler would pass the setting on to other clients. A server that refuses is
    /// listened to all the same.
    async fn limit_sending(&self, wire: &mut Wire) -> Result<(), WatchError> {
        let Some(limit) = self.send_timeout else {
            return Ok(());
        };
        let limit = limit.as_millis().clamp(1, 2_147_483_647);
        let sql = format!("SET tcp_user_timeout = {limit}");
        let client = wire.client();
        let ears = &self.ears;
        let set = wire.answer(client.batch_execute(&sql), self.deadline, |heard| {
            ears.hear(heard);
        });
        if let Err(error) = set.await? {
            if error.code().is_none() {
                return Err(WatchError::lost(error));
            }
            tracing::debug!(
                target: "tower_ownership::watch",
                %error,
                "the server does not limit how long it waits for this process to read"
            );
        }
        Ok(())
    }

    async fn look_for_trigger(&self, wire: &mut Wire) -> Result<(), WatchError> {
        let Some(sql) = &self.is_installed else {
            return Ok(());
        };
        let ears = &self.ears;
        let client = wire.client();
        let asked = client.query_typed(sql, &[]);
        let rows = wire.answer(asked, self.deadline, |heard| {
            ears.hear(heard);
        });
        // Who may not look may still listen.
        let found = rows.await?.ok().map(|rows| !rows.is_empty());
        ears.status.found_trigger(found);
        Ok(())
    }

    /// Hears changes until nothing more can be heard, and returns why.
    async fn follow(&self, mut wire: Wire) -> WatchError {
        let mut heard_at = Instant::now();
        let mut patience = jittered(self.heartbeat);
        let mut alarm = pin!(sleep_until(heard_at + patience));
        let mut beat: Option<Beat> = None;
        let mut is_waiting = false;
        let every = self.heartbeat.saturating_mul(LOOKS);
        let mut look = pin!(sleep_until(heard_at + jittered(every)));
        loop {
            let event = poll_fn(|cx| {
                // Polled before the wire, because the first poll is what sends it.
                if let Some(Poll::Ready(sent)) = beat.as_mut().map(|beat| beat.poll_unpin(cx)) {
                    beat = None;
                    if let Err(error) = sent {
                        return Poll::Ready(Event::Broken(WatchError::lost(error)));
                    }
                }
                match wire.poll_next(cx) {
                    Poll::Ready(Ok(heard)) => Poll::Ready(Event::Heard(heard)),
                    Poll::Ready(Err(error)) => Poll::Ready(Event::Broken(error)),
                    Poll::Pending => {
                        if alarm.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(Event::Alarm);
                        }
                        look.as_mut().poll(cx).map(|()| Event::Look)
                    }
                }
            });
            match event.await {
                Event::Broken(error) => return error,
                Event::Look => {
                    if let Err(error) = self.look_for_trigger(&mut wire).await {
                        return error;
                    }
                    look.as_mut().reset(Instant::now() + jittered(every));
                }
                Event::Heard(heard) => {
                    self.ears.hear(&heard);
                    heard_at = Instant::now();
                    // Whatever it was, and whoever sent it: the connection delivers.
                    if is_waiting {
                        is_waiting = false;
                        alarm.as_mut().reset(heard_at + patience);
                    }
                }
                Event::Alarm if is_waiting => return WatchError::Silent,
                Event::Alarm => {
                    let due = heard_at + patience;
                    let now = Instant::now();
                    if now < due {
                        // The alarm is set anew here and not for every notification of a burst.
                        alarm.as_mut().reset(due);
                        continue;
                    }
                    // All machines hear the beat of the first one, and need not send theirs.
                    patience = jittered(self.heartbeat);
                    is_waiting = true;
                    let sql = notify(&self.ears.channel, &Payload::beat(random::number()));
                    let client = wire.client();
                    beat = Some(Box::pin(async move { client.batch_execute(&sql).await }));
                    alarm.as_mut().reset(now + self.deadline);
                }
            }
        }
    }
}

impl Ears {
    fn hear(&self, heard: &Notification) -> Option<Payload> {
        if heard.channel() != self.channel.name() {
            return None;
        }
        self.status.heard();
        let payload = Payload::parse(heard.payload());
        match payload {
            Some(Payload::Session(id)) => {
                self.status.notified();
                self.caches.iter().for_each(|cache| cache.forget(id));
            }
            Some(Payload::All) => {
                self.status.notified();
                self.caches.iter().for_each(CacheHandle::forget_all);
            }
            Some(Payload::Beat(_)) => {}
            None => self.status.garbage(heard.payload().len()),
        }
        payload
    }
}

/// Sends a statement over a connection of its own; whether that worked.
async fn send(endpoint: &Endpoint, sql: &str, limit: Duration) -> bool {
    let Ok(mut wire) = Wire::connect(endpoint).await else {
        return false;
    };
    let client = wire.client();
    let sent = wire.answer(client.batch_execute(sql), limit, |_| {});
    matches!(sent.await, Ok(Ok(())))
}

/// Says that the task is over, also if its runtime dropped it.
struct End(Arc<Status>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.stopped();
    }
}
