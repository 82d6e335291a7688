//! Platforms without a replaying proxy: the client is sent to the owner.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, uri::Authority};

use super::{Handover, InvalidReplay, NotReplayable, Replay, is_upgrade};
use crate::{Address, Head, RequestOrigin};

mod allow_list;
mod template;

pub(crate) use allow_list::AllowList;
pub(crate) use template::Template;

/// Hands requests over by a redirect that keeps the method: 307 by default.
///
/// A client is sent either to the URL that a template makes from the owner's id, or to the
/// session's own address if its host is on an allow-list. Nothing in a request or in the directory
/// picks any other host. Refused are upgrades (a WebSocket client follows no redirect), CORS
/// preflights (browsers follow none), `OPTIONS *`, and a redirect to the very URL that the request
/// was sent to, which would go round in circles. A proxy that changes the host or takes a base path
/// off hides that: then the client's own limit ends the circle.
///
/// A redirect carries no count of hops. Two machines that take each other for the owner, which one
/// directory for all of them rules out, send a client to and fro until it gives up by itself.
///
/// Envoy can follow it inside (`examples/envoy`). With nginx use [`NginxReplay`](crate::NginxReplay): to follow
/// redirects by its `error_page` sends clients to inner addresses as soon as an owner is down.
///
/// The request's path and query are appended as this layer sees them, so the layer belongs outside
/// of anything that strips a prefix from the path.
#[derive(Clone, Debug)]
pub struct Redirect {
    to: Destination,
    status: StatusCode,
}

#[derive(Clone, Debug)]
enum Destination {
    Template(Template),
    SessionAddress(AllowList),
}

impl Redirect {
    /// Sends clients to the URL that a template makes, such as `https://{owner}.example.com`.
    ///
    /// `{owner}` stands for the owner's machine id (`{machine}` is another name for it) and
    /// `{session}` for the session's id; the request's path and query are appended. In the host,
    /// a machine id may fill in a part of a name but never make the whole of it, so the template
    /// decides whose machines clients are sent to. `{owner}` in the port's place must be a number.
    pub fn to_template(template: &str) -> Result<Self, InvalidRedirect> {
        Ok(Self::to(Destination::Template(Template::parse(template)?)))
    }

    /// Sends clients to the session's [`address`](crate::Session::address), if its host is one of
    /// `hosts`: a name such as `a.example.com`, or `*.example.com` for every name below it; with
    /// a port (`a.example.com:8443`) only that port. Another host is `directory-corrupt`.
    pub fn to_session_address<H: AsRef<str>>(
        hosts: impl IntoIterator<Item = H>,
    ) -> Result<Self, InvalidRedirect> {
        Ok(Self::to(Destination::SessionAddress(AllowList::new(
            hosts,
        )?)))
    }

    fn to(to: Destination) -> Self {
        Self {
            to,
            status: StatusCode::TEMPORARY_REDIRECT,
        }
    }

    /// 307 or 308. A permanent redirect is remembered by browsers for as long as they like, so 308
    /// fits only where a session never changes its owner.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn location(&self, head: &Head<'_>, handover: &Handover<'_>) -> Result<String, NotReplayable> {
        // Displayed and not as it stands: what does not begin with a slash (HTTP/2 with an older
        // `http`, or `http://host?query`) would go on with the host.
        let path = head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .filter(|path| path.starts_with('/'))
            .ok_or(NotReplayable::NoPath)?;
        let base = match &self.to {
            Destination::Template(template) if !template.holds(handover.session.id()) => {
                return Err(NotReplayable::Other(
                    "The session's id cannot stand in the address that requests for it are sent to.",
                ));
            }
            Destination::Template(template) => template
                .fill(handover.owner, handover.session.id())
                .ok_or(NotReplayable::ForbiddenAddress)?,
            Destination::SessionAddress(allowed) => {
                let address = handover.session.address().ok_or(NotReplayable::NoAddress)?;
                if !allowed.contains(address) {
                    return Err(NotReplayable::ForbiddenAddress);
                }
                address.clone()
            }
        };
        let base_path = base.as_uri().path().trim_end_matches('/');
        if is_below(&path, base_path) && is_where_it_came_from(&base, head) {
            return Err(NotReplayable::Circular);
        }
        Ok(format!(
            "{}://{}{base_path}{path}",
            base.scheme(),
            base.authority()
        ))
    }
}

impl Replay for Redirect {
    fn replay(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable> {
        if is_upgrade(head) {
            return Err(NotReplayable::Upgrade);
        }
        if is_preflight(head) {
            return Err(NotReplayable::Preflight);
        }
        let location = HeaderValue::try_from(self.location(head, handover)?)
            .map_err(|_| NotReplayable::ForbiddenAddress)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::LOCATION, location);
        Ok(response)
    }

    fn origin(&self, _head: &Head<'_>) -> RequestOrigin {
        RequestOrigin::Direct
    }

    fn validate(&self) -> Result<(), InvalidReplay> {
        let keeps_the_method = [
            StatusCode::TEMPORARY_REDIRECT,
            StatusCode::PERMANENT_REDIRECT,
        ]
        .contains(&self.status);
        keeps_the_method
            .then_some(())
            .ok_or(InvalidReplay::RedirectStatus {
                status: self.status,
            })
    }
}

/// Why a [`Redirect`] cannot be made.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedirect {
    /// Neither a scheme that clients follow nor a host, or something that a URL cannot hold.
    #[error("the template {template:?} is not an http or https URL without query and fragment")]
    NotAUrl {
        /// The template.
        template: String,
    },
    /// A placeholder of another name, or where none may be.
    #[error(
        "the template {template:?} has a placeholder that is none of {{owner}}, {{machine}} and {{session}}, or is not closed"
    )]
    UnknownPlaceholder {
        /// The template.
        template: String,
    },
    /// The machine id would be the whole host.
    #[error(
        "the template {template:?} lets a machine id make the whole host; add a fixed part such as `.example.com`"
    )]
    OpenHost {
        /// The template.
        template: String,
    },
    /// Every machine would send every client to one place, for good.
    #[error("the template {template:?} does not say where {{owner}} goes")]
    NoOwner {
        /// The template.
        template: String,
    },
    /// An entry of the allow-list is no host.
    #[error(
        "{entry:?} is no host for the redirect's allow-list: `a.example.com`, `*.example.com`, either with a port"
    )]
    NotAHost {
        /// The entry.
        entry: String,
    },
    /// The allow-list is empty.
    #[error("the redirect's allow-list is empty")]
    NoHosts,
}

/// The Fetch standard's definition of a preflight.
fn is_preflight(head: &Head<'_>) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(header::ORIGIN)
        && head
            .headers
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether the path is the base path or goes on from there, so that appending it goes nowhere new.
fn is_below(path: &str, base_path: &str) -> bool {
    path.strip_prefix(base_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// Whether the client came to the host that it would be sent to.
///
/// The scheme is not compared: behind a proxy that ends TLS, the one that the client used is not
/// known here.
fn is_where_it_came_from(base: &Address, head: &Head<'_>) -> bool {
    let host_header = || {
        head.headers
            .get(header::HOST)?
            .to_str()
            .ok()?
            .parse::<Authority>()
            .ok()
    };
    let Some(came_to) = head.uri.authority().cloned().or_else(host_header) else {
        return false;
    };
    let port = |port: Option<u16>| port.filter(|port| ![80, 443].contains(port));
    base.host().eq_ignore_ascii_case(came_to.host())
        && port(base.as_uri().port_u16()) == port(came_to.port_u16())
}

crate::observe::debug_as_chain!(InvalidRedirect);
