//! What is in a view, as one number: the same for a view that grew and for one that was built again.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::error::ReadError;
use crate::file::{STATE_TABLE, State};

/// BLAKE3 over name, version and position of a view and over all rows of its tables, tables by name and rows by primary
/// key. Indexes and the order in which things were written are not in it.
///
/// Each value is a byte for its type and its bytes: 0 nothing, 1 a whole number (8 bytes), 2 a floating-point number
/// (its 8 bytes), 3 a text and 4 bytes, these two with their length (8 bytes) before them. Numbers are little endian.
///
/// Call it inside of a transaction if the view is being written: see [`crate::Queries::read`].
///
/// # Errors
/// If there is no view, or it is damaged.
pub fn content_hash(connection: &Connection) -> Result<[u8; 32], ReadError> {
    let state = State::read(connection)?.ok_or(ReadError::NotThere)?;
    let mut hasher = blake3::Hasher::new_derive_key("arbiter views 1 content");
    text(&mut hasher, &state.name);
    hasher.update(&state.version.to_le_bytes()).update(&state.position.to_le_bytes());
    for table in tables(connection)? {
        let mut rows = 0_u64;
        text(&mut hasher, &table);
        let key = key_of(connection, &table)?;
        let order: Vec<String> = key.iter().map(|column| quoted(column)).collect();
        let all = format!("SELECT * FROM {} ORDER BY {}", quoted(&table), order.join(", "));
        let mut statement = connection.prepare(&all)?;
        let columns = statement.column_count();
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            rows += 1;
            hash_row(&mut hasher, row, columns)?;
        }
        hasher.update(&rows.to_le_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> ?1 ORDER BY name",
    )?;
    let names = statement.query_map([STATE_TABLE], |row| row.get(0))?;
    names.collect()
}

/// Columns of the primary key, in its order; there is one, because tables are made without row ids.
fn key_of(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
}

fn hash_row(hasher: &mut blake3::Hasher, row: &Row<'_>, columns: usize) -> rusqlite::Result<()> {
    for column in 0..columns {
        match row.get_ref(column)? {
            ValueRef::Null => hasher.update(&[0]),
            ValueRef::Integer(number) => hasher.update(&[1]).update(&number.to_le_bytes()),
            ValueRef::Real(number) => hasher.update(&[2]).update(&number.to_bits().to_le_bytes()),
            ValueRef::Text(bytes) => hasher.update(&[3]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes),
            ValueRef::Blob(bytes) => hasher.update(&[4]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes),
        };
    }
    Ok(())
}
