//! Who is trusted on the other end of a TLS connection, and who we are there.

use std::{fmt, fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::checks::Unnamed;
use super::{
    PostgresConfigError,
    connection_string::{Checks, ConnectionString, RootCertificates},
    connector::Connector,
};
use crate::tls::{config_builder, roots_of_pem, roots_of_the_system};

mod checks;

/// The builder's TLS settings.
#[derive(Clone, Default)]
pub(super) struct TlsSettings {
    pub(super) config: Option<ClientConfig>,
    pub(super) root_certificates: Vec<u8>,
    /// A certificate and its key.
    pub(super) client_certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl TlsSettings {
    pub(super) fn are_given(&self) -> bool {
        self.config.is_some()
            || !self.root_certificates.is_empty()
            || self.client_certificate.is_some()
    }

    /// Makes the connector. Without `required`, a system without root certificates is no error
    /// before a server offers TLS.
    pub(super) fn connector(
        self,
        read: &ConnectionString,
        required: bool,
    ) -> Result<Connector, PostgresConfigError> {
        let conflict = |other, reason| PostgresConfigError::Conflict {
            one: "tls",
            other,
            reason,
        };
        let identity = self.identity(read)?;
        let config = match self.config {
            Some(_) if !self.root_certificates.is_empty() => {
                return Err(conflict(
                    "root_certificate_pem",
                    "a rustls configuration brings its own roots",
                ));
            }
            Some(_) if identity.is_some() => {
                return Err(conflict(
                    "a client certificate",
                    "a rustls configuration brings its own",
                ));
            }
            Some(config) => config,
            None => {
                let builder = trusting(&self.root_certificates, read, required)?;
                match identity {
                    None => builder.with_no_client_auth(),
                    Some((chain, key)) => builder
                        .with_client_auth_cert(chain, key)
                        .map_err(PostgresConfigError::Tls)?,
                }
            }
        };
        Ok(Connector::Tls(MakeRustlsConnect::new(config)))
    }

    /// The client's certificate, with what vouches for it, and its key.
    fn identity(&self, read: &ConnectionString) -> Result<Option<Identity>, PostgresConfigError> {
        let (certificate, key) = match (&self.client_certificate, &read.certificate, &read.key) {
            (Some((certificate, key)), ..) => (certificate.clone(), key.clone()),
            (None, Some(certificate), Some(key)) => (contents(certificate)?, contents(key)?),
            (None, None, None) => return Ok(None),
            (None, None, Some(_)) => return Err(unusable("`sslkey` is given, and no `sslcert`")),
            (None, Some(_), None) => return Err(unusable("`sslcert` is given, and no `sslkey`")),
        };
        let chain = CertificateDer::pem_slice_iter(&certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(error.to_string()))?;
        if chain.is_empty() {
            return Err(unusable("there is no certificate in the PEM text"));
        }
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| {
            unusable(format!(
                "its key cannot be read, which has to be PEM without a passphrase: {error}"
            ))
        })?;
        Ok(Some((chain, key)))
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A configuration that checks what the connection string says.
fn trusting(
    pem: &[u8],
    read: &ConnectionString,
    required: bool,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, PostgresConfigError> {
    let no_roots = |reason| PostgresConfigError::RootCertificates { reason };
    let named = match &read.roots {
        _ if !pem.is_empty() => Some(roots_of_pem(pem).map_err(no_roots)?),
        Some(RootCertificates::File(path)) => {
            Some(roots_of_pem(&contents(path)?).map_err(no_roots)?)
        }
        Some(RootCertificates::System) | None => None,
    };
    let is_system = named.is_none() && read.roots.is_some();
    let checks = match read.checks {
        // Anyone can have a certificate of one of these, so they vouch for a name or for nothing. libpq refuses it, too.
        Some(Checks::AsTrusted | Checks::Chain) if is_system => {
            return Err(PostgresConfigError::Conflict {
                one: "sslrootcert=system",
                other: "an sslmode other than verify-full",
                reason: "the system's authorities vouch for any server, so its name has to be checked",
            });
        }
        Some(Checks::AsTrusted) if named.is_some() => Checks::Chain,
        Some(checks) => checks,
        // Who says whom to trust wants that checked.
        None if named.is_some() || is_system => Checks::ChainAndName,
        None => Checks::AsTrusted,
    };
    let builder = config_builder().map_err(PostgresConfigError::Tls)?;
    if checks == Checks::AsTrusted {
        let verifier = Arc::new(Unnamed::unchecked());
        return Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(verifier));
    }
    let roots = match named {
        Some(roots) => roots,
        None => match roots_of_the_system() {
            Err(reason) if required => return Err(no_roots(reason)),
            roots => roots.unwrap_or_else(|_| RootCertStore::empty()),
        },
    };
    if checks == Checks::ChainAndName {
        return Ok(builder.with_root_certificates(roots));
    }
    let verifier = Unnamed::of(roots).map_err(|error| no_roots(error.to_string()))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

fn contents(path: &Path) -> Result<Vec<u8>, PostgresConfigError> {
    fs::read(path).map_err(|source| PostgresConfigError::CertificateFile {
        path: path.to_owned(),
        source,
    })
}

fn unusable(reason: impl Into<String>) -> PostgresConfigError {
    PostgresConfigError::ClientCertificate {
        reason: reason.into(),
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("config", &self.config.is_some())
            .field("root_certificates", &!self.root_certificates.is_empty())
            .field("client_certificate", &self.client_certificate.is_some())
            .finish()
    }
}
