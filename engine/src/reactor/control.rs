//! What the control API asks for, done. Only reactor 0 has an API.

use epush_core::effect::Asker;
use epush_core::id::ShardId;
use epush_core::mail::{Mail, Question, Report};
use epush_core::message::UserName;
use epush_core::registry::home;

use super::Change;
use super::run::Reactor;
use crate::api::{ApiAction, NodeState};
use crate::engine::Event;
use crate::relay::Order;
use crate::webhook::{Fetch, Fetched};

impl Reactor {
    /// Does what the API asks for; returns whether there was anything.
    pub(super) fn act(&mut self) -> bool {
        let mut acted = false;
        while let Some(action) = self.api.as_mut().and_then(|api| api.poll_action()) {
            acted = true;
            match action {
                ApiAction::Respond { conn, response } => self.shard.respond(self.now, conn, &response),
                ApiAction::Publish { draft, asker } => self.publish(&draft, asker),
                ApiAction::AskAll { question, asker } => self.ask_all(question, asker),
                ApiAction::AskHome { user, question, asker } => self.ask_home(&user, question, asker),
                ApiAction::Fetch(fetch) => self.fetch(fetch),
                ApiAction::Cluster(call) => self.outside.node.broker.call(ShardId::API, call),
                ApiAction::Schedule(order) => {
                    if let Some(relay) = &self.outside.node.relay {
                        relay.order(Order::Schedule(order));
                    }
                }
                ApiAction::Drain => self.events.post(Event::DrainRequested),
            }
        }
        acted
    }

    fn ask_home(&mut self, user: &UserName, question: Question, asker: Asker) {
        let shard: ShardId = home(user, self.outside.node.shards());
        let report = Report { shard: self.id, ticket: self.shard.expect(asker, 1) };
        let mail = Mail::Ask { question, report };
        if shard == self.id {
            self.shard.handle_mail(self.now, mail);
        } else {
            self.outside.node.post(shard, mail);
        }
    }

    fn fetch(&mut self, fetch: Fetch) {
        let schedule = fetch.schedule.clone();
        if !self.outside.webhooks.fetch(fetch) {
            self.fetched(Fetched { schedule, outcome: Err("too many calls wait for a worker".into()) });
        }
    }

    /// A reload's part for the API.
    pub(super) fn change(&mut self, change: Change) {
        match (change, &mut self.api) {
            (Change::ApiKeys(keys), Some(api)) => api.set_keys(keys),
            (Change::ReadyWithoutRedis(ready), Some(api)) => api.set_ready_without_redis(ready),
            (Change::Draining, Some(api)) => api.set_state(NodeState::Draining),
            (_, None) => {}
        }
    }

    pub(super) fn fetched(&mut self, fetched: Fetched) {
        if let Some(api) = &mut self.api {
            api.handle_fetched(self.now, fetched);
        }
    }
}
