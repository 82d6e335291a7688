//! Where a request is carried to.

use std::net::{IpAddr, SocketAddr};

use http::uri::{Authority, InvalidUri};

use super::InvalidForward;
use crate::{Address, Handover, NotReplayable, replay::Template};

/// How the owner's address is found.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    OwnerAddress,
    Template(Template),
}

/// One listener of one machine, spoken to in one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) http2: bool,
    /// Whether the request switches to another protocol over HTTP/2. The owner of such a connection
    /// has said that it may.
    pub(super) tunnels: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    Name(Box<str>),
    Address(IpAddr),
}

impl Destination {
    pub(super) fn parse(template: &str) -> Result<Self, InvalidForward> {
        let parsed = Template::parse(template)?;
        if parsed.has_path() {
            return Err(InvalidForward::Path {
                template: template.to_owned(),
            });
        }
        Ok(Self::Template(parsed))
    }

    pub(super) fn of(&self, handover: &Handover<'_>) -> Result<Address, NotReplayable> {
        let session = handover.session;
        match self {
            Self::OwnerAddress => {
                let address = session.owner_address().cloned();
                address.ok_or(NotReplayable::NoAddress)
            }
            Self::Template(template) if !template.holds(session.id()) => Err(NotReplayable::Other(
                "The session's id cannot stand in the address that requests for it are sent to.",
            )),
            Self::Template(template) => template
                .fill(handover.owner, session.id())
                .ok_or(NotReplayable::ForbiddenAddress),
        }
    }
}

impl Target {
    /// The host that a request is for which names none.
    pub(super) fn authority(&self) -> Result<Authority, InvalidUri> {
        let port = self.port;
        let text = match &self.host {
            Host::Name(name) => format!("{name}:{port}"),
            Host::Address(ip) => SocketAddr::new(*ip, port).to_string(),
        };
        Authority::try_from(text)
    }

    pub(super) fn new(address: &Address, http2: bool) -> Self {
        let tls = address.scheme() == "https";
        let default_port = if tls { 443 } else { 80 };
        let host = address.host();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        Self {
            host: match literal {
                Ok(literal) => Host::Address(literal),
                Err(_) => Host::Name(host.to_ascii_lowercase().into()),
            },
            port: address.as_uri().port_u16().unwrap_or(default_port),
            tls,
            http2,
            tunnels: false,
        }
    }
}
