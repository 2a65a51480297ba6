//! A folder of ordinary v1 Pod manifests, as kubelet's static pods: what is in the folder should run.

mod convert;
mod last_good;
mod strict;
mod watch;

pub(crate) use convert::{ContainerRun, PodSpecification, RestartPolicy};
pub(crate) use last_good::{load_last_good, save_last_good};
pub(crate) use watch::{FolderEvent, watch};

use gleaner_host::state::read_text;
use gleaner_model::{PodName, PodUid, QosConfig};
use k8s_openapi::api::core::v1 as core;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The pods that should run, by the manifest that asks for each.
pub(crate) type Wanted = BTreeMap<String, Arc<PodSpecification>>;

/// Manifests above this size are refused: kubelet's pods are bounded by the API server's request limit of 3 MiB too.
pub(crate) const LARGEST: u64 = 3 << 20;

/// One document of one manifest file: a pod that may run, or what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// File name, with the number of the document where the file holds several.
    pub(crate) source: String,
    /// The pod's name, as far as it could be read.
    pub(crate) name: Option<PodName>,
    /// The pod, or everything that is wrong, a line each.
    pub(crate) pod: Result<Arc<PodSpecification>, Vec<String>>,
}

/// Reads the folder. Files are taken in the order of their names; of two pods with one name the first stays and the second is refused.
///
/// # Errors
/// When the folder itself cannot be read; what is wrong with a file is in its [`Manifest`].
pub(crate) fn read_folder(folder: &Path, config: &QosConfig) -> Result<Vec<Manifest>, std::io::Error> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.sort();
    let mut manifests = Vec::new();
    for file in files {
        let Some(name) = file.file_name().and_then(|n| n.to_str()).map(str::to_owned) else { continue };
        // Editors' temporary and backup files, and what is no manifest, as kubelet passes over names that begin with a dot.
        let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if name.starts_with('.') || !matches!(extension, "yaml" | "yml" | "json") || file.is_dir() {
            continue;
        }
        match read_text(&file, LARGEST) {
            Ok(text) => manifests.extend(parse(&name, &text, config)),
            // Removed between being listed and being read: it is simply not there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => manifests.push(Manifest { source: name, name: None, pod: Err(vec![format!("cannot be read: {error}")]) }),
        }
    }
    refuse_second_names(&mut manifests);
    Ok(manifests)
}

/// Only what tells a pod from other kinds; read first, so that a wrong kind is one clear line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    api_version: Option<String>,
    kind: Option<String>,
}

fn parse(file: &str, text: &str, config: &QosConfig) -> Vec<Manifest> {
    let documents = documents(text);
    let many = documents.len() > 1;
    let numbered = |index: usize| if many { format!("{file} (document {})", index + 1) } else { file.to_owned() };
    documents.iter().enumerate().map(|(index, text)| parse_document(numbered(index), text, config)).collect()
}

/// The documents of a YAML stream, without those that are empty.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.trim_end() == "---" {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let empty = |d: &String| d.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'));
    documents.retain(|d| !empty(d));
    documents
}

fn parse_document(source: String, text: &str, config: &QosConfig) -> Manifest {
    let refuse = |source: String, cause: String| Manifest { source, name: None, pod: Err(vec![cause]) };
    let one_line = |error: String| error.lines().next().unwrap_or_default().to_owned();
    let kind: Kind = match serde_saphyr::from_str(text) {
        Ok(kind) => kind,
        Err(error) => return refuse(source, one_line(format!("is not a Kubernetes object: {error}"))),
    };
    match (kind.api_version.as_deref(), kind.kind.as_deref()) {
        (Some("v1"), Some("Pod")) => {}
        (Some(version), Some(kind)) => return refuse(source, format!("is {version}/{kind}, but only v1/Pod can run here")),
        (None, _) => return refuse(source, "has no apiVersion; only v1 Pods can run here".to_owned()),
        (_, None) => return refuse(source, "has no kind; only v1 Pods can run here".to_owned()),
    }
    let pod: core::Pod = match serde_saphyr::from_str(text) {
        Ok(pod) => pod,
        Err(error) => return refuse(source, one_line(format!("is not a valid Pod: {error}"))),
    };
    let name = convert::name(&pod).ok();
    let unknown: Vec<String> = strict::unknown_fields(text, &pod);
    let specification = convert::specification(&source, text, &pod, config);
    let pod = match (specification, unknown.is_empty()) {
        (Ok(specification), true) => Ok(Arc::new(specification)),
        (specification, _) => Err(unknown.into_iter().chain(specification.err().unwrap_or_default()).collect()),
    };
    Manifest { name, pod, source }
}

/// The pods that should run, by source. A manifest that is wrong now but was right before goes on asking for what it asked for: a slip of the
/// editor must not end a pod.
pub(crate) fn wanted(manifests: &[Manifest], before: &Wanted) -> Wanted {
    let spec = |m: &Manifest| m.pod.as_ref().ok().or_else(|| before.get(&m.source)).cloned();
    manifests.iter().filter_map(|m| Some((m.source.clone(), spec(m)?))).collect()
}

fn refuse_second_names(manifests: &mut [Manifest]) {
    let mut first: BTreeMap<PodName, String> = BTreeMap::new();
    let mut uids: BTreeMap<PodUid, String> = BTreeMap::new();
    for manifest in manifests {
        if let Ok(spec) = &manifest.pod {
            let uid = spec.pod.uid.clone();
            match uids.get(&uid) {
                Some(other) => manifest.pod = Err(vec![format!("metadata.uid {uid} is that of the pod in {other}; uids must be unique")]),
                None => drop(uids.insert(uid, manifest.source.clone())),
            }
        }
        let Some(name) = manifest.name.clone() else { continue };
        match first.get(&name) {
            Some(other) => manifest.pod = Err(vec![format!("a pod named {name} is in {other} already; names must be unique")]),
            None => {
                first.insert(name, manifest.source.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
