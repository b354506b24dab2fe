//! Contract: a connect token and packets of this protocol are written and read as `tests/vectors/connect_token.txt` says, so
//! that whoever writes another client or backend can check it against the same file. Those of the reference implementation,
//! with another protocol id, are in `vectors.rs`.

use std::collections::HashMap;

use arbiter_transport::PROTOCOL_ID;
use arbiter_transport::netcode::packet::{self, Associated, Header, Kind};
use arbiter_transport::netcode::private::PrivateToken;
use arbiter_transport::netcode::{Addresses, CONNECT_TOKEN_BYTES, ConnectToken, Key, TAG_BYTES, USER_DATA_BYTES};

#[path = "../../../tests/vectors/lines.rs"]
mod lines;
use lines::{bytes, hex};

const FILE: &str = include_str!("../../../tests/vectors/connect_token.txt");

/// The fields of the file; lines of the same name are one.
fn fields() -> HashMap<&'static str, String> {
    let mut fields: HashMap<&str, String> = HashMap::new();
    for line in lines::lines(FILE) {
        let (name, value) = line.split_once(' ').expect("name value");
        fields.entry(name).or_default().push_str(value);
    }
    fields
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    bytes(text).try_into().unwrap_or_else(|_| panic!("{N} bytes are expected: {text}"))
}

fn private(fields: &HashMap<&str, String>) -> PrivateToken {
    let mut user_data = [0; USER_DATA_BYTES];
    let said = bytes(&fields["user_data"]);
    user_data[..said.len()].copy_from_slice(&said);
    let addresses: Addresses =
        fields["addresses"].split(' ').map(|address| address.parse().expect("an address")).collect();
    PrivateToken {
        client_id: fields["client_id"].parse().expect("a number"),
        timeout_seconds: fields["timeout_seconds"].parse().expect("a number"),
        addresses,
        to_server: Key::from_bytes(array(&fields["client_to_server_key"])),
        to_client: Key::from_bytes(array(&fields["server_to_client_key"])),
        user_data,
    }
}

fn token(fields: &HashMap<&str, String>) -> ConnectToken {
    let private = private(fields);
    let nonce = array(&fields["nonce"]);
    let expire_seconds = fields["expire_seconds"].parse().expect("a number");
    let key = Key::from_bytes(array(&fields["private_key"]));
    ConnectToken {
        protocol_id: PROTOCOL_ID,
        create_seconds: fields["create_seconds"].parse().expect("a number"),
        expire_seconds,
        nonce,
        private: private.seal(&key, PROTOCOL_ID, expire_seconds, &nonce),
        timeout_seconds: private.timeout_seconds,
        addresses: private.addresses,
        to_server: private.to_server,
        to_client: private.to_client,
    }
}

/// The token as it stands in the file, which leaves out the zeros at its end.
fn bytes_of_token(fields: &HashMap<&str, String>) -> Vec<u8> {
    let mut token = bytes(&fields["token"]);
    token.resize(CONNECT_TOKEN_BYTES, 0);
    token
}

#[test]
fn a_token_of_this_protocol_is_written_and_read_as_the_vector_says() {
    let fields = fields();
    assert_eq!(fields["protocol_id"], format!("{PROTOCOL_ID:016x}"));
    assert_eq!(hex(&token(&fields).to_bytes()[..]), hex(&bytes_of_token(&fields)));
    let read = ConnectToken::from_bytes(&bytes_of_token(&fields)).expect("a token");
    let opened = read.open_private(&Key::from_bytes(array(&fields["private_key"]))).expect("the key fits");
    let said = private(&fields);
    assert_eq!((opened.client_id, opened.timeout_seconds), (said.client_id, said.timeout_seconds));
    assert_eq!((opened.addresses, opened.user_data), (said.addresses, said.user_data));
}

#[test]
fn a_request_of_this_protocol_is_written_as_the_vector_says() {
    let fields = fields();
    let token = token(&fields);
    let mut request = [0; packet::REQUEST_BYTES];
    packet::write_request(&mut request, PROTOCOL_ID, token.expire_seconds, &token.nonce, &token.private);
    // Everything behind the head stands in the token.
    assert_eq!(hex(&request[..54]), fields["request_head"]);
    assert_eq!(request[54..], token.private[..]);
}

#[test]
fn packets_of_this_protocol_are_written_and_read_as_the_vectors_say() {
    let fields = fields();
    let associated = Associated::new(PROTOCOL_ID);
    for (end, key) in [("client", "client_to_server_key"), ("server", "server_to_client_key")] {
        let field = |what: &str| &fields[&*format!("{end}_{what}")];
        let key = Key::from_bytes(array(&fields[key]));
        let (sequence, payload) = (field("sequence").parse().expect("a number"), bytes(field("payload")));
        let header = packet::header_bytes(sequence);
        let mut written = vec![0; header + payload.len() + TAG_BYTES];
        written[header..header + payload.len()].copy_from_slice(&payload);
        assert!(packet::seal(&mut written, Kind::Payload, sequence, &key, &associated));
        assert_eq!(hex(&written), *field("packet"), "{end}");

        let mut packet = bytes(field("packet"));
        let header = Header::read(&packet).expect("a header");
        assert_eq!((header.kind, header.sequence), (Kind::Payload, sequence));
        assert_eq!(hex(header.open(&mut packet, &key, &associated).expect("authentic")), hex(&payload));
    }
}
