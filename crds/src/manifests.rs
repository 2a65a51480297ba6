//! The custom resource definitions as YAML, as they lie in `manifests/crds`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::cnr::CustomNodeResource;
use crate::error::CrdsError;

/// One definition, ready to be written to a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrdDocument {
    /// `<group>_<plural>.yaml`.
    pub file_name: String,
    /// The whole content of the file.
    pub yaml: String,
}

/// First line of each file, for whoever opens it to change it.
const HEADER: &str = "# Generated from the types in crds/; written by `cargo run -p gleaner-crds --example generate`.\n";

/// All definitions, by file name.
///
/// # Errors
/// When a definition cannot be written as YAML, which only a change of the types can cause.
pub fn crd_documents() -> Result<Vec<CrdDocument>, CrdsError> {
    let mut documents = definitions().iter().map(document).collect::<Result<Vec<_>, _>>()?;
    documents.sort();
    Ok(documents)
}

/// All definitions in one text, for `kubectl apply -f -`.
///
/// # Errors
/// As for [`crd_documents`].
pub fn crds_yaml() -> Result<String, CrdsError> {
    let documents = crd_documents()?;
    Ok(documents.iter().map(|document| format!("---\n{}", document.yaml)).collect())
}

fn definitions() -> Vec<CustomResourceDefinition> {
    let mut all = crate::config::definitions();
    all.push(CustomNodeResource::crd());
    all
}

fn document(crd: &CustomResourceDefinition) -> Result<CrdDocument, CrdsError> {
    let yaml = serde_saphyr::to_string(crd)
        .map_err(|error| CrdsError::Yaml { name: crd.metadata.name.clone().unwrap_or_default(), cause: error.to_string() })?;
    Ok(CrdDocument { file_name: format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural), yaml: format!("{HEADER}{yaml}") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use std::path::Path;

    use super::*;

    #[test]
    fn the_files_are_those_that_the_types_generate() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/crds");
        for document in crd_documents().unwrap() {
            let path = folder.join(&document.file_name);
            let found = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let differs = found.lines().zip(document.yaml.lines()).enumerate().find(|(_, (old, new))| old != new);
            assert!(
                found == document.yaml,
                "{} is old; run `cargo run -p gleaner-crds --example generate`; first difference (line, (file, types)): {differs:?}",
                path.display(),
            );
        }
    }

    #[test]
    fn a_definition_survives_the_way_through_yaml() {
        for definition in definitions() {
            let document = document(&definition).unwrap();
            let read: CustomResourceDefinition = serde_saphyr::from_str(&document.yaml).unwrap();
            assert_eq!(read, definition, "{}", document.file_name);
        }
    }

    #[test]
    fn generating_twice_gives_the_same_text() {
        assert_eq!(crds_yaml().unwrap(), crds_yaml().unwrap());
    }
}
