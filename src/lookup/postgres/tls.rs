//! Who is trusted on the other end of a TLS connection.

use std::{fmt, fs, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{PostgresConfigError, connection_string::RootCertificates, connector::Connector};

/// What the builder was told about TLS.
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
        let config = match (self.config, roots) {
            (Some(_), _) if !self.root_certificates.is_empty() => {
                return Err(PostgresConfigError::Conflict {
                    one: "tls",
                    other: "root_certificate_pem",
                    reason: "a rustls configuration brings its own roots",
                });
            }
            (Some(config), _) => config,
            (None, _) if !self.root_certificates.is_empty() => {
                client_config(from_pem(&self.root_certificates)?)?
            }
            (None, Some(RootCertificates::File(path))) => {
                let pem =
                    fs::read(path).map_err(|source| PostgresConfigError::RootCertificateFile {
                        path: path.clone(),
                        source,
                    })?;
                client_config(from_pem(&pem)?)?
            }
            (None, None | Some(RootCertificates::System)) => client_config(system(required)?)?,
        };
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

/// The provider is named, because a process-wide default may be missing or ambiguous, and then
/// rustls panics at the first connection.
fn client_config(roots: RootCertStore) -> Result<ClientConfig, PostgresConfigError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(PostgresConfigError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// What a client of other servers trusts: whatever the system does.
#[cfg(feature = "doctor")]
pub(crate) fn client_config_of_the_system() -> Result<ClientConfig, PostgresConfigError> {
    client_config(system(false)?)
}

fn from_pem(pem: &[u8]) -> Result<RootCertStore, PostgresConfigError> {
    let unusable = |reason: String| PostgresConfigError::RootCertificates { reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable(
            "there is no certificate in the PEM text".to_owned(),
        ));
    }
    Ok(roots)
}

fn system(required: bool) -> Result<RootCertStore, PostgresConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store may hold what rustls cannot use; what it can use is enough.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() && required {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(PostgresConfigError::RootCertificates {
            reason: format!("this system has none {}", errors.join("; ")),
        });
    }
    Ok(roots)
}
