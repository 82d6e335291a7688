//! A Machines API as Fly's public reference describes it: one machine by its id, a token, and a
//! limit of five questions a second for each machine, ten at once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::support::server::serve;

const RATE: f64 = 5.0;
const BURST: f64 = 10.0;

#[derive(Clone)]
pub struct MachinesApi {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    app: String,
    token: String,
    machines: Mutex<HashMap<String, String>>,
    buckets: Mutex<HashMap<String, Bucket>>,
    refused: Mutex<usize>,
}

struct Bucket {
    left: f64,
    since: Instant,
}

impl MachinesApi {
    pub async fn start(app: &str, token: &str) -> Self {
        let shared = Arc::new(Shared {
            app: app.to_owned(),
            token: token.to_owned(),
            machines: Mutex::default(),
            buckets: Mutex::default(),
            refused: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/apps/{app}/machines/{id}", get(machine))
            .with_state(Arc::clone(&shared));
        Self {
            addr: serve(router).await,
            shared,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn put(&self, machine: &str, state: &str) {
        let mut machines = self.shared.machines.lock().unwrap();
        machines.insert(machine.to_owned(), state.to_owned());
    }

    /// Has others ask so often that the next question comes too early.
    pub fn exhaust(&self, machine: &str) {
        let bucket = Bucket {
            left: 0.0,
            since: Instant::now(),
        };
        let mut buckets = self.shared.buckets.lock().unwrap();
        // It takes longer than the command does to start.
        buckets.insert(
            machine.to_owned(),
            Bucket {
                left: -4.0,
                ..bucket
            },
        );
    }

    /// How often it has refused a question for that.
    pub fn refused(&self) -> usize {
        *self.shared.refused.lock().unwrap()
    }
}

async fn machine(
    State(shared): State<Arc<Shared>>,
    Path((app, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let authorization = headers.get("authorization").and_then(|a| a.to_str().ok());
    if authorization != Some(&format!("Bearer {}", shared.token)) {
        let error = json!({ "error": "unauthorized" });
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    if let Err(seconds) = shared.take(&id) {
        *shared.refused.lock().unwrap() += 1;
        let headers = [("retry-after", seconds.to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, headers).into_response();
    }
    let machines = shared.machines.lock().unwrap();
    match machines.get(&id).filter(|_| app == shared.app) {
        None => {
            let error = json!({ "error": "machine not found" });
            (StatusCode::NOT_FOUND, Json(error)).into_response()
        }
        Some(state) => Json(json!({
            "id": id,
            "name": "quiet-leaf-42",
            "state": state,
            "region": "iad",
            "instance_id": "01HQ6Z5W3N",
            "private_ip": "fdaa:0:1::2",
            "config": {
                "services": [{
                    "protocol": "tcp",
                    "internal_port": 8080,
                    "autostart": true,
                    "ports": [{ "port": 443, "handlers": ["tls", "http"] }],
                }],
            },
            "events": [],
        }))
        .into_response(),
    }
}

impl Shared {
    /// Takes one question's worth, or says in how many seconds there is one.
    fn take(&self, id: &str) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap();
        let now = Instant::now();
        let bucket = buckets.entry(id.to_owned()).or_insert(Bucket {
            left: BURST,
            since: now,
        });
        let filled = bucket.left + now.duration_since(bucket.since).as_secs_f64() * RATE;
        (bucket.left, bucket.since) = (filled.min(BURST), now);
        if bucket.left < 1.0 {
            return Err(1);
        }
        bucket.left -= 1.0;
        Ok(())
    }
}
