//! A real Prometheus, which collects from containers every half second and judges as often.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::account::Account;
use super::supervisor::{Supervisor, has_ended};
use super::{find_program, free_port, server_dir};

/// A running Prometheus. It ends with the drop or with the process.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
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
        let dir = server_dir(account);
        let (settings, data) = (dir.join("prometheus.yml"), dir.join("data"));
        fs::write(dir.join("rules.yml"), rules).expect("rules.yml");
        fs::write(&settings, self::settings(targets)).expect("prometheus.yml");
        let command = [
            program.display().to_string(),
            format!("--config.file={}", settings.display()),
            format!("--storage.tsdb.path={}", data.display()),
        ];
        let mut supervisor = Supervisor::new(&dir, account, "KILL", &command);
        // Another process may take the port between our look at it and the server's.
        for _ in 0..5 {
            let port = free_port();
            let address = format!("--web.listen-address=127.0.0.1:{port}");
            let pid = supervisor.start(&[&address]);
            let deadline = Instant::now() + Duration::from_secs(30);
            while !has_ended(pid) && Instant::now() < deadline {
                if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                    return Some(Self { port, supervisor });
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            supervisor.stop("KILL");
            let log = supervisor.log();
            assert!(log.contains("in use"), "Prometheus did not start:\n{log}");
        }
        panic!("five free ports in a row were taken by others");
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
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
