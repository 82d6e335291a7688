//! One request over one fresh connection to one machine.

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::tape::Playback;
use super::tasks::{TaskGuard, Tasks};
use crate::keep_reading::KeepReading;

/// Sends the request and waits for the head of the answer. The connection lives as long as the
/// guard.
pub(super) async fn send(
    tasks: &Tasks,
    stream: TcpStream,
    h2: bool,
    request: Request<Playback>,
) -> hyper::Result<(Response<Incoming>, TaskGuard)> {
    let io = TokioIo::new(KeepReading::new(stream));
    if h2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(tasks.clone(), io).await?;
        let guard = tasks.spawn(async move {
            // Its error is also the request's.
            let _ = connection.await;
        });
        Ok((sender.send_request(request).await?, guard))
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        let guard = tasks.spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok((sender.send_request(request).await?, guard))
    }
}
