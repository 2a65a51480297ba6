//! What each command of the command line does.

mod doctor;
mod live;
mod logs;
mod replay;
mod restore;
mod simulate;

pub(crate) use doctor::doctor;
pub(crate) use replay::replay;
pub(crate) use restore::restore;
pub(crate) use simulate::simulate;

use crate::cli::{AgentArgs, ExplainArgs, StatusArgs};
use crate::config::{Config, Mode};
use crate::engine::{self, Engine, Started};
use crate::error::AgentError;
use crate::kubernetes::Cluster;
use crate::{estimators, http, qrm, remote, report};
use gleaner_host::clock;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Runs the agent until it is told to stop.
///
/// # Errors
/// When the configuration is wrong or the node cannot be taken over.
pub(crate) fn agent(args: &AgentArgs) -> Result<ExitCode, AgentError> {
    let config = Config::load_for_agent(args).map_err(AgentError::Config)?;
    require_root("agent", "writes cgroups and ends processes of pods")?;
    logs::start(if args.view { Some(config.state_dir.join("agent.log")) } else { None })?;
    let runtime = event_loop()?;
    let ended = runtime.block_on(run_agent(args, config));
    // A program that a kubeconfig names may still be waited for.
    runtime.shutdown_background();
    ended
}

async fn run_agent(args: &AgentArgs, config: Config) -> Result<ExitCode, AgentError> {
    let keep_pods = config.standalone.keep_pods;
    let (socket, listen, mode) = (config.socket.clone(), config.listen, config.mode);
    let manifests = (mode == Mode::Standalone).then(|| config.standalone.manifests.clone());
    let (folders, remote_settings, for_estimators) = (config.qrm.clone(), config.plugins.clone(), config.estimators.clone());
    tracing::info!(%mode, shadow = config.shadow, "the agent starts");
    let for_cluster = (mode != Mode::Standalone).then(|| config.clone());
    let Started { mut engine, events, sender } = engine::start(config, args.config.config.clone())?;
    engine::feed(&sender, manifests)?;
    let cluster = match &for_cluster {
        Some(config) => join_cluster(config, &mut engine, &sender).await,
        None => None,
    };
    // Behind a kubelet it is the kubelet that asks other plugins.
    let registry = if mode == Mode::Standalone { remote::serve(&remote_settings, sender.clone()) } else { None };
    estimators::start(&for_estimators, &engine.told(), &sender);
    let servers = qrm::serve(&folders, engine.plugins(), &sender);
    // Without its socket the agent still isolates; the problem is in the log and, where TCP is asked for, in /healthz.
    let served = http::serve_unix(&socket, sender.clone());
    let ours = served.is_ok();
    let problems = [
        served.err(),
        match listen {
            Some(address) => http::serve_tcp(address, sender.clone()).await.err(),
            None => None,
        },
    ];
    for problem in problems.into_iter().flatten() {
        engine.note("endpoint", Some(problem.to_string()), clock::now());
    }
    let view = args.view.then(|| tokio::spawn(live::follow(sender)));
    let left = Box::pin(engine.run(events)).await;
    if let Some(cluster) = cluster {
        cluster.stop().await.iter().for_each(|problem| tracing::warn!("{problem}"));
    }
    qrm::stop(servers).await;
    if let Some(registry) = registry {
        registry.stop().await;
    }
    if let Some(view) = view {
        view.abort();
        live::leave();
    }
    // Its name must not lead a later command to an agent that is gone.
    if ours {
        let _ = std::fs::remove_file(&socket);
    }
    say(&match left.is_empty() {
        true if keep_pods || mode != Mode::Standalone => {
            "stopped; pods and knobs are left as they are, `gleaner restore` puts them back\n".to_owned()
        }
        true => "stopped; every kernel file is as it was\n".to_owned(),
        false => format!("stopped; not put back:\n{}", left.iter().map(|line| format!("  {line}\n")).collect::<String>()),
    });
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts what talks with the cluster and with the container runtime. Without a cluster the agent knows pods by what the runtime tells, and reports
/// nothing.
async fn join_cluster(config: &Config, engine: &mut Engine, sender: &mpsc::Sender<engine::Event>) -> Option<Cluster> {
    let cluster = match Cluster::start(config, engine.hostname(), sender).await {
        Ok((cluster, links)) => {
            engine.link(links, clock::now());
            Some(cluster)
        }
        Err(error) => {
            engine.note("cluster", Some(error.to_string()), clock::now());
            None
        }
    };
    // Last: from its registration on the runtime waits for answers.
    if config.mode == Mode::Nri {
        let settings =
            gleaner_nri::Settings { socket: config.nri.socket.clone(), index: config.nri.index.clone(), unified: engine.is_unified() };
        tokio::spawn(gleaner_nri::serve(settings, sender.clone()));
    }
    cluster
}

/// Shows the running agent's state.
///
/// # Errors
/// When no agent answers.
pub(crate) fn status(args: &StatusArgs) -> Result<ExitCode, AgentError> {
    let config = Config::load(&args.config).map_err(AgentError::Config)?;
    event_loop()?.block_on(async {
        if args.watch {
            return live::poll(&config.socket).await;
        }
        let state = http::fetch_state(&config.socket).await?;
        if args.json {
            let text = serde_json::to_string_pretty(&state).map_err(|e| AgentError::io("print", Path::new("state"), e.into()))?;
            print(&format!("{text}\n"))?;
        } else {
            print(&report::draw(&state, clock::now(), live::width()))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Says why a pod has what it has.
///
/// # Errors
/// When no agent answers or knows no such pod.
pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode, AgentError> {
    let config = Config::load(&args.config).map_err(AgentError::Config)?;
    let state = event_loop()?.block_on(http::fetch_state(&config.socket))?;
    print(&report::explain(&state, &args.pod, clock::now())?)?;
    Ok(ExitCode::SUCCESS)
}

fn event_loop() -> Result<Runtime, AgentError> {
    // One thread: the loop's work is short, and what blocks has its own thread.
    Builder::new_current_thread().enable_all().build().map_err(|e| AgentError::io("start", Path::new("the event loop"), e))
}

fn require_root(command: &'static str, why: &'static str) -> Result<(), AgentError> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(AgentError::NotRoot { command, why }) }
}

/// Prints what a command was asked for. A closed pipe (`gleaner status | head`) is no error.
///
/// # Errors
/// When it cannot be written, to a full disk for instance: half an answer must not look like a whole one.
fn print(text: &str) -> Result<(), AgentError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(AgentError::io("write", Path::new("stdout"), error)),
        _ => Ok(()),
    }
}

/// Tells the person at the terminal beside what is done; that this cannot be written stops nothing.
fn say(text: &str) {
    let _ = print(text);
}

/// Time between two drawings of a live view.
const REDRAW: Duration = Duration::from_secs(1);
