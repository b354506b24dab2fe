//! renetcode with its clients: what the transport stood on before.

use std::net::SocketAddr;
use std::time::Duration;

use renetcode::ServerResult;
use renetcode::{ClientAuthentication, ConnectToken, NetcodeClient, NetcodeServer, ServerAuthentication, ServerConfig};

use crate::ours::server_address;
use crate::subject::Peer;
use crate::{PAYLOAD_BYTES, START, TICK};

pub struct Renet {
    server: NetcodeServer,
    clients: Vec<NetcodeClient>,
}

impl Renet {
    pub fn new(addresses: &[SocketAddr]) -> Self {
        let key = [9; 32];
        let mut server = NetcodeServer::new(ServerConfig {
            current_time: START,
            max_clients: addresses.len(),
            protocol_id: 1,
            public_addresses: vec![server_address()],
            authentication: ServerAuthentication::Secure { private_key: key },
        });
        let mut clients = Vec::new();
        for (number, from) in addresses.iter().enumerate() {
            let connect_token =
                ConnectToken::generate(START, 1, 30, number as u64, 15, vec![server_address()], None, &key)
                    .expect("one address is allowed");
            let mut client =
                NetcodeClient::new(START, ClientAuthentication::Secure { connect_token }).expect("the token is sound");
            for _ in 0..4 {
                let Some((packet, _)) = client.update(Duration::from_millis(250)) else { continue };
                if let ServerResult::PacketToSend { payload, .. } | ServerResult::ClientConnected { payload, .. } =
                    server.process_packet(*from, packet)
                {
                    client.process_packet(payload);
                }
            }
            assert!(client.is_connected(), "nothing is lost here");
            clients.push(client);
        }
        Self { server, clients }
    }
}

impl Peer for Renet {
    fn tick(&mut self) {
        self.server.update(TICK);
    }

    fn say(&mut self, client: usize, packet: &mut [u8]) -> usize {
        let (_, sealed) = self.clients[client].generate_payload_packet(&[3; PAYLOAD_BYTES]).expect("connected");
        packet[..sealed.len()].copy_from_slice(sealed);
        sealed.len()
    }

    fn open(&mut self, from: SocketAddr, packet: &mut [u8]) -> bool {
        let received = self.server.process_packet(from, packet);
        matches!(received, ServerResult::Payload { payload, .. } if payload.len() == PAYLOAD_BYTES)
    }

    fn seal(&mut self, client: usize, out: &mut impl FnMut(SocketAddr, &[u8])) {
        if let Ok((to, packet)) = self.server.generate_payload_packet(client as u64, &[3; PAYLOAD_BYTES]) {
            out(to, packet);
        }
    }
}
