//! Telling Redis who is signed in here: session by session while it answers, everybody it may be wrong about when it is back.

use std::net::IpAddr;

use epush_core::close::CloseReason;
use epush_core::id::{SessionId, SessionRef};
use epush_core::mail::{Mail, Mutes};
use epush_core::message::UserName;
use epush_core::relay::Body;
use redis::Value;

use super::Outward;
use super::errand::Then;
use super::roster::{Roster, Seat};
use crate::relay::keys::Keys;
use crate::relay::order::Arrival;
use crate::relay::scripts::{Entry, Registered, reply};

/// What Redis is to know, and how far it does.
#[derive(Debug)]
pub struct Directory {
    roster: Roster,
    /// Users whose call Redis refused: tried again with the next renewal, not at once.
    refused: Vec<UserName>,
    /// Whether Redis has lost everybody's muted types, too.
    restores_mutes: bool,
    /// Of the last marker.
    ticket: u64,
}

/// Users written to the directory with one pipeline: a few ms, so that the lease is renewed in time and messages go on whatever
/// there is to write.
const SYNCED_AT_ONCE: usize = 500;

/// What two times lose that are cut to whole ms and added: an order that this node reckons must not be lower than one that
/// Redis gave before.
const ROUNDED_MS: u64 = 2;

impl Directory {
    pub fn new(keys: Keys) -> Self {
        Self { roster: Roster::new(keys), refused: Vec::new(), restores_mutes: false, ticket: 0 }
    }

    /// Whether Redis knows everything.
    pub fn is_clean(&self) -> bool {
        self.roster.is_clean() && self.refused.is_empty()
    }

    /// Whether Redis must know of users in the partition.
    pub fn must_have(&self, partition: u8) -> bool {
        self.refused.is_empty() && self.roster.must_have(partition)
    }

    /// How many users Redis may be wrong about.
    pub fn dirty(&self) -> usize {
        self.roster.dirty() + self.refused.len()
    }

    /// Redis may be wrong about anybody.
    pub fn doubt_everything(&mut self) {
        self.roster.mark_all();
    }

    /// Redis has forgotten what types users muted.
    pub const fn restore_mutes(&mut self) {
        self.restores_mutes = true;
    }

    /// Users Redis refused are to be tried again.
    pub fn retry_refused(&mut self) {
        for user in std::mem::take(&mut self.refused) {
            self.roster.mark(&user);
        }
    }

    /// Another node changed the user's muted types.
    pub fn note_mutes(&mut self, user: &UserName, mutes: Mutes) {
        self.roster.set_mutes(user, Some(mutes));
    }

    /// The user's muted types as last heard; none: the user is not here.
    pub fn mutes(&self, user: &UserName) -> Option<Mutes> {
        self.roster.is_here(user).then(|| self.roster.mutes(user).cloned().unwrap_or_else(|| [].into()))
    }
}

impl Outward {
    /// Registers a session. Without Redis it is let in at once.
    pub(super) fn sign_in(&mut self, user: UserName, session: SessionRef, since_unix_ms: u64, remote: IpAddr) {
        // Until Redis gives it another: with this one it comes back after an outage, behind those that were there before.
        let order = self.redis_unix_ms() + ROUNDED_MS;
        self.directory.roster.sign_in(&user, Seat { session, order, since_unix_ms, remote });
        if !self.is_up() {
            return self.let_in(user, session);
        }
        let entry = Entry { session: self.session_id(session), order: 0, since_unix_ms, remote };
        let close = self.close_replaced();
        self.directory.roster.told(&user);
        let call = self.calls.sign_in(&user, &entry, self.setup.per_user, &close);
        self.send(call, Then::SignedIn { user, session });
    }

    /// The directory is written later.
    pub(super) fn let_in(&mut self, user: UserName, session: SessionRef) {
        self.directory.roster.mark(&user);
        let mutes = self.directory.roster.mutes(&user).cloned();
        self.setup.inward.post(Arrival::SignedIn { user, heads: None, session, mutes, at_unix_ms: 0 });
    }

    pub(super) fn signed_in(&mut self, user: UserName, session: SessionRef, reply: &Value) {
        let registered = match Registered::read(reply, self.calls.me) {
            Ok(registered) => registered,
            Err(error) => {
                self.complain("a session is not in the directory", &error);
                self.directory.refused.push(user.clone());
                let mutes = self.directory.roster.mutes(&user).cloned();
                return self.setup.inward.post(Arrival::SignedIn { user, heads: None, session, mutes, at_unix_ms: 0 });
            }
        };
        self.note_registered(&user, &registered);
        self.directory.roster.set_mutes(&user, registered.mutes.clone());
        let Registered { heads, mutes, closed, at_unix_ms, .. } = registered;
        self.setup.inward.post(Arrival::SignedIn { user, heads: Some(heads), session, mutes, at_unix_ms });
        // Behind it: a session that is to go is let in first.
        self.close(&closed);
    }

    /// Removes a session.
    pub(super) fn sign_out(&mut self, user: UserName, session: SessionRef) {
        if self.is_up() {
            self.directory.roster.sign_out(&user, session);
            let call = self.calls.sign_out(&user, self.session_id(session));
            self.send(call, Then::SignedOut { user });
        } else {
            self.directory.roster.mark(&user);
            self.directory.roster.sign_out(&user, session);
            self.tell_signed_out(user);
        }
    }

    pub(super) fn signed_out(&mut self, user: UserName, reply: &Value) {
        if let Err(error) = reply::flag(reply) {
            self.complain("a session stays in the directory", &error);
            self.directory.refused.push(user.clone());
        }
        self.tell_signed_out(user);
    }

    /// Nobody knows whether the session is out.
    pub(super) fn sign_out_later(&mut self, user: UserName) {
        self.directory.roster.mark(&user);
        self.tell_signed_out(user);
    }

    fn tell_signed_out(&self, user: UserName) {
        if !self.directory.roster.is_here(&user) {
            self.setup.inward.post(Arrival::SignedOut(user));
        }
    }

    /// Writes some of the users Redis may be wrong about, and asks what was sent to them.
    pub(super) fn sync_some(&mut self) {
        if !self.is_up() || self.directory.roster.is_clean() {
            return;
        }
        let close = self.close_replaced();
        for (partition, users) in self.directory.roster.take_dirty(SYNCED_AT_ONCE) {
            self.directory.ticket += 1;
            let ticket = self.directory.ticket;
            for user in users {
                let entries: Vec<Entry> =
                    self.directory.roster.seats(&user).iter().map(|seat| self.entry(seat)).collect();
                let mutes = self.directory.roster.mutes(&user).filter(|_| self.directory.restores_mutes);
                let mutes = mutes.map_or(&[][..], |mutes| mutes);
                let call = self.calls.sync(&user, &entries, mutes, self.setup.per_user, &close);
                self.send(call, Then::Synced { user, ticket });
            }
            // Behind the calls, on the same connection: what was sent before they ran arrives before it.
            let marker = self.envelope(Body::Marker { ticket });
            self.send(self.calls.tell_node(self.setup.boot, partition, &marker), Then::Nothing);
        }
    }

    /// Muted types are restored when every user of this node is written.
    pub(super) fn end_restoring_when_done(&mut self) {
        if self.is_up() && self.directory.is_clean() {
            self.directory.restores_mutes = false;
        }
    }

    pub(super) fn synced(&mut self, user: UserName, ticket: u64, reply: &Value) {
        let registered = match Registered::read(reply, self.calls.me) {
            Ok(registered) => registered,
            Err(error) => {
                self.complain("the directory may be wrong about a user", &error);
                return self.directory.refused.push(user);
            }
        };
        self.note_registered(&user, &registered);
        self.close(&registered.closed);
        if self.directory.roster.is_here(&user) {
            if self.directory.roster.set_mutes(&user, registered.mutes.clone()) {
                let mutes = registered.mutes.unwrap_or_else(|| [].into());
                self.tell_muted(&user, mutes, registered.at_unix_ms);
            }
            self.setup.inward.post(Arrival::Heads { user, heads: registered.heads, after: ticket });
        } else {
            self.directory.roster.tidy(&user);
        }
    }

    /// Nobody knows whether it was written.
    pub(super) fn sync_later(&mut self, user: &UserName) {
        self.directory.roster.mark(user);
    }

    fn note_registered(&mut self, user: &UserName, registered: &Registered) {
        for (session, order) in &registered.orders {
            self.directory.roster.set_order(user, session.at, *order);
        }
    }

    /// Tells every shard a user's muted types, by the way that sign-ins go: one that was answered before must not bring
    /// older ones later.
    pub(super) fn tell_muted(&self, user: &UserName, mutes: Mutes, at_unix_ms: u64) {
        self.setup.inward.post(Arrival::Muted { user: user.clone(), mutes, at_unix_ms });
    }

    /// Newer sessions of their user took the place of these.
    fn close(&self, sessions: &[SessionId]) {
        for SessionId { at, .. } in sessions {
            self.post(at.shard, Mail::Close { conn: at.conn, reason: CloseReason::Replaced });
        }
    }

    fn close_replaced(&self) -> Vec<u8> {
        self.envelope(Body::Close { sessions: Vec::new(), reason: CloseReason::Replaced })
    }

    fn entry(&self, seat: &Seat) -> Entry {
        let Seat { session, order, since_unix_ms, remote } = *seat;
        Entry { session: self.session_id(session), order, since_unix_ms, remote }
    }
}
