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
const NARROWEST: u16 = 40;

/// How wide the terminal is. `None`: it is none, or as good as none.
pub fn width() -> Option<usize> {
    let table = Table::new();
    let width = table.width().filter(|width| *width >= NARROWEST)?;
    table.is_tty().then_some(usize::from(width))
}

/// A table without lines and header, as wide as the terminal.
pub fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        // What does not show styles does not get them: `Output::say`.
        .enforce_styling();
    table.style_text_only();
    if width().is_some() {
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

/// Sentences behind their labels, broken into lines at the terminal's width.
pub fn labelled<L: AsRef<str>, T: AsRef<str>>(
    rows: impl IntoIterator<Item = (L, T, Tone)>,
) -> String {
    let mut table = plain_table();
    for (label, text, tone) in rows {
        table.add_row([cell(label, Tone::Title), cell(text, tone)]);
    }
    if let Some(labels) = table.column_mut(0) {
        labels.set_padding((0, 1));
        labels.set_constraint(ColumnConstraint::ContentWidth);
    }
    if let Some(texts) = table.column_mut(1) {
        texts.set_padding((0, 0));
    }
    lines(&table)
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

/// The same where there is no cell.
pub fn styled(text: &str, tone: Tone) -> String {
    let style = match tone {
        Tone::Good => GOOD,
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Faint => FAINT,
        Tone::Plain => Style::new(),
        Tone::Title => BOLD,
    };
    format!("{style}{text}{style:#}")
}
