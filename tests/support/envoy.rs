//! A real Envoy, with the configuration that is shipped.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::installed::installed;
use super::listening;
use super::nginx::replace;
use super::supervisor::Supervisor;

/// A running Envoy. It ends with the drop or with the process.
#[derive(Debug)]
pub struct Envoy {
    pub addr: SocketAddr,
    supervisor: Supervisor,
}

impl Envoy {
    /// Starts one with `examples/envoy/envoy.yaml`, whose requests land on `machine`, and which follows
    /// redirects to 127.0.0.1; `None` if `tests/run` has not installed it, and then the test says so with
    /// [`left_out`](super::left_out()).
    pub fn start(machine: SocketAddr) -> Option<Self> {
        let program = installed("envoy/requirements.txt", "envoy")?.join("bin/envoy");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = fs::read_to_string(root.join("examples/envoy/envoy.yaml"));
        let shipped = shipped.expect("the example");
        let owners = r#"domains: ["*.rooms.default.svc.cluster.local:8080"]"#;
        let shipped = replace(&shipped, owners, r#"domains: ["127.0.0.1:*"]"#);
        let service = "address: rooms.default.svc.cluster.local, port_value: 8080";
        let machine = format!("address: 127.0.0.1, port_value: {}", machine.port());
        let shipped = replace(&shipped, service, &machine);
        let (addr, supervisor) = listening::start(None, "KILL", |port, dir| {
            let listens = format!("address: 127.0.0.1, port_value: {port}");
            let settings = replace(&shipped, "address: 0.0.0.0, port_value: 8000", &listens);
            let file = dir.join("envoy.yaml");
            fs::write(&file, settings).expect("envoy.yaml");
            let (program, file) = (program.display(), file.display());
            // Without a base id of its own, a second Envoy on this host refuses to start.
            format!("{program} --use-dynamic-base-id --concurrency 1 -l warning -c {file}")
                .split(' ')
                .map(str::to_owned)
                .collect()
        });
        Some(Self { addr, supervisor })
    }

    /// What it has printed so far: errors and warnings.
    pub fn log(&self) -> String {
        self.supervisor.log()
    }
}
