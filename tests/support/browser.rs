//! A real browser, without a window.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use super::supervisor::{Supervisor, has_ended};
use super::{find_program, free_port, server_dir};

/// Chromium and its driver. Both end with the drop or with the process, and their profile goes.
#[derive(Debug)]
pub struct Browser {
    /// Goes to pages and looks at them.
    pub client: Client,
    driver: Supervisor,
}

/// Who looks.
#[derive(Clone, Copy, Debug)]
pub struct Visitor {
    /// The browser's `Accept-Language`, such as `de,en`.
    pub languages: &'static str,
    /// On a phone, 390 pixels wide, which prefers dark pages.
    pub phone: bool,
    /// Whether pages may run scripts.
    pub scripts: bool,
}

impl Default for Visitor {
    fn default() -> Self {
        Self {
            languages: "en-US,en",
            phone: false,
            scripts: true,
        }
    }
}

impl Browser {
    /// ChromeDriver and Chromium, if this machine has both.
    pub fn find() -> Option<(PathBuf, PathBuf)> {
        let chromium = ["chromium", "chromium-browser", "google-chrome"]
            .iter()
            .find_map(|name| find_program(name, &[]))?;
        Some((find_program("chromedriver", &[])?, chromium))
    }

    /// A browser with a fresh profile; `None` if Chromium or its driver is not installed, and then
    /// the test says so with [`left_out`](super::left_out()).
    pub async fn open() -> Option<Self> {
        Self::open_as(Visitor::default()).await
    }

    /// The same for another visitor.
    pub async fn open_as(visitor: Visitor) -> Option<Self> {
        let (chromedriver, chromium) = Self::find()?;
        let dir = server_dir(None);
        let (driver, port) = drive(&chromedriver, &dir);
        let profile = format!("--user-data-dir={}", dir.join("profile").display());
        let mut capabilities = json!({
            "goog:chromeOptions": {
                "binary": chromium,
                "prefs": {
                    "intl.accept_languages": visitor.languages,
                    "profile.managed_default_content_settings.javascript": if visitor.scripts { 1 } else { 2 },
                },
                "args": [
                    "--headless",
                    // The sandbox needs rights that a container lacks; the pages are our own.
                    "--no-sandbox",
                    "--disable-gpu",
                    // No page of a test is worth the small /dev/shm of a container.
                    "--disable-dev-shm-usage",
                    "--disable-quic",
                    "--no-first-run",
                    // Tests talk to this machine only.
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    profile,
                ],
            },
        });
        if visitor.phone {
            let options = &mut capabilities["goog:chromeOptions"];
            options["mobileEmulation"] =
                json!({ "deviceMetrics": { "width": 390, "height": 844, "pixelRatio": 1.0 } });
            let arguments = options["args"].as_array_mut().expect("a list");
            arguments.push(json!("--blink-settings=preferredColorScheme=0"));
        }
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().expect("an object").clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("no browser: {error}\n{}", driver.log()));
        Some(Self { client, driver })
    }

    /// Holds the profile, and is named on the command line of every process of the browser.
    pub fn dir(&self) -> &Path {
        self.driver.dir()
    }

    /// Writes what the page looks like, as PNG, to `screenshots/NAME.png` in cargo's directory for
    /// tests, and returns that path.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&dir).expect("create_dir");
        let path = dir.join(name).with_extension("png");
        let picture = self.client.screenshot().await.expect("a screenshot");
        std::fs::write(&path, picture).expect("write");
        path
    }
}

fn drive(chromedriver: &Path, dir: &Path) -> (Supervisor, u16) {
    // Browsers do not end when their driver is asked to; so the whole family is killed.
    let mut driver = Supervisor::new(dir, None, "KILL", &[chromedriver]);
    // Another process may take the port between our look at it and the driver's.
    for _ in 0..5 {
        let port = free_port();
        let pid = driver.start(&[&format!("--port={port}")]);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !has_ended(pid) && Instant::now() < deadline {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return (driver, port);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        driver.stop("KILL");
    }
    panic!("ChromeDriver did not start:\n{}", driver.log());
}
