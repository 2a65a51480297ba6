//! How much memory a node full of pods takes. By hand, since it measures the whole process:
//! `cargo test --workspace --bin gleaner -- --ignored --exact kubernetes::pods::follow::memory::five_hundred_pods_take_little_memory --nocapture`
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use super::super::double::{Answer, End, connected};
use super::*;

const PODS: usize = 500;

/// A pod of about 10 kB, as a cluster has it: half of it is `managedFields`.
fn text(number: usize) -> String {
    let env: String =
        (0..40).map(|n| format!(r#"{{"name":"VARIABLE_{n}","value":"the value of variable {n} of pod {number}"}},"#)).collect();
    let fields: String = (0..110).map(|n| format!(r#""k:{{\"name\":\"VARIABLE_{n}\"}}":{{".":{{}},"f:name":{{}}}},"#)).collect();
    let container = |name: &str, env: &str| {
        let resources = r#"{"limits":{"cpu":"2","memory":"4Gi"},"requests":{"cpu":"1","memory":"2Gi"}}"#;
        format!(r#"{{"name":"{name}","image":"registry.example/team/{name}:v1","env":[{env}{{"name":"LAST"}}],"resources":{resources}}}"#)
    };
    let status =
        |name: &str| format!(r#"{{"name":"{name}","containerID":"containerd://{number:064}{name}","ready":true,"restartCount":0}}"#);
    format!(
        r#"{{"metadata":{{"name":"pod-{number}","namespace":"team","uid":"00000000-0000-0000-0000-{number:012}","resourceVersion":"{number}",
        "labels":{{"app":"a"}},"annotations":{{"katalyst.kubewharf.io/qos_level":"shared_cores"}},
        "managedFields":[{{"manager":"kubelet","fieldsV1":{{"f:spec":{{{fields}"f:x":{{}}}}}}}}]}},
        "spec":{{"nodeName":"node-1","containers":[{},{}],"volumes":[{{"name":"v","emptyDir":{{}}}}]}},
        "status":{{"phase":"Running","qosClass":"Burstable","containerStatuses":[{},{}]}}}}"#,
        container("main", &env),
        container("mesh", ""),
        status("main"),
        status("mesh"),
    )
}

fn page(asked: &str) -> Answer {
    if asked.contains("watch=true") {
        return Answer::Watch(Vec::new(), End::Stays);
    }
    let begin = asked.split("continue=").nth(1).map_or(0, |token| token.parse().unwrap());
    let end = (begin + usize::try_from(PAGE).unwrap()).min(PODS);
    let items = (begin..end).map(text).collect::<Vec<_>>().join(",");
    let more = if end == PODS { String::new() } else { end.to_string() };
    Answer::Text(200, format!(r#"{{"metadata":{{"resourceVersion":"9","continue":"{more}"}},"items":[{items}]}}"#))
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse().ok()).unwrap()
}

#[tokio::test]
#[ignore = "measures the whole process, so it must run alone"]
async fn five_hundred_pods_take_little_memory() {
    assert!((9_000..12_000).contains(&text(7).len()), "{}", text(7).len());
    let (connected, _) = connected(|asked, _| page(asked));
    let (sender, mut events) = mpsc::channel::<PodsEvent>(8);
    let (_qos, seen) = watch::channel(QosConfig::default());
    let before = resident();
    tokio::spawn(watch_pods(connected, seen, sender));
    let Some(PodsEvent::Listed(pods)) = events.recv().await else { panic!("not listed") };
    assert_eq!((events.recv().await, pods.len()), (Some(PodsEvent::Reach(None)), PODS));
    let added = resident() - before;
    eprintln!("{PODS} pods add {added} KiB to {before} KiB, {} KiB of it records as JSON", serde_json::to_vec(&pods).unwrap().len() / 1024);
    assert!(added < 4 * 1024, "{added} KiB");
}
