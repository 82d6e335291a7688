//! Two connections that switched protocols, such as those of a WebSocket, joined.

use std::time::Duration;

use futures_util::future::try_join;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{io::copy_bidirectional, time::timeout};

/// How long both sides may take to switch protocols after the machine has agreed.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Carries bytes both ways until both sides have finished, or one is gone; holds `held` for that long.
///
/// A side that has finished may be sent to for as long as the other one likes, and a silence may last:
/// a limit would end shells and streams that are in use.
pub(crate) async fn join<T>(client: OnUpgrade, machine: OnUpgrade, held: T) {
    let switched = timeout(SWITCH_TIMEOUT, try_join(client, machine)).await;
    if let Ok(Ok((client, machine))) = switched {
        // An end that is not clean is the end all the same.
        let _ = copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(machine)).await;
    }
    drop(held);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response, StatusCode};
    use http_body_util::Empty;
    use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        sync::{mpsc, oneshot},
        time::sleep,
    };

    use super::*;

    /// A connection that switches protocols, and its far end.
    async fn switching() -> (OnUpgrade, DuplexStream) {
        let (near, mut far) = duplex(1024);
        let (sender, mut switching) = mpsc::unbounded_channel();
        let service = service_fn(move |mut request: Request<Incoming>| {
            sender.send(upgrade::on(&mut request)).unwrap();
            let mut response = Response::new(Empty::<&[u8]>::new());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            async { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(
            http1::Builder::new()
                .serve_connection(TokioIo::new(near), service)
                .with_upgrades(),
        );
        let head = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n";
        far.write_all(head).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            far.read_buf(&mut answer).await.unwrap();
        }
        (switching.recv().await.unwrap(), far)
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_closed_tunnel_carries_what_still_comes() {
        let (client, mut at_client) = switching().await;
        let (machine, mut at_machine) = switching().await;
        let (held, is_over) = oneshot::channel::<()>();
        tokio::spawn(join(client, machine, held));
        at_client.write_all(b"stdin").await.unwrap();
        at_client.shutdown().await.unwrap();
        let mut read = String::new();
        at_machine.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "stdin");
        for _ in 0..3 {
            sleep(Duration::from_secs(3600)).await;
            at_machine.write_all(b"line\n").await.unwrap();
        }
        at_machine.shutdown().await.unwrap();
        read.clear();
        at_client.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "line\nline\nline\n");
        // Both have finished.
        assert!(is_over.await.is_err());
    }
}
