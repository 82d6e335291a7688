//! `ownership doctor`.

use std::time::Duration;

use clap::Args;
use tower_ownership::{
    doctor::{self, Check, CheckState, Diagnosis, FlyApi},
    explain::{Finding, Severity},
};

use crate::{
    database::Database,
    exit::{Exit, Failure},
    listing::{Listing, Role},
    output::{BOLD, FAINT, Output, Tone, document, labelled, say, say_to, shown},
    progress::while_waiting,
};

/// Say what is wrong with one session, and what to do about it.
///
/// Looks at everything that a request for a session goes by: its row, its owner's presence, its
/// owner on the platform, and the way there, by one GET to the public URL, which reaches the
/// application if all is well, by a redirect or a replay. Nothing is written.
///
/// With --json: session, finding, sentence, nextStep, severity (fine, problem, unknown), also (each
/// with finding, sentence, nextStep), checks (each with topic, name, state and text), and facts,
/// whose fields may change with any version.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The session's id, or its beginning or end as logs show it
    session: String,

    /// The public URL: of the session, with {session} in it, or of the service, to which --path is
    /// added unless a header names the session
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The path of a session, if the URL does not say where its id goes
    #[arg(long, value_name = "PATH", default_value = "/session/{session}")]
    path: String,

    /// A header of the request, such as 'mcp-session-id: {session}' or 'cookie: sid={session}'; may
    /// be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,

    /// A further header by which answers say which machine gave them
    #[arg(long, value_name = "NAME")]
    machine_header: Option<String>,

    /// How long the request may take, and all questions to the platform together
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// Also show what does not bear on the diagnosis, and what cannot be tested from here
    #[arg(long, short)]
    verbose: bool,

    #[command(flatten)]
    fly: Fly,

    #[command(flatten)]
    database: Database,
}

/// Fly.io, where the owner is a machine of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Fly.io")]
struct Fly {
    /// The app that the machines belong to
    #[arg(long, env = "FLY_APP_NAME", value_name = "NAME")]
    app: Option<String>,

    /// A token that may read the app; best given by its variable
    #[arg(
        long = "fly-token",
        env = "FLY_API_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,

    /// Where the Machines API is [default: `https://api.machines.dev`]
    #[arg(long = "fly-api", value_name = "URL")]
    api: Option<String>,
}

impl Doctor {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let mut doctor = doctor::Doctor::postgres(self.database.builder()?)?.timeout(self.timeout);
        if let Some(url) = &self.url {
            let place = |text: &String| text.contains("{session}");
            let template = if place(url) || self.header.iter().any(|(_, value)| place(value)) {
                url.clone()
            } else {
                let path = self.path.trim_start_matches('/');
                format!("{}/{path}", url.trim_end_matches('/'))
            };
            let headers = self.header.iter().map(|(name, value)| (&**name, &**value));
            let headers: Vec<_> = headers.collect();
            doctor = doctor
                .url_with(template, &headers)
                .map_err(|error| Failure::usage(&error))?;
        }
        if let Some(name) = self.machine_header {
            doctor = doctor.machine_header(name);
        }
        doctor = self.fly.told_to(doctor)?;
        let diagnosis = while_waiting("Looking at the session", doctor.diagnose(&self.session));
        let diagnosis = diagnosis.await;
        if output.json {
            document(&diagnosis);
        } else {
            say(told(&diagnosis, self.verbose));
        }
        Ok(match diagnosis.finding.severity() {
            Severity::Fine => Exit::Fine,
            Severity::Unknown => Exit::Unknown,
            _ => Exit::Problem,
        })
    }
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("it is no NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Fly {
    fn told_to(&self, mut doctor: doctor::Doctor) -> Result<doctor::Doctor, Failure> {
        // An empty variable is an unset one, as in most deployment tools.
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let Some(app) = given(&self.app) else {
            return Ok(doctor);
        };
        if let Some(token) = given(&self.token) {
            let mut api = FlyApi::new(&app, token);
            if let Some(url) = &self.api {
                api = api.base_url(url).map_err(|error| Failure::usage(&error))?;
            }
            doctor = doctor.fly_api(api);
        }
        Ok(doctor)
    }
}

fn told(diagnosis: &Diagnosis, all: bool) -> String {
    let tone = match diagnosis.finding.severity() {
        Severity::Fine => Tone::Good,
        _ => Tone::Bad,
    };
    let sentence = |sentence: &str, finding: Finding| format!("{sentence} ({finding})");
    let mut verdict = vec![
        (
            "Diagnosis:",
            sentence(&diagnosis.sentence, diagnosis.finding),
            tone,
        ),
        (
            "Next:",
            to_copy(diagnosis.next_step, diagnosis),
            Tone::Plain,
        ),
    ];
    for also in &diagnosis.also {
        verdict.push(("Also:", sentence(&also.sentence, also.finding), Tone::Bad));
        verdict.push(("Next:", to_copy(also.next_step, diagnosis), Tone::Plain));
    }
    let mut checks = Listing::new(&[
        ("", Role::Kept),
        ("about", Role::Kept),
        ("what", Role::Kept),
        ("found", Role::Text),
    ]);
    let mut left_out = 0;
    for check in &diagnosis.checks {
        if !all && !matters(check, diagnosis) {
            left_out += 1;
            continue;
        }
        let (mark, tone) = match check.state {
            CheckState::Fine => ("ok", Tone::Good),
            CheckState::Problem => ("!!", Tone::Bad),
            _ => ("??", Tone::Faint),
        };
        checks.row([
            (mark.to_owned(), tone),
            (check.topic.to_owned(), Tone::Faint),
            (check.name.to_owned(), Tone::Plain),
            (check.text.clone(), tone),
        ]);
    }
    let mut text = format!(
        "Session {BOLD}{}{BOLD:#}\n\n{}\n\n{}",
        shown(&diagnosis.session),
        labelled(verdict),
        checks.text(),
    );
    if left_out > 0 {
        say_to(
            &mut text,
            format_args!(
                "\n\n{FAINT}-v also shows {left_out} more: what does not bear on this, or cannot be \
                 tested from here{FAINT:#}"
            ),
        );
    }
    text
}

/// The next step, with the ids of this session and its owner in its commands. An id that a shell could
/// read as more than a word stays a placeholder.
fn to_copy(next_step: &str, diagnosis: &Diagnosis) -> String {
    let is_word = |id: &&str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.chars().all(is_plain)
    };
    let session = Some(diagnosis.session.as_str()).filter(is_word);
    let mut checks = diagnosis.checks.iter();
    let owner = checks.find(|check| {
        check.topic == "directory" && check.name == "owner" && check.state == CheckState::Fine
    });
    let owner = owner.map(|check| check.text.as_str()).filter(is_word);
    next_step
        .replace("SESSION", session.unwrap_or("SESSION"))
        .replace("OWNER", owner.unwrap_or("OWNER"))
}

/// Whether a check says something about this diagnosis.
fn matters(check: &Check, diagnosis: &Diagnosis) -> bool {
    let is_of_replays = check.topic == "fly-replay";
    match check.state {
        CheckState::Fine if is_of_replays => {
            let of_replays = |finding| {
                matches!(
                    finding,
                    Finding::ReplayNotHonoured
                        | Finding::ReplayLoop
                        | Finding::NotReplayable
                        | Finding::OwnerUnreachable
                        | Finding::ProxyError
                )
            };
            of_replays(diagnosis.finding)
                || diagnosis.also.iter().any(|also| of_replays(also.finding))
        }
        CheckState::Problem | CheckState::Fine => true,
        _ => check.topic == "directory" || check.topic == "request" && check.name != "hops",
    }
}
