//! What stands between the client and the owner: this crate's layer, or a proxy.

use std::{fs, net::SocketAddr, path::Path, thread};

use crate::{
    core::stay_on_core,
    process,
    support::{find_program, installed::installed, listening, supervisor::Supervisor},
};

/// The core of what is measured; the client and the owner have the other one.
const CORE: usize = 0;

/// Whom requests are sent to.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    /// Why it is not measured, if it is not.
    pub(crate) running: Result<Running, &'static str>,
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// None of the owner, which is a thread of this process.
    process: Option<Supervisor>,
    /// Before the first request.
    pub(crate) idle_memory: Option<f64>,
}

impl Running {
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Supervisor::pid)
    }
}

/// What all others are compared with.
pub(crate) const DIRECT: &str = "the owner asked directly";
pub(crate) const REFERENCE: &str = "HAProxy";

/// Carries short requests only.
pub(crate) const BARE: &str = "hyper and nothing between";

/// All of them, each of one thread.
pub(crate) fn start(owner: SocketAddr) -> Vec<Proxy> {
    let direct = Running {
        address: owner,
        process: None,
        idle_memory: None,
    };
    let started = thread::spawn(move || {
        // What a thread starts stays on its core, too.
        stay_on_core(CORE);
        vec![
            Proxy {
                name: DIRECT,
                running: Ok(direct),
            },
            Proxy {
                name: "this crate's forward",
                running: Ok(this_program("--machine", owner)),
            },
            Proxy {
                name: BARE,
                running: Ok(this_program("--bare", owner)),
            },
            Proxy {
                name: REFERENCE,
                running: haproxy(owner).ok_or("haproxy is not installed; benches/run installs it"),
            },
            Proxy {
                name: "nginx",
                running: nginx(owner).ok_or("nginx is not installed; benches/run installs it"),
            },
            Proxy {
                name: "Envoy",
                running: envoy(owner).ok_or("envoy is not installed; benches/run installs it"),
            },
        ]
    });
    let proxies = started.join().expect("the proxies");
    for proxy in &proxies {
        if let Err(why) = proxy.running {
            eprintln!("NOT MEASURED: {}: {why}", proxy.name);
        }
    }
    proxies
}

fn listening(command: impl Fn(u16, &Path) -> String) -> Running {
    let (address, process) = listening::start(None, "KILL", |port, dir| {
        let words = command(port, dir);
        words.split(' ').map(ToOwned::to_owned).collect()
    });
    Running {
        address,
        idle_memory: Some(process::memory(process.pid())),
        process: Some(process),
    }
}

fn this_program(flag: &str, owner: SocketAddr) -> Running {
    let program = std::env::current_exe().expect("this program");
    listening(|port, _| format!("{} {flag} {port} {owner}", program.display()))
}

fn haproxy(owner: SocketAddr) -> Option<Running> {
    let program = find_program("haproxy", &["/usr/sbin", "/usr/local/sbin"])?;
    Some(listening(|port, dir| {
        let file = dir.join("haproxy.cfg");
        let settings = format!(
            "global\n    nbthread 1\n    maxconn 8192\n\
             defaults\n    mode http\n    http-reuse always\n    timeout connect 5s\n    \
             timeout client 60s\n    timeout server 60s\n    timeout tunnel 1h\n\
             listen proxy\n    bind 127.0.0.1:{port}\n    server owner {owner}\n"
        );
        fs::write(&file, settings).expect("haproxy.cfg");
        format!("{} -db -f {}", program.display(), file.display())
    }))
}

fn nginx(owner: SocketAddr) -> Option<Running> {
    let program = find_program("nginx", &["/usr/sbin", "/usr/local/sbin"])?;
    Some(listening(|port, dir| {
        let (file, program, dir) = (dir.join("nginx.conf"), program.display(), dir.display());
        // Bodies are streamed, as by the others. By default it closes a connection after 1,000 requests.
        let settings = format!(
            "daemon off;\nmaster_process off;\npid {dir}/pid;\nerror_log stderr warn;\n\
             worker_rlimit_nofile 16384;\nevents {{ worker_connections 8192; }}\n\
             http {{\n    access_log off;\n    client_max_body_size 0;\n    \
             keepalive_requests 1000000000;\n    client_body_temp_path {dir}/body;\n    \
             proxy_temp_path {dir}/proxy;\n    fastcgi_temp_path {dir}/fastcgi;\n    \
             uwsgi_temp_path {dir}/uwsgi;\n    scgi_temp_path {dir}/scgi;\n    \
             upstream owner {{\n        server {owner};\n        keepalive 256;\n        \
             keepalive_requests 1000000000;\n    }}\n    \
             map $http_upgrade $upgrades {{ default upgrade; '' ''; }}\n    \
             server {{\n        listen 127.0.0.1:{port};\n        location / {{\n            \
             proxy_pass http://owner;\n            proxy_http_version 1.1;\n            \
             proxy_set_header Host $host;\n            \
             proxy_set_header Upgrade $http_upgrade;\n            \
             proxy_set_header Connection $upgrades;\n            proxy_request_buffering off;\n            \
             proxy_max_temp_file_size 0;\n        }}\n    }}\n}}\n"
        );
        fs::write(&file, settings).expect("nginx.conf");
        format!("{program} -p {dir} -c {} -e stderr", file.display())
    }))
}

fn envoy(owner: SocketAddr) -> Option<Running> {
    let program = installed("envoy/requirements.txt", "envoy")?.join("bin/envoy");
    Some(listening(|port, dir| {
        let (file, owner_port) = (dir.join("envoy.yaml"), owner.port());
        let settings = include_str!("envoy.yaml")
            .replace("PORT_OF_PROXY", &port.to_string())
            .replace("PORT_OF_OWNER", &owner_port.to_string());
        fs::write(&file, settings).expect("envoy.yaml");
        let (program, file) = (program.display(), file.display());
        // Without a base id of its own, a second Envoy on this host refuses to start.
        format!("{program} --use-dynamic-base-id --concurrency 1 -l warning -c {file}")
    }))
}
