//! Flags laid over a scenario: each value remembers the flag it came from, for what is said when it is wrong.

use epush_loadgen::error::Error;
use epush_loadgen::scenario::source::{Source, refusal};
use epush_loadgen::scenario::{Publisher, Scenario, builtin, check, file};

use super::common::{Common, Output};
use super::{Command, RunFile};

/// A scenario with flags over it.
pub struct Laid {
    /// What will be run.
    pub scenario: Scenario,
    /// Where its values come from.
    pub source: Source,
}

/// Flags that change a scenario.
pub trait Flags {
    /// Lays them over it.
    fn lay(&self, laid: &mut Laid);
}

/// A run as it was asked for: checked, and where its results go.
pub struct Asked {
    /// What to do.
    pub scenario: Scenario,
    /// Where results go.
    pub output: Output,
}

impl Command {
    /// The run this asks for; `None`: it asks for something else.
    ///
    /// # Errors
    /// Everything that is wrong, a line each.
    pub fn asked(&self) -> Option<Result<Asked, Error>> {
        let named = |name: &str, own: &dyn Flags, common: &Common| Some(builtin(name, own, common));
        match self {
            Self::Hold(own) => named("hold", own, &own.common),
            Self::Storm(own) => named("storm", own, &own.common),
            Self::Fanout(own) => named("fanout", own, &own.common),
            Self::Direct(own) => named("direct", own, &own.common),
            Self::Echo(own) => named("echo", own, &own.common),
            Self::Peer(own) => named("peer", own, &own.common),
            Self::Churn(own) => named("churn", own, &own.common),
            Self::Slow(own) => named("slow", own, &own.common),
            Self::Every(own) => named("every", own, &own.common),
            Self::Mixed(own) => named("mixed", own, &own.common),
            Self::Run(RunFile { file, common }) => Some(from_file(file, common)),
            Self::Compare { .. } | Self::Dialects { .. } | Self::Show { .. } | Self::Worker => None,
        }
    }
}

fn builtin(name: &str, own: &dyn Flags, common: &Common) -> Result<Asked, Error> {
    let builtin = builtin::named(name).expect("every subcommand has its file");
    let (scenario, source) = file::parse(builtin.path, builtin.text)?;
    // Common first: what a scenario's own flags mean may depend on the number of clients.
    Laid { scenario, source }.with(common).with(own).checked(&common.output)
}

fn from_file(file: &std::path::Path, common: &Common) -> Result<Asked, Error> {
    let (scenario, source) = file::read(file)?;
    Laid { scenario, source }.with(common).checked(&common.output)
}

impl Laid {
    fn with(mut self, flags: &dyn Flags) -> Self {
        flags.lay(&mut self);
        self
    }

    fn checked(self, output: &Output) -> Result<Asked, Error> {
        let Self { scenario, source } = self;
        let findings = check::check(&scenario);
        if !findings.is_empty() {
            return Err(refusal(findings.into_iter().map(|found| source.problem(&found.key, found.why)).collect()));
        }
        Ok(Asked { scenario, output: output.clone() })
    }

    /// Sets a value where the flag was given.
    pub(super) fn set<T: Clone>(
        &mut self,
        value: &Option<T>,
        flag: &str,
        path: &str,
        place: impl FnOnce(&mut Scenario) -> &mut T,
    ) {
        if let Some(value) = value {
            *place(&mut self.scenario) = value.clone();
            self.source.flag(path, flag);
        }
    }

    /// As [`Laid::set`], for a value that may be left out.
    pub(super) fn set_optional<T: Clone>(
        &mut self,
        value: &Option<T>,
        flag: &str,
        path: &str,
        place: impl FnOnce(&mut Scenario) -> &mut Option<T>,
    ) {
        if value.is_some() {
            place(&mut self.scenario).clone_from(value);
            self.source.flag(path, flag);
        }
    }

    /// As [`Laid::set`], in every publisher.
    pub(super) fn set_in_publishers<T: Clone>(
        &mut self,
        value: &Option<T>,
        flag: &str,
        key: &str,
        place: impl Fn(&mut Publisher) -> &mut T,
    ) {
        let Some(value) = value else { return };
        for (at, publisher) in self.scenario.publishers.iter_mut().enumerate() {
            *place(publisher) = value.clone();
            self.source.flag(format!("publisher[{at}].{key}"), flag);
        }
    }

    /// Shares so many clients among the groups, in the proportions of the file.
    pub(super) fn share_clients(&mut self, clients: u32) {
        let all: u64 = self.scenario.groups.iter().map(|group| u64::from(group.clients)).sum();
        let (mut before, mut given) = (0, 0);
        for (at, group) in self.scenario.groups.iter_mut().enumerate() {
            before += u64::from(group.clients);
            // Rounding the running sum, not each share, keeps the total exact.
            let until = (before * u64::from(clients) / all.max(1)) as u32;
            group.clients = until - given;
            given = until;
            self.source.flag(format!("group[{at}].clients"), "--clients");
        }
        self.source.flag("group", "--clients");
    }

    /// Shares so many connections a second among the groups, by their clients.
    pub(super) fn share_connect_rate(&mut self, per_s: f64) {
        let all: u64 = self.scenario.groups.iter().map(|group| u64::from(group.clients)).sum();
        for (at, group) in self.scenario.groups.iter_mut().enumerate() {
            group.connect_per_s = Some(per_s * f64::from(group.clients) / all.max(1) as f64);
            self.source.flag(format!("group[{at}].connect_per_s"), "--connect-rate");
        }
    }
}
