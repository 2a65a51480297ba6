//! Writes the custom resource definitions to `manifests/crds`.
#![allow(clippy::disallowed_methods, reason = "a tool for developers; it writes ordinary files")]

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/crds");
    std::fs::create_dir_all(&folder)?;
    for document in gleaner_crds::manifests::crd_documents()? {
        std::fs::write(folder.join(&document.file_name), &document.yaml)?;
    }
    Ok(())
}
