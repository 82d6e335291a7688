//! How connections are made: plainly or by TLS.

use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use tokio_postgres::{Config, NoTls};
#[cfg(feature = "tls")]
use tokio_postgres_rustls::MakeRustlsConnect;

/// What a connection goes through.
pub(super) enum Connector {
    Plain,
    #[cfg(feature = "tls")]
    Tls(MakeRustlsConnect),
}

impl Connector {
    pub(super) fn manager(self, config: Config) -> Manager {
        let recycling = ManagerConfig {
            // A connection that turns out to be dead costs a second attempt, which is rare; a
            // test query would cost every lookup a round trip.
            recycling_method: RecyclingMethod::Fast,
        };
        match self {
            Self::Plain => Manager::from_config(config, NoTls, recycling),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Manager::from_config(config, tls, recycling),
        }
    }
}
