//! Files of the agent that are damaged or not its own.

use gleaner_model::CpuSet;
use gleaner_tests::{Node, Pod, PodFiles};
use std::fs;
use std::io::Write;
use std::path::Path;

/// A node with a dedicated and a shared pod whose agent was killed.
fn killed(test: &str) -> Option<(Node, Vec<PodFiles>)> {
    let mut node = Node::new(test)?;
    node.add(&Pod::dedicated("db", 1));
    node.add(&Pod::shared("web").request("cpu", "100m"));
    node.start();
    let files = node.running(&["db", "web"]);
    node.ticks(2);
    node.kill();
    Some((node, files))
}

fn held(node: &Node, files: &[PodFiles]) -> Vec<(Vec<i32>, CpuSet)> {
    files.iter().map(|files| (node.kernel().pids(&files.pod), node.kernel().cpus(files.container()))).collect()
}

fn put(file: &Path, text: &str) {
    fs::File::create(file).unwrap().write_all(text.as_bytes()).unwrap();
}

fn beside(node: &Node, name: &str) -> Vec<String> {
    let names = fs::read_dir(node.path("state")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|other| other != name && other.starts_with(name)).collect()
}

/// Starts the agent again and checks that pods kept what the kernel shows, and that the log says what was wrong.
fn goes_on(node: &mut Node, files: &[PodFiles], told: &str, aside: &str) {
    let before = held(node, files);
    node.start();
    node.ticks(2);
    assert_eq!(held(node, files), before, "pods lost what they had");
    assert!(node.log().contains(told), "{told:?} is not in the log\n{}", node.log());
    assert_eq!(beside(node, aside).len(), 1, "the old {aside} is kept beside");
}

#[test]
fn a_state_file_that_was_cut_short_is_set_aside_and_pods_keep_their_cpus() {
    let Some((mut node, files)) = killed("a_state_file_that_was_cut_short_is_set_aside_and_pods_keep_their_cpus") else { return };
    let file = node.path("state/assignment.json");
    let text = fs::read_to_string(&file).unwrap();
    put(&file, &text[..text.len() / 2]);
    goes_on(&mut node, &files, "assignment.json is damaged", "assignment.json");
}

#[test]
fn a_state_file_of_another_machine_is_set_aside_and_pods_keep_their_cpus() {
    let Some((mut node, files)) = killed("a_state_file_of_another_machine_is_set_aside_and_pods_keep_their_cpus") else { return };
    let file = node.path("state/assignment.json");
    let mut state: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    state["machine"] = "another".into();
    // What another machine had would be wrong here.
    for pool in state["assignment"]["pools"].as_object_mut().unwrap().values_mut() {
        pool["cpus"] = "0".into();
    }
    put(&file, &state.to_string());
    goes_on(&mut node, &files, "assignment.json is of another machine", "assignment.json");
}

#[test]
fn a_journal_with_a_damaged_line_is_kept_beside_and_the_rest_of_it_is_used() {
    let Some((mut node, files)) = killed("a_journal_with_a_damaged_line_is_kept_beside_and_the_rest_of_it_is_used") else { return };
    let file = node.path("state/journal.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let (header, rest) = text.split_once('\n').unwrap();
    put(&file, &format!("{header}\n{{\"first\": oops\n{rest}"));
    goes_on(&mut node, &files, "1 damaged lines passed over", "journal.jsonl");
}

#[test]
fn a_journal_whose_last_line_was_cut_short_is_used_without_it() {
    let Some((mut node, files)) = killed("a_journal_whose_last_line_was_cut_short_is_used_without_it") else { return };
    let file = node.path("state/journal.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    // As a crash leaves it: an entry that was begun and never ended.
    put(&file, &format!("{text}{{\"first\":{{\"knob\""));
    let before = held(&node, &files);
    node.start();
    node.ticks(2);
    assert_eq!(held(&node, &files), before, "pods lost what they had");
    assert_eq!(node.stop(nix::sys::signal::Signal::SIGTERM).code, Some(0), "{}", node.log());
    assert!(!node.kernel().exists(&node.kubepods()));
}

#[test]
fn a_journal_that_is_lost_does_not_make_the_pods_foreign() {
    let Some((mut node, files)) = killed("a_journal_that_is_lost_does_not_make_the_pods_foreign") else { return };
    put(&node.path("state/journal.jsonl"), "no journal at all\n");
    goes_on(&mut node, &files, "no journal of gleaner", "journal.jsonl");
    assert_eq!(node.stop(nix::sys::signal::Signal::SIGTERM).code, Some(0), "{}", node.log());
    assert!(files.iter().all(|files| !node.kernel().exists(&files.pod)), "its pods are ended all the same");
}
