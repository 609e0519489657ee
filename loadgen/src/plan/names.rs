//! What the clients of a group are called, and what their channels are.

use crate::dialect::template::{Fill, OF_NUMBER, Template};
use crate::scenario::Group;

/// The names of one group.
#[derive(Debug)]
pub(super) struct Names {
    user: Template,
    channels: Vec<Template>,
}

impl Names {
    /// As the group has them, with the client's number to be filled in.
    pub(super) fn new(group: &Group) -> Result<Self, String> {
        let what = |key: &str| format!("{key} of the group {}", group.name);
        let channels = group.channels.iter().map(|text| Template::parse(text, &what("channels"), OF_NUMBER));
        Ok(Self {
            user: Template::parse(&group.user, &what("user"), OF_NUMBER)?,
            channels: channels.collect::<Result<_, _>>()?,
        })
    }

    /// Who a client is.
    pub(super) fn user(&self, client: u32) -> String {
        self.user.to_text(&of(client))
    }

    /// Appends who a client is.
    pub(super) fn write_user(&self, client: u32, out: &mut Vec<u8>) {
        self.user.expand(&of(client), out);
    }

    /// The channels a client subscribes to.
    pub(super) fn channels(&self, client: u32) -> Vec<String> {
        self.channels.iter().map(|channel| channel.to_text(&of(client))).collect()
    }
}

fn of(client: u32) -> Fill<'static> {
    Fill { client, ..Fill::default() }
}
