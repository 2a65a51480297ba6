//! What an Event must be like.

use serde_json::Value;

type Wrong = Result<(), (String, String)>;

fn wrong(field: &str, why: impl Into<String>) -> Wrong {
    Err((field.to_owned(), why.into()))
}

/// What differs between the two shapes of Events.
struct Names {
    about: &'static str,
    note: &'static str,
    controller: &'static str,
}

/// Of core v1. Only with `eventTime` it is held to the newer rules.
pub(super) fn core(event: &Value) -> Wrong {
    common(event, &Names { about: "involvedObject", note: "message", controller: "reportingComponent" })
}

/// Of events.k8s.io/v1.
pub(super) fn new(old: Option<&Value>, event: &Value) -> Wrong {
    let names = Names { about: "regarding", note: "note", controller: "reportingController" };
    common(event, &names)?;
    if event["eventTime"].is_null() {
        return wrong("eventTime", "required");
    }
    if !["Normal", "Warning"].iter().any(|kind| event["type"] == *kind) {
        return wrong("type", format!("has invalid value: {}", event["type"]));
    }
    let unset = ["deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount", "deprecatedSource"];
    if let Some(field) = unset.iter().find(|field| !event[**field].is_null()) {
        return wrong(field, "needs to be unset");
    }
    let series = &event["series"];
    if !series.is_null() && old.is_none_or(|old| old["series"] != *series) {
        if series["count"].as_i64().unwrap_or_default() < 2 {
            return wrong("series.count", "should be at least 2");
        }
        if series["lastObservedTime"].is_null() {
            return wrong("series.lastObservedTime", "required");
        }
    }
    let fixed = ["regarding", "reason", "note", "type", "eventTime", "action", "related", "reportingController", "reportingInstance"];
    match old.and_then(|old| fixed.iter().find(|field| old[**field] != event[**field])) {
        Some(field) => wrong(field, "field is immutable"),
        None => Ok(()),
    }
}

fn common(event: &Value, names: &Names) -> Wrong {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    let (own, about) =
        (event["metadata"]["namespace"].as_str().unwrap_or_default(), event[names.about]["namespace"].as_str().unwrap_or_default());
    let timed = !event["eventTime"].is_null();
    let fits = match (about.is_empty(), timed) {
        (true, false) => own == "default",
        (true, true) => ["default", "kube-system"].contains(&own),
        (false, false) => about == own,
        // A real server lets this pass; nobody would find such an Event.
        (false, true) => about == own,
    };
    if !fits {
        return wrong(&format!("{}.namespace", names.about), format!("{about:?} does not match event.namespace {own:?}"));
    }
    if !timed {
        return Ok(());
    }
    for field in [names.controller, "reportingInstance", "action", "reason"] {
        let value = text(field);
        if value.is_empty() {
            return wrong(field, "required");
        }
        if field == names.controller && !super::check::is_qualified(value) {
            return wrong(field, format!("{value:?} is no qualified name"));
        }
        if value.len() > 128 {
            return wrong(field, "can have at most 128 characters");
        }
    }
    if text(names.note).len() > 1024 {
        return wrong(names.note, "can have at most 1024 characters");
    }
    Ok(())
}
