//! A URL with a hole for the owner.

use crate::{Address, MachineId, SessionId};

use super::InvalidRedirect;

/// A base URL made from the owner's id, validated when it is parsed.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    scheme: &'static str,
    host: Vec<Piece>,
    port: Vec<Piece>,
    path: Vec<Piece>,
    in_host: InHost,
}

/// What an owner's id may hold so that the template, and not the id, decides on the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InHost {
    /// A domain follows (`{owner}.example.com`): names below it, however many.
    Names,
    /// The host is one label (`web-{owner}`): no dot, or it would be another domain.
    OneLabel,
    /// It ends the host after a dot (`10.0.0.{owner}`): a number, which is no top-level domain.
    Number,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Owner,
    Session,
}

impl Template {
    pub(crate) fn parse(template: &str) -> Result<Self, InvalidRedirect> {
        let owned = || template.to_owned();
        let not_a_url = || InvalidRedirect::NotAUrl { template: owned() };
        if template.contains(['?', '#']) {
            return Err(not_a_url());
        }
        let (scheme, rest) = match template.split_once("://") {
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            _ => return Err(not_a_url()),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        let unknown = || InvalidRedirect::UnknownPlaceholder { template: owned() };
        let host = pieces(host).ok_or_else(unknown)?;
        let port = pieces(port).ok_or_else(unknown)?;
        let path = pieces(path.trim_end_matches('/')).ok_or_else(unknown)?;

        let fixed = |piece: &Piece| match piece {
            Piece::Text(text) => text.contains(|c: char| c.is_ascii_alphanumeric()),
            Piece::Owner | Piece::Session => false,
        };
        if !host.is_empty() && !host.iter().any(fixed) {
            return Err(InvalidRedirect::OpenHost { template: owned() });
        }
        if ![&host, &port, &path]
            .into_iter()
            .flatten()
            .any(|piece| *piece == Piece::Owner)
        {
            return Err(InvalidRedirect::NoOwner { template: owned() });
        }
        let in_host = InHost::of(&host);
        let template = Self {
            scheme,
            host,
            port,
            path,
            in_host,
        };
        if template.sample().is_none() {
            return Err(not_a_url());
        }
        Ok(template)
    }

    /// Whether the session's id is a part of it.
    #[cfg(feature = "forward")]
    pub(crate) fn has_session(&self) -> bool {
        let pieces = [&self.host, &self.port, &self.path];
        pieces
            .into_iter()
            .flatten()
            .any(|piece| *piece == Piece::Session)
    }

    /// Whether there is more than a host and a port.
    #[cfg(feature = "forward")]
    pub(crate) fn has_path(&self) -> bool {
        !self.path.is_empty()
    }

    /// Whether the session's id can stand where the template puts it.
    pub(crate) fn holds(&self, session: &SessionId) -> bool {
        let label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let digit = |byte: u8| byte.is_ascii_digit();
        let fits = |pieces: &[Piece], allowed: fn(u8) -> bool| {
            !pieces.contains(&Piece::Session) || session.with_text(|text| text.bytes().all(allowed))
        };
        fits(&self.host, label) && fits(&self.port, digit)
    }

    /// The base URL for this owner and a session whose id [fits](Self::holds); `None` if the owner's
    /// cannot stand where the template puts it.
    pub(crate) fn fill(&self, owner: &MachineId, session: &SessionId) -> Option<Address> {
        let owner = owner.as_str();
        let holds_owner = |pieces: &[Piece]| pieces.contains(&Piece::Owner);
        if holds_owner(&self.host) && !owner.bytes().all(|byte| self.in_host.allows(byte)) {
            return None;
        }
        if holds_owner(&self.port) && !owner.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let in_path = session.encoded();
        let session = session.to_string();
        let mut url = format!("{}://", self.scheme);
        write(&mut url, &self.host, owner, &session);
        if !self.port.is_empty() {
            url.push(':');
            write(&mut url, &self.port, owner, &session);
        }
        // In a path, a slash of the id's must not become one of the path's.
        let owner = owner.replace('/', "%2F");
        write(&mut url, &self.path, &owner, &in_path);
        Address::parse(&url).ok()
    }

    /// The URL for an owner that fits anywhere, to see whether it is one at all.
    fn sample(&self) -> Option<Address> {
        let owner = MachineId::parse("1").ok()?;
        self.fill(&owner, &SessionId::new(uuid::Uuid::nil()))
    }
}

impl InHost {
    fn of(host: &[Piece]) -> Self {
        let dot = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('.'));
        match host.last() {
            // A dot at the very end names no domain.
            Some(Piece::Text(end)) if end.trim_end_matches('.').contains('.') => Self::Names,
            Some(Piece::Owner | Piece::Session) if host.iter().any(dot) => Self::Number,
            _ => Self::OneLabel,
        }
    }

    fn allows(self, byte: u8) -> bool {
        match self {
            Self::Names => byte.is_ascii_alphanumeric() || b"-.".contains(&byte),
            Self::OneLabel => byte.is_ascii_alphanumeric() || byte == b'-',
            Self::Number => byte.is_ascii_digit(),
        }
    }
}

fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(match name {
            "owner" | "machine" => Piece::Owner,
            "session" => Piece::Session,
            _ => return None,
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    (!text.contains('}') || pieces.iter().any(|piece| !matches!(piece, Piece::Text(_))))
        .then_some(pieces)
}

fn write(url: &mut String, pieces: &[Piece], owner: &str, session: &str) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => url.push_str(text),
            Piece::Owner => url.push_str(owner),
            Piece::Session => url.push_str(session),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, owner: &str) -> Option<String> {
        let template = Template::parse(template).unwrap();
        let session = "807efe44-d63e-4a24-88f5-dbe96112830a".parse().unwrap();
        let filled = template.fill(&MachineId::parse(owner).unwrap(), &session)?;
        Some(filled.as_uri().to_string())
    }

    #[test]
    fn an_owner_fills_in_its_part_of_the_url() {
        for (template, owner, url) in [
            (
                "https://{owner}.example.com",
                "e2863555a91708",
                "https://e2863555a91708.example.com/",
            ),
            (
                "https://{machine}.example.com/",
                "a.b",
                "https://a.b.example.com/",
            ),
            ("http://127.0.0.1:{owner}", "8081", "http://127.0.0.1:8081/"),
            ("http://[::1]:{owner}/x", "8081", "http://[::1]:8081/x"),
            (
                "https://edge.example.com/m/{owner}",
                "a/../b",
                "https://edge.example.com/m/a%2F..%2Fb",
            ),
            ("http://web-{owner}:8080", "7", "http://web-7:8080/"),
            ("http://10.0.0.{owner}", "7", "http://10.0.0.7/"),
            (
                "https://{session}.{owner}.example.com",
                "a1",
                "https://807efe44-d63e-4a24-88f5-dbe96112830a.a1.example.com/",
            ),
        ] {
            assert_eq!(fill(template, owner).as_deref(), Some(url));
        }
    }

    #[test]
    fn no_machine_id_picks_the_host() {
        for (template, owner) in [
            ("https://{owner}.example.com", "evil.example/"),
            ("https://{owner}.example.com", "evil.example:443/x"),
            ("https://{owner}.example.com", "a_b"),
            ("https://web-{owner}", "a.evil.example"),
            ("https://web-{owner}.", "a.evil.example"),
            ("https://preview.{owner}", "com"),
            ("https://preview.co{owner}", "m"),
            ("https://web.{owner}-{session}", "com"),
            ("http://10.0.0.{owner}", "com"),
            ("http://127.0.0.1:{owner}", "80a"),
            ("http://127.0.0.1:{owner}", "99999999"),
        ] {
            assert_eq!(fill(template, owner), None, "{template} {owner}");
        }
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_when_it_is_read() {
        for template in [
            "",
            "{owner}",
            "//{owner}.example.com",
            "ftp://{owner}.example.com",
            "https://",
            "https:///{owner}",
            "https://{owner}.example.com?x",
            "https://{owner}.example.com/#x",
            "https://user@{owner}.example.com",
            "https://{owner}.exam ple.com",
            "https://{owner}.example.com:port",
        ] {
            assert!(Template::parse(template).is_err(), "{template:?}");
        }
        let kind = |template| Template::parse(template).unwrap_err();
        for open in [
            "https://{owner}",
            "https://{owner}:8080/x",
            "https://{session}{owner}",
            "https://{session}.{owner}",
            "https://{owner}.",
        ] {
            assert!(
                matches!(kind(open), InvalidRedirect::OpenHost { .. }),
                "{open}"
            );
        }
        for unknown in [
            "https://{node}.example.com",
            "https://{owner.example.com",
            "https://owner}.example.com/{",
        ] {
            assert!(
                matches!(kind(unknown), InvalidRedirect::UnknownPlaceholder { .. }),
                "{unknown}"
            );
        }
        assert!(matches!(
            kind("https://example.com"),
            InvalidRedirect::NoOwner { .. }
        ));
    }
}
