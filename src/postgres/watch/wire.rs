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

use super::error::WatchError;
use crate::postgres::{connector::Connector, failure::caused_by_tls, hosts::Hosts};

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
}

/// A client and its connection. Nothing moves unless one of the methods is being polled.
pub(super) struct Wire {
    client: Arc<Client>,
    connection: Box<dyn Messages>,
}

impl Wire {
    pub(super) async fn connect(endpoint: &Endpoint) -> Result<Self, WatchError> {
        let connecting = endpoint.connector.connect(&endpoint.hosts);
        let connected = timeout(endpoint.hosts.bound(), connecting).await;
        let (client, connection) =
            connected
                .map_err(|_| WatchError::ConnectTimeout)?
                .map_err(|error| {
                    if caused_by_tls(&error) {
                        WatchError::Certificate(Arc::new(error))
                    } else {
                        WatchError::Connect(Arc::new(error))
                    }
                })?;
        Ok(Self {
            client: Arc::new(client),
            connection,
        })
    }

    /// Whoever asks through it has to keep polling the wire.
    pub(super) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    /// Waits for the next notification, or for the end of the connection.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Notification, WatchError>> {
        loop {
            match ready!(self.connection.poll_message(cx)) {
                Some(Ok(AsyncMessage::Notification(heard))) => return Poll::Ready(Ok(heard)),
                // Notices, and whatever a later driver tells of.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(WatchError::lost(error))),
                None => return Poll::Ready(Err(WatchError::Lost(None))),
            }
        }
    }

    /// Waits for an answer; what is heard meanwhile is not lost.
    pub(super) async fn answer<T>(
        &mut self,
        asked: impl Future<Output = Result<T, Error>>,
        limit: Duration,
        mut heard: impl FnMut(&Notification),
    ) -> Result<Result<T, Error>, WatchError> {
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
        timeout(limit, answer)
            .await
            .unwrap_or(Err(WatchError::Silent))
    }
}
