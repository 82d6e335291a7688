//! A connection that can still be read when it can no longer be written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that can still be read when it can no longer be written.
///
/// A machine may answer an upload early and hang up. Its answer is then in our receive buffer, but
/// the next write fails, and hyper would report that instead of reading on. So writes to a peer
/// that is gone are swallowed until all is read; the end of reading tells the truth about the answer.
/// From then on a write fails, or a tunnel would take bytes for as long as its other side sends.
#[derive(Debug)]
pub(crate) struct KeepReading {
    stream: TcpStream,
    peer_gone: bool,
    is_read: bool,
}

impl KeepReading {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            peer_gone: false,
            is_read: false,
        }
    }

    #[cfg(all(test, feature = "forward"))]
    pub(crate) fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// `written` stands in for the failed write.
    fn swallow<T>(&mut self, result: Poll<io::Result<T>>, written: T) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Err(error)) if hung_up(&error) && !self.is_read => {
                self.peer_gone = true;
                Poll::Ready(Ok(written))
            }
            other => other,
        }
    }
}

fn hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

impl AsyncRead for KeepReading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.is_read = buf.filled().len() == before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for KeepReading {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.peer_gone && !self.is_read {
            return Poll::Ready(Ok(data.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, data);
        self.swallow(result, data.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = data.iter().map(|slice| slice.len()).sum();
        if self.peer_gone && !self.is_read {
            return Poll::Ready(Ok(len));
        }
        // A request without a body is one slice, and `send` costs less than `writev`.
        let result = match data {
            [data] => Pin::new(&mut self.stream).poll_write(cx, data),
            data => Pin::new(&mut self.stream).poll_write_vectored(cx, data),
        };
        self.swallow(result, len)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.swallow(result, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.swallow(result, ())
    }
}
