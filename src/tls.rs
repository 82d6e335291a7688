//! TLS clients by rustls: which servers they trust.

use std::sync::Arc;

use rustls::{
    ClientConfig, ConfigBuilder, Error, RootCertStore, WantsVerifier,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// A client that trusts these certificate authorities.
#[cfg(any(feature = "probe", feature = "doctor"))]
pub(crate) fn client_config(roots: RootCertStore) -> Result<ClientConfig, Error> {
    Ok(config_builder()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The beginning of a client's configuration.
///
/// The provider is named, because a process-wide default may be missing or ambiguous, and then
/// rustls panics at the first connection.
pub(crate) fn config_builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
}

/// The certificate authorities of a PEM text; an error says why it cannot be used.
pub(crate) fn roots_of_pem(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in the PEM text".to_owned());
    }
    Ok(roots)
}

/// The certificate authorities that this system trusts; an error says why there is none.
pub(crate) fn roots_of_the_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store may hold what rustls cannot use; the rest is enough.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!("this system has none {}", errors.join("; ")));
    }
    Ok(roots)
}
