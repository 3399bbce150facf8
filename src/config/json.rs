//! Values of the file as JSON, where a key may have a value of any type.

use serde_json::{Number, Value};
use toml::de::DeValue;

/// What `value` is in JSON; `None` for what JSON has no word for: a date, infinity.
pub(super) fn of(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Integer(integer) => {
            Value::from(i64::from_str_radix(integer.as_str(), integer.radix()).ok()?)
        }
        DeValue::Float(float) => Value::from(Number::from_f64(float.as_str().parse().ok()?)?),
        DeValue::Array(items) => {
            items.iter().map(|item| of(item.get_ref())).collect::<Option<_>>()?
        }
        DeValue::Table(members) => {
            let member = |(name, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                let name: &std::borrow::Cow<'_, str> = name.get_ref();
                Some((name.to_string(), of(value.get_ref())?))
            };
            Value::Object(members.iter().map(member).collect::<Option<_>>()?)
        }
        DeValue::Datetime(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_but_a_date_is_one_of_json() {
        let (table, errors) = toml::de::DeTable::parse_recoverable(
            "a = ['x', 1, 0x1f, -2, 1.5, true]\nb = { c = [] }\nd = 2026-01-01\ne = [inf]\nf = [1, 07:32:00]",
        );
        assert!(errors.is_empty(), "{errors:?}");
        let json = |key| of(table.get_ref().get(key).unwrap().get_ref());
        assert_eq!(json("a"), Some(json!(["x", 1, 31, -2, 1.5, true])));
        assert_eq!(json("b"), Some(json!({ "c": [] })));
        for key in ["d", "e", "f"] {
            assert_eq!(json(key), None, "{key}");
        }
    }
}
