#![allow(clippy::disallowed_methods, reason = "tests")]

use super::super::config::{CgroupDriver, ConfigSource};
use super::*;
use crate::kubernetes::scripted::{Reply, scripted, shown};
use gleaner_host::state::replace;
use serde_json::json;
use tokio::time::timeout;

async fn next(told: &mut mpsc::Receiver<KubeletEvent>) -> KubeletEvent {
    timeout(Duration::from_secs(3600), told.recv()).await.expect("nothing was told within an hour").expect("the task ended")
}

fn start(client: Option<Client>, dir: &Path) -> mpsc::Receiver<KubeletEvent> {
    let (tell, told) = mpsc::channel(16);
    let what = FollowKubelet { client, node: "n1".into(), dir: dir.to_owned() };
    tokio::spawn(follow::<KubeletEvent>(what, tell));
    told
}

const STATE: &str = r#"{"policyName":"static","defaultCpuSet":"0","entries":{"u":{"a":"1"}},"checksum":1}"#;

#[tokio::test(start_paused = true)]
async fn a_kubelet_is_followed_by_its_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.yaml"), "cgroupDriver: systemd\n").unwrap();
    let mut told = start(None, dir.path());
    assert_eq!(next(&mut told).await, KubeletEvent::Absent(KubeletPart::CpuManager));
    assert_eq!(next(&mut told).await, KubeletEvent::Absent(KubeletPart::MemoryManager));
    let KubeletEvent::Config(config) = next(&mut told).await else { panic!("no configuration") };
    assert_eq!((config.source, config.cgroup_driver), (ConfigSource::File, CgroupDriver::Systemd));
    let state = dir.path().join("cpu_manager_state");
    replace(&state, STATE.as_bytes()).unwrap();
    assert_eq!(next(&mut told).await, KubeletEvent::Exclusive(Exclusive::parse(STATE).unwrap()));
    replace(&state, b"{").unwrap();
    let KubeletEvent::Problem(KubeletPart::CpuManager, Some(cause)) = next(&mut told).await else { panic!("no problem") };
    assert!(cause.starts_with(&format!("{}: EOF", state.display())), "{cause}");
    std::fs::remove_file(&state).unwrap();
    assert_eq!(next(&mut told).await, KubeletEvent::Problem(KubeletPart::CpuManager, None));
    assert_eq!(next(&mut told).await, KubeletEvent::Absent(KubeletPart::CpuManager));
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_is_asked_through_the_api_server_until_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (client, log) = scripted(|_, before| match before {
        0 => Reply::Text(503, "error trying to reach service", None),
        _ => Reply::Json(200, json!({"kubeletconfig": {"cpuManagerPolicy": "static"}})),
    });
    let mut told = start(Some(client), dir.path());
    let mut events = Vec::new();
    while !matches!(events.last(), Some(KubeletEvent::Config(_))) {
        events.push(next(&mut told).await);
    }
    let problem = "configz: error trying to reach service (HTTP 503); and there is no file".to_owned();
    assert_eq!(events[2..4], [KubeletEvent::Problem(KubeletPart::Config, Some(problem)), KubeletEvent::Problem(KubeletPart::Config, None)]);
    tokio::time::sleep(Duration::from_secs(500)).await;
    let path = "GET /api/v1/nodes/n1/proxy/configz";
    assert_eq!(shown(&log), [format!("0 {path}"), format!("20 {path}")], "and not again soon");
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, told) = mpsc::channel::<KubeletEvent>(1);
    let task = tokio::spawn(follow(FollowKubelet { client: None, node: "n1".into(), dir: dir.path().to_owned() }, tell));
    drop(told);
    timeout(Duration::from_secs(60), task).await.expect("it goes on").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_question_without_an_answer_keeps_nobody_from_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let (client, log) = scripted(|_, _| Reply::Never);
    let mut told = start(Some(client), dir.path());
    for part in [KubeletPart::CpuManager, KubeletPart::MemoryManager] {
        assert_eq!(next(&mut told).await, KubeletEvent::Absent(part));
    }
    replace(&dir.path().join("cpu_manager_state"), STATE.as_bytes()).unwrap();
    let begun = tokio::time::Instant::now();
    assert!(matches!(next(&mut told).await, KubeletEvent::Exclusive(_)));
    assert!(begun.elapsed() <= Duration::from_secs(11), "{:?}", begun.elapsed());
    assert_eq!(shown(&log).len(), 1, "one question at a time");
}
