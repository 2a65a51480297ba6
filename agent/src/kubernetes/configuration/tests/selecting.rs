use super::super::selector::Selector;
use super::*;
use gleaner_crds::config::{CustomNodeConfigStatus, ResourceName, TargetConfig};

const NOW: &str = "2026-01-01T12:00:00Z";

fn names_node(lasts: &str) -> Value {
    json!({"ephemeralSelector": {"nodeNames": ["n1", "n9"], "lastDuration": lasts}, "config": {}})
}

fn fits(selector: &str, priority: i64) -> Value {
    json!({"nodeLabelSelector": selector, "priority": priority, "config": {}})
}

fn named(name: &str, hash: &str) -> CustomNodeConfigStatus {
    let config_type = ResourceName {
        group: "config.katalyst.kubewharf.io".into(),
        version: "v1alpha1".into(),
        resource: "adminqosconfigurations".into(),
    };
    let other =
        TargetConfig { config_type: ResourceName { resource: "authconfigurations".into(), ..config_type.clone() }, ..Default::default() };
    let target = TargetConfig { config_type, config_namespace: "ns".into(), config_name: name.into(), hash: hash.into() };
    CustomNodeConfigStatus { katalyst_custom_config_list: vec![other, target], service_profile_config_list: vec![] }
}

/// The name of the object chosen for node `n1` with `pool=a`.
fn choice(objects: &[ConfigObject], config: Option<&CustomNodeConfigStatus>) -> String {
    match select("n1", &labels(&[("pool", "a")]), objects, config, at(NOW)).verdict {
        Verdict::Chosen(choice) => choice.object.source.name.clone(),
        Verdict::Absent(source) => format!("absent {source}"),
        Verdict::None => "none".to_owned(),
    }
}

#[test]
fn names_come_before_labels_before_all_nodes() {
    let all = || object("all", json!({"config": {}}));
    let low = || object("low", fits("pool=a", 1));
    let high = || object("high", fits("pool in (a,b)", 2));
    let other = || object("a-other", fits("pool=b", 9));
    let named_node = || object("named", names_node("13h"));
    let over = || object("a-over", names_node("12h"));
    let cases: [(&str, Vec<ConfigObject>); 9] = [
        ("none", vec![]),
        ("none", vec![other()]),
        ("all", vec![all(), other()]),
        ("low", vec![all(), low(), other()]),
        ("high", vec![all(), low(), high()]),
        ("named", vec![all(), low(), high(), named_node()]),
        ("all", vec![all(), over()]),
        ("none", vec![over()]),
        ("all", vec![object("b", json!({"config": {}})), all()]),
    ];
    for (expected, objects) in cases {
        assert_eq!(choice(&objects, None), expected, "of {objects:#?}");
    }
}

#[test]
fn of_equals_the_first_by_name_counts_and_the_others_are_told() {
    let objects = [object("b", fits("pool=a", 3)), object("a", fits("pool", 3)), object("c", fits("pool", 2))];
    let selection = select("n1", &labels(&[("pool", "a")]), &objects, None, at(NOW));
    let Verdict::Chosen(choice) = selection.verdict else { panic!("{selection:?}") };
    assert_eq!(choice.object.source.name, "a");
    assert!(choice.why.contains("priority 3") && choice.why.contains("ns/b") && !choice.why.contains("ns/c"), "{}", choice.why);
}

#[test]
fn the_object_that_the_custom_node_config_names_counts_before_all_others() {
    let objects = [object("x", fits("pool=none", 0)), object("named", names_node("13h"))];
    assert_eq!(choice(&objects, Some(&named("x", "h"))), "x");
    assert_eq!(choice(&objects, Some(&named("gone", "h"))), "absent ns/gone", "another is not taken for it");
    assert_eq!(choice(&objects, Some(&CustomNodeConfigStatus::default())), "named", "it names none of this kind");
}

#[test]
fn an_answer_that_time_changes_says_when() {
    let objects = [object("named", names_node("13h")), object("over", names_node("12h")), object("late", names_node("1000h"))];
    let selection = select("n1", &labels(&[]), &objects, None, at(NOW));
    assert_eq!(selection.until, Some(at("2026-01-01T13:00:00Z")));
    assert_eq!(select("other", &labels(&[]), &objects, None, at(NOW)).until, None);
}

#[test]
fn an_object_of_which_nobody_can_say_for_which_nodes_it_is_counts_for_none() {
    let cases = [
        (fits("pool in a", 0), "spec.nodeLabelSelector: "),
        (json!({"nodeLabelSelector": 5}), "spec.nodeLabelSelector: 5 is not a text"),
        (json!({"priority": "high"}), "spec.priority: \"high\" is not a whole number"),
        (json!({"paused": "yes"}), "spec.paused: "),
        (json!({"ephemeralSelector": []}), "spec.ephemeralSelector: is not an object"),
        (json!({"ephemeralSelector": {"nodeNames": [1], "lastDuration": "1h"}}), "spec.ephemeralSelector.nodeNames: "),
        (json!({"ephemeralSelector": {"nodeNames": ["n1"]}}), "spec.ephemeralSelector.lastDuration: is missing"),
        (json!({"ephemeralSelector": {"lastDuration": "1h"}}), "spec.ephemeralSelector.lastDuration: is set without nodeNames"),
        (names_node("soon"), "spec.ephemeralSelector.lastDuration: \"soon\" is not a span of time"),
        (names_node("-1h"), "is below zero"),
        (
            json!({"nodeLabelSelector": "pool", "ephemeralSelector": {"nodeNames": ["n1"], "lastDuration": "24h"}}),
            "only one of them may be",
        ),
        (json!({"updateStrategy": {"type": "Recreate"}}), "spec.updateStrategy.type: \"Recreate\" is not RollingUpdate"),
        (json!({"updateStrategy": {"rollingUpdate": {"canary": "101%"}}}), "spec.updateStrategy.rollingUpdate.canary: "),
        (json!({"updateStrategy": {"rollingUpdate": {"canary": "5"}}}), "spec.updateStrategy.rollingUpdate.canary: "),
    ];
    for (spec, place) in cases {
        let objects = [object("bad", spec.clone())];
        let selection = select("n1", &labels(&[("pool", "a")]), &objects, None, at(NOW));
        assert_eq!(selection.verdict, Verdict::None, "{spec}");
        let told = selection.unusable.iter().any(|line| line.starts_with("ns/bad: spec.") && line.contains(place));
        assert!(told, "{spec}: {place:?} is not in {:?}", selection.unusable);
    }
}

#[test]
fn a_paused_object_and_a_canary_without_this_node_hold_what_is_in_force() {
    let canary = |canary: Value| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"canary": canary}}, "config": {}});
    let cases = [
        (json!({"config": {}}), None),
        (json!({"paused": true, "config": {}}), Some("paused")),
        (canary(json!("100%")), None),
        (canary(json!("0%")), Some("first 0%")),
        (canary(json!(null)), None),
        (canary(json!(3)), Some("controller that counts")),
    ];
    for (spec, expected) in cases {
        let objects = [object("a", spec.clone())];
        let selection = select("n1", &labels(&[]), &objects, None, at(NOW));
        let Verdict::Chosen(choice) = selection.verdict else { panic!("{spec}: {selection:?}") };
        assert_eq!(choice.hold.is_some(), expected.is_some(), "{spec}: {:?}", choice.hold);
        assert!(expected.is_none_or(|part| choice.hold.as_ref().is_some_and(|hold| hold.contains(part))), "{spec}: {:?}", choice.hold);
        let Verdict::Chosen(choice) = select("n1", &labels(&[]), &objects, Some(&named("a", "h")), at(NOW)).verdict else {
            panic!("{spec}")
        };
        assert_eq!(choice.hold, None, "{spec}: the controllers decide when it reaches the node");
    }
}

#[test]
fn a_percentage_of_the_nodes_takes_a_change_over_and_always_the_same_ones() {
    let spec = |percent: u32| json!({"updateStrategy": {"rollingUpdate": {"canary": format!("{percent}%")}}, "config": {}});
    let taken = |percent: u32| -> Vec<u32> {
        let objects = [object("a", spec(percent))];
        let holds = |node: &u32| match select(&format!("node-{node}"), &labels(&[]), &objects, None, at(NOW)).verdict {
            Verdict::Chosen(choice) => choice.hold.is_none(),
            other => panic!("{other:?}"),
        };
        (0..1000).filter(holds).collect()
    };
    let (few, more) = (taken(20), taken(50));
    assert!((150..250).contains(&few.len()), "{} of 1000 nodes are 20%", few.len());
    assert!(few.iter().all(|node| more.contains(node)), "a node does not leave when the percentage grows");
}

#[test]
fn label_selectors_have_the_whole_grammar() {
    let node = labels(&[("pool", "a"), ("kubernetes.io/arch", "amd64"), ("generation", "7"), ("empty", ""), ("in", "x")]);
    let cases = [
        ("pool=a", true),
        ("pool==b", false),
        ("pool!=b", true),
        ("missing!=b", true),
        ("pool", true),
        ("!pool", false),
        ("! missing", true),
        ("pool in (b, a)", true),
        ("pool in(b)", false),
        ("pool notin (b,c),kubernetes.io/arch=amd64", true),
        ("missing notin (a)", true),
        ("missing in (a)", false),
        ("generation>6,generation<8", true),
        ("generation > 7", false),
        ("pool>1", false),
        ("empty=", true),
        ("empty in ()", true),
        ("empty in (a,)", true),
        ("pool=,empty", false),
        ("in in (x,in,notin)", true),
        ("  pool =\ta  ", true),
    ];
    for (text, expected) in cases {
        let selector = Selector::parse(text).unwrap_or_else(|problem| panic!("{text:?}: {problem}"));
        assert_eq!(selector.matches(&node), expected, "{text:?}");
    }
    let wrong = [
        "",
        ",",
        "pool,",
        ",pool",
        "pool in",
        "pool in (a",
        "pool in a",
        "pool in (a b)",
        "pool a",
        "=a",
        "pool>b",
        "pool<",
        "!",
        "!!a",
        "(a)",
        "a)",
        "-a=b",
        "a_=b",
        "A/b/c=d",
        "Ä=b",
        "a=-b",
        "UP.example/x",
        "/x",
        "a=b=c",
        "a in (b),,c",
    ];
    for text in wrong {
        assert!(Selector::parse(text).is_err(), "{text:?} gave {:?}", Selector::parse(text));
    }
}
