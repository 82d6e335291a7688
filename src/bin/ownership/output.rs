//! What is said, and how.

use std::{fmt, io::Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
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
            document(&serde_json::json!({ "error": failure.text }));
        }
        let mut err = anstream::stderr().lock();
        let _ = writeln!(err, "{BAD}error:{BAD:#} {}", failure.text);
        failure.exit
    }
}

/// Says it. Styles are taken out where nobody sees them; a reader who has left is no error, and does
/// not change how the command ends.
pub fn say(text: impl fmt::Display) {
    let mut out = anstream::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// One JSON document.
pub fn document(value: &impl Serialize) {
    // What is written here has texts for keys, and numbers that are finite.
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// One JSON document on one line, for what goes on and on.
pub fn line(value: &impl Serialize) {
    say(serde_json::to_string(value).unwrap_or_default());
}

/// A table without lines, as wide as the terminal; what is not a terminal gets lines of any width,
/// which are easier to search.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        // What does not show styles does not get them: `Output::say`.
        .enforce_styling()
        .set_header(
            header
                .iter()
                .map(|name| Cell::new(name).add_attribute(comfy_table::Attribute::Bold)),
        );
    table.style_text_only();
    if table.is_tty() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

/// The table's lines, without the blanks that fill its last column.
pub fn lines(table: &Table) -> String {
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
}

/// A cell in the colour of its tone.
pub fn cell(text: impl ToString, tone: Tone) -> Cell {
    let cell = Cell::new(text);
    match tone {
        Tone::Good => cell.fg(Color::Green),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Faint => cell.fg(Color::DarkGrey),
        Tone::Plain => cell,
    }
}
