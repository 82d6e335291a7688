//! The official clients of MCP, as processes that are led by lines of JSON.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::find_program;
use super::installed::installed;

/// Longer than any request of a client may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// An official SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    Python,
    TypeScript,
}

impl Sdk {
    /// The command that runs it, if `tests/run` has installed it in the version that is listed.
    fn command(self) -> Option<Command> {
        let (folder, list, script) = match self {
            Self::Python => ("mcp/python", "mcp/requirements.txt", "client.py"),
            Self::TypeScript => ("mcp/typescript", "mcp/package-lock.json", "client.mjs"),
        };
        let folder = installed(list, folder)?;
        let program = match self {
            Self::Python => folder.join("bin/python"),
            Self::TypeScript => find_program("node", &[])?,
        };
        let mut command = Command::new(program);
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/mcp");
        command.arg(here.join(script)).current_dir(folder);
        Some(command)
    }
}

/// A running client, which ends with the drop or with the process.
pub struct McpClient {
    pub sdk: Sdk,
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// What happened between the commands so far.
    events: Vec<Value>,
    _process: Child,
}

/// What the application gets instead of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpError {
    pub message: String,
    pub code: Option<i64>,
}

impl McpClient {
    /// `None` if it is not installed, and then the test says so with
    /// [`left_out`](super::left_out()).
    pub fn start(sdk: Sdk) -> Option<Self> {
        let mut process = sdk
            .command()?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the client starts");
        Some(Self {
            sdk,
            commands: process.stdin.take().expect("piped"),
            lines: BufReader::new(process.stdout.take().expect("piped")).lines(),
            events: Vec::new(),
            _process: process,
        })
    }

    /// Begins a session, in place of the one before.
    pub async fn connect(&mut self, url: &str) -> Result<Value, McpError> {
        self.command(json!({ "do": "connect", "url": url })).await
    }

    /// The same, but each request goes to the next one of these.
    pub async fn connect_in_turn(&mut self, urls: &[String]) -> Result<Value, McpError> {
        let command = json!({ "do": "connect", "url": urls[0], "turns": urls });
        self.command(command).await
    }

    /// Begins as the SDK does by default, by asking which revision the server speaks (Python).
    pub async fn connect_by_discovery(&mut self, url: &str) -> Result<Value, McpError> {
        let command = json!({ "do": "connect", "url": url, "mode": "auto" });
        self.command(command).await
    }

    pub async fn tools(&mut self) -> Result<Value, McpError> {
        self.command(json!({ "do": "tools" })).await
    }

    /// Calls a tool, and returns its text.
    pub async fn call(&mut self, tool: &str) -> Result<String, McpError> {
        self.call_within(30, tool).await
    }

    /// The same, but the client gives up after so many seconds.
    pub async fn call_within(&mut self, seconds: u64, tool: &str) -> Result<String, McpError> {
        self.answer(json!({ "do": "call", "tool": tool, "seconds": seconds }))
            .await
    }

    /// Calls a tool with arguments (Python).
    pub async fn call_with(&mut self, tool: &str, arguments: Value) -> Result<String, McpError> {
        self.answer(json!({ "do": "call", "tool": tool, "arguments": arguments }))
            .await
    }

    async fn answer(&mut self, command: Value) -> Result<String, McpError> {
        let text = self.command(command).await?;
        Ok(text.as_str().expect("a text").to_owned())
    }

    /// Ends the session, by the SDK's own means.
    pub async fn close(&mut self) -> Result<Value, McpError> {
        self.command(json!({ "do": "close" })).await
    }

    /// The events so far, and those that come until one of them is such.
    pub async fn event(&mut self, what: &str, is_such: impl Fn(&Value) -> bool) {
        while !self.events.iter().any(&is_such) {
            let Some(line) = self.line(what).await else {
                panic!("{what}: the client ended after {:?}", self.events);
            };
            assert!(line.get("answer").is_none(), "an answer to nothing: {line}");
        }
    }

    /// What the SDK logged, or told its error handler, so far.
    pub fn log(&self) -> Vec<&str> {
        let logged = self.events.iter().filter_map(|event| event["log"].as_str());
        logged.collect()
    }

    /// Begins to collect events anew.
    pub fn forget_events(&mut self) {
        self.events.clear();
    }

    async fn command(&mut self, command: Value) -> Result<Value, McpError> {
        let line = format!("{command}\n");
        self.commands
            .write_all(line.as_bytes())
            .await
            .expect("it listens");
        loop {
            let Some(mut line) = self.line(&line).await else {
                panic!("the client ended at {command}");
            };
            let Some(answer) = line.get_mut("answer") else {
                continue;
            };
            return match answer["error"].as_str() {
                None => Ok(answer["ok"].take()),
                Some(message) => Err(McpError {
                    message: message.to_owned(),
                    code: answer["code"].as_i64(),
                }),
            };
        }
    }

    async fn line(&mut self, what: &str) -> Option<Value> {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("not in time: {what}; {:?}", self.events));
        let line: Value = serde_json::from_str(&line.expect("UTF-8")?).expect("JSON");
        if let Some(event) = line.get("event") {
            self.events.push(event.clone());
        }
        Some(line)
    }
}
