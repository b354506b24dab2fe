//! renetcode with its clients: what the transport stood on before.

use std::net::SocketAddr;
use std::time::Duration;

use renetcode::ServerResult;
use renetcode::{ClientAuthentication, ConnectToken, NetcodeClient, NetcodeServer, ServerAuthentication, ServerConfig};

use crate::ours::{address, server_address};
use crate::{PACKETS, PAYLOAD_BYTES, START, Subject};

const STRIDE: usize = 256;
const TICK: Duration = Duration::from_millis(16);

pub struct Renet {
    server: NetcodeServer,
    clients: Vec<NetcodeClient>,
    addresses: Vec<SocketAddr>,
    batch: Vec<u8>,
    packets: Vec<(SocketAddr, usize)>,
    targets: Vec<u64>,
}

impl Renet {
    pub fn new(clients: usize) -> Self {
        let key = [9; 32];
        let mut server = NetcodeServer::new(ServerConfig {
            current_time: START,
            max_clients: clients,
            protocol_id: 1,
            public_addresses: vec![server_address()],
            authentication: ServerAuthentication::Secure { private_key: key },
        });
        let addresses: Vec<SocketAddr> = (0..clients).map(address).collect();
        let mut all = Vec::new();
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
            all.push(client);
        }
        let (packets, targets) = (Vec::with_capacity(PACKETS), Vec::with_capacity(PACKETS));
        Self { server, clients: all, addresses, batch: vec![0; PACKETS * STRIDE], packets, targets }
    }
}

impl Subject for Renet {
    fn prepare(&mut self, order: &[usize]) {
        self.server.update(TICK);
        self.packets.clear();
        self.targets.clear();
        self.targets.extend(order.iter().map(|client| *client as u64));
        for (at, client) in order.iter().enumerate() {
            let (_, sealed) = self.clients[*client].generate_payload_packet(&[3; PAYLOAD_BYTES]).expect("connected");
            self.batch[at * STRIDE..][..sealed.len()].copy_from_slice(sealed);
            self.packets.push((self.addresses[*client], sealed.len()));
        }
    }

    fn open(&mut self) -> usize {
        let mut opened = 0;
        for ((from, bytes), packet) in self.packets.iter().zip(self.batch.chunks_exact_mut(STRIDE)) {
            if let ServerResult::Payload { payload, .. } = self.server.process_packet(*from, &mut packet[..*bytes]) {
                opened += usize::from(payload.len() == PAYLOAD_BYTES);
            }
        }
        opened
    }

    fn seal(&mut self) -> usize {
        let mut sealed = 0;
        for client in &self.targets {
            let packet = self.server.generate_payload_packet(*client, &[3; PAYLOAD_BYTES]);
            sealed += usize::from(std::hint::black_box(packet).is_ok());
        }
        sealed
    }
}
