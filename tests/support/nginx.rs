//! A real nginx, with the configuration that is shipped.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::supervisor::Supervisor;
use super::{find_program, listening};

/// What the example calls its machines and its allow-list; a test has others.
const MACHINES: &str = "    server 10.0.0.11:8080;\n    server 10.0.0.12:8080;\n";
const ALLOWED: &str = r"10\.0\.0\.[0-9]+:8080";
const LISTEN: &str = "listen 80;";

/// A running nginx. It ends with the drop or with the process.
#[derive(Debug)]
pub struct Nginx {
    pub addr: SocketAddr,
    supervisor: Supervisor,
}

impl Nginx {
    /// Starts one with `examples/nginx/ownership.conf`, whose requests land on `machines` in turn, and
    /// which connects to owners that `allowed` matches; `None` if nginx is not installed, and then the test
    /// says so with [`left_out`](super::left_out()).
    pub fn start(machines: &[SocketAddr], allowed: &str) -> Option<Self> {
        Self::edited(machines, allowed, |shipped| shipped)
    }

    /// The same, with a change to the configuration.
    pub fn edited(
        machines: &[SocketAddr],
        allowed: &str,
        edit: impl FnOnce(String) -> String,
    ) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = fs::read_to_string(root.join("examples/nginx/ownership.conf"));
        let mut servers = String::new();
        for machine in machines {
            let _ = writeln!(servers, "    server {machine};");
        }
        let shipped = replace(&shipped.expect("the example"), MACHINES, &servers);
        let shipped = edit(replace(&shipped, ALLOWED, allowed));
        Self::start_with(&|port| replace(&shipped, LISTEN, &format!("listen 127.0.0.1:{port};")))
    }

    /// Starts one with what stands in the manual for Kubernetes in place of its machines and its allow-list.
    pub fn for_kubernetes(manual: &str) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = fs::read_to_string(root.join("examples/nginx/ownership.conf"));
        let shipped = shipped.expect("the example");
        let rest = shipped
            .find("map $upstream_http_x_owner_hops")
            .expect("the next map");
        // The name leads somewhere only in a cluster.
        let manual = replace(
            manual,
            "rooms.default.svc.cluster.local:8080",
            "127.0.0.1:1",
        );
        Self::start_with(&|port| {
            let listens = format!("listen 127.0.0.1:{port};");
            format!("{manual}{}", replace(&shipped[rest..], LISTEN, &listens))
        })
    }

    /// Starts one with what `server` writes for a port, in the context `http`.
    pub fn start_with(server: &dyn Fn(u16) -> String) -> Option<Self> {
        let program = Self::find()?;
        let (addr, supervisor) = listening::start(Account::unprivileged(), "TERM", |port, dir| {
            fs::write(dir.join("ownership.conf"), server(port)).expect("ownership.conf");
            let settings = dir.join("nginx.conf");
            fs::write(&settings, around(dir)).expect("nginx.conf");
            let (program, dir, settings) = (program.display(), dir.display(), settings.display());
            // `-e`: where errors go before the configuration is read.
            format!("{program} -p {dir} -c {settings} -e stderr")
                .split(' ')
                .map(str::to_owned)
                .collect()
        });
        Some(Self { addr, supervisor })
    }

    fn find() -> Option<PathBuf> {
        find_program("nginx", &["/usr/sbin", "/usr/local/sbin"])
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What it has printed so far: errors and warnings.
    pub fn log(&self) -> String {
        self.supervisor.log()
    }
}

/// What Debian has around it, in a directory of the test.
fn around(dir: &Path) -> String {
    let dir = dir.display();
    let mut paths = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(paths, "    {kind}_temp_path {dir}/{kind};");
    }
    format!(
        "daemon off;\nworker_processes 1;\npid {dir}/pid;\nerror_log stderr warn;\n\
         events {{}}\nhttp {{\n    access_log off;\n{paths}    include {dir}/ownership.conf;\n}}\n"
    )
}

/// Replaces the one place at which `from` stands.
pub fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} is not in it once");
    text.replace(from, to)
}
