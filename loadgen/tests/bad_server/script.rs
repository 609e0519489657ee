//! What the server does wrong, and when.

/// What it does when a certain message is to go to a certain client. Without any, the message goes out as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not sent.
    Drop,
    /// Sent so many times more.
    Again(usize),
    /// Sent after so many later messages of the session.
    Late(usize),
    /// Sent damaged.
    Damage(Damage),
    /// Says that so many were dropped, then sends it.
    Announce(u64),
    /// Sends nothing for so many milliseconds, then it.
    Stall(u64),
    /// Sends it in a way that is allowed, and rare.
    Oddly(Oddity),
    /// Ends the connection in its place.
    End(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One byte of what fills it up is another.
    Filler,
    /// One digit of the stamp is none.
    Stamp,
    /// Its last byte is missing.
    Cut,
    /// It has a byte too many.
    Stretched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// In three fragments with a ping between.
    Fragments,
    /// A byte at a time.
    Trickle,
    /// As a binary frame.
    Binary,
    /// After text that nobody asked for, an empty frame and a pong to nothing.
    AfterNoise,
    /// After a ping.
    AfterPing,
    /// After the same number of an earlier run.
    AfterAnOldOne,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A close frame with code and reason.
    Close(u16, &'static str),
    /// A close frame without a code.
    CloseEmpty,
    /// RST.
    Reset,
    /// FIN.
    Silent,
    /// FIN within a frame.
    HalfFrame,
    /// What RFC 6455 does not allow.
    Violation(Violation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    Masked,
    ReservedBit,
    UnknownOpcode,
    Oversize,
    LongPing,
    LooseContinuation,
    HalfCode,
}

/// How it welcomes a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Welcome {
    /// As it should.
    Good,
    /// As it should, and with ten messages of an earlier run.
    Replays,
    /// With this status.
    Status(u16),
    /// With no HTTP.
    Garbage,
    /// With the key of another.
    WrongKey,
    /// With nothing.
    Silence,
    /// It ends the connection when the request is there.
    EndAtOnce,
    /// It upgrades, and refuses the subscription.
    RefusesToSubscribe,
    /// It upgrades, and never answers the subscription.
    NeverJoins,
}

impl Welcome {
    /// The client gets in.
    pub const fn lets_in(self) -> bool {
        matches!(self, Self::Good | Self::Replays)
    }
}

/// What becomes of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Taken, and sent to its receivers.
    Taken,
    /// Taken, and forgotten.
    Forgotten,
    /// Refused: with 500, or a frame that repeats it.
    Refused,
    /// Refused, and sent to its receivers all the same.
    RefusedAndSent,
    /// The connection ends without an answer.
    Unanswered,
}

/// A script.
pub struct Script {
    /// By client, stream and number.
    pub faults: Box<dyn Fn(u32, u32, u64) -> Vec<Fault> + Send + Sync>,
    /// By client.
    pub welcome: Box<dyn Fn(u32) -> Welcome + Send + Sync>,
    /// By stream and number.
    pub fate: Box<dyn Fn(u32, u64) -> Fate + Send + Sync>,
}

impl Script {
    /// Everything is as it should be.
    pub fn good() -> Self {
        Self {
            faults: Box::new(|_, _, _| Vec::new()),
            welcome: Box::new(|_| Welcome::Good),
            fate: Box::new(|_, _| Fate::Taken),
        }
    }

    /// These faults, at this client and number each.
    pub fn at(faults: &'static [(u32, u64, Fault)]) -> Self {
        Self::by(move |client, seq| {
            let here = faults.iter().filter(|(who, number, _)| (*who, *number) == (client, seq));
            here.map(|(_, _, fault)| *fault).collect()
        })
    }

    /// Faults by client and number, whatever the stream.
    pub fn by(faults: impl Fn(u32, u64) -> Vec<Fault> + Send + Sync + 'static) -> Self {
        Self { faults: Box::new(move |client, _, seq| faults(client, seq)), ..Self::good() }
    }

    pub fn welcoming(welcome: impl Fn(u32) -> Welcome + Send + Sync + 'static) -> Self {
        Self { welcome: Box::new(welcome), ..Self::good() }
    }

    pub fn fated(fate: impl Fn(u32, u64) -> Fate + Send + Sync + 'static) -> Self {
        Self { fate: Box::new(fate), ..Self::good() }
    }
}
