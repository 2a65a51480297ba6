//! Resources whose plugins are other processes.

use gleaner_crds::resourceplugin::ResourcePluginOptions;
use gleaner_tests::plugin::{Mood, Plugin};
use gleaner_tests::{Node, Pod, pod_state, poll_until};
use std::collections::BTreeMap;

const FPGA: &str = "example.com/fpga";

fn node(test: &str) -> Option<Node> {
    let mut node = Node::new(test)?;
    let registry = node.path("registry").display().to_string();
    node.configure_more(&format!("placement: {{overlapShare: true}}\nplugins: {{registryDir: {registry}, deadline: 500ms}}\n"));
    node.start();
    poll_until("the registry is open", || node.path("registry/kubelet.sock").exists().then_some(()));
    Some(node)
}

fn wants_fpga(name: &str) -> Pod {
    Pod::shared(name).limit(FPGA, "1")
}

#[test]
fn a_pod_waits_for_the_plugin_of_its_resource_and_nobody_else_does() {
    let Some(mut node) = node("a_pod_waits_for_the_plugin_of_its_resource_and_nobody_else_does") else { return };
    node.add(&wants_fpga("fast").runs("env").restart("Never"));
    node.add(&Pod::shared("web"));
    node.running(&["web"]);
    node.until("it says what it waits for", |state| {
        let why = pod_state(state, "fast")?["why"].as_str()?;
        (why.contains(FPGA) && why.contains("not registered")).then_some(())
    });
    let plugin = Plugin::start(&node.path("registry"), FPGA, ResourcePluginOptions::default());
    plugin.script().envs = BTreeMap::from([("FPGA_DEVICE".to_owned(), "seven".to_owned())]);
    plugin.register(true).unwrap();
    poll_until("it runs with its variables", || node.container_log("fast").contains("FPGA_DEVICE=seven").then_some(()));
}

#[test]
fn a_plugin_that_hangs_degrades_its_resource_and_nothing_else() {
    let Some(mut node) = node("a_plugin_that_hangs_degrades_its_resource_and_nothing_else") else { return };
    let plugin = Plugin::start(&node.path("registry"), FPGA, ResourcePluginOptions::default());
    plugin.script().mood = Mood::Hangs;
    plugin.register(true).unwrap();
    node.add(&wants_fpga("fast"));
    node.until("the plugin's silence is told", |state| {
        let problem = state["health"]["plugin example.com/fpga"]["problem"].as_str()?;
        problem.contains("answer").then_some(())
    });
    node.add(&Pod::shared("web"));
    node.running(&["web"]);
    let before = node.until("the agent counts", |state| state["ticks"].as_u64());
    node.until("the loop goes on", |state| (state["ticks"].as_u64()? >= before + 4).then_some(()));
    plugin.script().mood = Mood::Good;
    node.running(&["fast"]);
    node.until("all is well", |state| state["health"]["plugin example.com/fpga"]["problem"].is_null().then_some(()));
}
