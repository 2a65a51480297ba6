//! The validating policy beside the parser: it never refuses what the parser takes, and says what the parser says.

use crate::policy::Policy;
use gleaner_model::{QosConfig, QosSpec};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::thread_local;

const FILE: &str = "validating/policy.yaml";

thread_local! {
    static POLICY: Policy = Policy::read(FILE);
}

type Annotations = BTreeMap<String, String>;

fn refusals(object: &Value) -> Vec<String> {
    POLICY.with(|policy| policy.refusals(object))
}

fn pod(annotations: &Annotations) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": annotations}, "spec": {"containers": [{"name": "c"}]}})
}

fn parsed(annotations: &Annotations) -> Vec<String> {
    QosSpec::parse(annotations, &QosConfig::default()).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// Whether one of the parser's lines is this line of the policy. Only the parser says what the reader of JSON found, and makes a space that looks like
/// another one visible.
fn is_said(line: &str, parser: &[String]) -> bool {
    let open = line.ends_with("is not a JSON object of strings, numbers and booleans");
    let mut parser = parser.iter().map(|said| said.replace("\\u{a0}", "\u{a0}"));
    parser.any(|said| said == line || (open && said.starts_with(&format!("{line}: "))))
}

/// The policy's lines, after checking that the parser says each.
fn checked(annotations: &Annotations) -> (Vec<String>, Vec<String>) {
    let (policy, parser) = (refusals(&pod(annotations)), parsed(annotations));
    for line in &policy {
        assert!(is_said(line, &parser), "of {annotations:?}\nthe policy says {line}\nthe parser {parser:#?}");
    }
    (policy, parser)
}

fn of(class: &str, cpu: &str, memory: &str, network: &str) -> Annotations {
    let keys = ["qos_level", "cpu_enhancement", "memory_enhancement", "network_enhancement"];
    let pairs = keys.into_iter().zip([class, cpu, memory, network]).filter(|(_, value)| !value.is_empty());
    pairs.map(|(key, value)| (format!("katalyst.kubewharf.io/{key}"), value.to_owned())).collect()
}

/// Everything that the policy can find, one at a time: as many lines as the parser has.
#[test]
fn what_is_wrong_is_refused_with_the_parsers_line() {
    let exclusive = r#"{"numa_binding":"true","numa_exclusive":true}"#;
    for annotations in [
        of("gold", "", "", ""),
        of("a \"quoted\" \\ class\nof two lines", "", "", ""),
        of(" dedicated_cores", "", "", ""),
        of("", "numa_share=true", "", ""),
        of("", "", "[1]", ""),
        of("", r#"{"a":{}}"#, "", ""),
        of("", r#"{"a":null}"#, "", ""),
        of("", r#"{"numa_share":true,"numa_share":false}"#, "", ""),
        of("", r#"{"numa_share":true,}"#, "", ""),
        of("", "{\"numa_share\":\ttrue", "", ""),
        of("", r#"{"cpuset_pol":"x"}"#, "", ""),
        of("", r#"{"numa_binding":"true"}"#, "", ""),
        of("", "", "", r#"{"speed":12.5}"#),
        of("", r#"{"numa_number":1,"katalyst.kubewharf.io/numa_number":2}"#, "", ""),
        of("", r#"{"numa_share":"maybe"}"#, "", ""),
        of("", r#"{"full_pcpus_pairing":1}"#, "", ""),
        of("", "", r#"{"numa_binding":" True "}"#, ""),
        of("", "", "", r#"{"topology_affinity_restricted":""}"#),
        of("", r#"{"cpu_burst_policy":"always"}"#, "", ""),
        of("", "", "", r#"{"namespace_type":"host"}"#),
        of("", r#"{"cpuset_pool":"../x"}"#, "", ""),
        of("", r#"{"cpuset_pool":-1}"#, "", ""),
        of("", r#"{"cpu_burst_threshold":0}"#, "", ""),
        of("", r#"{"cpu_burst_threshold":"half"}"#, "", ""),
        of("", "", r#"{"rss_overuse_threshold":"-1"}"#, ""),
        of("", r#"{"cpu_burst_percent":-5}"#, "", ""),
        of("", "", r#"{"oom_priority":"high"}"#, ""),
        of("", "", r#"{"oom_priority":1.5}"#, ""),
        of("", r#"{"numa_number":"two"}"#, "", ""),
        of("", r#"{"katalyst.kubewharf.io/numa_number":-2}"#, "", ""),
        of("", r#"{"numa_ids":"node0"}"#, "", ""),
        of("", "", r#"{"numa_exclusive":true}"#, ""),
        of("shared_cores", "", exclusive, ""),
        of("reclaimed_cores", "", exclusive, ""),
        of("dedicated_cores", r#"{"full_pcpus_pairing":"true"}"#, exclusive, ""),
        of("dedicated_cores", r#"{"distribute_evenly_across_numa":true}"#, exclusive, ""),
        of("dedicated_cores", r#"{"cpuset_pool":" web "}"#, "", ""),
        of("reclaimed_cores", r#"{"cpuset_pool":"web"}"#, "", ""),
        of("shared_cores", r#"{"cpuset_pool":"reclaim"}"#, "", ""),
        of("shared_cores", r#"{"cpuset_pool":"system-x"}"#, "", ""),
        of("shared_cores", r#"{"cpuset_pool":"web-NUMA1023"}"#, "", ""),
        of("shared_cores", r#"{"suppression_tolerance_rate":1.2}"#, "", ""),
        of("system_cores", r#"{"suppression_tolerance_rate":"2"}"#, "", ""),
    ] {
        let (policy, parser) = checked(&annotations);
        assert!(!policy.is_empty() && policy.len() == parser.len(), "{annotations:?}\npolicy {policy:#?}\nparser {parser:#?}");
    }
}

#[test]
fn each_rule_of_the_policy_is_broken_by_something_above_and_holds_for_good_pods() {
    let dedicated =
        r#"{"full_pcpus_pairing":"true","numa_share":false,"katalyst.kubewharf.io/numa_ids":"0-1, 3","cpu_burst_policy":"static"}"#;
    for annotations in [
        of("", "", "", ""),
        of("system_cores", r#"{"cpuset_pool":"reserve"}"#, "", ""),
        of("dedicated_cores", dedicated, r#" { "numa_binding" : "true" } "#, "{}"),
        of("dedicated_cores", "", r#"{"numa_binding":true,"numa_exclusive":"true","oom_priority":-5}"#, ""),
        of("shared_cores", r#"{"cpuset_pool":"web-NUMA1024","cpu_burst_percent":"250.000000"}"#, "", r#"{"namespace_type":"host_ns"}"#),
        of("reclaimed_cores", r#"{"suppression_tolerance_rate":"1.200000"}"#, r#"{"rss_overuse_threshold":1e0}"#, ""),
        // Escapes are not judged, whatever they hide.
        of("shared_cores", r#"{"cpuset\u005fpool":"web"}"#, "", ""),
    ] {
        assert_eq!(checked(&annotations), (vec![], vec![]), "{annotations:?}");
    }
    POLICY.with(|policy| assert_eq!(policy.validations.len(), 18, "add what breaks a new rule to the table above"));
}

/// Known to be let through; docs/admission.md says so.
#[test]
fn what_cannot_be_judged_is_let_through() {
    let many: Vec<String> = (0..80).map(|i| format!("\"k{i}\":\"v\"")).collect();
    for annotations in [
        of("", r#"{"cpuset\u005fpol":"x"}"#, "", ""),
        of("", r#"{"cpu_burst_percent":1e400}"#, "", ""),
        of("", "", r#"{"oom_priority":99999999999}"#, ""),
        of("", r#"{"numa_ids":"3-1"}"#, "", ""),
        of("", "", r#"{"numa_binding":true,"numa_exclusive":true}"#, ""),
        of("", &format!("{{{}}}", many.join(",")), "", ""),
    ] {
        assert_eq!(refusals(&pod(&annotations)), Vec::<String>::new(), "{annotations:?}");
        assert_ne!(parsed(&annotations), Vec::<String>::new(), "{annotations:?} is nothing to let through");
    }
}

#[test]
fn a_workload_is_judged_by_the_pods_that_it_makes() {
    let bad = of("gold", "", "", "");
    let template = json!({"metadata": {"annotations": bad}, "spec": {}});
    let deployment = json!({"kind": "Deployment", "metadata": {"annotations": {}}, "spec": {"template": template}});
    let cron = json!({"kind": "CronJob", "metadata": {}, "spec": {"jobTemplate": {"spec": {"template": template}}}});
    for object in [deployment, cron] {
        assert_eq!(refusals(&object), parsed(&bad), "{object}");
    }
    let silent = json!({"kind": "Deployment", "metadata": {"annotations": bad}, "spec": {"template": {"spec": {}}}});
    assert_eq!(refusals(&silent), Vec::<String>::new(), "annotations of the workload itself are nobody's");
}

/// A pod that runs with wrong annotations, from before the policy, must lose its finalizers like any other.
#[test]
fn only_new_annotations_are_looked_at() {
    let (bad, good) = (pod(&of("gold", "", "", "")), pod(&of("shared_cores", "", "", "")));
    let mut finalized = bad.clone();
    finalized["metadata"]["finalizers"] = json!([]);
    let silent = json!({"metadata": {}, "spec": {}});
    let meant = |object: &Value, old: Option<&Value>| POLICY.with(|policy| policy.is_meant(object, old));
    assert!(meant(&bad, None) && meant(&bad, Some(&good)) && meant(&bad, Some(&silent)) && meant(&silent, Some(&bad)));
    assert!(!meant(&finalized, Some(&bad)) && !meant(&silent, Some(&silent)));
    let deployment =
        |class: &str, replicas: u32| json!({"metadata": {}, "spec": {"replicas": replicas, "template": pod(&of(class, "", "", ""))}});
    assert!(!meant(&deployment("gold", 2), Some(&deployment("gold", 1))) && meant(&deployment("gold", 1), Some(&deployment("good", 1))));
}

fn enhancement() -> impl Strategy<Value = String> {
    let known = "cpuset_pool|numa_share|(katalyst\\.kubewharf\\.io/)?numa_(ids|number)|full_pcpus_pairing|distribute_evenly_across_numa|\
                 align_by_socket|suppression_tolerance_rate|cpu_burst_(policy|percent|threshold)|numa_(binding|exclusive)|oom_priority|\
                 rss_overuse_threshold|namespace_type|topology_affinity_restricted|[a-z]{1,3}";
    let word =
        "true|false| true|dynamic|host_ns|web|reclaim|system-a|-?[0-9]{1,4}|[+]?[0-9]\\.[0-9]{1,4}|0-[0-9]|[ -~]{0,4}|\u{a0}true|1e[0-9]";
    let value = prop_oneof![
        8 => word.prop_map(|word| serde_json::to_string(&word).unwrap()),
        4 => "true|false|0|-?[1-9][0-9]{0,3}|[0-9]\\.[0-9]{1,3}|-0|1e9|1E400",
        1 => "null|\\[\\]|\\{\\}|tru|[.]5|5[.]|01",
    ];
    let pair = (known, "[ \t\n]?", value).prop_map(|(key, space, value)| format!("\"{key}\"{space}:{space}{value}"));
    prop_oneof![
        9 => prop::collection::vec(pair, 0..4).prop_map(|pairs| format!("{{{}}}", pairs.join(", "))),
        1 => "[ -~]{0,10}",
    ]
}

fn annotations() -> impl Strategy<Value = Annotations> {
    let class = "(dedicated|shared|reclaimed|system)_cores|gold|";
    let maybe = || prop_oneof![2 => enhancement(), 1 => Just(String::new())];
    (class, maybe(), maybe(), maybe()).prop_map(|(class, cpu, memory, network)| of(&class, &cpu, &memory, &network))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// [`checked`] has both: a line for what the parser takes is one that the parser does not say.
    #[test]
    fn the_policy_says_only_what_the_parser_says(annotations in annotations()) {
        checked(&annotations);
    }
}
