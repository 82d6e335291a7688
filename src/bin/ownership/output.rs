//! What the command prints, and how.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
};

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::exit::{Exit, Failure};

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const FAINT: Style = Style::new().dimmed();
pub const BOLD: Style = Style::new().bold();

/// Standard output, as tables or as JSON.
#[derive(Debug)]
pub struct Output {
    pub json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    pub fn failure(&self, failure: &Failure) -> Exit {
        if self.json {
            line(&serde_json::json!({ "error": failure.text }));
        }
        let mut err = anstream::stderr().lock();
        let _ = writeln!(err, "{BAD}error:{BAD:#} {}", failure.text);
        failure.exit
    }
}

/// Prints to standard output, without styles where it is no terminal. A closed pipe is no error, and
/// does not change the exit status.
pub fn say(text: impl fmt::Display) {
    let mut out = anstream::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Appends to a text.
pub fn say_to(text: &mut String, more: fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = text.write_fmt(more);
}

/// A JSON document, on one line where it is one of many.
pub fn written(value: &impl Serialize, on_one_line: bool) -> String {
    let text = if on_one_line {
        serde_json::to_string(value)
    } else {
        serde_json::to_string_pretty(value)
    };
    // What is written here has texts for keys, so this cannot fail.
    text.unwrap_or_default()
}

/// One JSON document.
pub fn document(value: &impl Serialize) {
    say(written(value, false));
}

/// One JSON document on one line, for what goes on and on.
pub fn line(value: &impl Serialize) {
    say(written(value, true));
}

/// A terminal that is narrower, or does not tell its width, breaks lines as it likes.
const NARROWEST: u16 = 80;

/// A table without lines, as wide as the terminal; what is not a terminal gets lines of any width,
/// which are easier to search.
pub fn table(header: &[&str]) -> Table {
    let mut table = plain_table();
    table.set_header(header.iter().map(|name| cell(name, Tone::Title)));
    table
}

/// The same without a header.
pub fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        // What does not show styles does not get them: `Output::say`.
        .enforce_styling();
    table.style_text_only();
    if table.is_tty() && table.width().is_some_and(|width| width >= NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

/// The table's lines, without the blanks that fill its last column.
pub fn lines(mut table: Table) -> String {
    // Only the last column is broken into lines, so that no id is cut.
    let all_but_the_last = table.column_count().saturating_sub(1);
    for column in table.column_iter_mut().take(all_but_the_last) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// How something is.
#[derive(Clone, Copy, Debug)]
pub enum Tone {
    Good,
    Bad,
    Faint,
    Plain,
    Title,
}

/// A text that cannot move the cursor, or tell the terminal anything else, whatever a row or an answer
/// holds.
pub fn shown(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

/// A cell in the colour of its tone.
pub fn cell(text: impl AsRef<str>, tone: Tone) -> Cell {
    let cell = Cell::new_owned(shown(text.as_ref()));
    match tone {
        Tone::Good => cell.fg(Color::Green),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Faint => cell.fg(Color::DarkGrey),
        Tone::Plain => cell,
        Tone::Title => cell.add_attribute(Attribute::Bold),
    }
}
