//! One request to the public URL, as a client makes it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use reqwest::{Response, header};
use serde_json::Value;
use tokio::{net::lookup_host, time::timeout};

use super::{
    findings::{Addresses, Answer, Got},
    http_client::{body, chain, client},
};

/// How long names may take to resolve; it is only one point of many.
const RESOLVE: Duration = Duration::from_secs(3);

pub(super) struct Probe<'a> {
    pub(super) url: String,
    pub(super) machine_header: Option<&'a str>,
    pub(super) app: Option<&'a str>,
    pub(super) timeout: Duration,
}

impl Probe<'_> {
    pub(super) async fn ask(self) -> Answer {
        let failed = |why, error| Answer::Failed {
            url: self.url.clone(),
            why,
            error,
        };
        let client = match client(self.timeout) {
            Ok(client) => client,
            Err(error) => return failed("client", error),
        };
        let began = Instant::now();
        let request = client
            .get(&self.url)
            .header(header::ACCEPT, "application/problem+json, */*;q=0.5");
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let why = if error.is_timeout() {
                    "timeout"
                } else if error.is_connect() {
                    "connect"
                } else {
                    "other"
                };
                return failed(why, chain(&error.without_url()));
            }
        };
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let read = timeout(self.timeout, body(&mut response)).await;
        let mut got = self.read(&response, &read.unwrap_or_default());
        got.milliseconds = milliseconds;
        got.addresses = self.addresses().await;
        Answer::Got(Box::new(got))
    }

    fn read(&self, response: &Response, body: &[u8]) -> Got {
        let text = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        // Only the layer's own words are read; an application's document may say anything.
        let code = text("ownership-code");
        let problem: Value = match &code {
            Some(_) => serde_json::from_slice(body).unwrap_or_default(),
            None => Value::Null,
        };
        let member = |name: &str| problem[name].as_str().map(str::to_owned);
        let machine = ["ownership-machine", "fly-machine-id"]
            .into_iter()
            .chain(self.machine_header)
            .find_map(text);
        let via = response.headers().get_all(header::VIA).iter();
        Got {
            url: self.url.clone(),
            status: response.status().as_u16(),
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
            empty: body.is_empty(),
            ..Got::default()
        }
    }

    /// Where the URL's host and the app's own name lead, if both are public names.
    async fn addresses(&self) -> Option<Addresses> {
        let url = reqwest::Url::parse(&self.url).ok()?;
        let host = url.domain()?.to_owned();
        if !host.contains('.') || host.ends_with(".internal") {
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

async fn resolve(host: &str) -> Option<Vec<String>> {
    let found = lookup_host((host, 443)).await.ok()?;
    let found: BTreeSet<String> = found.map(|address| address.ip().to_string()).collect();
    (!found.is_empty()).then(|| found.into_iter().collect())
}
