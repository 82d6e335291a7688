//! Passwords that are asked for at each connection.

use std::{
    borrow::Cow,
    error::Error as StdError,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{Config, Error, NoTls, config::SslMode};

type BoxError = Box<dyn StdError + Send + Sync>;
type Answer = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

/// What gives the password.
#[derive(Clone)]
pub(super) struct Password(Arc<dyn Fn() -> Answer + Send + Sync>);

impl Password {
    pub(super) fn new<F, P, E>(provider: F) -> Self
    where
        F: Fn() -> P + Send + Sync + 'static,
        P: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Arc::new(move || {
            let answer = provider();
            Box::pin(async { answer.await.map_err(Into::into) })
        }))
    }

    /// The configuration with the password of now.
    pub(super) async fn fill<'a>(&self, config: &'a Config) -> Result<Cow<'a, Config>, Error> {
        match (self.0)().await {
            Ok(password) => {
                let mut config = config.clone();
                config.password(password);
                Ok(Cow::Owned(config))
            }
            Err(cause) => Err(as_an_error_of_the_driver(cause).await),
        }
    }
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
#[error("the password provider failed")]
pub(super) struct NoPassword(#[source] BoxError);

/// The pool takes errors of the driver and no others, and the driver makes them itself: of a stream that fails.
async fn as_an_error_of_the_driver(cause: BoxError) -> Error {
    let mut nowhere = Config::new();
    nowhere.user("none").ssl_mode(SslMode::Disable);
    let stream = Broken(Some(io::Error::other(NoPassword(cause))));
    match nowhere.connect_raw(stream, NoTls).await {
        Err(error) => error,
        // It cannot be: nothing can be written. The caller's bound would end it.
        Ok(_) => std::future::pending().await,
    }
}

/// A stream that has failed.
struct Broken(Option<io::Error>);

impl Broken {
    fn error(&mut self) -> io::Error {
        let again = || io::ErrorKind::BrokenPipe.into();
        self.0.take().unwrap_or_else(again)
    }
}

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.error()))
    }
}

impl AsyncWrite for Broken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(self.error()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.error()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}
