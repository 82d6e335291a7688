//! A real Prometheus, which collects from containers every half second and judges as often.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::account::Account;
use super::supervisor::Supervisor;
use super::{find_program, listening};

/// A running Prometheus. It ends with the drop or with the process.
#[derive(Debug)]
pub struct Prometheus {
    addr: SocketAddr,
    supervisor: Supervisor,
}

impl Prometheus {
    /// The server, if this machine has it.
    pub fn find() -> Option<PathBuf> {
        find_program("prometheus", &["/usr/bin", "/usr/local/bin"])
    }

    /// What checks and tests rules, if this machine has it.
    pub fn tool() -> Option<PathBuf> {
        find_program("promtool", &["/usr/bin", "/usr/local/bin"])
    }

    /// Starts one that collects from `targets`, as the job `web`, and knows these rules; `None` if
    /// Prometheus is not installed, and then the test says so with
    /// [`left_out`](super::left_out()).
    pub fn start(targets: &[SocketAddr], rules: &str) -> Option<Self> {
        let program = Self::find()?;
        let account = Account::unprivileged();
        let (addr, supervisor) = listening::start(account, "KILL", |port, dir| {
            let file = dir.join("prometheus.yml");
            fs::write(dir.join("rules.yml"), rules).expect("rules.yml");
            fs::write(&file, settings(targets)).expect("prometheus.yml");
            vec![
                program.display().to_string(),
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", dir.join("data").display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ]
        });
        Some(Self { addr, supervisor })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.supervisor.log()
    }
}

fn settings(targets: &[SocketAddr]) -> String {
    let mut settings = "\
global:
  scrape_interval: 500ms
  scrape_timeout: 500ms
  evaluation_interval: 500ms
rule_files: [rules.yml]
scrape_configs:
  - job_name: web
    static_configs:
      - targets:
"
    .to_owned();
    for target in targets {
        let _ = writeln!(settings, "          - '{target}'");
    }
    settings
}
