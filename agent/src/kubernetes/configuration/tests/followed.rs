use super::*;
use crate::kubernetes::About;
use gleaner_model::{Bytes, MilliCpu, Permille, Topology};
use std::path::Path;

fn topology() -> Topology {
    Topology::regular(1, 1, 2, 2, Bytes::new(8 << 30)).unwrap()
}

fn margin(percent: u32) -> Chosen {
    chosen("a", own(json!({"estimator": {"usageMargin": format!("{percent}%")}})))
}

fn load(dir: &Path) -> Followed {
    let (followed, line) = Followed::load(dir, "n1");
    assert_eq!(line, None);
    followed
}

fn take(followed: &mut Followed, event: ConfigurationEvent) -> Outcome {
    followed.take(event, &Config::default(), &topology())
}

fn choose(followed: &mut Followed, chosen: Chosen) -> Outcome {
    take(followed, ConfigurationEvent::Chosen(Box::new(chosen)))
}

fn margin_of(outcome: &Outcome) -> Option<Permille> {
    outcome.config.as_ref().map(|config| config.estimator.usage_margin)
}

#[test]
fn what_was_in_force_is_in_force_after_a_restart_without_the_api_server() {
    let dir = tempfile::tempdir().unwrap();
    let first = choose(&mut load(dir.path()), margin(20));
    assert_eq!((margin_of(&first), &first.problem), (Some(Permille::new(200)), &None));
    assert!(first.told.contains("ns/a is in force"), "{}", first.told);

    let mut again = load(dir.path());
    let mut base = Config::default();
    base.estimator.cpu_reserve = MilliCpu::new(9);
    let outcome = again.rebase(&base, &topology());
    assert_eq!(margin_of(&outcome), Some(Permille::new(200)));
    assert_eq!(outcome.config.unwrap().estimator.cpu_reserve, MilliCpu::new(9), "it lies over the file as it is now");
    assert_eq!(choose(&mut again, margin(20)).config, None, "nothing changed");
}

#[test]
fn without_an_object_the_file_counts_again_and_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut followed = load(dir.path());
    choose(&mut followed, margin(20));
    assert_eq!(take(&mut followed, ConfigurationEvent::NoneChosen).config, Some(Config::default()));
    assert_eq!(take(&mut followed, ConfigurationEvent::NoneChosen).config, None);
    assert_eq!(load(dir.path()).rebase(&Config::default(), &topology()).config, Some(Config::default()));
}

#[test]
fn an_invalid_newer_object_changes_nothing_and_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut followed = load(dir.path());
    choose(&mut followed, margin(20));
    let bad = || chosen("a", own(json!({"estimator": {"usageMargin": "lots"}})));
    let outcome = choose(&mut followed, bad());
    assert_eq!(outcome.config, None);
    for text in [outcome.problem.unwrap(), outcome.refused.unwrap(), outcome.notes[0].note.clone()] {
        assert!(text.contains("spec.config.gleaner.estimator.usageMargin: "), "{text}");
    }
    let About::Object { kind, namespace, name, uid, .. } = &outcome.notes[0].about else { panic!("{:?}", outcome.notes) };
    assert_eq!((kind.as_str(), namespace.as_deref(), name.as_str(), uid.as_str()), ("AdminQoSConfiguration", Some("ns"), "a", "uid-a"));
    assert!(outcome.told.contains("ns/a is in force"), "the last good one: {}", outcome.told);

    let again = choose(&mut followed, bad());
    assert!(again.notes.is_empty() && again.refused.is_some(), "{again:?}");
    assert_eq!(margin_of(&load(dir.path()).rebase(&Config::default(), &topology())), Some(Permille::new(200)), "after a restart too");
    let back = choose(&mut followed, margin(20));
    assert_eq!((back.config, back.problem, back.refused), (None, None, None), "the object was put back");
}

#[test]
fn what_only_the_machine_can_tell_to_be_wrong_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = choose(&mut load(dir.path()), chosen("a", own(json!({"placement": {"reserve": {"count": 4}}}))));
    assert_eq!(outcome.config, None);
    let refused = outcome.refused.unwrap();
    assert!(refused.contains("spec.config.gleaner.placement.reserve: 4 CPUs"), "{refused}");
}

#[test]
fn an_object_that_does_not_fit_the_file_any_more_is_not_said_to_be_in_force() {
    let dir = tempfile::tempdir().unwrap();
    choose(&mut load(dir.path()), chosen("a", own(json!({"placement": {"reserve": {"count": 3}}}))));
    let mut base = Config::default();
    base.placement.min_share_cpus = 2;
    let mut again = load(dir.path());
    let outcome = again.rebase(&base, &topology());
    assert_eq!(outcome.config.as_ref(), Some(&base));
    assert!(outcome.refused.is_some() && outcome.told.contains("the file alone"), "{outcome:?}");
    let still = again.take(
        ConfigurationEvent::Chosen(Box::new(chosen("a", own(json!({"placement": {"reserve": {"count": 3}}}))))),
        &base,
        &topology(),
    );
    assert!(still.config.is_none() && still.refused.is_some() && still.notes.is_empty(), "{still:?}");
    let mended = load(dir.path()).rebase(&Config::default(), &topology());
    assert_eq!(mended.config.unwrap().placement.reserve, gleaner_qrm_plugins::ReserveRule::Count(3), "once the file fits again");
}

#[test]
fn a_held_object_leaves_in_force_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut followed = load(dir.path());
    choose(&mut followed, margin(20));
    let outcome = choose(&mut followed, Chosen { hold: Some("it is paused".into()), ..margin(30) });
    assert_eq!((outcome.config.as_ref(), outcome.problem.as_ref()), (None, None));
    assert!(outcome.told.contains("counts for this node, but it is paused"), "{}", outcome.told);
    assert_eq!(margin_of(&choose(&mut followed, margin(30))), Some(Permille::new(300)), "no longer paused");
}

#[test]
fn a_named_object_is_taken_over_when_the_hash_that_names_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut followed = load(dir.path());
    let named = |percent, hash: &str| Chosen { named: Some(hash.to_owned()), ..margin(percent) };
    assert_eq!(margin_of(&choose(&mut followed, named(20, "h1"))), Some(Permille::new(200)));
    assert_eq!(choose(&mut followed, named(30, "h1")).config, None, "edited, but it is not this node's turn");
    assert_eq!(margin_of(&choose(&mut followed, named(30, "h2"))), Some(Permille::new(300)));
    assert_eq!(choose(&mut followed, named(30, "h3")).config, None, "another hash of the same content");
    assert_eq!(choose(&mut load(dir.path()), named(40, "h3")).config, None, "the hash outlives the agent");
}

#[test]
fn ignored_places_are_told_as_long_as_the_object_is_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let mut followed = load(dir.path());
    let outcome = choose(&mut followed, chosen("a", json!({"qrmPluginConfig": {"x": 1}, "gleaner": {"memory": {"reserve": "1Gi"}}})));
    assert_eq!(outcome.problem, None, "an object for Katalyst too is nothing bad");
    assert!(outcome.told.contains("ignored: spec.config.qrmPluginConfig.x"), "{}", outcome.told);
    assert_eq!(followed.ignored(), ["spec.config.qrmPluginConfig.x"]);
    let mut again = load(dir.path());
    assert!(again.rebase(&Config::default(), &topology()).told.contains("qrmPluginConfig.x"), "after a restart too");
    assert!(!take(&mut again, ConfigurationEvent::NoneChosen).told.contains("ignored"));
}

#[test]
fn a_useless_file_is_set_aside_and_said() {
    let source = r#"{"namespace":"ns","name":"a","uid":"u"}"#;
    let in_force = format!(r#"{{"source":{source},"hash":"h","named":null,"why":"w","content":{{}}}}"#);
    let cases = [
        (String::new(), "is damaged"),
        ("{\"version\":1,\"node".to_owned(), "is damaged"),
        (format!(r#"{{"version":9,"node":"n1","inForce":{in_force}}}"#), "has version 9"),
        (format!(r#"{{"version":1,"node":"n2","inForce":{in_force}}}"#), "is of node \"n2\""),
        (format!(r#"{{"version":1,"node":"n1","inForce":{source}}}"#), "is damaged"),
    ];
    for (content, part) in cases {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("configuration.json");
        gleaner_host::state::write_atomically(&file, content.as_bytes()).unwrap();
        let (mut followed, line) = Followed::load(dir.path(), "n1");
        assert!(line.as_ref().is_some_and(|line| line.contains(part)), "{content:?}: {line:?} lacks {part:?}");
        assert_eq!(followed.rebase(&Config::default(), &topology()).config, Some(Config::default()), "{content:?}");
        assert!(!file.exists() && std::fs::read_dir(dir.path()).unwrap().count() == 1, "{content:?} is kept beside");
    }
}

#[test]
fn a_full_disk_is_told_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut followed, _) = Followed::load(&dir.path().join("missing"), "n1");
    let outcome = choose(&mut followed, margin(20));
    assert_eq!(margin_of(&outcome), Some(Permille::new(200)));
    assert!(outcome.problem.as_ref().is_some_and(|problem| problem.contains("configuration.json")), "{outcome:?}");
}

#[test]
fn trouble_with_the_watch_is_told_until_it_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut followed = load(dir.path());
    let outcome = take(&mut followed, ConfigurationEvent::Reach(Some("forbidden".into())));
    assert_eq!(outcome.problem.as_deref(), Some("forbidden"));
    let lines = (0..20).map(|n| format!("ns/{n}: bad")).collect();
    let outcome = take(&mut followed, ConfigurationEvent::Unusable(lines));
    let problem = outcome.problem.unwrap();
    assert!(problem.contains("ns/0: bad") && problem.contains("and 12 more") && problem.contains("forbidden"), "{problem}");
    take(&mut followed, ConfigurationEvent::Unusable(vec![]));
    assert_eq!(take(&mut followed, ConfigurationEvent::Reach(None)).problem, None);
}
