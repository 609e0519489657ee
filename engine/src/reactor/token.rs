//! mio tokens and connection names: one into the other and back.
//!
//! The generation travels in the token, so that an event for a connection that is gone misses its successor.

use epush_core::id::ConnId;
use mio::Token;

// A token holds both halves of a name only where a pointer has 64 bits, as everywhere epush runs.
const _: () = assert!(usize::BITS == 64);

/// The token of a reactor's waker. No connection has it: a slab of 2³² slots does not fit in memory.
pub const WAKE: Token = Token(usize::MAX);

/// The token a connection is registered under.
#[must_use]
pub fn token_of(conn: ConnId) -> Token {
    Token((conn.generation as usize) << 32 | conn.index as usize)
}

/// The connection registered under a token.
#[must_use]
pub fn conn_of(token: Token) -> ConnId {
    ConnId { index: token.0 as u32, generation: (token.0 >> 32) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_the_way_through_a_token() {
        for (index, generation) in [(0, 0), (7, 3), (u32::MAX, 0), (0, u32::MAX), (u32::MAX, u32::MAX - 1)] {
            let conn = ConnId { index, generation };
            assert_eq!(conn_of(token_of(conn)), conn);
            assert_ne!(token_of(conn), WAKE);
        }
    }
}
