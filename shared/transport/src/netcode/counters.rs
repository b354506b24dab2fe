//! What became of everything that arrived: numbers for metrics, in place of log lines that a flood would fill a disk with.

/// Makes the struct and what needs every one of its fields.
macro_rules! counters {
    ($(#[$of_all:meta])* $name:ident { $($(#[$meta:meta])* $field:ident,)* }) => {
        $(#[$of_all])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$meta])* pub $field: u64,)*
        }

        impl core::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)*
            }
        }

        impl $name {
            /// Each count with its name.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field)),*].into_iter()
            }
        }
    };
}

counters! {
    /// Counts since the server was made. Each datagram is counted once in `received`, and once more for what became of it.
    Counters {
        /// Datagrams that were handed in.
        received,

        /// Payloads that were passed on.
        payloads,
        /// Keep-alives of connected clients.
        keep_alives,
        /// Clients that said goodbye.
        disconnects,
        /// Challenges sent in answer to a request.
        challenges,
        /// Clients that proved their address and were let in.
        connects,
        /// Clients that were told that there is no room.
        denials,

        /// Had not the shape of a packet that a client may send.
        malformed,
        /// Sealed packets from addresses that nobody is known at.
        strangers,
        /// Packets that were received before, or are too old to tell.
        replays,
        /// Packets that did not open.
        forgeries,
        /// Packets of a kind that has no meaning in their sender's state: late parts of a handshake, mostly.
        untimely,

        /// Requests of another version of netcode.
        other_version,
        /// Requests of another game or generation.
        other_protocol,
        /// Requests with an expired token.
        expired,
        /// Requests whose token would live longer than this server remembers tokens.
        long_lived,
        /// Handshake packets over the rate of their source.
        source_limited,
        /// Handshake packets over the rate of all together.
        total_limited,
        /// Requests whose token did not open, or held nonsense.
        forged_tokens,
        /// Requests with a token for other servers.
        other_server,
        /// Requests and responses of a client that is connected already.
        already_connected,
        /// Requests and responses with a token that another address has, or that is used up.
        reused_tokens,
        /// Requests that could not be remembered: the history of tokens is full.
        history_full,
        /// Requests that found no place among the pending handshakes.
        pending_full,
        /// Responses whose challenge was not this server's, or another client's.
        forged_challenges,

        /// Clients that fell silent. Not datagrams.
        timeouts,
        /// Handshakes that were begun and not finished in time. Not datagrams.
        abandoned,
    }
}
