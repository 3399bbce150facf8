//! From a row of SQLite to one of sqlx's kind `Any`, with the types of this program.

use std::sync::Arc;

use sqlx::any::{AnyArguments, AnyRow, AnyTypeInfo, AnyValue};
use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{Any, Arguments as _, Column as _, Decode, Row as _, Sqlite, Type, TypeInfo as _};
use sqlx::{Encode, ValueRef as _};

/// The row with its values: a column of the type `BOOLEAN` holds `bool`, everything else what is
/// stored. `shape` is what rows of one answer have in common.
pub(super) fn of_sqlite(
    row: &SqliteRow,
    shape: &mut Option<AnyRow>,
) -> Result<AnyRow, sqlx::Error> {
    // The values as they would be bound; sqlx has no other public way to make one.
    let mut values = AnyArguments::default();
    for column in row.columns() {
        let value = row.try_get_raw(column.ordinal())?;
        let stored = value.type_info().name().to_owned();
        match (column.type_info().name(), &*stored) {
            ("BOOLEAN", "INTEGER") => add::<bool>(&mut values, value),
            (_, "INTEGER") => add::<i64>(&mut values, value),
            (_, "REAL") => add::<f64>(&mut values, value),
            (_, "BLOB") => add::<Vec<u8>>(&mut values, value),
            _ => add::<String>(&mut values, value),
        }
        .map_err(|source| sqlx::Error::ColumnDecode { index: column.name().to_owned(), source })?;
    }
    let values = values.values.0.into_iter().map(|kind| AnyValue { kind }).collect();
    let shape = shape.get_or_insert_with(|| shape_of(row));
    Ok(AnyRow { values, ..shape.clone() })
}

fn add<'r, T>(values: &mut AnyArguments, value: SqliteValueRef<'r>) -> Result<(), BoxError>
where
    T: Decode<'r, Sqlite> + Encode<'static, Any> + Type<Any> + 'static,
{
    let value = if value.is_null() { None } else { Some(T::decode(value)?) };
    values.add(value)
}

type BoxError = sqlx::error::BoxDynError;

/// The columns, and no values.
fn shape_of(row: &SqliteRow) -> AnyRow {
    type Column = <Any as sqlx::Database>::Column;

    let names = row.columns().iter().map(|c| (c.name().to_owned().into(), c.ordinal()));
    let columns = row.columns().iter().map(|column| Column {
        ordinal: column.ordinal(),
        name: column.name().to_owned().into(),
        type_info: type_of(column.type_info().name()),
    });
    AnyRow {
        column_names: Arc::new(names.collect()),
        columns: columns.collect(),
        values: Vec::new(),
    }
}

fn type_of(declared: &str) -> AnyTypeInfo {
    match declared {
        "BOOLEAN" => <bool as Type<Any>>::type_info(),
        "INTEGER" => <i64 as Type<Any>>::type_info(),
        "REAL" => <f64 as Type<Any>>::type_info(),
        "BLOB" => <Vec<u8> as Type<Any>>::type_info(),
        _ => <String as Type<Any>>::type_info(),
    }
}
