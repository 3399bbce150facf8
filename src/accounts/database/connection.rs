//! What queries are asked on: a transaction of either database, for sqlx of its kind `Any`.
//!
//! sqlx's own connection of that kind does not know SQLite's `BOOLEAN` and dates, and can be told
//! nothing but an address. So the two native connections are asked here, and what they answer is
//! made into rows of `Any`.

use std::future::ready;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Any, Describe, Either, Execute, Executor, Postgres, SqlStr, Sqlite};

use super::dialect::Dialect;
use super::django::Django;
use super::{notice, row};
use crate::domain::UserId;

/// What queries are asked on.
#[derive(Debug)]
pub(in super::super) struct Connection {
    native: Native,
    dialect: Arc<Dialect>,
}

#[derive(Debug)]
pub(super) enum Native {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Connection {
    pub(super) fn is_postgres(&self) -> bool {
        self.dialect.is_postgres
    }

    /// The tables of a Django project, if those of users are not our own.
    pub(in super::super) fn django(&self) -> Option<&Django> {
        self.dialect.django.as_ref()
    }
}

/// Several queries that see one moment, or take effect together; who drops it has done nothing.
#[derive(Debug)]
pub(in super::super) struct Transaction(Connection);

impl Transaction {
    pub(super) fn new(native: Native, dialect: Arc<Dialect>) -> Self {
        Self(Connection { native, dialect })
    }

    /// Tells other gateways, when this is committed, who is another from then on.
    pub(in super::super) async fn tell(
        &mut self,
        is_quiet: bool,
        whom: &[UserId],
    ) -> Result<(), sqlx::Error> {
        if let Native::Postgres(postgres) = &mut self.0.native
            && !whom.is_empty()
        {
            sqlx::query("SELECT pg_notify($1, current_setting('vestibule.writer') || ' ' || $2)")
                .bind(notice::CHANNEL)
                .bind(notice::told(is_quiet, whom))
                .execute(&mut **postgres)
                .await?;
        }
        Ok(())
    }

    /// Makes it last.
    pub(in super::super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self.0.native {
            Native::Sqlite(transaction) => transaction.commit().await,
            Native::Postgres(transaction) => transaction.commit().await,
        }
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

/// A step of an answer: how many rows were changed, or a row.
type Step<D> = Either<<D as sqlx::Database>::QueryResult, <D as sqlx::Database>::Row>;

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        mut query: E,
    ) -> BoxStream<'e, Result<Step<Any>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let arguments = match query.take_arguments() {
            Ok(arguments) => arguments.unwrap_or_default(),
            Err(error) => return failed(sqlx::Error::Encode(error)),
        };
        let sql = self.dialect.say(query.sql());
        match &mut self.native {
            Native::Sqlite(sqlite) => match arguments.convert_into::<SqliteArguments>() {
                Ok(arguments) => of_sqlite(sqlite.fetch_many((sql, Some(arguments)))),
                Err(error) => failed(sqlx::Error::Encode(error)),
            },
            Native::Postgres(postgres) => match arguments.convert_into::<PgArguments>() {
                Ok(arguments) => of_postgres(postgres.fetch_many((sql, Some(arguments)))),
                Err(error) => failed(sqlx::Error::Encode(error)),
            },
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move {
            // To the end, as a statement that returns what it writes has to be.
            let rows: Vec<AnyRow> = self.fetch(query).try_collect().await?;
            Ok(rows.into_iter().next())
        })
    }

    fn prepare_with<'e>(
        self,
        _: SqlStr,
        _: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        only_asked()
    }

    fn describe<'e>(self, _: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, sqlx::Error>>
    where
        'c: 'e,
    {
        only_asked()
    }
}

/// What nobody needs: statements are prepared when they are first used.
fn only_asked<'e, T: Send + 'e>() -> BoxFuture<'e, Result<T, sqlx::Error>> {
    Box::pin(ready(Err(sqlx::Error::Protocol("a statement can only be carried out".to_owned()))))
}

fn failed<'e>(error: sqlx::Error) -> BoxStream<'e, Result<Step<Any>, sqlx::Error>> {
    stream::once(ready(Err(error))).boxed()
}

fn of_sqlite<'e>(
    steps: BoxStream<'e, Result<Step<Sqlite>, sqlx::Error>>,
) -> BoxStream<'e, Result<Step<Any>, sqlx::Error>> {
    let mut shape = None;
    let step = move |step: Step<Sqlite>| {
        ready(match step {
            Either::Left(result) => Ok(Either::Left(changed(result.rows_affected()))),
            Either::Right(row) => row::of_sqlite(&row, &mut shape).map(Either::Right),
        })
    };
    steps.and_then(step).boxed()
}

fn of_postgres<'e>(
    steps: BoxStream<'e, Result<Step<Postgres>, sqlx::Error>>,
) -> BoxStream<'e, Result<Step<Any>, sqlx::Error>> {
    let step = |step: Step<Postgres>| {
        ready(match step {
            Either::Left(result) => Ok(Either::Left(changed(result.rows_affected()))),
            Either::Right(row) => AnyRow::try_from(&row).map(Either::Right),
        })
    };
    steps.and_then(step).boxed()
}

fn changed(rows: u64) -> AnyQueryResult {
    AnyQueryResult { rows_affected: rows, last_insert_id: None }
}
