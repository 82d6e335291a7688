//! Other protocols over HTTP/2: extended CONNECT (RFC 8441), by which browsers open WebSockets there.

use std::time::Duration;

use http::Method;
use hyper::{
    client::conn::http2,
    ext::Protocol,
    rt::{Read, Write},
};
use tokio::time::sleep;

use super::{connection::Tasks, upload::Upload};
use crate::Head;

/// How long to wait at most before the settings are looked at again.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Whether the request asks for another protocol than HTTP on its stream of HTTP/2.
pub(super) fn is_extended_connect(head: &Head<'_>) -> bool {
    *head.method == Method::CONNECT && head.extensions.get::<Protocol>().is_some()
}

/// Waits until the owner says that streams may switch protocols, as a client has to (RFC 8441,
/// section 3). Without a bound: an owner that does not take them says nothing.
///
/// hyper does not wake anything when settings come; they are among the first bytes of a server.
pub(super) async fn is_taken<S>(connection: &mut http2::Connection<S, Upload, Tasks>)
where
    S: Read + Write + Send + Unpin + 'static,
{
    let mut pause = Duration::from_millis(1);
    while !connection.is_extended_connect_protocol_enabled() {
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}
