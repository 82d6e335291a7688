//! The command `ownership`: looks at a fleet and at one session of it, says what is wrong, and changes
//! who owns what.

// A program exports nothing.
#![allow(unreachable_pub, unnameable_types)]
// What clap shows is no markdown.
#![allow(clippy::doc_markdown)]

mod arguments;
mod audit;
mod database;
mod doctor;
mod edge;
mod end;
mod exit;
mod hands;
mod listing;
mod machines;
mod migrate;
mod output;
mod pages;
mod progress;
mod sessions;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use exit::{Exit, Failure};
use output::Output;

#[tokio::main]
async fn main() -> ExitCode {
    // What is asked for by mistake ends here, with clap's own status of 2.
    let arguments = Arguments::parse();
    arguments.color.write_global();
    let output = Output::new(arguments.json);
    let done = run(arguments.command, &output).await;
    done.unwrap_or_else(|failure| output.failure(&failure))
        .into()
}

async fn run(command: Command, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Doctor(doctor) => doctor.run(output).await,
        Command::Audit(audit) => audit.run(output).await,
        Command::Sessions(sessions) => sessions.run(output).await,
        Command::Machines(machines) => machines.run(output).await,
        Command::Gone(gone) => gone.run(output).await,
        Command::Readmit(readmit) => readmit.run(output).await,
        Command::Assign(assign) => assign.run(output).await,
        Command::Release(release) => release.run(output).await,
        Command::End(end) => end.run(output).await,
        Command::Reap(reap) => reap.run(output).await,
        Command::Migrate(migrate) => migrate.run(output).await,
        Command::Edge(edge) => edge.run(output).await,
        Command::Completions(completions) => Ok(completions.run()),
        Command::Man(man) => man.run(),
    }
}
