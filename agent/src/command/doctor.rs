//! Says what this node has and lacks.

use super::{live, say};
use crate::cli::DoctorArgs;
use crate::config::Config;
use crate::doctor::{Diagnosis, draw, look};
use crate::error::AgentError;
use std::path::Path;
use std::process::ExitCode;

/// Looks at this node and prints what was found. The status is 1 when something is missing that the mode needs.
///
/// # Errors
/// When what was found cannot be written as JSON.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<ExitCode, AgentError> {
    let (config, problems) = Config::load_what_is_right(&args.config);
    let told = Diagnosis::of(&look(config, args.config.config.clone(), problems));
    if args.json {
        let text = serde_json::to_string_pretty(&told).map_err(|e| AgentError::io("print", Path::new("the findings"), e.into()))?;
        say(&format!("{text}\n"));
    } else {
        say(&draw(&told, live::width()));
    }
    Ok(if told.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
