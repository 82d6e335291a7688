//! Looking again and again.

use std::{future::Future, io::IsTerminal as _, time::Duration};

use clap::Args;
use tokio::time::sleep;

use crate::{
    end::asked_to_end,
    exit::{Exit, Failure},
    output::{Output, say},
};

/// Whether to look again and again.
#[derive(Debug, Args)]
pub struct Watch {
    /// Look again every so often, until Ctrl-C; with --json, one document a line
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "2s", value_parser = humantime::parse_duration)]
    watch: Option<Duration>,
}

/// What a look found, ready to be said.
pub struct Seen {
    pub text: String,
    pub exit: Exit,
}

/// The cursor home, and nothing below it.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

impl Watch {
    pub fn is_on(&self) -> bool {
        self.watch.is_some()
    }

    /// Looks once, or again and again. A look that fails in between is said, and the next may
    /// succeed.
    pub async fn look<F>(&self, output: &Output, look: impl Fn() -> F) -> Result<Exit, Failure>
    where
        F: Future<Output = Result<Seen, Failure>>,
    {
        let first = look().await?;
        let Some(pause) = self.watch else {
            say(&first.text);
            return Ok(first.exit);
        };
        let mut end = std::pin::pin!(asked_to_end());
        let on_a_screen = !output.json && std::io::stdout().is_terminal();
        let show = |text: &str| {
            if on_a_screen {
                say(format_args!("{CLEAR}{text}"));
            } else {
                say(text);
            }
        };
        show(&first.text);
        loop {
            let next = async {
                // A pause of nothing would keep the database busy with us.
                sleep(pause.max(Duration::from_millis(100))).await;
                look().await
            };
            let seen = tokio::select! {
                () = &mut end => return Ok(Exit::Fine),
                seen = next => seen,
            };
            match seen {
                Ok(seen) => show(&seen.text),
                Err(failure) => {
                    output.failure(&failure);
                }
            }
        }
    }
}
