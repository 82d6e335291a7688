//! Proxies that find a session's machine in a list which they have loaded.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    SESSIONS,
    common::setup::{ME, sessions},
    server::Server,
    support::find_program,
};

pub(crate) const NGINX: &str = "nginx, the machine by its `map`";
pub(crate) const HAPROXY: &str = "HAProxy, the machine by its `map`";

pub(crate) fn nginx_program() -> Option<PathBuf> {
    find_program("nginx", &["/usr/sbin", "/usr/local/sbin"])
}

pub(crate) fn haproxy_program() -> Option<PathBuf> {
    find_program("haproxy", &["/usr/sbin", "/usr/local/sbin"])
}

pub(crate) fn nginx() -> Server {
    start_nginx(true)
}

pub(crate) fn nginx_bare() -> Server {
    start_nginx(false)
}

pub(crate) fn haproxy() -> Server {
    start_haproxy(true)
}

pub(crate) fn haproxy_bare() -> Server {
    start_haproxy(false)
}

fn start_nginx(asks: bool) -> Server {
    let program = nginx_program().expect("nginx");
    Server::process(move |port, dir| {
        list(dir, ";");
        let (maps, asks) = if asks {
            (
                "map_hash_max_size 32768; map_hash_bucket_size 128;\n\
                 map $uri $session { ~^/session/([^/]+) $1; }\n\
                 map $session $owner { include list; }\n",
                format!("if ($owner != \"{ME}\") {{ return 409; }}"),
            )
        } else {
            ("", String::new())
        };
        // By default it closes a connection after 1,000 requests.
        let settings = format!(
            "daemon off;\nmaster_process off;\npid pid;\nerror_log stderr warn;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\naccess_log off;\nkeepalive_requests 1000000000;\n\
             client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n{maps}\
             server {{ listen 127.0.0.1:{port}; location / {{ {asks} return 200 \"hello\"; }} }}\n}}\n"
        );
        let file = dir.join("nginx.conf");
        fs::write(&file, settings).expect("nginx.conf");
        let (program, dir, file) = (path(&program), path(dir), path(&file));
        [&program, "-p", &dir, "-c", &file, "-e", "stderr"]
            .map(str::to_owned)
            .into()
    })
}

fn start_haproxy(asks: bool) -> Server {
    let program = haproxy_program().expect("HAProxy");
    Server::process(move |port, dir| {
        let list = list(dir, "");
        let asks = if asks {
            format!(
                "if {{ path,field(3,/),map_str({}) -m str {ME} }}",
                path(&list)
            )
        } else {
            String::new()
        };
        let settings = format!(
            "global\n    nbthread 1\n\
             defaults\n    mode http\n    timeout client 60s\n\
             frontend proxy\n    bind 127.0.0.1:{port}\n    \
             http-request return status 200 content-type text/plain string hello {asks}\n    \
             http-request return status 409\n"
        );
        let file = dir.join("haproxy.cfg");
        fs::write(&file, settings).expect("haproxy.cfg");
        vec![path(&program), "-db".into(), "-f".into(), path(&file)]
    })
}

/// Every session is owned by this machine. `end` ends a line.
fn list(dir: &Path, end: &str) -> PathBuf {
    let lines = sessions(SESSIONS)
        .into_iter()
        .map(|id| format!("{id} {ME}{end}\n"));
    let file = dir.join("list");
    fs::write(&file, lines.collect::<String>()).expect("a list");
    file
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
