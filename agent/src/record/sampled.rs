//! The readings of one sample have one time. It is written once, and left out where it would be written again: so readings that did not change are the
//! same from tick to tick.

use serde_json::Value;

/// Stands for the time of the sample. No time looks like it.
const SAME: &str = "=";

/// Where a reading keeps its time.
const TIME: &str = "at";

/// Takes the time of the sample out of a snapshot. It is that of the node's CPU usage; without that reading all times stay.
pub(super) fn take_out(snapshot: &mut Value) -> Option<Value> {
    let sampled = snapshot.pointer("/node/cpu_usage/present/at").cloned()?;
    replace(snapshot, &sampled, &Value::from(SAME));
    Some(sampled)
}

/// Puts the time of the sample back.
pub(super) fn put_in(snapshot: &mut Value, sampled: &Value) {
    replace(snapshot, &Value::from(SAME), sampled);
}

fn replace(value: &mut Value, from: &Value, to: &Value) {
    let Value::Object(members) = value else { return };
    for (key, member) in members {
        if key == TIME && member == from {
            *member = to.clone();
        } else {
            replace(member, from, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_time_of_the_sample_comes_back_where_it_was_and_others_stay() {
        let of = |second: u32| json!({"present": {"value": second, "at": {"secs": second, "nanos": 0}}});
        let before = json!({"at": {"secs": 8, "nanos": 0}, "node": {"cpu_usage": of(7), "old": of(6)}, "readings": {"at": {"at": of(7)}}});
        let mut snapshot = before.clone();
        let sampled = take_out(&mut snapshot).unwrap();
        assert_eq!(snapshot["readings"], json!({"at": {"at": {"present": {"value": 7, "at": "="}}}}));
        assert_eq!(snapshot["node"]["old"], of(6));
        put_in(&mut snapshot, &sampled);
        assert_eq!(snapshot, before);
    }

    #[test]
    fn without_a_sample_nothing_is_taken_out() {
        let mut snapshot = json!({"at": {"secs": 8}, "node": {"cpu_usage": {"absent": "not_yet"}}});
        let before = snapshot.clone();
        assert_eq!((take_out(&mut snapshot), snapshot), (None, before));
    }
}
