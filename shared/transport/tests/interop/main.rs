//! Contract: our client talks to the server of `netcode-official` 1.0.0, and its client to our server, over real sockets, on
//! IPv4 and IPv6. It is by the authors of the standard and written apart from ours.
//!
//! Its ends own their sockets and read the wall clock for the expiry of tokens; timeouts run on the time passed in, so that
//! nothing here waits for them.

mod ends;
mod our_client_with_their_server;
mod their_client_with_our_server;
