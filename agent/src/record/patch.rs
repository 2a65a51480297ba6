//! What changed between two JSON values, as a JSON merge patch (RFC 7396): most of a snapshot is what it was a tick ago.
//!
//! A patch cannot say that a member is null, only that it is gone. That is the same for our values, whose absent members are `None`: nulls are
//! taken out before values are compared.

use serde_json::{Map, Value};

/// The value without members that are null.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().filter(|(_, v)| !v.is_null()).map(|(key, v)| (key, without_nulls(v))).collect())
        }
        other => other,
    }
}

/// The patch that makes `to` of `from`; `None` when they are the same. Neither may have members that are null.
pub(super) fn diff(from: &Value, to: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (from, to) else {
        return (from != to).then(|| to.clone());
    };
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter_map(|(key, value)| {
        let patch = match old.get(key) {
            Some(before) => diff(before, value)?,
            None => value.clone(),
        };
        Some((key.clone(), patch))
    });
    let patch: Map<String, Value> = gone.chain(changed).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Applies a patch.
pub(super) fn apply(onto: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *onto = patch;
        return;
    };
    if !onto.is_object() {
        *onto = Value::Object(Map::new());
    }
    let Value::Object(members) = onto else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(members.remove(&key)),
            value => apply(members.entry(key).or_insert(Value::Null), value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0u32..3).prop_map(Value::from), Just(json!("a"))];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn only_what_changed_is_in_a_patch() {
        let from = json!({"at": 1, "pods": {"a": {"cpu": {"present": 3}}, "b": {}}});
        let to = json!({"at": 2, "pods": {"a": {"cpu": {"absent": "vanished"}}}});
        assert_eq!(diff(&from, &to), Some(json!({"at": 2, "pods": {"a": {"cpu": {"present": null, "absent": "vanished"}}, "b": null}})));
        assert_eq!(diff(&to, &to), None);
    }

    proptest! {
        #[test]
        fn a_patch_leads_from_the_one_to_the_other(from in any_value(), to in any_value()) {
            let (from, to) = (without_nulls(from), without_nulls(to));
            let mut patched = from.clone();
            let patch = diff(&from, &to);
            if let Some(patch) = patch.clone() {
                apply(&mut patched, patch);
            }
            prop_assert_eq!(&patched, &to, "patch {:?} of {}", patch, from);
        }
    }
}
