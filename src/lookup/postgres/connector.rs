//! How connections are made: plainly or by TLS.

use deadpool_postgres::{Connect, Manager, ManagerConfig, RecyclingMethod};
use tokio_postgres::{Client, Config, Error, NoTls};
#[cfg(feature = "tls")]
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{direct::Direct, watch::Messages};

/// What a connection goes through.
#[derive(Clone)]
pub(super) enum Connector {
    Plain,
    #[cfg(feature = "tls")]
    Tls(MakeRustlsConnect),
}

impl Connector {
    pub(super) fn manager(self, config: Config, direct: &Direct) -> Manager {
        let recycling = ManagerConfig {
            // A connection that turns out to be dead costs a second attempt, which is rare; a
            // test query would cost every lookup a round trip.
            recycling_method: RecyclingMethod::Fast,
        };
        match self {
            Self::Plain => Manager::from_connect(config, direct.connector(NoTls), recycling),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Manager::from_connect(config, direct.connector(tls), recycling),
        }
    }

    /// What opens connections as the pool's are opened.
    pub(super) fn opener(&self, direct: &Direct) -> Box<dyn Connect> {
        match self {
            Self::Plain => Box::new(direct.connector(NoTls)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Box::new(direct.connector(tls.clone())),
        }
    }

    /// One connection outside of a pool, for whoever reads what the server says unasked.
    pub(super) async fn connect(
        &self,
        config: &Config,
    ) -> Result<(Client, Box<dyn Messages>), Error> {
        match self {
            Self::Plain => {
                let (client, connection) = config.connect(NoTls).await?;
                Ok((client, Box::new(connection)))
            }
            #[cfg(feature = "tls")]
            Self::Tls(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                Ok((client, Box::new(connection)))
            }
        }
    }
}
