//! What the command `ownership doctor` says.

use uuid::Uuid;

use crate::command::{Said, run};
use crate::support::database::Database;

/// What is said of the session by somebody who may ask this database and this public URL, and takes
/// a machine for lost as the machines do.
pub async fn doctor(database: &Database, session: Uuid, url: &str, lost_after: &str) -> Diagnosis {
    let (session, database) = (session.to_string(), database.url());
    let silence = format!("{lost_after}ms");
    let arguments = [
        "doctor",
        &session,
        "--database",
        &database,
        "--url",
        url,
        "--lost-after",
        &silence,
    ];
    Diagnosis {
        said: run(&arguments, &[]).await,
    }
}

pub struct Diagnosis {
    said: Said,
}

impl Diagnosis {
    /// Something is wrong, and it is this, in a sentence with these parts.
    pub fn says(&self, cause: &str, parts: &[&str]) {
        self.ended(1, cause, parts);
    }

    /// The session could not be looked at, because of this.
    pub fn could_not_look(&self, cause: &str, parts: &[&str]) {
        self.ended(3, cause, parts);
    }

    fn ended(&self, status: i32, cause: &str, parts: &[&str]) {
        let said = &self.said;
        let end = format!(" ({cause})");
        let mut lines = said.out.lines();
        let sentence = lines.find(|line| line.starts_with("Diagnosis: "));
        let sentence = sentence.filter(|line| line.ends_with(&end));
        let sentence = sentence.unwrap_or_else(|| panic!("not {cause}: {}{}", said.out, said.err));
        for part in parts {
            assert!(sentence.contains(part), "no {part:?} in {sentence}");
        }
        assert_eq!(said.status, status, "{sentence}");
        // What to do about it stands below.
        assert!(lines.next().unwrap().starts_with("Next: "), "{}", said.out);
    }
}
