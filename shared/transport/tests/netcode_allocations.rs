//! Contract: once a server is made, no packet makes it allocate: not a client's, not a stranger's, not a handshake's.

use std::sync::Arc;
use std::time::Duration;

use arbiter_transport::netcode::{
    Client, ConnectToken, Key, PACKET_BYTES_MAX, Received, Server, ServerConfig, TokenHistory, TokenRequest,
};

#[test]
fn a_server_allocates_nothing_after_it_was_made() {
    let start = Duration::from_secs(1_700_000_000);
    let (address, from) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
    let key = Key::generate().unwrap();
    let history = Arc::new(TokenHistory::new(1_024).unwrap());
    let config = ServerConfig::new(key.clone(), 1, vec![address], 16, history);
    let mut server = Server::new(config, start).unwrap();
    let mut now = start;
    let mut buffer = [0; PACKET_BYTES_MAX];
    let mut connects = 0;
    for id in 0..200 {
        let request = TokenRequest::new(1, id, &[address]).unwrap();
        let token = ConnectToken::generate(&request, &key, now).unwrap();
        let mut client = Client::new(token, now).unwrap();
        let counted = allocation_counter::measure(|| {
            for step in 0..20 {
                now += Duration::from_millis(10);
                let (mut said, mut bytes) = ([0; PACKET_BYTES_MAX], 0);
                client.update(now, &mut |_, packet| {
                    said[..packet.len()].copy_from_slice(packet);
                    bytes = packet.len();
                });
                if bytes == 0
                    && let Some((_, sealed)) = client.seal(&[step; 200], &mut said)
                {
                    bytes = sealed;
                }
                let (mut answer, mut answer_bytes) = ([0; PACKET_BYTES_MAX], 0);
                let mut out = |_, packet: &[u8]| {
                    answer[..packet.len()].copy_from_slice(packet);
                    answer_bytes = packet.len();
                };
                match server.receive(now, from, &mut said[..bytes], &mut out) {
                    Received::Connected { .. } => connects += 1,
                    Received::Payload { connection, payload } => {
                        assert!(server.seal(connection, payload, &mut buffer, &mut out).is_some());
                    }
                    _ => {}
                }
                // A stranger's junk.
                server.receive(now, address, &mut [5_u8 << 1; 60], &mut |_, _| {});
                server.update(now, &mut |_, _| {}, &mut |_, _| {});
                client.receive(now, address, &mut answer[..answer_bytes]);
            }
            client.disconnect(&mut |_, packet| {
                let bytes = packet.len();
                buffer[..bytes].copy_from_slice(packet);
                server.receive(now, from, &mut buffer[..bytes], &mut |_, _| {});
            });
        });
        assert_eq!(counted.count_total, 0);
    }
    assert_eq!((connects, server.clients()), (200, 0));
}
