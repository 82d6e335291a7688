//! One connection of one's own, and what the server says on it unasked.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client, Connection, Error, Notification};

use crate::{
    FeedError, FeedErrorKind,
    postgres::{connector::Connector, failure::caused_by_tls, hosts::Hosts, place::Place},
};

/// A driver's connection, whatever it goes through. Unlike a pool's, which throws notifications
/// away, it hands them out.
pub(in crate::postgres) trait Messages: Send {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>>;
}

impl<S, T> Messages for Connection<S, T>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> {
        Connection::poll_message(self, cx)
    }
}

/// Where connections come from.
pub(super) struct Endpoint {
    pub(super) hosts: Hosts,
    pub(super) connector: Connector,
    pub(super) place: Place,
}

/// A client and its connection. Nothing moves unless one of the methods is being polled.
pub(super) struct Wire {
    client: Arc<Client>,
    connection: Box<dyn Messages>,
}

impl Wire {
    pub(super) async fn connect(endpoint: &Endpoint) -> Result<Self, FeedError> {
        let connecting = endpoint.connector.connect(&endpoint.hosts);
        let connected = timeout(endpoint.hosts.bound(), connecting).await;
        let unreachable =
            |message: &'static str| FeedError::new(FeedErrorKind::Unreachable, message);
        let place = &endpoint.place;
        let connected = connected.map_err(|_| {
            unreachable("PostgreSQL did not accept a connection in time")
                .with_source(place.connecting(None))
        })?;
        let (client, connection) = connected.map_err(|error| {
            let message = if caused_by_tls(&error) {
                "PostgreSQL's certificate was refused: is it trusted (`sslrootcert`), and for this host?"
            } else {
                "no connection to PostgreSQL could be opened"
            };
            unreachable(message).with_source(place.connecting(Some(error.into())))
        })?;
        Ok(Self {
            client: Arc::new(client),
            connection,
        })
    }

    /// Its answers arrive only while the wire is polled.
    pub(super) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    /// Waits for the next notification, or for the end of the connection.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Notification, FeedError>> {
        loop {
            match ready!(self.connection.poll_message(cx)) {
                Some(Ok(AsyncMessage::Notification(heard))) => return Poll::Ready(Ok(heard)),
                // Notices, and whatever a later driver tells of.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(lost(error))),
                None => return Poll::Ready(Err(ended())),
            }
        }
    }

    /// Waits for an answer; what is heard meanwhile is not lost.
    pub(super) async fn answer<T>(
        &mut self,
        asked: impl Future<Output = Result<T, Error>>,
        limit: Duration,
        mut heard: impl FnMut(&Notification),
    ) -> Result<Result<T, Error>, FeedError> {
        let mut asked = pin!(asked);
        let answer = poll_fn(|cx| {
            loop {
                // First, because the first poll is what sends it.
                if let Poll::Ready(answer) = asked.as_mut().poll(cx) {
                    return Poll::Ready(Ok(answer));
                }
                match ready!(self.poll_next(cx)) {
                    Ok(notification) => heard(&notification),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        });
        timeout(limit, answer).await.unwrap_or(Err(silent()))
    }
}

fn ended() -> FeedError {
    FeedError::new(FeedErrorKind::Lost, "the connection to PostgreSQL was lost")
}

pub(super) fn lost(error: Error) -> FeedError {
    ended().with_source(error)
}

pub(super) fn silent() -> FeedError {
    FeedError::new(
        FeedErrorKind::Silent,
        "PostgreSQL was not heard in time; the connection may be half-open",
    )
}
