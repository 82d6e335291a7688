//! Who is trusted on the other end of a TLS connection.

use std::{fmt, fs};

use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{PostgresConfigError, connection_string::RootCertificates, connector::Connector};
use crate::tls::{client_config, roots_of_pem, roots_of_the_system};

/// The builder's TLS settings.
#[derive(Clone, Default)]
pub(super) struct TlsSettings {
    pub(super) config: Option<ClientConfig>,
    pub(super) root_certificates: Vec<u8>,
}

impl TlsSettings {
    pub(super) fn are_given(&self) -> bool {
        self.config.is_some() || !self.root_certificates.is_empty()
    }

    /// Makes the connector. Without `required`, a system without root certificates is no error
    /// before a server offers TLS.
    pub(super) fn connector(
        self,
        roots: Option<&RootCertificates>,
        required: bool,
    ) -> Result<Connector, PostgresConfigError> {
        let unusable = |reason| PostgresConfigError::RootCertificates { reason };
        let roots = match (self.config, roots) {
            (Some(_), _) if !self.root_certificates.is_empty() => {
                return Err(PostgresConfigError::Conflict {
                    one: "tls",
                    other: "root_certificate_pem",
                    reason: "a rustls configuration brings its own roots",
                });
            }
            (Some(config), _) => return Ok(Connector::Tls(MakeRustlsConnect::new(config))),
            (None, _) if !self.root_certificates.is_empty() => {
                roots_of_pem(&self.root_certificates).map_err(unusable)?
            }
            (None, Some(RootCertificates::File(path))) => {
                let pem =
                    fs::read(path).map_err(|source| PostgresConfigError::RootCertificateFile {
                        path: path.clone(),
                        source,
                    })?;
                roots_of_pem(&pem).map_err(unusable)?
            }
            (None, None | Some(RootCertificates::System)) => match roots_of_the_system() {
                Err(reason) if required => return Err(unusable(reason)),
                roots => roots.unwrap_or_else(|_| RootCertStore::empty()),
            },
        };
        let config = client_config(roots).map_err(PostgresConfigError::Tls)?;
        Ok(Connector::Tls(MakeRustlsConnect::new(config)))
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("config", &self.config.is_some())
            .field("root_certificates", &!self.root_certificates.is_empty())
            .finish()
    }
}
