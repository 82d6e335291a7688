//! `ownership completions` and `ownership man`.

use std::{io, path::PathBuf};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{
    arguments::Arguments,
    exit::{Exit, Failure},
    output::say,
};

/// Print completions for a shell.
///
/// For bash: `ownership completions bash > ~/.local/share/bash-completion/completions/ownership`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Print the manual page, or write one for each command.
///
/// To read it: `ownership man | man -l -`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

impl Completions {
    pub fn run(self) -> Exit {
        let mut text = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut Arguments::command(),
            "ownership",
            &mut text,
        );
        say(String::from_utf8_lossy(&text).trim_end());
        Exit::Fine
    }
}

impl Man {
    pub fn run(self) -> Result<Exit, Failure> {
        let command = Arguments::command();
        let written = if let Some(dir) = &self.dir {
            clap_mangen::generate_to(command, dir)
        } else {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut page);
            say(String::from_utf8_lossy(&page).trim_end());
            rendered
        };
        let failed = |error: io::Error| Failure {
            exit: Exit::Unknown,
            text: format!("the manual pages cannot be written: {error}"),
        };
        written.map(|()| Exit::Fine).map_err(failed)
    }
}
