//! The example `container` as real processes, configured by their environment alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::supervisor::{Supervisor, has_ended};
use super::{free_port, server_dir};

const START: Duration = Duration::from_secs(30);

/// An example, which Cargo builds for `cargo test`, beside the tests.
pub fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let examples = tests.ancestors().nth(2).unwrap().join("examples");
    let program = examples.join(name);
    assert!(
        program.is_file(),
        "{} is not built: `cargo test` does it, and so does `cargo build --example {name}`",
        program.display()
    );
    program
}

/// A running container. It ends with the drop or with the process.
pub struct Container {
    pub addr: SocketAddr,
    pub pid: u32,
    supervisor: Supervisor,
}

impl Container {
    /// Starts it with these variables, and no others, and waits until it listens. `{PORT}` in a value
    /// stands for the port that it gets.
    pub fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_example("container", variables)
    }

    /// The same with another example that takes its port from `PORT` and logs that it is serving.
    pub fn start_example(name: &str, variables: &[(&str, &str)]) -> Self {
        // Another process may take the port between our look at it and the container's.
        for _ in 0..5 {
            match Self::attempt_example(name, variables) {
                Ok(container) => return container,
                Err((_, log)) if log.contains("in use") => {}
                Err((status, log)) => panic!("it ended with {status}:\n{log}"),
            }
        }
        panic!("five free ports in a row were taken by others");
    }

    /// Starts it, or says how it ended, and what it had printed until then.
    pub fn attempt(variables: &[(&str, &str)]) -> Result<Self, (i32, String)> {
        Self::attempt_example("container", variables)
    }

    fn attempt_example(name: &str, variables: &[(&str, &str)]) -> Result<Self, (i32, String)> {
        let port = free_port();
        let mut command = vec![
            "env".into(),
            "-i".into(),
            "NO_COLOR=1".into(),
            format!("PORT={port}"),
            // Most tests do not wait for the platform to stop sending.
            "OWNERSHIP_LINGER_MS=0".to_owned(),
        ];
        command.extend(
            variables.iter().map(|(name, value)| {
                format!("{name}={value}").replace("{PORT}", &port.to_string())
            }),
        );
        command.push(example(name).to_str().expect("a path in UTF-8").to_owned());
        let mut supervisor = Supervisor::new(&server_dir(None), None, "KILL", &command);
        let pid = supervisor.start(&[]);
        let deadline = Instant::now() + START;
        loop {
            if supervisor.log().contains(" serving ") {
                return Ok(Self {
                    addr: (Ipv4Addr::LOCALHOST, port).into(),
                    pid,
                    supervisor,
                });
            }
            if has_ended(pid) {
                return Err((supervisor.stop("KILL"), supervisor.log()));
            }
            assert!(Instant::now() < deadline, "neither serves nor ends");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.supervisor.log()
    }

    pub fn has_ended(&self) -> bool {
        has_ended(self.pid)
    }

    /// Asks it to stop, as a platform does, and does not wait.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends it without a word.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Stops it from running, as a host does that is out of memory or being moved.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it run on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid.try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// Waits until it has ended, and returns its exit status.
    pub fn exit_status(mut self) -> i32 {
        super::until("the container ends", || has_ended(self.pid));
        self.supervisor.stop("KILL")
    }
}
