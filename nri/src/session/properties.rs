//! Whatever arrives, in whatever chunks.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::fixture::{about, call, container, old_runtime, pod, registered};
use proptest::prelude::*;

/// What one session tells of bytes that arrive in chunks, and what it sends.
fn run(bytes: &[u8], size: usize) -> (Vec<String>, Vec<u8>) {
    let (mut session, mut steps, mut sent) = (Session::new("10", true), Vec::new(), Vec::new());
    for chunk in bytes.chunks(size) {
        match session.receive(chunk, Duration::ZERO) {
            // Without the answers, which are never the same place twice.
            Ok(some) => steps.extend(some.iter().map(|step| match step {
                Step::Tell(event) => format!("{event:?}"),
                Step::Ask(Event::CreateContainer(pod, container, _), _) => format!("{pod:?} {container:?}"),
                Step::Ask(Event::Synchronize(seen, _), _) => format!("{seen:?}"),
                Step::Ask(..) => "another question".to_owned(),
            })),
            Err(cut) => {
                steps.push(cut.to_string());
                break;
            }
        }
    }
    while !session.output().is_empty() {
        sent.extend(session.output());
        session.sent(session.output().len(), Duration::ZERO).unwrap();
    }
    (steps, sent)
}

/// A conversation: calls one after the other, with big ones among them.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let one = (0_u32..6, 0_usize..9000).prop_map(|(which, size)| {
        let mut big = pod("s");
        big.annotations.insert("note".to_owned(), "x".repeat(size));
        match which {
            0 => registered(),
            1 => call(1, "Configure", &old_runtime()),
            2 => call(3, "Synchronize", &wire::SynchronizeRequest { pods: vec![big], containers: Vec::new(), more: size % 2 == 0 }),
            3 => call(5, "RunPodSandbox", &wire::PodEvent { pod: Some(big) }),
            4 => call(7, "CreateContainer", &about(container("c", "0-3"))),
            _ => call(9, "RemoveContainer", &about(container("c", ""))),
        }
    });
    prop::collection::vec(one, 1..8).prop_map(|calls| calls.concat())
}

proptest! {
    #[test]
    fn where_chunks_end_makes_no_difference(bytes in conversation(), size in 1_usize..5000) {
        prop_assert_eq!(run(&bytes, size), run(&bytes, bytes.len()));
    }

    #[test]
    fn any_bytes_end_in_events_or_an_error(bytes in prop::collection::vec(any::<u8>(), 1..600), size in 1_usize..100) {
        run(&bytes, size);
    }

    #[test]
    fn a_conversation_with_broken_bytes_does_no_harm(
        bytes in conversation(),
        broken in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = bytes;
        for (at, byte) in broken {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        run(&bytes, 4096);
    }
}
