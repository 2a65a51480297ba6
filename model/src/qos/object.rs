//! A flat JSON object whose keys are taken out one by one; what is left over at the end is unknown.

use super::QosError;
use crate::units::Permille;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A flat object: each key once, with its value as text.
pub(super) struct Object<'a> {
    annotation: &'a str,
    entries: BTreeMap<String, String>,
}

impl<'a> Object<'a> {
    /// The object in an annotation; an absent annotation is an empty object.
    pub(super) fn read(annotations: &BTreeMap<String, String>, annotation: &'a str) -> Result<Self, QosError> {
        let Some(text) = annotations.get(annotation) else { return Ok(Self { annotation, entries: BTreeMap::new() }) };
        let not_an_object = |cause: String| QosError::NotAnObject { annotation: annotation.to_owned(), value: text.clone(), cause };
        let entries = serde_json::from_str::<Entries>(text).map_err(|e| not_an_object(e.to_string()))?.0;
        Ok(Self { annotation, entries })
    }

    /// Takes a value out under the first of its names that is there.
    fn take(&mut self, names: &[&str]) -> Option<(String, String)> {
        names.iter().find_map(|name| self.entries.remove_entry(*name))
    }

    /// Takes a value out and reads it; an unreadable one is added to `errors` and counts as absent.
    pub(super) fn read_value<T>(
        &mut self,
        names: &[&str],
        expected: &str,
        errors: &mut Vec<QosError>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let (key, value) = self.take(names)?;
        let parsed = read(value.trim());
        if parsed.is_none() {
            errors.push(QosError::BadValue { annotation: self.annotation.to_owned(), key, value, expected: expected.to_owned() });
        }
        parsed
    }

    /// Takes a yes or no out; absent is `default`.
    pub(super) fn flag(&mut self, name: &str, default: bool, errors: &mut Vec<QosError>) -> bool {
        self.read_value(&[name], "\"true\" or \"false\"", errors, |text| text.parse().ok()).unwrap_or(default)
    }

    /// Takes a ratio out, as a decimal number where 1 is the whole.
    pub(super) fn ratio(&mut self, name: &str, errors: &mut Vec<QosError>) -> Option<Permille> {
        self.read_value(&[name], "a number above 0, such as 1.05", errors, |text| permille(text, 1000).filter(|r| r.get() > 0))
    }

    /// Takes a percentage out, as a decimal number where 100 is the whole.
    pub(super) fn percent(&mut self, name: &str, errors: &mut Vec<QosError>) -> Option<Permille> {
        self.read_value(&[name], "a percentage of 0 or more, such as 50", errors, |text| permille(text, 10))
    }

    /// What nobody took out is unknown.
    pub(super) fn finish(self, errors: &mut Vec<QosError>) {
        let annotation = self.annotation;
        errors.extend(self.entries.into_iter().map(|(key, value)| QosError::UnknownKey { annotation: annotation.to_owned(), key, value }));
    }
}

/// A decimal number times `scale`, as thousandths. `1.05` and the `1.050000` that Go prints are the same.
fn permille(text: &str, scale: u32) -> Option<Permille> {
    let number: f64 = text.parse().ok()?;
    let scaled = (number * f64::from(scale)).round();
    if !(0.0..=f64::from(u32::MAX)).contains(&scaled) {
        return None;
    }
    // Inside the bounds above and rounded, so the text is that of a u32.
    format!("{scaled:.0}").parse().ok().map(Permille::new)
}

/// A flat JSON object. A key that comes twice is refused, since either value would be a guess.
struct Entries(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Flat;

        impl<'de> Visitor<'de> for Flat {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    let text = plain(value).ok_or_else(|| de::Error::custom(format!("key {key:?} holds no plain value")))?;
                    if entries.insert(key.clone(), text).is_some() {
                        return Err(de::Error::custom(format!("key {key:?} comes twice")));
                    }
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Flat)
    }
}

fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
