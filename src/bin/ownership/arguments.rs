//! Arguments of the command.

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    audit::Audit,
    doctor::Doctor,
    edge::Edge,
    hands::{Assign, End, Gone, Readmit, Reap, Release},
    machines::Machines,
    migrate::Migrate,
    pages::{Completions, Man},
    sessions::Sessions,
};

/// Looks at a fleet whose machines own sessions, says what is wrong, and changes who owns what.
#[derive(Debug, Parser)]
#[command(name = "ownership", version, max_term_width = 100, after_help = EXIT)]
pub struct Arguments {
    /// Write JSON in place of tables; its names are stable
    #[arg(long, global = true)]
    pub json: bool,

    /// Where colours are used. NO_COLOR turns `auto` off
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,

    #[command(subcommand)]
    pub command: Command,
}

const EXIT: &str = "\
Exit status:
  0  nothing is wrong, or it was done
  1  something is wrong or was not done, and was said
  2  the command was used wrongly
  3  it could not be found out or done: the database could not be asked";

/// What there is to do. What each says of itself in the help is the documentation of its arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(after_long_help = EXIT)]
    Doctor(Box<Doctor>),
    #[command(after_long_help = EXIT)]
    Audit(Box<Audit>),
    #[command(after_long_help = EXIT)]
    Sessions(Box<Sessions>),
    #[command(after_long_help = EXIT)]
    Machines(Box<Machines>),
    #[command(after_long_help = EXIT)]
    Gone(Box<Gone>),
    #[command(after_long_help = EXIT)]
    Readmit(Box<Readmit>),
    #[command(after_long_help = EXIT)]
    Assign(Box<Assign>),
    #[command(after_long_help = EXIT)]
    Release(Box<Release>),
    #[command(after_long_help = EXIT)]
    End(Box<End>),
    #[command(after_long_help = EXIT)]
    Reap(Box<Reap>),
    #[command(after_long_help = EXIT)]
    Migrate(Box<Migrate>),
    #[command(after_long_help = EXIT)]
    Edge(Edge),
    Completions(Completions),
    Man(Man),
}

/// Where colours are used.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Color {
    /// To terminals
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    pub fn write_global(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
