//! What a policy would have lent and risked on nodes made from usage traces.
//!
//! Purpose: [`TraceSet`] is read from text, [`place`] makes nodes of it, [`run_node`] plays one of them second by second through any number of [`Lender`]s, and
//! [`Report`] sums up what their promises were worth. [`lender`] is the one place that knows the estimator's policies, `margin` the one that knows their margins.
//!
//! Rules: the policies are the estimator's own code; the same traces, settings and seed give the same answer, however many nodes are run at once.
//!
//! This crate must not know: files, clocks, threads, Kubernetes, kernel files.

mod ahead;
mod demand;
mod lender;
mod margin;
mod placing;
mod play;
mod plot;
mod random;
mod report;
mod run;
pub mod score;
mod settings;
mod trace;
mod trail;

pub use lender::{Lender, Machine, VmUse, lender};
pub use margin::{margin, margins, setting, with_margin};
pub use placing::{NodePlan, PlaceError, Slot, Tenant, place};
pub use plot::{PlotError, curves, days};
pub use report::{Contender, Report, Row, SetReport, contenders};
pub use run::{NodeOutcome, run_node};
pub use settings::{Horizon, Settings, Split, StepDemand};
pub use trace::{Column, Kind, Load, Source, Text, TraceError, TraceSet, sources};
pub use trail::{Point, Trail};
