//! Cgroups as kubelet and runtimes name them. With the cgroupfs driver that is a path. With the systemd driver it is the name of a unit, which says
//! where it is: `a-b.slice` is in `a.slice`.

use gleaner_model::{CgroupPath, ValueError};

/// The longest name of a folder, so of a unit too.
const LONGEST: usize = 255;
const SLICE: &str = ".slice";

/// The cgroup of a pod, from what kubelet told the runtime; `None` of the empty text.
///
/// # Errors
/// When the text is neither a path nor the name of a slice.
pub(crate) fn of_pod(parent: &str) -> Result<Option<CgroupPath>, ValueError> {
    if parent.is_empty() { Ok(None) } else { folder(parent).map(Some) }
}

/// The cgroup of a container; `None` of the empty text. A text `SLICE:PREFIX:ID` is the scope `PREFIX-ID.scope` in that slice.
///
/// # Errors
/// When the text is neither of the two.
pub(crate) fn of_container(path: &str) -> Result<Option<CgroupPath>, ValueError> {
    if path.is_empty() {
        return Ok(None);
    }
    if path.starts_with('/') {
        return path.parse().map(Some);
    }
    let parts: Vec<&str> = path.splitn(4, ':').collect();
    match parts.as_slice() {
        [_] => folder(path).map(Some),
        [slice, prefix, id] if !prefix.is_empty() && !id.is_empty() => {
            // A scope without a slice is where systemd puts services.
            let slice = if slice.is_empty() { "system.slice" } else { slice };
            folder(slice)?.join(&format!("{prefix}-{id}.scope")).map(Some)
        }
        _ => Err(ValueError::malformed(path, "a cgroup path, nor a slice, a prefix and an id")),
    }
}

fn folder(text: &str) -> Result<CgroupPath, ValueError> {
    match text.strip_suffix(SLICE) {
        Some(stem) if !text.contains('/') => slice(text, stem),
        _ if text.starts_with('/') => text.parse(),
        _ => format!("/{text}").parse(),
    }
}

/// The folders of a slice, one for each dash: `/a.slice/a-b.slice`.
fn slice(name: &str, stem: &str) -> Result<CgroupPath, ValueError> {
    if stem == "-" {
        return Ok(CgroupPath::root());
    }
    if name.len() > LONGEST || stem.split('-').any(str::is_empty) {
        return Err(ValueError::malformed(name, "the name of a slice such as kubepods-burstable.slice"));
    }
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    ends.filter_map(|end| stem.get(..end)).try_fold(CgroupPath::root(), |path, part| path.join(&format!("{part}{SLICE}")))
}
