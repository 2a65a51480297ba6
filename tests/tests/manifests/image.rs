//! The image, built of the binary at hand: the archive is what runtimes read, and its one layer is enough to run in.

use crate::files::root;
use gleaner_tests::{program, skip};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(status.success(), "{command:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Builds an image in a folder and gives its path.
fn build(folder: &Path) -> PathBuf {
    let printed = run(Command::new(root().join("scripts/image")).arg(folder).env("GLEANER_BINARY", program("gleaner")));
    PathBuf::from(printed.trim())
}

fn digest(file: &Path) -> String {
    run(Command::new("sha256sum").arg(file)).split(' ').next().unwrap().to_owned()
}

/// An image that is unpacked, and the digests of what is in it, each checked.
struct Unpacked {
    dir: TempDir,
}

impl Unpacked {
    fn new(image: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("tar").arg("xf").arg(image).arg("-C").arg(dir.path()));
        Self { dir }
    }

    fn json(&self, file: &str) -> Value {
        let path = self.dir.path().join(file);
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|e| panic!("{file}: {e}"))
    }

    /// The blob that a descriptor means, after checking that it is the one.
    fn blob(&self, descriptor: &Value) -> String {
        let name = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let path = self.dir.path().join("blobs/sha256").join(name);
        assert_eq!(digest(&path), name);
        assert_eq!(descriptor["size"], fs::metadata(&path).unwrap().len(), "{descriptor}");
        format!("blobs/sha256/{name}")
    }
}

#[test]
fn the_image_is_a_layout_that_runtimes_read_and_its_layer_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let file = build(dir.path());
    assert_eq!(file.file_name().unwrap().to_str().unwrap(), format!("gleaner-{}.tar", env!("CARGO_PKG_VERSION")));
    let image = Unpacked::new(&file);
    assert_eq!(image.json("oci-layout")["imageLayoutVersion"], "1.0.0");
    let descriptor = &image.json("index.json")["manifests"][0];
    let name = format!("docker.io/library/gleaner:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(descriptor["annotations"]["io.containerd.image.name"], name.as_str());
    let manifest = image.json(&image.blob(descriptor));
    let config_blob = image.blob(&manifest["config"]);
    let config = image.json(&config_blob);
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/bin/gleaner"]));
    assert_eq!(config["config"]["User"], "0:0");
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([layers[0]["digest"]]), "the layer is not compressed");
    let layer = image.blob(&layers[0]);
    let docker = image.json("manifest.json");
    assert_eq!(
        docker,
        serde_json::json!([{"Config": config_blob, "RepoTags": [format!("gleaner:{}", env!("CARGO_PKG_VERSION"))], "Layers": [layer]}])
    );
    check_layer(&image.dir.path().join(layer));
}

/// Owned by root, of no time, with nothing but what is needed, and able to run.
fn check_layer(layer: &Path) {
    let listing = run(Command::new("tar").args(["tv", "--numeric-owner", "--full-time", "-f"]).arg(layer).env("TZ", "UTC"));
    for line in listing.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((fields[1], fields[3]), ("0/0", "1970-01-01"), "{line}");
    }
    let names: Vec<&str> = listing.lines().filter_map(|line| line.split_whitespace().nth(5)).collect();
    let outside: BTreeSet<&str> = names.iter().filter_map(|name| name.trim_start_matches("./").split('/').next()).collect();
    let known = BTreeSet::from(["", "dev", "etc", "lib", "lib64", "proc", "run", "sys", "tmp", "usr", "var"]);
    assert!(outside.is_subset(&known), "{outside:?}");
    assert!(listing.lines().any(|line| line.starts_with("drwxrwxrwt") && line.ends_with("./tmp/")), "{listing}");
    if !nix::unistd::geteuid().is_root() {
        skip("the_image_is_a_layout_that_runtimes_read_and_its_layer_is_enough", "chroot into the layer needs root");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    run(Command::new("tar").arg("xf").arg(layer).arg("-C").arg(root.path()));
    let version = run(Command::new("chroot").arg(root.path()).args(["/usr/bin/gleaner", "--version"]));
    assert_eq!(version.trim(), format!("gleaner {}", env!("CARGO_PKG_VERSION")));
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    assert!(passwd.contains("root:x:0:0:") && passwd.contains("nonroot:x:65532:65532:"), "{passwd}");
}

#[test]
fn the_same_binary_gives_the_same_bytes() {
    let [first, second] = [(); 2].map(|()| {
        let dir = tempfile::tempdir().unwrap();
        digest(&build(dir.path()))
    });
    assert_eq!(first, second);
}

#[test]
fn a_binary_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(root().join("scripts/image")).arg(dir.path()).env("GLEANER_BINARY", "/nowhere/gleaner").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no /nowhere/gleaner"), "{output:?}");
}
