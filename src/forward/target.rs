//! Where a request is carried to.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr, SocketAddrV4},
};

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

    /// Whether sessions of one owner can be at several addresses of one form.
    pub(super) fn depends_on_session(&self) -> bool {
        match self {
            // An owner is kept with its address.
            Self::OwnerAddress => false,
            Self::Template(template) => template.has_session(),
        }
    }

    pub(super) fn of<'a>(
        &self,
        handover: &Handover<'a>,
    ) -> Result<Cow<'a, Address>, NotReplayable> {
        let session = handover.session;
        match self {
            Self::OwnerAddress => {
                let address = session.owner_address().map(Cow::Borrowed);
                address.ok_or(NotReplayable::NoAddress)
            }
            Self::Template(template) if !template.holds(session.id()) => Err(NotReplayable::Other(
                "The session's id cannot stand in the address that requests for it are sent to.",
            )),
            Self::Template(template) => template
                .fill(handover.owner, session.id())
                .map(Cow::Owned)
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
        let (host, port) = host_and_port(address, tls);
        Self {
            host,
            port,
            tls,
            http2,
            tunnels: false,
        }
    }
}

fn host_and_port(address: &Address, tls: bool) -> (Host, u16) {
    // What most addresses are, read in one go: this runs for every request.
    if let Ok(socket) = address.authority().parse::<SocketAddrV4>() {
        return (Host::Address((*socket.ip()).into()), socket.port());
    }
    let default_port = if tls { 443 } else { 80 };
    let host = address.host();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
    let host = match literal {
        Ok(literal) => Host::Address(literal),
        Err(_) => Host::Name(host.to_ascii_lowercase().into()),
    };
    (host, address.as_uri().port_u16().unwrap_or(default_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_read_of_every_kind_of_address() {
        let ip = |text: &str| Host::Address(text.parse().unwrap());
        let name = |text: &str| Host::Name(text.into());
        for (at, host, port) in [
            ("http://10.0.0.1:8080", ip("10.0.0.1"), 8080),
            ("http://10.0.0.1:0080", ip("10.0.0.1"), 80),
            ("http://10.0.0.1", ip("10.0.0.1"), 80),
            ("https://10.0.0.1", ip("10.0.0.1"), 443),
            ("https://10.0.0.1:8443/", ip("10.0.0.1"), 8443),
            ("http://[fdaa::1]:8080", ip("fdaa::1"), 8080),
            ("https://[fdaa::1]", ip("fdaa::1"), 443),
            ("http://Pod.example:8080", name("pod.example"), 8080),
            ("http://010.0.0.1:8080", name("010.0.0.1"), 8080),
        ] {
            let target = Target::new(&at.parse().unwrap(), false);
            assert_eq!((target.host, target.port), (host, port), "{at}");
        }
    }
}
