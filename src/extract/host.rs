//! The session in the host name.

use std::borrow::Cow;

use http::header;

use super::{Agreement, ExtractSession, InvalidExtractor, shape::Shape};
use crate::{Head, MalformedSession, SessionId};

/// The session id is in the label before a domain: `<id>.preview.example.com`.
///
/// ```
/// use tower_ownership::HostLabel;
///
/// let extractor = HostLabel::under("preview.example.com")?;
/// // https://3000-<id>.preview.example.com and https://<id>.preview.example.com
/// let with_ports = HostLabel::under("preview.example.com")?
///     .shapes(["{port}-{id}", "{id}"])?
///     .except(["www", "api"]);
/// # Ok::<(), tower_ownership::extract::InvalidExtractor>(())
/// ```
///
/// The id is read in lower case, because host names have no case. The port of the authority and a dot
/// at the end do not matter. Other hosts, the bare domain and the [excepted](Self::except) labels are no session;
/// a label of another shape, or several labels before the domain, can be no session's.
///
/// The host is the target's authority, as HTTP/2 and absolute targets have it, and the `Host`
/// header. RFC 9112 lets the authority win, but some frameworks look at the header first: if both
/// are there and name different sessions, the request is malformed. A host that is not a name or
/// an address, that carries user information, or that stands in several `Host` headers is
/// [`Unreadable`](MalformedSession::Unreadable).
///
/// `X-Forwarded-Host` and `Forwarded` are not read: a client can send them, and a proxy that is
/// known to overwrite them is a case for a closure.
#[derive(Clone, Debug)]
pub struct HostLabel {
    /// The domain with a dot in front.
    suffix: Box<str>,
    /// Empty: the label is the id.
    shapes: Vec<Shape>,
    excepted: Vec<String>,
}

impl HostLabel {
    /// The label right before `domain`, such as `preview.example.com`.
    pub fn under(domain: &str) -> Result<Self, InvalidExtractor> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if domain.len() > 253 || !domain.split('.').all(label) {
            return Err(InvalidExtractor::new(
                domain,
                "a domain, such as `preview.example.com`: without scheme, wildcard, port and \
                 dot at either end, and in its ASCII form",
            ));
        }
        let suffix = format!(".{domain}").into();
        Ok(Self {
            suffix,
            shapes: Vec::new(),
            excepted: Vec::new(),
        })
    }

    /// Where in the label the id stands: `{id}`, with letters, digits and hyphens around it, and
    /// perhaps a `{port}` of one to five digits, which is not looked at. The first shape that a label
    /// has decides. Default: the label is the id.
    pub fn shapes<'a>(
        mut self,
        shapes: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidExtractor> {
        self.shapes = shapes
            .into_iter()
            .map(Shape::parse)
            .collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Labels that are no session, such as `www`: their requests pass on every machine. Default:
    /// none.
    #[must_use]
    pub fn except<S: AsRef<str>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        let labels = labels.into_iter();
        self.excepted = labels
            .map(|label| label.as_ref().to_ascii_lowercase())
            .collect();
        self
    }

    fn in_label(&self, label: &[u8]) -> Result<Option<SessionId>, MalformedSession> {
        let label = label.to_ascii_lowercase();
        if self
            .excepted
            .iter()
            .any(|excepted| excepted.as_bytes() == label)
        {
            return Ok(None);
        }
        let id = match self.shapes.as_slice() {
            [] => Some(&*label),
            shapes => shapes.iter().find_map(|shape| shape.id(&label)),
        };
        match id {
            Some(id) if !id.contains(&b'.') => SessionId::parse_bytes(id).map(Some),
            _ => Err(MalformedSession::NotAnId),
        }
    }

    fn in_authority(&self, authority: &[u8]) -> Result<Option<SessionId>, MalformedSession> {
        let host = host(authority)?;
        let Some(at) = host.len().checked_sub(self.suffix.len()) else {
            return Ok(None);
        };
        let (label, suffix) = host.split_at(at);
        if suffix.eq_ignore_ascii_case(self.suffix.as_bytes()) {
            self.in_label(label)
        } else {
            Ok(None)
        }
    }
}

impl ExtractSession for HostLabel {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        let target = head.uri.authority().map(|it| it.as_str().as_bytes());
        let mut lines = head.headers.get_all(header::HOST).iter();
        let line = lines.next().map(http::HeaderValue::as_bytes);
        if lines.next().is_some() {
            return Err(MalformedSession::Unreadable);
        }
        let mut agreed = Agreement::default();
        for authority in target.into_iter().chain(line) {
            agreed.note_any(self.in_authority(authority)?)?;
        }
        Ok(agreed.0)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the host's label before {}", self.suffix).into()
    }
}

/// The name in an authority; empty for an IPv6 address.
///
/// Stricter than RFC 3986, which allows percent-encoding and punctuation that no DNS name has:
/// where hosts are told apart by name, nothing good comes in that way.
fn host(authority: &[u8]) -> Result<&[u8], MalformedSession> {
    let authority = authority.trim_ascii();
    if authority.starts_with(b"[") {
        return Ok(b"");
    }
    let mut halves = authority.splitn(2, |&byte| byte == b':');
    let host = halves.next().unwrap_or_default();
    let port = halves.next().unwrap_or_default();
    let host = host.strip_suffix(b".").unwrap_or(host);
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
    if host.iter().all(allowed) && !host.ends_with(b".") && port.iter().all(u8::is_ascii_digit) {
        Ok(host)
    } else {
        Err(MalformedSession::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{A, B, head, id};
    use super::*;

    fn read(target: &str, hosts: &[&[u8]]) -> Result<Option<SessionId>, MalformedSession> {
        let lines: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        HostLabel::under("Preview.example.com")
            .unwrap()
            .session(&(&head(target, &lines)).into())
    }

    fn found(host: &str) -> Result<Option<SessionId>, MalformedSession> {
        read("/", &[host.as_bytes()])
    }

    #[test]
    fn the_label_before_the_domain_is_the_session() {
        for host in [
            format!("{A}.preview.example.com"),
            format!("{A}.preview.example.com:8080"),
            format!("{A}.preview.example.com."),
            format!("{A}.preview.example.com.:443"),
            format!("{A}.preview.example.com:"),
            format!("{A}.PREVIEW.Example.com").to_uppercase(),
        ] {
            assert_eq!(found(&host), Ok(Some(id(A))), "{host}");
            let target = format!("https://{host}/x");
            assert_eq!(read(&target, &[]), Ok(Some(id(A))), "{target}");
        }
    }

    #[test]
    fn other_hosts_are_no_session() {
        for host in [
            "",
            "localhost:8080",
            "127.0.0.1:80",
            "[::1]:80",
            "[::1]",
            "preview.example.com",
            "preview.example.com.",
            "evilpreview.example.com",
            &format!("{A}.example.com"),
            &format!("{A}preview.example.com"),
            &format!("{A}.preview.example.com.evil.com"),
        ] {
            assert_eq!(found(host), Ok(None), "{host}");
        }
        assert_eq!(read("/", &[]), Ok(None));
    }

    #[test]
    fn other_labels_before_the_domain_are_ids_as_well() {
        assert_eq!(found("WWW.preview.example.com"), Ok(Some(id("www"))));
        for host in [
            ".preview.example.com",
            &format!("a.{A}.preview.example.com"),
            &format!("{A}.a.preview.example.com"),
        ] {
            assert_eq!(found(host), Err(MalformedSession::NotAnId), "{host}");
        }
    }

    #[test]
    fn a_label_with_a_port_in_it_has_its_id_where_the_shape_says() {
        let extractor = HostLabel::under("preview.example.com")
            .unwrap()
            .shapes(["{port}-{id}", "{id}"])
            .unwrap()
            .except(["www", "API"]);
        let found =
            |host: &str| extractor.session(&(&head("/", &[("host", host.as_bytes())])).into());
        for host in [
            format!("3000-{A}.preview.example.com"),
            format!("{A}.preview.example.com:8080"),
        ] {
            assert_eq!(found(&host), Ok(Some(id(A))), "{host}");
        }
        for host in ["www.preview.example.com", "Api.preview.example.com"] {
            assert_eq!(found(host), Ok(None), "{host}");
        }
        let only = HostLabel::under("example.com").unwrap();
        let only = only.shapes(["{id}--{port}"]).unwrap();
        let other = only.session(&(&head("/", &[("host", b"abc.example.com")])).into());
        assert_eq!(other, Err(MalformedSession::NotAnId));
    }

    #[test]
    fn hosts_that_could_be_read_in_two_ways_are_unreadable() {
        for host in [
            format!("user@{A}.preview.example.com"),
            format!("{A}.preview.example.com@evil.com"),
            format!("x:1.{A}.preview.example.com"),
            format!("{A}.preview.example.com, evil.com"),
            format!("{A}.preview.example.com/x"),
            format!("{A}.preview.example.com.."),
            format!("{A}%2Epreview.example.com"),
            format!("{A}.préview.example.com"),
        ] {
            assert_eq!(found(&host), Err(MalformedSession::Unreadable), "{host}");
        }
        let host = format!("{A}.preview.example.com");
        let twice = [host.as_bytes(), host.as_bytes()];
        assert_eq!(read("/", &twice), Err(MalformedSession::Unreadable));
        let target = format!("http://user:secret@{host}/");
        assert_eq!(read(&target, &[]), Err(MalformedSession::Unreadable));
    }

    #[test]
    fn the_target_and_the_header_have_to_agree() {
        let target = format!("http://{A}.preview.example.com/");
        let same = format!("{A}.preview.example.com:80");
        let other = format!("{B}.preview.example.com");
        assert_eq!(read(&target, &[same.as_bytes()]), Ok(Some(id(A))));
        assert_eq!(read(&target, &[b"example.com"]), Ok(Some(id(A))));
        assert_eq!(
            read(&target, &[other.as_bytes()]),
            Err(MalformedSession::Ambiguous)
        );
        let elsewhere = "http://example.com/";
        assert_eq!(read(elsewhere, &[other.as_bytes()]), Ok(Some(id(B))));
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for domain in [
            "",
            ".",
            ".example.com",
            "example.com.",
            "*.example.com",
            "example.com:80",
            "https://example.com",
            "exämple.com",
            "-a.com",
        ] {
            assert!(HostLabel::under(domain).is_err(), "{domain:?}");
        }
        assert!(HostLabel::under("localhost").is_ok());
    }

    proptest! {
        #[test]
        fn no_host_panics(host in prop::collection::vec(any::<u8>(), 0..80)) {
            if http::HeaderValue::from_bytes(&host).is_ok() {
                let _ = read("/", &[&host]);
            }
        }

        #[test]
        fn every_id_is_found(bytes: [u8; 16], port in prop::option::of(any::<u16>())) {
            let session = SessionId::new(uuid::Uuid::from_bytes(bytes));
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            prop_assert_eq!(found(&format!("{session}.preview.example.com{port}")), Ok(Some(session)));
        }
    }
}
