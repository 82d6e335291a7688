//! TLS to owners.

use std::{io, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::target::{Host, Target};
use crate::keep_reading::KeepReading;

/// The application's configuration, once for each version of HTTP.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Tls {
    pub(super) fn new(config: &ClientConfig) -> Self {
        let offering = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Self {
            http1: offering(b"http/1.1"),
            http2: offering(b"h2"),
        }
    }

    pub(super) async fn handshake(
        &self,
        target: &Target,
        stream: KeepReading,
    ) -> io::Result<TlsStream<KeepReading>> {
        let name = match &target.host {
            Host::Name(name) => ServerName::try_from(name.to_string())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
            Host::Address(address) => ServerName::from(*address),
        };
        let config = if target.http2 {
            &self.http2
        } else {
            &self.http1
        };
        let connector = TlsConnector::from(Arc::clone(config));
        connector.connect(name, stream).await
    }
}
