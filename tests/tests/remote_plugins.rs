//! Plugins in other processes, over real sockets: how they register, how they are asked, and what becomes of pods when they fail.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "remote_plugins/agent.rs"]
mod agent;

use agent::{Agent, POD_DEADLINE};
use gleaner_crds::resourceplugin::{RegisterRequest, ResourcePluginOptions};
use gleaner_qrm_plugins::remote::Verdict;
use gleaner_tests::plugin::{Mood, Plugin, register};
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

const FPGA: &str = "example.com/fpga";
const TAPE: &str = "example.com/tape";

fn aligned() -> ResourcePluginOptions {
    ResourcePluginOptions { with_topology_alignment: true, ..Default::default() }
}

fn checked() -> ResourcePluginOptions {
    ResourcePluginOptions { need_reconcile: true, ..Default::default() }
}

fn plain() -> ResourcePluginOptions {
    ResourcePluginOptions::default()
}

#[test]
fn a_plugin_that_registers_is_asked_and_gives() {
    let mut agent = Agent::start();
    agent.want("p", &[FPGA]);
    assert_eq!(agent.why("p"), format!("resource {FPGA}: its plugin is not registered"));
    let plugin = Plugin::start(agent.folder(), FPGA, aligned());
    {
        let mut script = plugin.script();
        script.hints = vec![1, 0];
        script.envs = BTreeMap::from([("FPGA".to_owned(), "7".to_owned())]);
    }
    plugin.register(false).unwrap();
    let given = agent.until_ready("p");
    assert_eq!(given[&"main".parse().unwrap()][FPGA].envs["FPGA"], "7");
    assert_eq!(plugin.script().calls, ["options", "hints p", "allocate p on [1]"]);
    agent.end("p");
    agent.until("the pod is removed", |_| plugin.script().held.is_empty().then_some(()));
}

#[test]
fn a_plugin_that_does_not_answer_holds_up_its_own_resource_only() {
    let mut agent = Agent::start();
    let (slow, good) = (Plugin::start(agent.folder(), FPGA, plain()), Plugin::start(agent.folder(), TAPE, plain()));
    slow.script().mood = Mood::Hangs;
    slow.register(true).unwrap();
    good.register(true).unwrap();
    agent.want("p", &[FPGA]);
    agent.want("q", &[TAPE]);
    agent.until_ready("q");
    let why = agent.until("the slow plugin is noticed", |agent| agent.waits("p").filter(|why| why.contains("does not answer since")));
    assert!(why.starts_with(&format!("resource {FPGA}: ")) && why.ends_with(&format!("no answer within {POD_DEADLINE:?}")), "{why}");
    agent.want("r", &[TAPE]);
    agent.until_ready("r");
    slow.script().mood = Mood::Good;
    agent.until_ready("p");
}

#[test]
fn a_plugin_that_dies_in_the_middle_of_a_call_is_asked_again_when_it_is_back() {
    let mut agent = Agent::start();
    let mut plugin = Plugin::start(agent.folder(), FPGA, plain());
    plugin.register(true).unwrap();
    plugin.script().mood = Mood::Dies;
    agent.want("p", &[FPGA]);
    agent.until("it died", |agent| agent.waits("p").filter(|why| why.contains("does not answer since")));
    plugin.wait_for_death();
    agent.until("nobody is there", |agent| agent.waits("p").filter(|why| why.contains("onnection refused")));
    plugin.restart();
    agent.until_ready("p");
    assert_eq!(plugin.script().held.len(), 1, "it registers no second time: the agent comes back by itself");
}

#[test]
fn what_a_plugin_refuses_is_told_in_its_words_and_nonsense_is_called_so() {
    let mut agent = Agent::start();
    let plugin = Plugin::start(agent.folder(), FPGA, aligned());
    plugin.script().hints = vec![0];
    plugin.register(true).unwrap();
    for (mood, words) in [
        (Mood::Refuses("all are taken".to_owned()), "all are taken"),
        (Mood::Raves, "its answer makes no sense: node 1099511627776 is above"),
    ] {
        plugin.script().mood = mood.clone();
        agent.want("p", &[FPGA]);
        let told = |agent: &Agent| matches!(agent.verdict("p"), Verdict::Refused(why) if why.contains(words)).then_some(());
        agent.until(words, told);
    }
    plugin.script().mood = Mood::Good;
    agent.until_ready("p");
}

#[test]
fn of_two_plugins_for_one_resource_the_later_one_is_asked() {
    let mut agent = Agent::start();
    let first = Plugin::start_on(agent.folder(), "one.sock", FPGA, plain());
    let second = Plugin::start_on(agent.folder(), "two.sock", FPGA, plain());
    first.script().mood = Mood::Hangs;
    first.register(true).unwrap();
    agent.want("p", &[FPGA]);
    agent.until("the first is asked", |_| (!first.script().calls.is_empty()).then_some(()));
    second.register(true).unwrap();
    agent.until_ready("p");
    let (calls, before) = (second.script().calls.clone(), first.script().calls.len());
    assert_eq!(calls, ["allocate p"]);
    agent.end("p");
    agent.until("the second frees it", |_| second.script().held.is_empty().then_some(()));
    assert_eq!(first.script().calls.len(), before, "the first is asked no more");
}

#[test]
fn what_a_plugin_lost_is_asked_for_again_and_the_running_pod_keeps_it() {
    let mut agent = Agent::start();
    let mut plugin = Plugin::start(agent.folder(), FPGA, checked());
    plugin.register(false).unwrap();
    agent.want("p", &[FPGA]);
    let given = agent.until_ready("p");
    plugin.die();
    plugin.script().held.clear();
    plugin.restart();
    plugin.register(false).unwrap();
    agent.until("it is given again", |agent| {
        assert_eq!(agent.verdict("p"), Verdict::Ready(given.clone()));
        (!plugin.script().held.is_empty()).then_some(())
    });
}

#[test]
fn a_plugin_with_pods_of_nobody_is_told_to_free_them() {
    let mut agent = Agent::start();
    let plugin = Plugin::start(agent.folder(), FPGA, checked());
    plugin.script().held.insert("stranger".to_owned(), BTreeMap::from([("main".to_owned(), 1.0)]));
    plugin.register(true).unwrap();
    agent.until("it is freed", |_| plugin.script().held.is_empty().then_some(()));
}

#[test]
fn a_registration_that_is_wrong_is_refused_with_the_reason() {
    let agent = Agent::start();
    let folder = agent.folder();
    let plugin = Plugin::start_on(folder, "good.sock", FPGA, plain());
    let elsewhere = tempfile::tempdir().unwrap();
    let _other = Plugin::start_on(elsewhere.path(), "out.sock", FPGA, plain());
    symlink(elsewhere.path().join("out.sock"), folder.join("link.sock")).unwrap();
    std::fs::File::create(folder.join("file.sock")).unwrap();
    let out = format!("../{}/out.sock", elsewhere.path().file_name().unwrap().to_string_lossy());
    let absolute = elsewhere.path().join("out.sock").display().to_string();
    let with = |version: &str, endpoint: &str, name: &str| {
        let (version, endpoint, resource_name) = (version.to_owned(), endpoint.to_owned(), name.to_owned());
        register(folder, RegisterRequest { version, endpoint, resource_name, options: None })
    };
    let plain_name = "is not the plain name of a socket";
    for (version, endpoint, name, reason) in [
        ("v1", "good.sock", FPGA, "version \"v1\" is not known here"),
        ("v1alpha1", &out, FPGA, plain_name),
        ("v1alpha1", &absolute, FPGA, plain_name),
        ("v1alpha1", "..", FPGA, plain_name),
        ("v1alpha1", ".sock", FPGA, plain_name),
        ("v1alpha1", "", FPGA, plain_name),
        ("v1alpha1", "kubelet.sock", FPGA, "the socket of this very registry"),
        ("v1alpha1", "link.sock", FPGA, "is no socket; links are not followed"),
        ("v1alpha1", "file.sock", FPGA, "is no socket"),
        ("v1alpha1", "none.sock", FPGA, "No such file"),
        ("v1alpha1", "good.sock", "cpu", "\"cpu\" is given out by the agent itself"),
        ("v1alpha1", "good.sock", "memory", "given out by the agent itself"),
        ("v1alpha1", "good.sock", "resource.katalyst.kubewharf.io/reclaimed_millicpu", "given out by the agent itself"),
        ("v1alpha1", "good.sock", "fpga", "the name of an extended resource"),
        ("v1alpha1", "good.sock", "", "the name of an extended resource"),
    ] {
        let told = with(version, endpoint, name).unwrap_err();
        assert!(told.contains(reason), "{version:?} {endpoint:?} {name:?}: {told}");
    }
    plugin.script().options.pre_start_required = true;
    assert!(plugin.register(true).unwrap_err().contains("PreStartContainer"));
    assert_eq!(agent.registered(), Vec::<String>::new(), "nobody of these is asked anything");
    with("v1alpha1", "good.sock", FPGA).unwrap();
}
