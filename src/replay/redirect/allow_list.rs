//! The hosts that clients may be sent to.

use http::uri::Authority;

use super::InvalidRedirect;
use crate::{Address, address::is_host_with_sound_port};

#[derive(Clone, Debug)]
pub(crate) struct AllowList(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    /// `example.com` for `*.example.com`.
    name: String,
    any_below: bool,
    port: Option<u16>,
}

impl AllowList {
    pub(crate) fn new<H: AsRef<str>>(
        hosts: impl IntoIterator<Item = H>,
    ) -> Result<Self, InvalidRedirect> {
        let entries: Vec<_> = hosts
            .into_iter()
            .map(|host| Entry::parse(host.as_ref()))
            .collect::<Result<_, _>>()?;
        if entries.is_empty() {
            Err(InvalidRedirect::NoHosts)
        } else {
            Ok(Self(entries))
        }
    }

    pub(crate) fn contains(&self, address: &Address) -> bool {
        self.0.iter().any(|entry| entry.matches(address))
    }
}

impl Entry {
    fn parse(entry: &str) -> Result<Self, InvalidRedirect> {
        let refused = || InvalidRedirect::NotAHost {
            entry: entry.to_owned(),
        };
        let (any_below, name) = match entry.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, entry),
        };
        let authority: Authority = name.parse().map_err(|_| refused())?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
        let host = authority.host();
        if !is_host_with_sound_port(&authority) || !name.bytes().all(plain) {
            return Err(refused());
        }
        Ok(Self {
            name: host.to_ascii_lowercase(),
            any_below,
            port: authority.port_u16(),
        })
    }

    fn matches(&self, address: &Address) -> bool {
        let host = address.host().to_ascii_lowercase();
        let named = if self.any_below {
            host.strip_suffix(&self.name)
                .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
        } else {
            host == self.name
        };
        let default_port = if address.scheme() == "http" { 80 } else { 443 };
        let port = address.as_uri().port_u16().unwrap_or(default_port);
        named && self.port.is_none_or(|allowed| allowed == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &[&str], url: &str) -> bool {
        AllowList::new(list)
            .unwrap()
            .contains(&url.parse().unwrap())
    }

    #[test]
    fn listed_hosts_pass() {
        assert!(allows(&["a.example.com"], "https://A.example.com:8443/x"));
        assert!(allows(&["*.example.com"], "https://a.b.example.com"));
        assert!(allows(
            &["other", "a.example.com:8443"],
            "https://a.example.com:8443"
        ));
        assert!(allows(&["a.example.com:443"], "https://a.example.com"));
        assert!(allows(&["[::1]:80"], "http://[::1]"));
    }

    #[test]
    fn strangers_do_not() {
        for (list, url) in [
            ("a.example.com", "https://b.example.com"),
            ("a.example.com", "https://a.example.com.evil.example"),
            ("*.example.com", "https://example.com"),
            ("*.example.com", "https://evilexample.com"),
            ("*.example.com", "https://example.com.evil.example"),
            ("a.example.com:8443", "https://a.example.com"),
            ("a.example.com:443", "http://a.example.com"),
        ] {
            assert!(!allows(&[list], url), "{list} {url}");
        }
    }

    #[test]
    fn an_entry_that_is_no_host_is_refused() {
        for entry in [
            "",
            "*",
            "*.",
            "https://a.example.com",
            "a.example.com/x",
            "u@a.example.com",
            "a*.example.com",
            "a.example.com:",
            "a.example.com:99999",
            "a b",
        ] {
            assert!(AllowList::new([entry]).is_err(), "{entry:?}");
        }
        assert_eq!(
            AllowList::new::<&str>([]).unwrap_err(),
            InvalidRedirect::NoHosts
        );
    }
}
