//! What became of everything that arrived: numbers for metrics, in place of log lines that a flood would fill a disk with.

/// Counts since the server was made. Each datagram is counted once in `received`, and once more for what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that were handed in.
    pub received: u64,

    /// Payloads that were passed on.
    pub payloads: u64,
    /// Keep-alives of connected clients.
    pub keep_alives: u64,
    /// Clients that said goodbye.
    pub disconnects: u64,
    /// Challenges sent in answer to a request.
    pub challenges: u64,
    /// Clients that proved their address and were let in.
    pub connects: u64,
    /// Clients that were told that there is no room.
    pub denials: u64,

    /// Had not the shape of a packet that a client may send.
    pub malformed: u64,
    /// Sealed packets from addresses that nobody is known at.
    pub strangers: u64,
    /// Packets that were received before, or are too old to tell.
    pub replays: u64,
    /// Packets that did not open.
    pub forgeries: u64,
    /// Packets of a kind that has no meaning in their sender's state: late parts of a handshake, mostly.
    pub untimely: u64,

    /// Requests of another version of netcode.
    pub other_version: u64,
    /// Requests of another game or generation.
    pub other_protocol: u64,
    /// Requests with an expired token.
    pub expired: u64,
    /// Requests whose token would live longer than this server remembers tokens.
    pub long_lived: u64,
    /// Handshake packets over the rate of their source.
    pub source_limited: u64,
    /// Handshake packets over the rate of all together.
    pub total_limited: u64,
    /// Requests whose token did not open, or held nonsense.
    pub forged_tokens: u64,
    /// Requests with a token for other servers.
    pub other_server: u64,
    /// Requests and responses of a client that is connected already.
    pub already_connected: u64,
    /// Requests and responses with a token that another address has, or that is used up.
    pub reused_tokens: u64,
    /// Requests that could not be remembered: the history of tokens is full.
    pub history_full: u64,
    /// Requests that found no place among the pending handshakes.
    pub pending_full: u64,
    /// Responses whose challenge was not this server's, or another client's.
    pub forged_challenges: u64,

    /// Clients that fell silent. Not datagrams.
    pub timeouts: u64,
    /// Handshakes that were begun and not finished in time. Not datagrams.
    pub abandoned: u64,
}

impl core::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        // Naming every field makes the compiler ask for each new one.
        let Self {
            received,
            payloads,
            keep_alives,
            disconnects,
            challenges,
            connects,
            denials,
            malformed,
            strangers,
            replays,
            forgeries,
            untimely,
            other_version,
            other_protocol,
            expired,
            long_lived,
            source_limited,
            total_limited,
            forged_tokens,
            other_server,
            already_connected,
            reused_tokens,
            history_full,
            pending_full,
            forged_challenges,
            timeouts,
            abandoned,
        } = other;
        self.received += received;
        self.payloads += payloads;
        self.keep_alives += keep_alives;
        self.disconnects += disconnects;
        self.challenges += challenges;
        self.connects += connects;
        self.denials += denials;
        self.malformed += malformed;
        self.strangers += strangers;
        self.replays += replays;
        self.forgeries += forgeries;
        self.untimely += untimely;
        self.other_version += other_version;
        self.other_protocol += other_protocol;
        self.expired += expired;
        self.long_lived += long_lived;
        self.source_limited += source_limited;
        self.total_limited += total_limited;
        self.forged_tokens += forged_tokens;
        self.other_server += other_server;
        self.already_connected += already_connected;
        self.reused_tokens += reused_tokens;
        self.history_full += history_full;
        self.pending_full += pending_full;
        self.forged_challenges += forged_challenges;
        self.timeouts += timeouts;
        self.abandoned += abandoned;
    }
}
