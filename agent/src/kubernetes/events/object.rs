//! The Event object, within the limits that the API server checks.

use super::reason::action_of;
use crate::kubernetes::{About, EventKind, EventNote};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use sha2::{Digest, Sha256};

/// Who reports, in every Event.
pub(super) const CONTROLLER: &str = "gleaner";
/// The longest note in bytes (`NoteLengthLimit` of the API server).
pub(super) const LONGEST_NOTE: usize = 1024;
/// The longest `reportingInstance`; the name of a node may be longer.
const LONGEST_INSTANCE: usize = 128;
/// The longest name of an object.
const LONGEST_NAME: usize = 253;
/// Bytes of the digest that makes a name unique.
const DIGEST: usize = 8;

/// The Event of a note. Its name is made of the object's and a digest of everything that tells this Event from others; `serial` is a counter.
pub(super) fn object(node: &str, note: &EventNote, at: &MicroTime, serial: u64) -> Event {
    let regarding = regarding(node, &note.about);
    let kind = match note.kind {
        EventKind::Normal => "Normal",
        EventKind::Warning => "Warning",
    };
    let name = name(node, note, at, serial, regarding.name.as_deref().unwrap_or_default());
    Event {
        action: Some(action_of(note.reason).to_owned()),
        event_time: Some(at.clone()),
        metadata: ObjectMeta {
            name: Some(name),
            // What has no namespace is told in `default`, where `kubectl describe` and the API server expect it.
            namespace: Some(regarding.namespace.clone().unwrap_or_else(|| "default".to_owned())),
            ..ObjectMeta::default()
        },
        note: Some(note.note.clone()),
        reason: Some(note.reason.to_owned()),
        regarding: Some(regarding),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(cut(node, LONGEST_INSTANCE).to_owned()),
        type_: Some(kind.to_owned()),
        ..Event::default()
    }
}

fn regarding(node: &str, about: &About) -> ObjectReference {
    let of = |version: &str, kind: &str, namespace: Option<&str>, name: &str, uid: &str| ObjectReference {
        api_version: Some(version.to_owned()),
        kind: Some(kind.to_owned()),
        namespace: namespace.map(str::to_owned),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    };
    match about {
        // Kubelet names a node by its name in the place of the uid, and `kubectl describe node` asks for that too.
        About::Node => of("v1", "Node", None, node, node),
        About::Pod { name, api_uid } => of("v1", "Pod", Some(&name.namespace), &name.name, api_uid),
        About::Object { api_version, kind, namespace, name, uid } => of(api_version, kind, namespace.as_deref(), name, uid),
    }
}

fn name(node: &str, note: &EventNote, at: &MicroTime, serial: u64, object: &str) -> String {
    let mut digest = Sha256::new();
    let about = format!("{:?}", note.about);
    for part in [node, &about, note.reason, &note.note, &at.0.to_string(), &serial.to_string()] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let digest: String = digest.finalize().iter().take(DIGEST).map(|byte| format!("{byte:02x}")).collect();
    // Names of other kinds may hold what an Event's may not.
    let legal = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' { c } else { '-' };
    let safe: String = object.chars().map(legal).collect();
    let labels: Vec<&str> = safe.split('.').map(|label| label.trim_matches('-')).filter(|label| !label.is_empty()).collect();
    let stem = labels.join(".");
    let stem = cut(&stem, LONGEST_NAME - 1 - 2 * DIGEST).trim_end_matches(['-', '.']);
    if stem.is_empty() { format!("{CONTROLLER}.{digest}") } else { format!("{stem}.{digest}") }
}

/// At most so many bytes of a text, whole characters.
pub(super) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}
