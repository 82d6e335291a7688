//! What a container logged.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// One line of a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    pub text: String,
}

/// The lines of `text` from INFO on.
pub fn lines(text: &str) -> Vec<Line> {
    text.lines().filter_map(Line::read).collect()
}

impl Line {
    /// `TIME LEVEL TARGET: MESSAGE FIELDS`, as tracing's plain format has it.
    fn read(line: &str) -> Option<Self> {
        let level = match line.split_whitespace().nth(1)? {
            "INFO" => Level::Info,
            "WARN" => Level::Warn,
            "ERROR" => Level::Error,
            _ => return None,
        };
        let text = line.to_owned();
        Some(Self { level, text })
    }

    pub fn has_code(&self, code: &str) -> bool {
        self.text.contains(&format!(" rejection_code=\"{code}\""))
    }

    /// Whether somebody has to mend something.
    pub fn is_aloud(&self) -> bool {
        self.level != Level::Info
    }

    /// It has this part.
    pub fn says(&self, part: &str) -> &Self {
        assert!(self.text.contains(part), "no {part:?} in {self:?}");
        self
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text)
    }
}
