//! Evaluates admission policies as the API server does: conditions, then variables in their order, then what uses them.

use crate::files::{documents, root};
use cel::extractors::This;
use cel::{Context, Env, Program, Value};
use gleaner_crds::quantity;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// A policy whose expressions are compiled.
pub(crate) struct Policy {
    env: Arc<Env>,
    conditions: Vec<Program>,
    variables: Vec<(String, Program)>,
    pub(crate) validations: Vec<Validation>,
    patch: Option<Program>,
}

/// One rule.
pub(crate) struct Validation {
    text: String,
    expression: Program,
    message: String,
    message_expression: Option<Program>,
}

impl Policy {
    /// The policy in a file below `manifests/admission`.
    pub(crate) fn read(file: &str) -> Self {
        let policy = documents(&root().join("manifests/admission").join(file)).remove(0);
        let mut env = Env::stdlib();
        cel::extensions::strings(&mut env).unwrap();
        let env = Arc::new(env);
        let compile = |text: &serde_json::Value| {
            let text = text.as_str().unwrap();
            // The crate has no such type: a map says the same.
            let text = text.replace("JSONPatch{op: ", "{'op': ").replace(", path: ", ", 'path': ").replace(", value: ", ", 'value': ");
            env.compile(&text).unwrap_or_else(|e| panic!("{file}: {text}: {e}"))
        };
        let list = |key: &str| policy["spec"][key].as_array().cloned().unwrap_or_default();
        let patch = list("mutations").first().map(|mutation| compile(&mutation["jsonPatch"]["expression"]));
        Self {
            conditions: list("matchConditions").iter().map(|each| compile(&each["expression"])).collect(),
            variables: list("variables")
                .iter()
                .map(|each| (each["name"].as_str().unwrap().to_owned(), compile(&each["expression"])))
                .collect(),
            validations: list("validations")
                .iter()
                .map(|each| Validation {
                    text: each["expression"].to_string(),
                    expression: compile(&each["expression"]),
                    message: each["message"].as_str().unwrap().to_owned(),
                    message_expression: each.get("messageExpression").map(compile),
                })
                .collect(),
            patch,
            env,
        }
    }

    fn context(&self, object: &serde_json::Value, old: Option<&serde_json::Value>) -> Context<'_, '_> {
        let operation = if old.is_some() { "UPDATE" } else { "CREATE" };
        self.asked(object, old, &json!({"operation": operation}))
    }

    fn asked(&self, object: &serde_json::Value, old: Option<&serde_json::Value>, request: &serde_json::Value) -> Context<'_, '_> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        add_quantities(&mut context);
        context.add_variable("object", object).unwrap();
        context.add_variable("oldObject", old).unwrap();
        context.add_variable("request", request).unwrap();
        context
    }

    /// Whether the policy takes a request, by the only rule that it has; a request that it does not look at, it takes.
    pub(crate) fn takes(&self, object: &serde_json::Value, old: Option<&serde_json::Value>, request: &serde_json::Value) -> bool {
        assert!(self.variables.is_empty() && self.validations.len() == 1, "one rule without variables");
        let context = self.asked(object, old, request);
        let mut programs = self.conditions.iter().map(|condition| is_true(condition.execute(&context).unwrap(), "a condition"));
        !programs.all(|meant| meant) || is_true(self.validations[0].expression.execute(&context).unwrap(), "the rule")
    }

    /// Whether the policy looks at the object at all.
    pub(crate) fn is_meant(&self, object: &serde_json::Value, old: Option<&serde_json::Value>) -> bool {
        let context = self.context(object, old);
        self.conditions.iter().all(|condition| is_true(condition.execute(&context).unwrap(), "a condition"))
    }

    fn with_variables(&self, object: &serde_json::Value) -> Context<'_, '_> {
        let mut context = self.context(object, None);
        let mut values: HashMap<String, Value> = HashMap::new();
        context.add_variable_from_value("variables", values.clone());
        for (name, program) in &self.variables {
            let value = program.execute(&context).unwrap_or_else(|e| panic!("variable {name} of {object}: {e}"));
            values.insert(name.clone(), value);
            context.add_variable_from_value("variables", values.clone());
        }
        context
    }

    /// What the policy says about an object that is made, a line for each rule that it breaks.
    pub(crate) fn refusals(&self, object: &serde_json::Value) -> Vec<String> {
        let context = self.with_variables(object);
        let mut lines = Vec::new();
        for Validation { text, expression, message, message_expression } in &self.validations {
            let holds = expression.execute(&context).unwrap_or_else(|e| panic!("{text} of {object}: {e}"));
            if is_true(holds, text) {
                continue;
            }
            lines.push(match message_expression.as_ref().map(|program| program.execute(&context)) {
                None => message.clone(),
                Some(Ok(Value::String(line))) => line.to_string(),
                Some(other) => panic!("the message of {text} of {object}: {other:?}"),
            });
        }
        lines
    }

    /// The JSON patch that the policy makes.
    pub(crate) fn patch(&self, object: &serde_json::Value) -> serde_json::Value {
        let context = self.with_variables(object);
        self.patch.as_ref().unwrap().execute(&context).unwrap_or_else(|e| panic!("{object}: {e}")).json().unwrap()
    }
}

fn is_true(value: Value, what: &str) -> bool {
    match value {
        Value::Bool(yes) => yes,
        other => panic!("{what} is no truth but {other:?}"),
    }
}

/// Kubernetes' functions of quantities, as far as the policies use them. A quantity stays its text.
fn add_quantities(context: &mut Context<'_, '_>) {
    let exact = |text: &str| quantity::milli_value(text).unwrap_or_else(|e| panic!("{text}: {e}")).get();
    context.add_function("quantity", |text: Arc<String>| text).unwrap();
    context.add_function("asApproximateFloat", |This(text): This<Arc<String>>| approximate(&text)).unwrap();
    context.add_function("isLessThan", move |This(a): This<Arc<String>>, b: Arc<String>| exact(&a) < exact(&b)).unwrap();
}

/// As near as a float comes, one step too high or too low: the policy must not depend on more.
#[allow(clippy::cast_precision_loss, reason = "an approximation is what is asked for")]
fn approximate(text: &str) -> f64 {
    let thousandths = quantity::milli_value(text).unwrap_or_else(|e| panic!("{text}: {e}")).get();
    let near = thousandths as f64 / 1000.0;
    if thousandths.is_multiple_of(2) { near.next_up() } else { near.next_down() }
}
