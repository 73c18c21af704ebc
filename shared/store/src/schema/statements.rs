//! Statements about declared tables: the one place where a statement's text is put together.
//!
//! What it is put together from are names in constants of the program, and they are looked at once more here.

use std::{fmt::Write as _, sync::Arc};

use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::{RowPart, Table};
use crate::{StoreError, Tx, Value, sql::Sql};

/// Statements that walk over a table's sealed columns in the order of its key.
#[derive(Debug)]
pub(crate) struct Statements {
    first: Arc<str>,
    next: Arc<str>,
    /// By column.
    put: Vec<(&'static str, Arc<str>)>,
    keys: usize,
}

/// Some rows, and the name of the last.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<SealedRow>,
    pub(crate) last: Option<Vec<u8>>,
}

/// A row's key, and what is sealed in it.
#[derive(Debug)]
pub(crate) struct SealedRow {
    pub(crate) keys: Vec<Value>,
    pub(crate) sealed: Vec<Option<Vec<u8>>>,
}

/// Statements that remove all rows of these tables of a file.
pub(crate) fn erasing(tables: &[String]) -> impl Iterator<Item = impl SqlSafeStr + use<>> + '_ {
    tables.iter().filter(|name| is_name(name)).map(|name| AssertSqlSafe(format!("DELETE FROM {name}")))
}

// === impl Statements ===

impl Statements {
    /// Those of `table`; none if nothing in it is sealed, or its declaration has a name that is none.
    pub(crate) fn of(table: &Table) -> Option<Self> {
        let keys: Vec<_> = table.keys().collect();
        let sealed: Vec<_> = table.sealed_columns().collect();
        let names = keys.iter().chain(&sealed).chain([&table.name]);
        if keys.is_empty() || sealed.is_empty() || !names.into_iter().all(|name| is_name(name)) {
            return None;
        }
        let (name, key) = (table.name, keys.join(", "));
        let columns = format!("{key}, {}", sealed.join(", "));
        let places = (1..=keys.len()).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ");
        let limit = keys.len() + 1;
        let put = sealed.into_iter().map(|column| {
            let mut text = format!("UPDATE {name} SET {column} = $1 WHERE {column} = $2");
            for (at, key) in (3..).zip(&keys) {
                // Writing to a string does not fail.
                let _ = write!(text, " AND {key} = ${at}");
            }
            (column, text.into())
        });
        Some(Self {
            first: format!("SELECT {columns} FROM {name} ORDER BY {key} LIMIT $1").into(),
            next: format!(
                "SELECT {columns} FROM {name} WHERE ({key}) > ({places}) ORDER BY {key} LIMIT ${limit}"
            )
            .into(),
            put: put.collect(),
            keys: keys.len(),
        })
    }

    /// The next `limit` rows after the one that `last` names.
    pub(crate) async fn next(
        &self,
        last: Option<&[u8]>,
        limit: i64,
        tx: &mut Tx,
    ) -> Result<Batch, StoreError> {
        let statement = match last {
            None => Sql::built(&self.first).bind(limit),
            Some(last) => {
                let last = read(last).ok_or("a row's name is cut short");
                let last = last.map_err(StoreError::unreadable("read how far re-sealing is"))?;
                last.into_iter().fold(Sql::built(&self.next), Sql::bind).bind(limit)
            }
        };
        let rows: Vec<Vec<Value>> = statement.doing("read sealed rows").fetch_all(tx).await?;
        let last = rows.last().map(|row| written(row.iter().take(self.keys)));
        let rows = rows.into_iter().map(|mut row| {
            let sealed = row.split_off(self.keys.min(row.len())).into_iter().map(|value| match value {
                Value::Bytes(bytes) => bytes,
                Value::Integer(_) | Value::Text(_) => None,
            });
            let sealed = sealed.collect();
            SealedRow { keys: row, sealed }
        });
        Ok(Batch { rows: rows.collect(), last })
    }

    /// Puts the first of `values` into `column`, where the second still is, in the row whose key the others are.
    pub(crate) async fn put(
        &self,
        column: &str,
        values: impl Iterator<Item = Value>,
        tx: &mut Tx,
    ) -> Result<(), StoreError> {
        let Some((_, text)) = self.put.iter().find(|(name, _)| *name == column) else { return Ok(()) };
        values.fold(Sql::built(text), Sql::bind).doing("seal a row anew").execute(tx).await?;
        Ok(())
    }
}

// === impl SealedRow ===

impl SealedRow {
    /// The key, as what was sealed is bound to it.
    pub(crate) fn parts(&self) -> Vec<RowPart<'_>> {
        let parts = self.keys.iter().filter_map(|value| match value {
            Value::Integer(integer) => integer.map(RowPart::Integer),
            Value::Text(text) => text.as_deref().map(RowPart::Text),
            Value::Bytes(bytes) => bytes.as_deref().map(RowPart::Bytes),
        });
        parts.collect()
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|it: char| it.is_ascii_lowercase())
        && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
}

/// A row's key in bytes: for each value its kind, its length, and itself.
fn written<'v>(values: impl Iterator<Item = &'v Value>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |kind: u8, value: &[u8]| {
        bytes.push(kind);
        bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
        bytes.extend_from_slice(value);
    };
    for value in values {
        match value {
            Value::Integer(integer) => put(b'i', &integer.unwrap_or_default().to_be_bytes()),
            Value::Text(text) => put(b't', text.as_deref().unwrap_or_default().as_bytes()),
            Value::Bytes(value) => put(b'b', value.as_deref().unwrap_or_default()),
        }
    }
    bytes
}

fn read(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        values.push(match kind {
            b'i' => Value::from(i64::from_be_bytes(value.try_into().ok()?)),
            b't' => Value::from(String::from_utf8(value.to_vec()).ok()?),
            b'b' => Value::from(value),
            _ => return None,
        });
        bytes = rest;
    }
    Some(values)
}
