//! The DNS of Fly's private network, which knows the machines of an app without a token.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::RData,
};
use tokio::time::timeout;

use super::findings::PlatformMachine;
use crate::observe::Chain;

/// TXT records of Fly's private network: `vms.<app>.internal` has the machines that are started,
/// `all.vms.<app>.internal` all that there are.
#[derive(Clone, Debug)]
pub struct FlyDns {
    app: String,
    server: Option<SocketAddr>,
}

impl FlyDns {
    /// Asks for an app's machines, by the system's resolver, which on Fly is the private network's.
    #[must_use]
    pub fn new(app: impl Into<String>) -> Self {
        Self {
            app: app.into(),
            server: None,
        }
    }

    /// Asks this server.
    #[must_use]
    pub fn server(mut self, server: SocketAddr) -> Self {
        self.server = Some(server);
        self
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// How the machine is.
    pub(super) async fn machine(&self, id: &str, limit: Duration) -> PlatformMachine {
        let asking = async {
            let resolver = self.resolver()?;
            let all = self.machines(&resolver, "all.vms").await?;
            // Of an app that has none, DNS knows as little as where there is no private network.
            if all.is_empty() {
                return Err("it knows no machine of the app".to_owned());
            }
            let Some(listed) = find(&all, id) else {
                return Ok(PlatformMachine::Gone);
            };
            let started = self.machines(&resolver, "vms").await?;
            Ok(match find(&started, id) {
                Some(started) => PlatformMachine::Running {
                    region: started.region.clone(),
                },
                None => PlatformMachine::NotRunning {
                    region: listed.region.clone(),
                },
            })
        };
        let told = timeout(limit, asking).await;
        let told = told.unwrap_or_else(|_| Err(format!("it did not answer within {limit:?}")));
        told.unwrap_or_else(|why| PlatformMachine::NotAnswered {
            why: format!(
                "the private network's DNS tells nothing of {}: {why}",
                self.app
            ),
        })
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let builder = match self.server {
            Some(server) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let connections = connections.map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                let server = NameServerConfig::new(server.ip(), true, connections.into());
                Resolver::builder_with_config(
                    ResolverConfig::from_name_servers(vec![server]),
                    TokioRuntimeProvider::default(),
                )
            }
            None => Resolver::builder_tokio().map_err(|error| Chain(&error).to_string())?,
        };
        builder.build().map_err(|error| Chain(&error).to_string())
    }

    async fn machines(&self, resolver: &TokioResolver, kind: &str) -> Result<Vec<Listed>, String> {
        // With its final dot: a search list of the system's would look for it elsewhere.
        let name = format!("{kind}.{}.internal.", self.app);
        let lookup = match resolver.txt_lookup(name.as_str()).await {
            Ok(lookup) => lookup,
            Err(NetError::Dns(error)) if is_empty(&error) => return Ok(Vec::new()),
            Err(error) => return Err(Chain(&error).to_string()),
        };
        let mut text = String::new();
        for record in lookup.answers() {
            if let RData::TXT(record) = &record.data {
                // A record is cut into strings of at most 255 bytes wherever that falls.
                for part in &record.txt_data {
                    text.push_str(&String::from_utf8_lossy(part));
                }
                text.push(',');
            }
        }
        Ok(read(&text))
    }
}

fn is_empty(error: &hickory_resolver::net::DnsError) -> bool {
    matches!(error, hickory_resolver::net::DnsError::NoRecordsFound(_))
}

/// A machine in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    id: String,
    region: Option<String>,
}

/// Reads `683d314fdd4d68 yul,148ed193b95948 iad`.
fn read(text: &str) -> Vec<Listed> {
    text.split(',')
        .filter_map(|entry| {
            let mut words = entry.split_whitespace();
            Some(Listed {
                id: words.next()?.to_owned(),
                region: words.next().map(str::to_owned),
            })
        })
        .collect()
}

fn find<'a>(listed: &'a [Listed], id: &str) -> Option<&'a Listed> {
    listed.iter().find(|machine| machine.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_machines_and_regions() {
        let machine = |id: &str, region: Option<&str>| Listed {
            id: id.to_owned(),
            region: region.map(str::to_owned),
        };
        assert_eq!(
            read("683d314fdd4d68 yul,148ed193b95948 iad, e2863555a91708 ,,"),
            [
                machine("683d314fdd4d68", Some("yul")),
                machine("148ed193b95948", Some("iad")),
                machine("e2863555a91708", None)
            ]
        );
        assert!(read("").is_empty());
    }
}
