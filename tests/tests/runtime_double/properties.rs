//! Any legal way to cut messages is taken; nothing that a plugin sends brings the double down.

use crate::client::{Framing, Plan, Plugin, frame, message, request};
use crate::{limit, runtime, web};
use gleaner_crds::nri::RegisterPluginRequest;
use gleaner_tests::runtime::{Options, Runtime};
use proptest::prelude::*;
use proptest::test_runner::Config;
use prost::Message;

fn registration(id: u32, pad: usize) -> Vec<u8> {
    let asked = RegisterPluginRequest { plugin_name: "fake".to_owned(), plugin_idx: "10".to_owned(), nri_version: "v".repeat(pad) };
    message(id, 1, &request("nri.pkg.api.v1alpha1.Runtime", "RegisterPlugin", &asked.encode_to_vec()))
}

/// Cuts bytes into frames of these lengths, over and over.
fn cut(bytes: &[u8], lengths: &[usize]) -> Vec<u8> {
    let (mut rest, mut wire) = (bytes, Vec::new());
    for length in lengths.iter().cycle() {
        let (now, later) = rest.split_at((*length).min(rest.len()));
        wire.extend(frame(2, now));
        rest = later;
        if rest.is_empty() {
            return wire;
        }
    }
    wire
}

/// Whether a good plugin is taken and told of a pod.
fn still_works(runtime: &Runtime) -> bool {
    let plugin = Plugin::join(runtime, Plan::new().index("99"));
    runtime.run_pod(&web()).unwrap();
    plugin.methods().contains(&"StateChange".to_owned())
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, cases: 24, ..Config::default() })]

    #[test]
    fn messages_in_frames_of_any_legal_length_are_taken(
        pad in 0_usize..20_000,
        lengths in prop::collection::vec(1_usize..=4096, 1..20),
        unknown in 0_u32..3,
    ) {
        let (_dir, runtime) = runtime(Options::default());
        let plugin = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
        let others = (0..unknown).map(|n| message(3 + 2 * n, 1, &request("x", "y", &[])));
        let all: Vec<u8> = std::iter::once(registration(1, pad)).chain(others).flatten().collect();
        plugin.send(&cut(&all, &lengths));
        prop_assert_eq!(plugin.answer(1), Ok(Vec::new()));
        for n in 0..unknown {
            prop_assert_eq!(plugin.answer(3 + 2 * n), Err((12, "service x".to_owned())));
        }
        prop_assert_eq!(runtime.wait_for_plugin(limit()), "10-fake");
        prop_assert_eq!(runtime.violations().len(), unknown as usize);
    }

    #[test]
    fn a_frame_that_is_too_long_is_found_wherever_it_begins(before in 0_u32..3, more in 1_usize..2000) {
        let (_dir, runtime) = runtime(Options::default());
        let plugin = Plugin::connect(&runtime.socket(), Plan::new()).unwrap();
        for n in 0..before {
            plugin.ask(1 + 2 * n, "x", "y", &[]);
            prop_assert!(plugin.answer(1 + 2 * n).is_err());
        }
        let long = registration(101, 4096 + more);
        // The first bytes of the header alone do not help: header and body are still read through one buffer.
        plugin.send(&Framing::Pieces(5).cut(2, &long[..5]));
        plugin.send(&frame(2, &long[5..]));
        let found = runtime.wait_for_violation("the stream is dead", limit());
        prop_assert!(found.contains("on stream 2"), "{}", found);
        prop_assert!(plugin.is_unanswered() && !plugin.is_ended());
    }

    #[test]
    fn garbage_never_brings_the_double_down(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        stream in 0_u32..4,
        id in 0_u32..6,
        kind in 0_u8..4,
        registered in any::<bool>(),
    ) {
        let (_dir, runtime) = runtime(Options::default().limits(30_000, 2000));
        let plugin = if registered {
            Plugin::join(&runtime, Plan::new())
        } else {
            Plugin::connect(&runtime.socket(), Plan::new()).unwrap()
        };
        plugin.send(&frame(stream, &message(id, kind, &bytes)));
        plugin.send(&frame(stream, &bytes));
        plugin.send(&bytes);
        drop(plugin);
        prop_assert!(still_works(&runtime));
    }

    #[test]
    fn answers_that_are_garbage_never_bring_the_double_down(body in prop::collection::vec(any::<u8>(), 0..60), at in 0_usize..8) {
        let methods = ["Configure", "Synchronize", "CreateContainer", "UpdateContainer", "StopContainer", "StateChange", "", "x"];
        let (_dir, runtime) = runtime(Options::default());
        let bad = methods[at];
        let plan = Plan::answers(move |call| {
            use crate::client::Reply;
            if call.method == bad { Reply::Raw(body.clone()) } else { Reply::Ok(Vec::new()) }
        });
        let plugin = Plugin::registered(&runtime, plan);
        runtime.wait_for("the handshake has ended", limit(), |_| {
            (!runtime.plugins().is_empty() || runtime.connections() == 0).then_some(())
        });
        // Whatever comes of it, it is an answer and no panic.
        if let Ok(pod) = runtime.run_pod(&web()) {
            if let Ok(created) = runtime.run_container(&pod, &crate::main()) {
                let _ = runtime.update_container(&created.id, &gleaner_tests::runtime::Amounts::default().cpus("1"));
            }
            runtime.remove_pod(&pod).unwrap();
        }
        drop(plugin);
        runtime.hang_up();
        prop_assert!(still_works(&runtime));
    }
}
