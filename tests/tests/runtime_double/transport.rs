//! Frames, ids and codes.

use crate::client::{Framing, Plan, Plugin, Reply, frame, message, request};
use crate::{VERSIONS, limit, main, runtime, wait_closed, web, with_plugin};
use gleaner_crds::nri::{ContainerAdjustment, CreateContainerResponse};
use gleaner_tests::runtime::{Options, Version};
use std::os::unix::fs::PermissionsExt;

const RUNTIME: &str = "nri.pkg.api.v1alpha1.Runtime";

/// A request of RegisterPlugin that is, with its header, exactly so long.
fn register(id: u32, whole: usize) -> Vec<u8> {
    use gleaner_crds::nri::RegisterPluginRequest;
    use prost::Message;
    let make = |pad: usize| {
        let asked = RegisterPluginRequest { plugin_name: "fake".to_owned(), plugin_idx: "10".to_owned(), nri_version: "v".repeat(pad) };
        message(id, 1, &request(RUNTIME, "RegisterPlugin", &asked.encode_to_vec()))
    };
    let all = (0..=whole).rev().map(make).find(|bytes| bytes.len() <= whole).unwrap();
    assert_eq!(all.len(), whole, "no padding gives this length");
    all
}

#[test]
fn the_folder_of_the_socket_is_the_owners_alone() {
    let (dir, runtime) = runtime(Options::default());
    let mode = std::fs::metadata(dir.path().join("nri")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "of {:?}", runtime.socket());
}

#[test]
fn a_frame_with_header_and_body_of_4096_bytes_is_read_and_one_more_byte_is_the_end_of_the_stream() {
    let (_dir, runtime) = runtime(Options::default().limits(1500, 2000));
    let good = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
    good.send(&frame(2, &register(1, 4096)));
    assert_eq!(good.answer(1), Ok(Vec::new()));
    runtime.wait_for_plugin(limit());
    runtime.assert_clean();
    drop(good);
    let bad = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
    bad.send(&frame(2, &register(1, 4097)));
    runtime.wait_for_violation("a frame of 4097 bytes on stream 2", limit());
    // Nothing is heard any more, and nothing is said of it.
    bad.send(&frame(2, &register(3, 100)));
    wait_closed(&runtime, "plugin registration timed out");
    assert!(bad.is_unanswered());
}

#[test]
fn a_long_message_is_read_in_every_other_framing() {
    let (_dir, runtime) = runtime(Options::default());
    for framing in [Framing::HeaderThenBody, Framing::Pieces(4096), Framing::Pieces(100), Framing::FullThenRest] {
        let plugin = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
        plugin.send(&framing.cut(2, &register(1, 200_000)));
        assert_eq!(plugin.answer(1), Ok(Vec::new()), "{framing:?}");
        runtime.wait_for_plugin(limit());
        drop(plugin);
        runtime.wait_for("it is gone", limit(), |_| runtime.plugins().is_empty().then_some(()));
    }
    runtime.assert_clean();
}

#[test]
fn an_answer_in_a_frame_that_is_too_long_costs_the_connection_and_not_the_container() {
    let long = |_: &[u8]| {
        let annotations = [("a".to_owned(), "x".repeat(5000))].into();
        Reply::of(&CreateContainerResponse { adjust: Some(ContainerAdjustment { annotations, ..Default::default() }), update: vec![] })
    };
    for version in VERSIONS {
        let (_dir, runtime, plugin) = with_plugin(Options::of(version), Plan::on("CreateContainer", long));
        let pod = runtime.run_pod(&web()).unwrap();
        assert!(runtime.create_container(&pod, &main()).unwrap().annotations.contains_key("a"), "{version:?}");
        runtime.assert_clean();
        drop(plugin);
        runtime.wait_for("it is gone", limit(), |_| runtime.plugins().is_empty().then_some(()));
        let _plugin = Plugin::join(&runtime, Plan::on("CreateContainer", long).framing(Framing::One));
        let created = runtime.create_container(&pod, &main()).unwrap();
        assert!(!created.annotations.contains_key("a") && created.by.is_empty(), "{version:?}: {created:?}");
        assert!(runtime.violations()[0].contains("on stream 1 where the runtime reads 4096"), "{:?}", runtime.violations());
        wait_closed(&runtime, "failed to handle CreateContainer request: ttrpc: closed");
    }
}

#[test]
fn ids_are_odd_and_rise_and_may_jump() {
    let (_dir, runtime) = runtime(Options::default());
    let plugin = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
    let ask = |id| {
        plugin.ask(id, RUNTIME, "Nosuch", &[]);
        plugin.answer(id)
    };
    assert_eq!(ask(4), Err((3, "StreamID must be odd for client initiated streams".to_owned())));
    assert_eq!(ask(7), Err((12, "method Nosuch".to_owned())));
    for old in [7, 5] {
        assert_eq!(ask(old), Err((3, "StreamID cannot be re-used and must increment".to_owned())));
    }
    assert_eq!(ask(101), Err((12, "method Nosuch".to_owned())), "a jump is fine");
    plugin.ask(103, "x.Y", "RegisterPlugin", &[]);
    assert_eq!(plugin.answer(103), Err((12, "service x.Y".to_owned())));
    assert_eq!(runtime.forgive().len(), 6, "every one of them broke a rule");
}

#[test]
fn a_call_of_more_than_4_mib_is_refused_and_the_connection_stays() {
    let (_dir, runtime) = runtime(Options::default());
    let mut plugin = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
    let body = vec![0; (4 << 20) + 1];
    plugin.send(&Framing::Pieces(4096).cut(2, &message(1, 1, &body)));
    let refused = (8, "message length 4194305 exceed maximum message size of 4194304".to_owned());
    assert_eq!(plugin.answer(1), Err(refused));
    assert_eq!(plugin.register("fake", "10"), Ok(Vec::new()));
    runtime.wait_for_plugin(limit());
}

#[test]
fn what_arrives_where_nobody_listens_is_a_fault() {
    let (_dir, runtime, plugin) = with_plugin(Options::default(), Plan::new());
    plugin.send(&frame(7, b"whatever"));
    runtime.wait_for_violation("stream 7", limit());
    plugin.send(&frame(1, &message(99, 2, &[])));
    runtime.wait_for_violation("on id 99, where there is no call", limit());
    plugin.send(&frame(1, &message(1, 1, &[])));
    runtime.wait_for_violation("type 1 on the stream where the runtime calls", limit());
    plugin.send(&frame(2, &message(1, 2, &[])));
    runtime.wait_for_violation("type 2 on the stream of the runtime's service", limit());
    runtime.forgive();
    runtime.run_pod(&web()).unwrap();
    runtime.assert_clean();
}

#[test]
fn two_messages_in_a_frame_are_both_read() {
    let (_dir, runtime) = runtime(Options::default());
    let plugin = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
    let ask = |id| message(id, 1, &request(RUNTIME, "Nosuch", &[]));
    plugin.send(&frame(2, &[ask(1), ask(3)].concat()));
    assert!(plugin.answer(1).is_err() && plugin.answer(3).is_err());
}

#[test]
fn the_runtime_writes_a_long_message_as_a_full_buffer_and_the_rest() {
    for version in VERSIONS {
        let (_dir, runtime, plugin) = with_plugin(Options::of(version), Plan::new());
        runtime.run_pod(&web()).unwrap();
        runtime.run_pod(&web().annotation("long", &"x".repeat(100_000))).unwrap();
        let calls = plugin.calls();
        let [short, long] = [&calls[2].frames, &calls[3].frames];
        assert!(short.len() == 1 && short[0] < 4096, "{version:?}: {short:?}");
        assert!(long.len() == 2 && long[0] == 4096 && long[1] > 96_000, "{version:?}: {long:?}");
        let ids: Vec<u32> = calls.iter().map(|call| call.id).collect();
        assert_eq!(ids, [1, 3, 5, 7]);
        assert!(calls.iter().all(|call| (1_900_000_000..2_000_000_000).contains(&call.timeout)), "{calls:?}");
        let from_cri: Vec<bool> = calls.iter().map(|call| call.from_cri).collect();
        assert_eq!(from_cri, [false, false, true, true], "the handshake has no caller");
    }
}

#[test]
fn version_0_6_is_named_by_what_configure_lacks() {
    use gleaner_crds::nri::ConfigureRequest;
    use prost::Message;
    for version in VERSIONS {
        let (_dir, _runtime, plugin) = with_plugin(Options::of(version), Plan::new());
        let told = ConfigureRequest::decode(plugin.calls()[0].payload.as_slice()).unwrap();
        let limits = (told.registration_timeout, told.request_timeout);
        assert_eq!(limits, if version == Version::V0_6 { (0, 0) } else { (5000, 2000) }, "{version:?}");
        assert_eq!(told.nri_version, if version == Version::V0_12 { "v0.12.1" } else { "" }, "{version:?}");
        assert_eq!((told.runtime_name.as_str(), told.config.as_str()), ("containerd", ""), "{version:?}");
    }
}
