//! How a stranger becomes a client. The checks stand in the order of the standard, the cheap ones first; two of our own come
//! before the cryptography: the limits on handshakes, and whether the token is known to be another's.

use core::net::SocketAddr;

use zeroize::Zeroize;

use super::peers::Peer;
use super::{Received, Server};
use crate::netcode::address::{AddressKey, is_same_place};
use crate::netcode::crypto::{Key, TAG_BYTES};
use crate::netcode::history::{Binding, TokenTag};
use crate::netcode::limiter::Admission;
use crate::netcode::packet::{CONTROL_BYTES_MAX, Header, Kind, NoRequest, Request, control, read_challenge};
use crate::netcode::private::{CHALLENGE_TOKEN_BYTES, ChallengeToken, PRIVATE_BYTES, PrivateToken};
use crate::netcode::timeout;

/// A handshake is given up after this long even if its token names a longer timeout, or none.
const HANDSHAKE_MS_MAX: u32 = 60_000;

impl Server {
    /// A connection request: is answered with a challenge, with a denial, or not at all.
    pub(super) fn on_request(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        out: &mut impl FnMut(SocketAddr, &[u8]),
    ) {
        let request = match Request::read(datagram, self.protocol_id) {
            Ok(request) => request,
            Err(NoRequest::Shape) => return self.counters.malformed += 1,
            Err(NoRequest::Version) => return self.counters.other_version += 1,
            Err(NoRequest::Protocol) => return self.counters.other_protocol += 1,
        };
        let now_seconds = self.clock.seconds();
        if request.expire_seconds <= now_seconds {
            return self.counters.expired += 1;
        }
        if request.expire_seconds - now_seconds > self.token_seconds_max {
            return self.counters.long_lived += 1;
        }
        let address = AddressKey::new(from);
        if let Some(Peer::Client(_)) = self.peers.find(address) {
            return self.counters.already_connected += 1;
        }
        if !self.admits(address) {
            return;
        }
        let (_, tag) = request.private.split_at(PRIVATE_BYTES - TAG_BYTES);
        let tag: TokenTag = core::array::from_fn(|at| tag[at]);
        if self.history.is_refused(&tag, address) {
            return self.counters.reused_tokens += 1;
        }
        let private =
            PrivateToken::open(&self.key, self.protocol_id, request.expire_seconds, request.nonce, request.private);
        request.private.zeroize();
        let Some(token) = private else { return self.counters.forged_tokens += 1 };
        if !token.addresses.iter().any(|named| self.addresses.iter().any(|own| is_same_place(named, own))) {
            return self.counters.other_server += 1;
        }
        if self.peers.has_client(token.client_id) {
            return self.counters.already_connected += 1;
        }
        match self.history.bind(&tag, address, request.expire_seconds, now_seconds) {
            Binding::Bound => {}
            Binding::Refused => return self.counters.reused_tokens += 1,
            Binding::Full => return self.counters.history_full += 1,
        }
        if self.peers.is_full() {
            return self.deny(from, &token.to_client, out);
        }
        // The standard's limit on a handshake is the token's timeout.
        let timeout_ms = timeout(token.timeout_seconds).map_or(0, |timeout| timeout.as_millis() as u32);
        let lifetime_ms = if timeout_ms == 0 { HANDSHAKE_MS_MAX } else { timeout_ms.min(HANDSHAKE_MS_MAX) };
        if self.peers.pend(address, &token, tag, timeout_ms, self.clock.ms(), lifetime_ms).is_none() {
            return self.counters.pending_full += 1;
        }
        self.challenge(from, &token, out);
    }

    fn challenge(&mut self, to: SocketAddr, token: &PrivateToken, out: &mut impl FnMut(SocketAddr, &[u8])) {
        let sequence = self.challenge_sequence;
        self.challenge_sequence += 1;
        let mut sealed = [0; CHALLENGE_TOKEN_BYTES];
        let challenge = ChallengeToken { client_id: token.client_id, user_data: &token.user_data };
        if !challenge.seal(&self.challenge_key, sequence, &mut sealed) {
            return;
        }
        let mut buffer = [0; CONTROL_BYTES_MAX];
        let body: [&[u8]; 2] = [&sequence.to_le_bytes(), &sealed];
        let global = self.history.next_global_sequence();
        if let Some(packet) = control(&mut buffer, Kind::Challenge, &body, global, &token.to_client, &self.associated) {
            self.counters.challenges += 1;
            out(to, packet);
        }
    }

    fn deny(&mut self, to: SocketAddr, to_client: &Key, out: &mut impl FnMut(SocketAddr, &[u8])) {
        let mut buffer = [0; CONTROL_BYTES_MAX];
        let global = self.history.next_global_sequence();
        if let Some(packet) = control(&mut buffer, Kind::Denied, &[], global, to_client, &self.associated) {
            self.counters.denials += 1;
            out(to, packet);
        }
    }

    /// A response to a challenge, from an address that was challenged: whoever sent it can be reached there.
    pub(super) fn on_response<'a>(
        &mut self,
        from: SocketAddr,
        at: usize,
        header: Header,
        datagram: &'a mut [u8],
        out: &mut impl FnMut(SocketAddr, &[u8]),
    ) -> Received<'a> {
        if !self.admits(AddressKey::new(from)) {
            return Received::Nothing;
        }
        let pending = self.peers.pending(at);
        let Some(body) = header.open(datagram, &pending.to_server, &self.associated) else {
            self.counters.forgeries += 1;
            return Received::Nothing;
        };
        let challenge = read_challenge(body)
            .and_then(|(sequence, token)| ChallengeToken::open(&self.challenge_key, sequence, token))
            // Stricter than the standard: a challenge is good only where its token was shown. Otherwise the bearer of two
            // tokens could connect as one with the keys of the other.
            .filter(|token| token.client_id == pending.client_id && *token.user_data == pending.user_data);
        let Some(challenge) = challenge else {
            self.counters.forged_challenges += 1;
            return Received::Nothing;
        };
        let (address, tag, to_client) = (pending.address, pending.tag, pending.to_client.clone());
        if self.peers.has_client(challenge.client_id) {
            self.counters.already_connected += 1;
            return Received::Nothing;
        }
        if self.peers.is_full() {
            self.deny(from, &to_client, out);
            return Received::Nothing;
        }
        if !self.history.spend(&tag, address) {
            self.peers.forget(at);
            self.counters.reused_tokens += 1;
            return Received::Nothing;
        }
        let Some(slot) = self.peers.connect(at, self.clock.ms()) else { return Received::Nothing };
        self.counters.connects += 1;
        self.keep_alive(slot, out);
        let ChallengeToken { client_id, user_data } = challenge;
        Received::Connected { connection: self.peers.id(slot), client_id, user_data }
    }

    fn admits(&mut self, address: AddressKey) -> bool {
        match self.limiter.admit(address, self.clock.now()) {
            Admission::Admitted => return true,
            Admission::SourceLimited => self.counters.source_limited += 1,
            Admission::TotalLimited => self.counters.total_limited += 1,
        }
        false
    }
}
