//! The names, networks and ports that requests may be carried to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    InvalidForward,
    target::{Host, Target},
};
use crate::{Address, replay::AllowList};

/// Names say which names are resolved, networks which addresses are connected to.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    names: Option<AllowList>,
    networks: Vec<Network>,
}

impl Allowed {
    pub(super) fn new<E: AsRef<str>>(
        entries: impl IntoIterator<Item = E>,
    ) -> Result<Self, InvalidForward> {
        let (mut names, mut networks) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.as_ref();
            let refused = || InvalidForward::NotAnEntry {
                entry: entry.to_owned(),
            };
            if let Some(network) = Network::parse(entry) {
                networks.push(network);
                continue;
            }
            // An address or a network that is none must not be taken for a name.
            let looks_numeric = entry.contains('/')
                || entry.starts_with('[')
                || entry.rsplit('.').next().is_some_and(is_number);
            if looks_numeric {
                return Err(refused());
            }
            AllowList::new([entry]).map_err(|_| refused())?;
            names.push(entry.to_owned());
        }
        if names.is_empty() && networks.is_empty() {
            return Err(InvalidForward::NothingAllowed);
        }
        Ok(Self {
            names: AllowList::new(names).ok(),
            networks,
        })
    }

    /// Whether the address may be carried to, as far as it shows without resolving its name.
    pub(super) fn allows(&self, address: &Address, target: &Target) -> bool {
        match target.host {
            Host::Name(_) => self.has_name(address),
            Host::Address(ip) => self.has_address(ip, target.port, false),
        }
    }

    /// Whether this name may be resolved.
    fn has_name(&self, address: &Address) -> bool {
        self.names
            .as_ref()
            .is_none_or(|names| names.contains(address))
    }

    /// Whether this address may be connected to. `by_name`: a name that may be resolved led to it.
    pub(super) fn has_address(&self, address: IpAddr, port: u16, by_name: bool) -> bool {
        let address = address.to_canonical();
        let special = SPECIAL.iter().find(|block| block.contains(address));
        let mut networks = self.networks.iter();
        let is_listed = networks.any(|network| {
            network.contains(address)
                && network.port.is_none_or(|allowed| allowed == port)
                && special.is_none_or(|block| block.covers(network))
        });
        is_listed || (by_name && self.networks.is_empty() && special.is_none())
    }
}

/// `host:80` has a port in the place of the last label.
fn is_number(label: &str) -> bool {
    let label = label.split_once(':').map_or(label, |(label, _)| label);
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit())
}

/// Addresses of one network; one alone has a prefix of all its bits.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    prefix: u32,
    port: Option<u16>,
}

/// What no network allows that is not within it: this host, its link, and the metadata services of
/// clouds, which hand out credentials.
const SPECIAL: [Network; 16] = [
    Network::v4([0, 0, 0, 0], 8),
    Network::v4([127, 0, 0, 0], 8),
    Network::v4([169, 254, 0, 0], 16),
    Network::v4([224, 0, 0, 0], 4),
    Network::v4([240, 0, 0, 0], 4),
    // Alibaba Cloud's and Oracle Cloud's metadata, and Azure's host agent.
    Network::v4([100, 100, 100, 200], 32),
    Network::v4([192, 0, 0, 192], 32),
    Network::v4([168, 63, 129, 16], 32),
    Network::v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    Network::v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
    Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    // Services of Amazon's instances (metadata, time, names, credentials), and Google's metadata.
    Network::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32),
    Network::v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),
    // NAT64, which leads to any address of IPv4 (RFC 6052, RFC 8215).
    Network::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
    Network::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
];

impl Network {
    const fn v4(octets: [u8; 4], prefix: u32) -> Self {
        let [a, b, c, d] = octets;
        Self {
            address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            prefix,
            port: None,
        }
    }

    const fn v6(segments: [u16; 8], prefix: u32) -> Self {
        let [one, two, three, four, five, six, seven, eight] = segments;
        let address = Ipv6Addr::new(one, two, three, four, five, six, seven, eight);
        Self {
            address: IpAddr::V6(address),
            prefix,
            port: None,
        }
    }

    /// `10.0.0.7`, `10.0.0.0/8`, `fdaa::3`, `fdaa::/16`; with a port `10.0.0.0/8:8080` and
    /// `[fdaa::/16]:8080`.
    fn parse(entry: &str) -> Option<Self> {
        let (network, port) = match entry.strip_prefix('[') {
            Some(rest) => {
                let (network, port) = rest.split_once(']')?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':')?),
                };
                (network, port)
            }
            None if entry.matches(':').count() == 1 => {
                let (network, port) = entry.split_once(':')?;
                (network, Some(port))
            }
            None => (entry, None),
        };
        let (address, prefix) = match network.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (network, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = bits(address);
        let prefix = match prefix {
            Some(prefix) => number(prefix)?,
            None => bits,
        };
        let port = match port {
            Some(port) => Some(number(port)?),
            None => None,
        };
        let network = Self {
            address,
            prefix,
            port,
        };
        // `10.1.2.3/8` is more likely a slip than the network that it is in.
        let is_network = prefix <= bits && network.masked(address) == value(address);
        is_network.then_some(network)
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == value(self.address)
    }

    fn covers(&self, other: &Self) -> bool {
        other.prefix >= self.prefix && self.contains(other.address)
    }

    /// The address without the bits behind the prefix.
    fn masked(&self, address: IpAddr) -> u128 {
        let behind = bits(address).saturating_sub(self.prefix);
        let value = value(address);
        value
            .checked_shr(behind)
            .unwrap_or(0)
            .checked_shl(behind)
            .unwrap_or(0)
    }
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// A number without a sign.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &[&str], address: &str, by_name: bool) -> bool {
        let address: std::net::SocketAddr = address.parse().unwrap();
        let allowed = Allowed::new(list).unwrap();
        allowed.has_address(address.ip(), address.port(), by_name)
    }

    #[test]
    fn addresses_of_listed_networks_are_allowed() {
        for (list, address) in [
            ("10.0.0.0/8", "10.255.0.1:8080"),
            ("10.0.0.7", "10.0.0.7:1"),
            ("10.0.0.7:8080", "10.0.0.7:8080"),
            ("10.0.0.0/8:8080", "10.1.1.1:8080"),
            ("fdaa::/16", "[fdaa:1::3]:80"),
            ("[fdaa::/16]:8080", "[fdaa:1::3]:8080"),
            ("[fdaa::3]", "[fdaa::3]:80"),
            ("10.0.0.0/8", "[::ffff:10.0.0.1]:80"),
            ("127.0.0.1", "127.0.0.1:80"),
            ("127.0.0.0/8:8080", "127.0.0.2:8080"),
            ("::1", "[::1]:80"),
            ("169.254.172.0/22", "169.254.172.2:80"),
            ("0.0.0.0/0", "8.8.8.8:80"),
        ] {
            assert!(allows(&[list], address, false), "{list} {address}");
        }
    }

    #[test]
    fn all_other_addresses_are_not() {
        for (list, address) in [
            ("10.0.0.0/8", "11.0.0.1:80"),
            ("10.0.0.0/8:8080", "10.0.0.1:80"),
            ("10.0.0.0/8", "[fdaa::1]:80"),
            ("fdaa::/16", "[fdab::1]:80"),
            ("[fdaa::3]:8080", "[fdaa::3]:80"),
        ] {
            assert!(!allows(&[list], address, true), "{list} {address}");
        }
    }

    #[test]
    fn this_host_its_link_and_metadata_have_to_be_listed_themselves() {
        for address in [
            "127.0.0.1:80",
            "0.0.0.0:80",
            "169.254.169.254:80",
            "100.100.100.200:80",
            "[::1]:80",
            "[::]:80",
            "[fe80::1]:80",
            "168.63.129.16:80",
            "[fd00:ec2::254]:80",
            "[fd00:ec2::23]:80",
            "[::ffff:127.0.0.1]:80",
            "[::ffff:169.254.169.254]:80",
            "[64:ff9b::a9fe:a9fe]:80",
            "[64:ff9b:1::a9fe:a9fe]:80",
        ] {
            for list in [&["0.0.0.0/0", "::/0"][..], &["*.internal"]] {
                assert!(!allows(list, address, true), "{list:?} {address}");
            }
        }
    }

    #[test]
    fn a_name_leads_to_listed_networks_or_to_any_ordinary_address() {
        assert!(allows(&["*.internal"], "10.0.0.1:80", true));
        assert!(!allows(&["*.internal"], "10.0.0.1:80", false));
        assert!(!allows(&["*.internal", "fdaa::/16"], "10.0.0.1:80", true));
        let list = Allowed::new(["*.internal:8080", "fdaa::/16"]).unwrap();
        let has = |url: &str| list.has_name(&url.parse().unwrap());
        assert!(has("http://a.internal:8080"));
        assert!(!has("http://a.internal:8081"));
        assert!(!has("http://internal.evil.example:8080"));
    }

    #[test]
    fn an_entry_that_could_mean_something_else_is_refused() {
        for entry in [
            "",
            "*",
            "10.0.0.7/8",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/8:99999",
            "10.0.0.0/8:",
            "127.1",
            "fdaa::/129",
            "[fdaa::/16",
            "[fdaa::/16]8080",
            "http://a.internal",
            "a.internal/x",
        ] {
            assert!(Allowed::new([entry]).is_err(), "{entry:?}");
        }
        assert_eq!(
            Allowed::new::<&str>([]).unwrap_err(),
            InvalidForward::NothingAllowed
        );
    }
}
