//! One request to the public URL, as a client makes it.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use tokio::{net::lookup_host, time::timeout};

use super::facts::{Addresses, Answer, Got};
use crate::{
    Address,
    http_client::{self, HttpClient, NoAnswer},
};

/// Limit for resolving names, which decide only one point of many.
const RESOLVE: Duration = Duration::from_secs(3);

pub(super) struct PublicRequest<'a> {
    pub(super) url: Address,
    /// Beside those that each request of the doctor has.
    pub(super) headers: HeaderMap,
    pub(super) machine_header: Option<&'a str>,
    pub(super) app: Option<&'a str>,
    pub(super) timeout: Duration,
}

impl PublicRequest<'_> {
    /// Sends it and follows redirects, all within the limit. It carries nothing that one of the
    /// hosts may not see, unless it was told to: no credentials, and no `Referer`.
    pub(super) async fn send(self) -> Answer {
        let failed = |redirects: Vec<String>, error| Answer::Failed {
            url: redirects
                .last()
                .cloned()
                .unwrap_or_else(|| self.url.to_string()),
            error,
            redirects,
        };
        let accept = HeaderValue::from_static("application/problem+json, */*;q=0.5");
        let mut headers = self.headers.clone();
        headers.entry(header::ACCEPT).or_insert(accept);
        let mut redirects = Vec::new();
        let client = HttpClient::default();
        let answer = client.follow(self.url.as_uri(), &headers, self.timeout, &mut redirects);
        let answer = answer.await;
        let redirects = redirects.iter().map(Address::to_string).collect();
        match answer {
            Err(NoAnswer(error)) => failed(redirects, error),
            Ok(answer) => Answer::Got(Box::new(Got {
                redirects,
                addresses: self.addresses().await,
                ..self.read(&answer)
            })),
        }
    }

    fn read(&self, answer: &http_client::Answer) -> Got {
        let headers = &answer.headers;
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        // An application's document is not read: it may say anything.
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
            url: self.url.to_string(),
            milliseconds: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
            status: answer.status.as_u16(),
            circular: answer.redirect.is_some(),
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

    /// The addresses of the URL's host and of the app's own name, if both are public names.
    async fn addresses(&self) -> Option<Addresses> {
        let host = self.url.host().to_owned();
        let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
        if is_address || !host.contains('.') || host.ends_with(".internal") {
            return None;
        }
        let app = format!("{}.fly.dev", self.app?);
        let both = futures_util::future::join(resolve(&host), resolve(&app));
        let (of_the_host, of_the_app) = timeout(RESOLVE, both).await.ok()?;
        Some(Addresses {
            of_the_host: of_the_host?,
            of_the_app: of_the_app?,
            host,
            app,
        })
    }
}

async fn resolve(host: &str) -> Option<Vec<String>> {
    let found = lookup_host((host, 443)).await.ok()?;
    let found: BTreeSet<String> = found.map(|address| address.ip().to_string()).collect();
    (!found.is_empty()).then(|| found.into_iter().collect())
}
