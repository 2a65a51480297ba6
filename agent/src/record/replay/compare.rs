//! Compares what was recorded with what is replayed, byte for byte of their JSON.

use super::At;
use gleaner_model::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// How many of one kind were the same.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(crate) replayed: u64,
    pub(crate) identical: u64,
    pub(crate) first_difference: Option<Difference>,
}

/// The first difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    /// File and line.
    pub(crate) place: String,
    /// The tick's moment.
    pub(crate) tick: Timestamp,
    /// The member that differs, as a JSON pointer.
    pub(crate) field: String,
    pub(crate) recorded: String,
    pub(crate) replayed: String,
}

impl Check {
    pub(crate) fn is_identical(&self) -> bool {
        self.replayed == self.identical
    }

    /// Counts one more, and keeps it if it is the first that differs.
    ///
    /// # Errors
    /// When a value cannot be written as JSON.
    pub(super) fn compare(&mut self, at: &At<'_>, recorded: &impl Serialize, replayed: &impl Serialize) -> Result<(), String> {
        let value = |error: serde_json::Error| error.to_string();
        let (recorded, replayed) = (serde_json::to_value(recorded).map_err(value)?, serde_json::to_value(replayed).map_err(value)?);
        self.replayed += 1;
        // The members of both are in the same order, so their texts are the same exactly when they are.
        let texts = [&recorded, &replayed].map(Value::to_string);
        if texts.iter().all(|text| texts.first() == Some(text)) {
            self.identical += 1;
        } else if self.first_difference.is_none() {
            let (field, recorded, replayed) = first(&recorded, &replayed, String::new());
            self.first_difference = Some(Difference { place: at.place.to_owned(), tick: at.tick, field, recorded, replayed });
        }
        Ok(())
    }
}

/// The first member that differs, and both its values.
fn first(recorded: &Value, replayed: &Value, field: String) -> (String, String, String) {
    let deeper = |key: &str, a: Option<&Value>, b: Option<&Value>| {
        let field = format!("{field}/{}", key.replace('~', "~0").replace('/', "~1"));
        match (a, b) {
            (Some(a), Some(b)) => first(a, b, field),
            (a, b) => (field, shown(a), shown(b)),
        }
    };
    match (recorded, replayed) {
        (Value::Object(a), Value::Object(b)) => {
            let key = a.keys().chain(b.keys()).find(|key| a.get(*key) != b.get(*key));
            key.map_or_else(|| (field.clone(), shown(None), shown(None)), |key| deeper(key, a.get(key), b.get(key)))
        }
        (Value::Array(a), Value::Array(b)) => {
            let index = (0..a.len().max(b.len())).find(|i| a.get(*i) != b.get(*i)).unwrap_or_default();
            deeper(&index.to_string(), a.get(index), b.get(index))
        }
        (a, b) => (if field.is_empty() { "/".to_owned() } else { field }, shown(Some(a)), shown(Some(b))),
    }
}

/// A value for people, not too long.
fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 120;
    let text = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named_with_both_its_values() {
        let mut check = Check::default();
        let at = At { place: "f:3", tick: Timestamp::default() };
        check.compare(&at, &json!({"a": 1, "b": [1, 2]}), &json!({"b": [1, 2], "a": 1})).unwrap();
        check.compare(&at, &json!({"a": {"x/y": [1, 2]}, "b": 1}), &json!({"a": {"x/y": [1, 3]}, "b": 2})).unwrap();
        check.compare(&at, &json!({"a": 1}), &json!({"a": 2})).unwrap();
        let Difference { field, recorded, replayed, .. } = check.first_difference.clone().unwrap();
        assert_eq!((field.as_str(), recorded.as_str(), replayed.as_str()), ("/a/x~1y/1", "2", "3"));
        assert_eq!((check.replayed, check.identical, check.is_identical()), (3, 1, false));
    }

    #[test]
    fn a_member_that_only_one_has_is_a_difference() {
        assert_eq!(first(&json!({"a": 1}), &json!({}), String::new()), ("/a".to_owned(), "1".to_owned(), "nothing".to_owned()));
        assert_eq!(first(&json!([]), &json!([7]), String::new()), ("/0".to_owned(), "nothing".to_owned(), "7".to_owned()));
        assert_eq!(first(&json!(1), &json!("1"), String::new()), ("/".to_owned(), "1".to_owned(), "\"1\"".to_owned()));
    }
}
