//! The periodic pushes that clients may ask for with `every`: templates of the config, closures of the embedder.
//!
//! Knows nothing of when they are due.

use std::collections::HashMap;

use epush_core::template::{Template, TemplateValues};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use crate::config::Config;
use crate::handler::Session;

/// One tick of a job, for the closure that renders it.
#[derive(Debug)]
pub struct JobCall<'a> {
    /// The session it is for.
    pub session: &'a Session,
    /// What the client gave as `args`.
    pub args: Option<&'a RawValue>,
    /// How often it fired before, for this session.
    pub seq: u64,
    /// The time, in ms since 1970.
    pub time_ms: u64,
}

impl JobCall<'_> {
    /// The `args`, read as JSON; `null` when the client gave none.
    ///
    /// # Errors
    /// When they do not have this shape.
    pub fn parse_args<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.args.map_or("null", RawValue::get))
    }
}

type Render = dyn Fn(&JobCall<'_>) -> Option<Box<RawValue>> + Send + Sync;

/// All jobs, by name.
#[derive(Default)]
pub struct Jobs {
    jobs: HashMap<Box<str>, Job>,
}

enum Job {
    Template(Template),
    Closure(Box<Render>),
}

/// What a tick's template values are filled with, besides the call.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The node's name.
    pub node: &'a str,
    /// Open sessions of the node.
    pub online_node: u64,
    /// Open sessions of the cluster.
    pub online_cluster: u64,
}

impl Jobs {
    /// Adds the templates of the config. A closure of the same name wins.
    ///
    /// # Errors
    /// A sentence naming the job whose template is wrong.
    pub fn add_templates(&mut self, config: &Config) -> Result<(), String> {
        for (name, job) in &config.jobs {
            let wrong = |why: &dyn std::fmt::Display| format!("jobs.{name}.template: {why}");
            let json = RawValue::from_string(job.template.to_json()).map_err(|error| wrong(&error))?;
            let template = Template::parse(&json).map_err(|error| wrong(&error))?;
            self.jobs.entry(name.as_str().into()).or_insert(Job::Template(template));
        }
        Ok(())
    }

    /// Adds a closure. A tick it returns `None` for is not pushed, and neither is one that cannot be JSON.
    pub fn add_closure<R, F>(&mut self, name: &str, render: F)
    where
        R: Serialize,
        F: Fn(&JobCall<'_>) -> Option<R> + Send + Sync + 'static,
    {
        let render = move |call: &JobCall<'_>| to_raw_value(&render(call)?).ok();
        self.jobs.insert(name.into(), Job::Closure(Box::new(render)));
    }

    /// Whether there is such a job.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.jobs.contains_key(name)
    }

    /// What this tick pushes.
    #[must_use]
    pub fn render(&self, name: &str, call: &JobCall<'_>, around: Surroundings<'_>) -> Option<Box<RawValue>> {
        match self.jobs.get(name)? {
            Job::Closure(render) => render(call),
            Job::Template(template) => Some(template.to_raw(&TemplateValues {
                unix_ms: call.time_ms,
                seq: call.seq,
                node: around.node,
                online_node: around.online_node,
                online_cluster: around.online_cluster,
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{JobConfig, TemplateValue};
    use crate::testing;
    use serde_json::json;

    fn rendered(jobs: &Jobs, name: &str, args: &str) -> Option<String> {
        let bench = testing::bench(1, 1_000);
        let session = testing::session(&bench);
        let args = RawValue::from_string(args.into()).expect("JSON");
        let call = JobCall { session: &session, args: Some(&args), seq: 4, time_ms: 7 };
        let around = Surroundings { node: "n1", online_node: 9, online_cluster: 20 };
        jobs.render(name, &call, around).map(|raw| raw.get().to_owned())
    }

    #[test]
    fn a_closure_sees_who_asks_and_with_what() {
        let mut jobs = Jobs::default();
        jobs.add_closure("page", |call| {
            let size: u64 = call.parse_args::<serde_json::Value>().ok()?["size"].as_u64()?;
            Some(json!({"user": call.session.user(), "size": size, "seq": call.seq}))
        });
        assert_eq!(rendered(&jobs, "page", r#"{"size":10}"#).as_deref(), Some(r#"{"seq":4,"size":10,"user":"42"}"#));
        assert_eq!(rendered(&jobs, "page", "{}"), None, "nothing to push this time");
        assert_eq!(rendered(&jobs, "other", "{}"), None);
    }

    #[test]
    fn a_template_of_the_config_is_filled_in_and_a_closure_of_its_name_wins() {
        let template = TemplateValue::from_json(
            r#"{"at":{"$time":"ms"},"n":{"$seq":true},"on":{"$online":"node"},"all":{"$online":"cluster"}}"#,
        );
        let mut config = Config::default();
        config.jobs.insert("time".into(), JobConfig { template: template.expect("JSON") });
        let mut jobs = Jobs::default();
        jobs.add_templates(&config).expect("valid");
        assert_eq!(rendered(&jobs, "time", "null").as_deref(), Some(r#"{"all":20,"at":7,"n":4,"on":9}"#));
        assert!(jobs.knows("time") && !jobs.knows("times"));

        jobs.add_closure("time", |_| Some(1));
        jobs.add_templates(&config).expect("valid");
        assert_eq!(rendered(&jobs, "time", "null").as_deref(), Some("1"));
    }
}
