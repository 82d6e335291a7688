//! The statement that creates a session.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    identifier::Identifier,
    ownership::Ownership,
    sql::{Sql, sql_file, words},
    statuses::Statuses,
    table::Table,
};
use crate::{LookupError, directory::NewSession};

/// The statement that creates a session, in a form for each set of columns that sessions bring values
/// for: a column without a value gets its default, which SQL can only say in the text of a statement.
pub(super) struct Births {
    sql: Sql,
    table: Table,
    machines: String,
    /// The first of the statuses that mean active, as SQL reads it.
    active: Option<String>,
    /// The columns that attributes go into.
    columns: Vec<Identifier>,
    /// An application has one form or two.
    forms: Mutex<HashMap<Brought, Arc<str>>>,
}

/// What a session brings a value for.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Brought {
    lifetime: bool,
    columns: Vec<bool>,
}

/// More forms are not kept: so many columns that come and go are rather given by each session.
const MOST_FORMS: usize = 64;

impl Births {
    pub(super) fn new(
        sql: &Sql,
        table: &Table,
        ownership: &Ownership,
        statuses: Option<&Statuses>,
    ) -> Self {
        let ours = table.facts();
        let mut columns: Vec<Identifier> = Vec::new();
        for column in table.insert_columns.iter().chain(&table.attributes) {
            if !ours.contains(&column) && !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        let active = statuses.and_then(|statuses| statuses.active.get(..1));
        Self {
            sql: sql.clone(),
            machines: ownership.machines.clone(),
            active: active.map(words),
            columns,
            table: table.clone(),
            forms: Mutex::default(),
        }
    }

    /// The statement for this session.
    pub(super) fn statement(&self, new: &NewSession) -> Result<Arc<str>, LookupError> {
        let brought = self.brought(new)?;
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(form) = forms.get(&brought) {
            return Ok(Arc::clone(form));
        }
        if forms.len() >= MOST_FORMS {
            forms.clear();
        }
        let form: Arc<str> = self.fill(&brought).into();
        forms.insert(brought, Arc::clone(&form));
        Ok(form)
    }

    fn brought(&self, new: &NewSession) -> Result<Brought, LookupError> {
        if new.lifetime.is_some() && self.table.expires_at.is_none() {
            return Err(LookupError::unavailable(
                "the new session has a lifetime, and the sessions' table no column for an expiry",
            ));
        }
        if new.address.is_some() && self.table.address.is_none() {
            return Err(LookupError::unavailable(
                "the new session has an address, and the sessions' table no column for one",
            ));
        }
        let is_known = |name: &str| self.columns.iter().any(|column| column.name() == name);
        if let Some(name) = new.attributes.keys().find(|name| !is_known(name)) {
            let ours = self.table.facts();
            let why = if ours.iter().any(|column| column.name() == name) {
                "is a column that the directory writes itself"
            } else {
                "is no column that is named in `insert_columns` or `attributes`"
            };
            let error = "an attribute of the new session cannot be stored";
            return Err(LookupError::unavailable(error).with_source(format!("{name:?} {why}")));
        }
        let has = |column: &Identifier| new.attributes.contains_key(column.name());
        Ok(Brought {
            lifetime: new.lifetime.is_some(),
            columns: self.columns.iter().map(has).collect(),
        })
    }

    fn fill(&self, brought: &Brought) -> String {
        let (mut names, mut values, mut sets) = (String::new(), String::new(), String::new());
        // What a row gets when it is inserted, if anything, and when it begins another life.
        let mut column = |name: &Identifier, insert: Option<&str>, update: &str| {
            if let Some(value) = insert {
                names.extend([", ", &name.to_string()]);
                values.extend([", ", value]);
            }
            sets.extend([", ", &name.to_string(), " = ", update]);
        };
        let table = &self.table;
        if let (Some(status), Some(active)) = (&table.status, &self.active) {
            column(status, Some(active), active);
        }
        if let Some(address) = &table.address {
            let value = format!(
                "COALESCE($6, (SELECT m.address FROM {} AS m WHERE m.machine_id = $2))",
                self.machines
            );
            column(address, Some(&value), &value);
        }
        if let Some(expires_at) = &table.expires_at {
            let value = "now() + $5 * interval '1 millisecond'";
            let value = brought.lifetime.then_some(value);
            column(expires_at, value, value.unwrap_or("DEFAULT"));
        }
        // One column may hold both times.
        if let Some(ended_at) = table
            .ended_at
            .as_ref()
            .filter(|_| table.ended_at != table.expires_at)
        {
            column(ended_at, None, "NULL");
        }
        for (name, has_value) in self.columns.iter().zip(&brought.columns) {
            let value = has_value.then(|| format!("r.{name}"));
            let value = value.as_deref();
            // Nothing of the old life is left to the new one.
            column(name, value, value.unwrap_or("DEFAULT"));
        }
        let sql = self.sql.clone().text("born_columns", names);
        let sql = sql.text("born_values", values).text("reborn", sets);
        sql.fill(sql_file!("create"))
    }
}
