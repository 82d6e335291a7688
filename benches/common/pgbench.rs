//! `pgbench`, the server's own yardstick. It comes with the server, but not with every build of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::{self, database::Database, postgres::Cluster};

/// `pgbench`, and where it may leave its scripts.
#[derive(Debug)]
pub(crate) struct Pgbench {
    program: PathBuf,
    dir: PathBuf,
}

impl Pgbench {
    /// It is beside the server's programs or in `PATH`, or there is none.
    pub(crate) fn find(cluster: &Cluster) -> Option<Self> {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let dirs = versions.flatten().map(|version| version.path().join("bin"));
        let dirs: Vec<String> = dirs.map(|dir| dir.display().to_string()).collect();
        let dirs: Vec<&str> = dirs.iter().map(String::as_str).collect();
        let program = support::find_program("pgbench", &dirs)?;
        let dir = cluster.dir().to_owned();
        Some(Self { program, dir })
    }

    /// Writes down what is to be measured.
    pub(crate) fn script(&self, name: &str, script: &str) -> PathBuf {
        let file = self.dir.join(name);
        fs::write(&file, script).expect("a script");
        file
    }

    /// Runs a script over and over, as a prepared statement, and returns how often a second.
    pub(crate) fn rate(
        &self,
        script: &Path,
        database: &Database,
        clients: u32,
        time: Duration,
    ) -> f64 {
        let output = Command::new(&self.program)
            .args(["-n", "-M", "prepared", "-h", "127.0.0.1", "-U", "postgres"])
            .args(["-p", &database.port().to_string()])
            .args(["-c", &clients.to_string()])
            .args(["-T", &time.as_secs().to_string()])
            .arg("-f")
            .arg(script)
            .arg(database.name())
            .output()
            .expect("pgbench");
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rate| rate.split(' ').next());
        rate.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
            .parse()
            .expect("a number")
    }
}
