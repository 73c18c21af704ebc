//! Statements: written once, run on whichever engine the transaction is of.
//!
//! ```text
//! value.rs   what placeholders stand for
//! row.rs     what comes back
//! ```

mod row;
mod value;

use std::sync::Arc;

use futures_util::{StreamExt as _, stream::BoxStream};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

pub use self::{
    row::{FromColumn, FromRow, Place, Row},
    value::Value,
};
use crate::{
    StoreError,
    tx::{Connection, Tx},
};

/// A statement of fixed text, with values for its placeholders.
///
/// The text is `&'static str`, so that no part of it can come from a caller; what callers say are values.
#[derive(Debug)]
#[must_use = "a statement does nothing until it is run"]
pub struct Sql {
    sqlite: Text,
    postgres: Text,
    doing: &'static str,
    values: Vec<Value>,
}

/// A statement's text: part of the program, or put together by `schema/statements.rs` from names that are.
#[derive(Clone, Debug)]
enum Text {
    Fixed(&'static str),
    Built(Arc<str>),
}

/// A statement that both engines understand; `$1`, `$2` ... stand for its values, in their order.
pub const fn sql(text: &'static str) -> Sql {
    sql_for(text, text)
}

/// A statement that has to be said differently to each engine. Both take the same values.
pub const fn sql_for(sqlite: &'static str, postgres: &'static str) -> Sql {
    Sql {
        sqlite: Text::Fixed(sqlite),
        postgres: Text::Fixed(postgres),
        doing: "run a statement",
        values: Vec::new(),
    }
}

// === impl Text ===

impl SqlSafeStr for Text {
    fn into_sql_str(self) -> SqlStr {
        match self {
            Self::Fixed(text) => text.into_sql_str(),
            Self::Built(text) => AssertSqlSafe(text).into_sql_str(),
        }
    }
}

// === impl Sql ===

impl Sql {
    /// For declared tables alone; see `schema/statements.rs`.
    pub(crate) fn built(text: &Arc<str>) -> Self {
        let text = Text::Built(Arc::clone(text));
        Self { sqlite: text.clone(), postgres: text, doing: "run a statement", values: Vec::new() }
    }

    /// Says what the statement is for, as a verb phrase: errors name it.
    pub const fn doing(mut self, doing: &'static str) -> Self {
        self.doing = doing;
        self
    }

    /// Gives the next placeholder its value.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs the statement; answers how many rows it changed.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn execute(self, tx: &mut Tx) -> Result<u64, StoreError> {
        let Self { sqlite, postgres, doing, values } = self;
        match tx.connection()? {
            Connection::Sqlite(connection) => {
                let query = values.into_iter().fold(sqlx::query(sqlite), |it, value| value.bind_sqlite(it));
                query.execute(connection).await.map(|it| it.rows_affected())
            }
            Connection::Postgres(connection, is_doubtful) => {
                let query =
                    values.into_iter().fold(sqlx::query(postgres), |it, value| value.bind_postgres(it));
                let done = query.execute(connection).await.map(|it| it.rows_affected());
                *is_doubtful = done.is_err();
                done
            }
        }
        .map_err(StoreError::doing(doing))
    }

    /// Runs the statement; gives the one row that it must answer.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also where there is no row.
    pub async fn fetch_one<T: FromRow>(self, tx: &mut Tx) -> Result<T, StoreError> {
        let doing = self.doing;
        let row = self.fetch_optional(tx).await?;
        row.ok_or(sqlx::Error::RowNotFound).map_err(StoreError::doing(doing))
    }

    /// Runs the statement; gives its first row, where there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn fetch_optional<T: FromRow>(self, tx: &mut Tx) -> Result<Option<T>, StoreError> {
        let Self { sqlite, postgres, doing, values } = self;
        match tx.connection()? {
            Connection::Sqlite(connection) => {
                let query = values.into_iter().fold(sqlx::query(sqlite), |it, value| value.bind_sqlite(it));
                let row = query.fetch_optional(connection).await;
                row.and_then(|row| row.map(|it| T::from_row(Row::Sqlite(&it))).transpose())
            }
            Connection::Postgres(connection, is_doubtful) => {
                let query =
                    values.into_iter().fold(sqlx::query(postgres), |it, value| value.bind_postgres(it));
                let row = query.fetch_optional(connection).await;
                *is_doubtful = row.is_err();
                row.and_then(|row| row.map(|it| T::from_row(Row::Postgres(&it))).transpose())
            }
        }
        .map_err(StoreError::doing(doing))
    }

    /// Runs the statement; gives all its rows. The statement bounds how many they can be.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn fetch_all<T: FromRow>(self, tx: &mut Tx) -> Result<Vec<T>, StoreError> {
        let mut rows = self.fetch(tx);
        let mut all = Vec::new();
        while let Some(row) = rows.next().await {
            all.push(row?);
        }
        Ok(all)
    }

    /// Runs the statement; gives its rows as they come. Whoever has enough may drop the stream.
    ///
    /// [`crate::Sealer`] opens what is sealed in them meanwhile; the transaction itself is taken.
    pub fn fetch<T: FromRow>(self, tx: &mut Tx) -> BoxStream<'_, Result<T, StoreError>> {
        let Self { sqlite, postgres, doing, values } = self;
        let connection = match tx.connection() {
            Ok(connection) => connection,
            Err(error) => return futures_util::stream::once(async { Err(error) }).boxed(),
        };
        match connection {
            Connection::Sqlite(connection) => {
                let query = values.into_iter().fold(sqlx::query(sqlite), |it, value| value.bind_sqlite(it));
                let rows = query.fetch(connection);
                rows.map(move |row| {
                    row.and_then(|it| T::from_row(Row::Sqlite(&it))).map_err(StoreError::doing(doing))
                })
                .boxed()
            }
            Connection::Postgres(connection, _is_doubtful) => {
                let query =
                    values.into_iter().fold(sqlx::query(postgres), |it, value| value.bind_postgres(it));
                let rows = query.fetch(connection);
                rows.map(move |row| {
                    row.and_then(|it| T::from_row(Row::Postgres(&it))).map_err(StoreError::doing(doing))
                })
                .boxed()
            }
        }
    }
}
