//! What a statement's placeholders stand for.

use sqlx::{Postgres, Sqlite, postgres::PgArguments, query::Query, sqlite::SqliteArguments};

/// A value on its way into a statement: the three types of column that both engines have, or none.
#[derive(Clone, Debug)]
pub enum Value {
    /// `INTEGER` in SQLite, `BIGINT` in PostgreSQL.
    Integer(Option<i64>),
    /// `TEXT` in both.
    Text(Option<String>),
    /// `BLOB` in SQLite, `BYTEA` in PostgreSQL.
    Bytes(Option<Vec<u8>>),
}

// === impl Value ===

impl Value {
    pub(crate) fn bind_sqlite(
        self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Query<'_, Sqlite, SqliteArguments> {
        match self {
            Self::Integer(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Bytes(value) => query.bind(value),
        }
    }

    pub(crate) fn bind_postgres(
        self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Query<'_, Postgres, PgArguments> {
        match self {
            Self::Integer(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Bytes(value) => query.bind(value),
        }
    }
}

macro_rules! values {
    ($($type:ty => $kind:ident($value:ident => $made:expr);)*) => {
        $(
            impl From<$type> for Value {
                fn from($value: $type) -> Self {
                    Self::$kind(Some($made))
                }
            }

            impl From<Option<$type>> for Value {
                fn from(value: Option<$type>) -> Self {
                    Self::$kind(value.map(|$value| $made))
                }
            }
        )*
    };
}

values! {
    i64 => Integer(value => value);
    i32 => Integer(value => i64::from(value));
    u32 => Integer(value => i64::from(value));
    bool => Integer(value => i64::from(value));
    String => Text(value => value);
    &String => Text(value => value.clone());
    &str => Text(value => value.to_owned());
    Vec<u8> => Bytes(value => value);
    &Vec<u8> => Bytes(value => value.clone());
    &[u8] => Bytes(value => value.to_vec());
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}
