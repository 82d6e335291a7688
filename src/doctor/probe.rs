//! One request to the public URL, as a client makes it.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use http::{HeaderValue, StatusCode, Uri, header, response::Parts};
use serde_json::Value;
use tokio::{
    net::lookup_host,
    time::{Instant, timeout},
};

use super::{
    findings::{Addresses, Answer, Got},
    http_client::{self, get},
    url::checked,
};
use crate::Address;

/// How long names may take to resolve; it is only one point of many.
const RESOLVE: Duration = Duration::from_secs(3);

/// How many redirects are followed: to the owner it takes one.
const REDIRECTS: usize = 4;

pub(super) struct Probe<'a> {
    pub(super) url: String,
    pub(super) machine_header: Option<&'a str>,
    pub(super) app: Option<&'a str>,
    pub(super) timeout: Duration,
}

impl Probe<'_> {
    /// Asks, and goes where redirects lead, all within the limit. Nothing is sent that one of the
    /// hosts may not see: no credentials, and no `Referer`.
    pub(super) async fn ask(self) -> Answer {
        let deadline = Instant::now() + self.timeout;
        let mut redirects = Vec::new();
        let failed = |redirects: Vec<String>, why, error| Answer::Failed {
            url: redirects.last().unwrap_or(&self.url).clone(),
            why,
            error,
            redirects,
        };
        let accept = HeaderValue::from_static("application/problem+json, */*;q=0.5");
        let public = match checked(&self.url) {
            Ok(url) => url,
            Err(error) => return failed(redirects, "other", error.to_string()),
        };
        let mut url = public.clone();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = match get(&url, accept.clone(), None, left).await {
                Ok(answer) => answer,
                Err(none) => return failed(redirects, none.why, none.error),
            };
            let next = redirected(&url, &answer.head);
            let circular = next.is_some() && redirects.len() == REDIRECTS;
            match next {
                Some(next) if !circular => {
                    redirects.push(next.to_string());
                    url = next;
                }
                _ => {
                    let mut got = self.read(&answer);
                    got.addresses = self.addresses(&public).await;
                    return Answer::Got(Box::new(Got {
                        redirects,
                        circular,
                        ..got
                    }));
                }
            }
        }
    }

    fn read(&self, answer: &http_client::Answer) -> Got {
        let headers = &answer.head.headers;
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        // Only the layer's own words are read; an application's document may say anything.
        let code = text("ownership-code");
        let problem: Value = match &code {
            Some(_) => serde_json::from_slice(&answer.body).unwrap_or_default(),
            None => Value::Null,
        };
        let member = |name: &str| problem[name].as_str().map(str::to_owned);
        let machine = ["ownership-machine", "fly-machine-id"]
            .into_iter()
            .chain(self.machine_header)
            .find_map(text);
        let via = headers.get_all(header::VIA).iter();
        Got {
            url: self.url.clone(),
            milliseconds: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
            status: answer.head.status.as_u16(),
            detail: member("detail"),
            machine: machine.or_else(|| member("machine")),
            code,
            replay: text("fly-replay"),
            request_id: text("fly-request-id"),
            via: via
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .map(|value| value.trim().to_owned())
                .collect(),
            server: text("server"),
            empty: answer.body.is_empty(),
            ..Got::default()
        }
    }

    /// Where the URL's host and the app's own name lead, if both are public names.
    async fn addresses(&self, url: &Uri) -> Option<Addresses> {
        let host = url.host()?.to_owned();
        let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
        if is_address || !host.contains('.') || host.ends_with(".internal") {
            return None;
        }
        let app = format!("{}.fly.dev", self.app?);
        let both = async { tokio::join!(resolve(&host), resolve(&app)) };
        let (of_the_host, of_the_app) = timeout(RESOLVE, both).await.ok()?;
        Some(Addresses {
            of_the_host: of_the_host?,
            of_the_app: of_the_app?,
            host,
            app,
        })
    }
}

/// Where an answer sends its client with the same request. Only such redirects are followed: with
/// any other the application may mean something else, as when it asks for a login.
fn redirected(from: &Uri, head: &Parts) -> Option<Uri> {
    let same_request = [
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !same_request.contains(&head.status) {
        return None;
    }
    let location = head.headers.get(header::LOCATION)?.to_str().ok()?;
    let (location, _) = location.split_once('#').unwrap_or((location, ""));
    let absolute = if location.starts_with('/') && !location.starts_with("//") {
        format!("{}://{}{location}", from.scheme_str()?, from.authority()?)
    } else {
        location.to_owned()
    };
    let address = Address::parse(&absolute).ok()?;
    Some(address.as_uri().clone())
}

async fn resolve(host: &str) -> Option<Vec<String>> {
    let found = lookup_host((host, 443)).await.ok()?;
    let found: BTreeSet<String> = found.map(|address| address.ip().to_string()).collect();
    (!found.is_empty()).then(|| found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led_to(status: u16, location: &'static str) -> Option<String> {
        let from = Uri::from_static("http://app.example.com:8080/session/1?a=b");
        let answer = http::Response::builder()
            .status(status)
            .header(header::LOCATION, location)
            .body(())
            .unwrap();
        let next = redirected(&from, &answer.into_parts().0);
        next.map(|next| next.to_string())
    }

    #[test]
    fn the_same_request_is_made_again_where_an_answer_says() {
        for (status, location, next) in [
            (
                307,
                "https://m1.example.com/session/1?a=b#top",
                "https://m1.example.com/session/1?a=b",
            ),
            (308, "http://m1.example.com/", "http://m1.example.com/"),
            (308, "/session/1/", "http://app.example.com:8080/session/1/"),
        ] {
            assert_eq!(led_to(status, location).as_deref(), Some(next));
        }
    }

    #[test]
    fn an_answer_that_leads_elsewhere_is_the_answer() {
        for (status, location) in [
            (200, "https://m1.example.com/"),
            (302, "https://login.example.com/"),
            (307, "//m1.example.com/"),
            (307, "elsewhere"),
            (307, "ftp://m1.example.com/"),
            (307, "https://user:word@m1.example.com/"),
            (307, ""),
        ] {
            assert_eq!(led_to(status, location), None, "{status} {location}");
        }
    }
}
