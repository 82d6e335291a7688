//! One exchange with the server: a statement, alone or in a transaction of its own.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::ClientWrapper;
use futures_util::future::{join_all, join3};
use tokio::time::timeout;
use tokio_postgres::{Error, Row, Statement, types::Type};

use super::{connections::Parameter, failure::Failure, mode::Mode};

/// What the server is asked.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    /// Statements that write, and come first in the same transaction, with the same parameters.
    pub(super) before: &'a [Arc<str>],
    /// The statement whose rows are the answer.
    pub(super) sql: &'a str,
    pub(super) parameters: &'a [Parameter<'a>],
}

/// Runs a statement within `limit`. `is_direct`: the server process of the connection is ours alone.
///
/// Then the statement is prepared, if the mode says so: the server takes longer to plan one that looks
/// into two tables than to run it. It is prepared before the transaction, which it outlasts. And some
/// [stand alone](Mode::stands_alone), without one.
pub(super) async fn run(
    client: &ClientWrapper,
    mode: Mode,
    limit: Duration,
    is_direct: bool,
    question: Question<'_>,
) -> Result<Vec<Row>, Failure> {
    let asked = async {
        let mut queries = Vec::with_capacity(question.before.len() + 1);
        for sql in question
            .before
            .iter()
            .map(|sql| &**sql)
            .chain([question.sql])
        {
            let prepared = if is_direct && mode.prepares {
                let types = question.parameters.iter().map(|(_, kind)| kind.clone());
                let types: Vec<Type> = types.collect();
                Some(client.prepare_typed_cached(sql, &types).await?)
            } else {
                None
            };
            queries.push(query(client, mode, sql, prepared, question.parameters));
        }
        if is_direct && mode.stands_alone() {
            let mut rows = Vec::new();
            for query in queries {
                rows = query.await?;
            }
            return Ok(rows);
        }
        // Requests are queued at the first poll, and `join3` polls in this order, as `join_all` does
        // with so few.
        let start = mode.opening(limit);
        let (started, rows, ended) = join3(
            client.batch_execute(&start),
            join_all(queries),
            client.batch_execute(mode.ending()),
        )
        .await;
        // In this order the first failure is the one that caused the others.
        started?;
        let mut last = Vec::new();
        for rows in rows {
            last = rows?;
        }
        ended.map(|()| last)
    };
    match timeout(limit, asked).await {
        Ok(answer) => answer.map_err(Failure::Server),
        Err(_) => Err(Failure::Slow),
    }
}

async fn query(
    client: &ClientWrapper,
    mode: Mode,
    sql: &str,
    prepared: Option<Statement>,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Error> {
    if mode.is_script {
        return client.batch_execute(sql).await.map(|()| Vec::new());
    }
    match prepared {
        Some(prepared) => {
            let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
            client.query(&prepared, &values).await
        }
        None => client.query_typed(sql, parameters).await,
    }
}

/// Whether the server at the other end follows another one. An answer that does not come by
/// `limit` is none.
pub(super) async fn is_standby(client: &ClientWrapper, limit: Duration) -> bool {
    let asked = client.query_typed("SELECT pg_is_in_recovery()", &[]);
    match timeout(limit, asked).await {
        Ok(Ok(rows)) => rows
            .first()
            .is_some_and(|row| row.try_get(0).unwrap_or(false)),
        Ok(Err(_)) | Err(_) => false,
    }
}
