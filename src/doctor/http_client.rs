//! The client of all requests: what is answered is what is seen.
//!
//! Not reqwest, whose features are those of everybody in the process who uses it: without a TLS
//! provider of its choosing, its every client would panic.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header, response::Parts};
use http_body_util::{BodyExt as _, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::{Instant, timeout_at};

use crate::{lookup::postgres::client_config, observe::Chain};

/// What is read of a body: enough for a problem document and for a machine's configuration.
const MOST: usize = 1 << 20;

const AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "tower-ownership-doctor/",
    env!("CARGO_PKG_VERSION")
));

/// An answer, and how long its head took.
pub(super) struct Answer {
    pub(super) head: Parts,
    /// The beginning of the body, as far as it came in time.
    pub(super) body: Vec<u8>,
    pub(super) took: Duration,
}

/// Why there is no answer: `timeout`, `connect` or `other`, and the particulars.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) why: &'static str,
    pub(super) error: String,
}

/// Gets `url`, following no redirect. It trusts what the system trusts.
pub(super) async fn get(
    url: &Uri,
    accept: HeaderValue,
    authorization: Option<HeaderValue>,
    limit: Duration,
) -> Result<Answer, NoAnswer> {
    let other = |error: String| NoAnswer {
        why: "other",
        error,
    };
    let tls = client_config().map_err(|error| other(Chain(&error).to_string()))?;
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let mut request = Request::get(url)
        .header(header::ACCEPT, accept)
        .header(header::USER_AGENT, AGENT)
        .body(Empty::new())
        .map_err(|error| other(error.to_string()))?;
    if let Some(authorization) = authorization {
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, authorization);
    }
    let began = Instant::now();
    let deadline = began + limit;
    let response = timeout_at(deadline, client.request(request)).await;
    let response = response.map_err(|_| NoAnswer {
        why: "timeout",
        error: format!("no answer within {limit:?}"),
    })?;
    let response = response.map_err(|error| NoAnswer {
        why: if error.is_connect() {
            "connect"
        } else {
            "other"
        },
        error: Chain(&error).to_string(),
    })?;
    let took = began.elapsed();
    let (head, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, stream.frame()).await {
        if let Some(data) = frame.data_ref() {
            body.extend_from_slice(data);
        }
        if body.len() >= MOST {
            body.truncate(MOST);
            break;
        }
    }
    Ok(Answer { head, body, took })
}
