//! Who may do what.

use super::failure::Failure;
use super::target::Target;
use k8s_openapi::api::rbac::v1::PolicyRule;
use std::collections::BTreeSet;

/// What is allowed, and what is forbidden all the same.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// Everything when `None`.
    pub(super) rules: Option<Vec<PolicyRule>>,
    /// Verb and resource.
    pub(super) denied: BTreeSet<(String, String)>,
}

impl Access {
    /// Whether a verb is allowed for what a path is about.
    pub(super) fn permit(&self, verb: &str, target: &Target) -> Result<(), Failure> {
        let (rule, name) = (target.rule(), target.name.as_deref().unwrap_or_default());
        let denied = self
            .denied
            .iter()
            .any(|(of_verb, of_rule)| [verb, "*"].contains(&of_verb.as_str()) && [&*rule, "*"].contains(&of_rule.as_str()));
        let allowed =
            self.rules.as_ref().is_none_or(|rules| rules.iter().any(|each| allows(each, verb, target.resource.group, &rule, name)));
        if denied || !allowed {
            let why = format!("User \"gleaner\" cannot {verb} resource {rule:?} in API group {:?}", target.resource.group);
            return Err(Failure::forbidden(&rule, name, &why));
        }
        Ok(())
    }
}

fn allows(rule: &PolicyRule, verb: &str, group: &str, resource: &str, name: &str) -> bool {
    let has = |list: &[String], wanted: &str| list.iter().any(|each| each == "*" || each == wanted);
    let of = |list: &Option<Vec<String>>, wanted: &str| list.as_deref().is_some_and(|list| has(list, wanted));
    let named = rule.resource_names.as_deref().is_none_or(|names| names.is_empty() || names.iter().any(|each| each == name));
    has(&rule.verbs, verb) && of(&rule.api_groups, group) && of(&rule.resources, resource) && named
}
