//! Compiles the protocol files with a compiler written in Rust, so that building needs no `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(
        ["estimator.proto", "nri.proto", "pluginregistration.proto", "podresources.proto", "resourceplugin.proto"],
        ["proto"],
    )?;
    tonic_prost_build::configure()
        // Ordered maps: the same answer is the same bytes, in a recording too.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
