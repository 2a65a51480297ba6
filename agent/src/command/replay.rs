//! Runs the agent's code over recorded ticks.

use super::print;
use crate::cli::ReplayArgs;
use crate::error::AgentError;
use crate::record::{Options, draw, replay as run};
use gleaner_estimator::PolicyName;
use gleaner_model::Span;
use std::path::Path;
use std::process::ExitCode;

/// Replays a recording and prints what was found. The status is 1 when something was decided otherwise than it was recorded.
///
/// # Errors
/// When there is no such policy, or the recording is of no use.
pub(crate) fn replay(args: &ReplayArgs) -> Result<ExitCode, AgentError> {
    let options = options(args).map_err(AgentError::Usage)?;
    let report = run(&args.files, &options).map_err(AgentError::Unusable)?;
    if args.json {
        let text = serde_json::to_string_pretty(&report).map_err(|e| AgentError::io("print", Path::new("the report"), e.into()))?;
        print(&format!("{text}\n"))?;
    } else {
        print(&draw(&report))?;
    }
    Ok(if report.is_identical() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(args: &ReplayArgs) -> Result<Options, String> {
    let mut policies: Vec<PolicyName> = Vec::new();
    for name in &args.policies {
        let all = || PolicyName::ALL.map(PolicyName::as_str).join(", ");
        let policy = name.parse().map_err(|_| format!("--policy: there is no policy {name:?}; there are {}", all()))?;
        if !policies.contains(&policy) {
            policies.push(policy);
        }
    }
    let horizon: Span = args.horizon.parse().map_err(|error| format!("--horizon: {error}"))?;
    if horizon.is_zero() {
        return Err("--horizon: 0s is no time to look ahead".to_owned());
    }
    Ok(Options { policies, horizon: horizon.get() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(policies: &[&str], horizon: &str) -> ReplayArgs {
        let policies = policies.iter().map(|name| (*name).to_owned()).collect();
        ReplayArgs { files: Vec::new(), policies, horizon: horizon.to_owned(), json: false }
    }

    #[test]
    fn an_unknown_policy_is_one_line_with_all_names() {
        let error = options(&args(&["canonical", "best"], "1h")).err().unwrap();
        let expected =
            "--policy: there is no policy \"best\"; there are canonical, usage-margin, n-sigma, percentile, seasonal, feedback, composite";
        assert_eq!(error, expected);
    }

    #[test]
    fn a_policy_that_is_named_twice_runs_once() {
        assert_eq!(options(&args(&["canonical", "canonical"], "10m")).unwrap().policies, [PolicyName::Canonical]);
        for horizon in ["0s", "soon", ""] {
            let error = options(&args(&[], horizon)).err().unwrap();
            assert!(error.starts_with("--horizon: "), "{horizon:?}: {error}");
        }
    }
}
