//! A connection that listens.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};
use tokio_postgres::Notification;

use super::{
    Found, PostgresFeed,
    channel::Channel,
    payload::Payload,
    reader::Reader,
    wire::{Wire, lost, silent},
};
use crate::{
    Change, Changes, Coverage, FeedError,
    random::{self, jittered},
};

/// A statement whose answer is awaited beside the notifications.
pub(super) type Asked<T> = Pin<Box<dyn Future<Output = Result<T, tokio_postgres::Error>> + Send>>;

/// A connection of a [`PostgresFeed`].
pub struct PostgresChanges {
    wire: Wire,
    channel: Channel,
    answer_timeout: Duration,
    is_installed: Option<Arc<str>>,
    coverage: Coverage,
    look_interval: Duration,
    /// When the trigger is looked for next.
    look_at: Instant,
    beat: Option<Asked<()>>,
    /// With until when the answer has to be there.
    look: Option<(Asked<Found>, Instant)>,
    reader: Reader,
    /// Of a batch, what was not returned yet.
    heard: Vec<Change>,
}

impl Changes for PostgresChanges {
    async fn next(&mut self) -> Result<Change, FeedError> {
        loop {
            if let Some(change) = self.heard.pop() {
                return Ok(change);
            }
            self.begin_to_look();
            self.reader.begin(&self.wire, self.answer_timeout);
            let look_at = self.look.as_ref().map_or(self.look_at, |(_, until)| *until);
            let wake_at = look_at.min(self.reader.wake_at());
            let heard = poll_fn(|cx| self.poll(cx));
            let Ok(heard) = timeout_at(wake_at, heard).await else {
                let now = Instant::now();
                let is_late = self.look.as_ref().is_some_and(|(_, until)| *until <= now);
                if is_late || self.reader.is_silent(now) {
                    return Err(silent());
                }
                continue;
            };
            let Some(heard) = heard? else {
                continue;
            };
            match self.channel.read(&heard) {
                Some(Ok(Payload::Session(id))) => return Ok(Change::Session(id)),
                Some(Ok(Payload::Sessions(ids, unreadable))) => {
                    self.reader.heard();
                    self.heard.extend(ids.into_iter().map(Change::Session));
                    self.heard
                        .extend(unreadable.into_iter().map(Change::Unreadable));
                }
                Some(Ok(Payload::All)) => return Ok(Change::All),
                Some(Ok(Payload::Reader)) => {
                    self.reader.heard();
                    return Ok(Change::KeepAlive);
                }
                Some(Ok(Payload::Beat(_))) => return Ok(Change::KeepAlive),
                Some(Err(length)) => return Ok(Change::Unreadable(length)),
                None => {}
            }
        }
    }

    fn ping(&mut self) {
        let sql = self.channel.beat(random::number());
        let client = self.wire.client();
        self.beat = Some(Box::pin(async move { client.batch_execute(&sql).await }));
    }

    fn coverage(&self) -> Coverage {
        self.coverage
    }
}

impl PostgresChanges {
    pub(super) fn new(feed: &PostgresFeed, wire: Wire, found: Found) -> Self {
        Self {
            wire,
            channel: feed.channel.clone(),
            answer_timeout: feed.answer_timeout,
            is_installed: feed.is_installed.clone(),
            coverage: found.coverage(),
            look_interval: feed.look_interval,
            look_at: Instant::now() + jittered(feed.look_interval),
            beat: None,
            look: None,
            reader: Reader::new(feed.reads.clone(), found.readable),
            heard: Vec::new(),
        }
    }

    fn begin_to_look(&mut self) {
        let now = Instant::now();
        if self.look.is_some() || now < self.look_at {
            return;
        }
        self.look_at = now + jittered(self.look_interval);
        if let Some(sql) = &self.is_installed {
            let (sql, client) = (Arc::clone(sql), self.wire.client());
            let asked = async move { Found::of(&client.query_typed(&sql, &[]).await?) };
            self.look = Some((Box::pin(asked), now + self.answer_timeout));
        }
    }

    /// The statements come before the wire, because their first poll is what sends them. `None`: an answer
    /// came, and what is to be done next may come sooner than was known.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Notification>, FeedError>> {
        if let Some(Poll::Ready(sent)) = self.beat.as_mut().map(|beat| beat.as_mut().poll(cx)) {
            self.beat = None;
            if let Err(error) = sent {
                return Poll::Ready(Err(lost(error)));
            }
        }
        if let Some((look, _)) = &mut self.look
            && let Poll::Ready(found) = look.as_mut().poll(cx)
        {
            self.look = None;
            let found = found.unwrap_or_default();
            self.coverage = found.coverage();
            self.reader.may_read(found.readable);
        }
        match self.reader.poll(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(None)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(error))),
            Poll::Pending => {}
        }
        self.wire.poll_next(cx).map_ok(Some)
    }
}

impl fmt::Debug for PostgresChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresChanges")
            .field("channel", &self.channel.name)
            .field("coverage", &self.coverage)
            .finish_non_exhaustive()
    }
}
