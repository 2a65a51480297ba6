use super::*;
use crate::record::fixtures::{Ticker, any_snapshot, snapshot};
use crate::record::line::Line;
use proptest::prelude::*;

/// Through the text of a file.
fn read_again(line: TickLine) -> TickLine {
    let text = serde_json::to_string(&Line::Tick(Box::new(line))).unwrap();
    match serde_json::from_str(&text).unwrap() {
        Line::Tick(line) => *line,
        other => panic!("{other:?} of {text}"),
    }
}

#[test]
fn what_did_not_change_is_not_written_again() {
    let (mut ticker, mut encoder) = (Ticker::new(), Encoder::default());
    let whole = encoder.encode(ticker.tick(snapshot(1, 500), true)).unwrap();
    let second = encoder.encode(ticker.tick(snapshot(2, 500), false)).unwrap();
    let third = encoder.encode(ticker.tick(snapshot(3, 500), false)).unwrap();
    assert!(whole.states.is_some() && whole.policies.is_some() && whole.advice.is_some() && whole.assignment.is_some(), "{whole:?}");
    assert_eq!((&third.states, &third.policies, &third.advice, &third.assignment), (&None, &None, &None, &None));
    assert_eq!(third.snapshot.get("pods"), None, "{}", third.snapshot);
    assert!(second.assignment.is_some(), "pools were made in the first tick: {second:?}");
}

#[test]
fn a_change_without_anything_before_it_is_refused() {
    let (mut ticker, mut encoder) = (Ticker::new(), Encoder::default());
    encoder.encode(ticker.tick(snapshot(1, 500), true)).unwrap();
    let line = encoder.encode(ticker.tick(snapshot(2, 500), false)).unwrap();
    let error = Decoder::default().decode(line).unwrap_err();
    assert_eq!(error, "says only what changed, and there is no tick before it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_read_is_what_was_written(snapshots in prop::collection::vec((any_snapshot(), prop::bool::weighted(0.2)), 1..6)) {
        let (mut ticker, mut encoder, mut decoder) = (Ticker::new(), Encoder::default(), Decoder::default());
        for (n, (snapshot, whole)) in snapshots.into_iter().enumerate() {
            let tick = ticker.tick(snapshot, whole || n == 0);
            let read = decoder.decode(read_again(encoder.encode(tick.clone()).unwrap())).unwrap();
            prop_assert_eq!(&read.snapshot, &tick.snapshot, "tick {}", n);
            prop_assert_eq!(&read.assignment, &tick.assignment, "tick {}", n);
            prop_assert_eq!(&read.states, &tick.states, "tick {}", n);
            prop_assert_eq!(&read.policies, &tick.policies, "tick {}", n);
            prop_assert_eq!(&read.placements, &tick.placements, "tick {}", n);
            prop_assert_eq!(read.estimate.to_string(), serde_json::to_value(&tick.estimate).unwrap().to_string(), "tick {}", n);
        }
    }
}
