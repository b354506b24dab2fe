//! Contract: what one end seals the other opens; what is changed in any bit, cut short or of another protocol never opens.

use proptest::prelude::*;

use super::*;

const ASSOCIATED_OF: u64 = 42;

fn sealed(kind: Kind, body: &[u8], sequence: u64, key: &Key) -> Vec<u8> {
    let mut packet = vec![0; header_bytes(sequence)];
    packet.extend_from_slice(body);
    packet.extend_from_slice(&[0; TAG_BYTES]);
    assert!(seal(&mut packet, kind, sequence, key, &Associated::new(ASSOCIATED_OF)));
    packet
}

fn opened(packet: &mut [u8], key: &Key, protocol_id: u64) -> Option<(Kind, u64, Vec<u8>)> {
    let header = Header::read(packet)?;
    let body = header.open(packet, key, &Associated::new(protocol_id))?;
    Some((header.kind, header.sequence, body.to_vec()))
}

#[test]
fn a_sequence_takes_as_few_bytes_as_it_can() {
    for (sequence, bytes) in [(0, 1), (255, 1), (256, 2), (1_000, 2), (1 << 40, 6), (1 << 63, 8), (u64::MAX, 8)] {
        assert_eq!(header_bytes(sequence), 1 + bytes, "{sequence}");
    }
}

#[test]
fn every_kind_has_its_lengths_and_no_other() {
    let key = Key::generate().unwrap();
    for kind in [Kind::Denied, Kind::Challenge, Kind::Response, Kind::KeepAlive, Kind::Payload, Kind::Disconnect] {
        let lengths: Vec<usize> = (0..1_300)
            .filter(|bytes| seal(&mut vec![0; 2 + bytes + TAG_BYTES], kind, 1, &key, &Associated::new(1)))
            .collect();
        match kind {
            Kind::Denied | Kind::Disconnect => assert_eq!(lengths, [0]),
            Kind::Challenge | Kind::Response => assert_eq!(lengths, [308]),
            Kind::KeepAlive => assert_eq!(lengths, [8]),
            Kind::Payload => assert_eq!(lengths, (1..=1_200).collect::<Vec<_>>()),
        }
    }
}

#[test]
fn no_bit_of_a_packet_can_be_changed() {
    let key = Key::generate().unwrap();
    let packet = sealed(Kind::Payload, b"eight...", 70_000, &key);
    for bit in 0..packet.len() * 8 {
        let mut changed = packet.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opened(&mut changed, &key, ASSOCIATED_OF), None, "bit {bit}");
    }
}

#[test]
fn no_packet_can_be_cut_short_or_made_longer() {
    let key = Key::generate().unwrap();
    let packet = sealed(Kind::Payload, b"eight...", 70_000, &key);
    for bytes in 0..packet.len() {
        assert_eq!(opened(&mut packet[..bytes].to_vec(), &key, ASSOCIATED_OF), None, "{bytes} bytes");
    }
    let mut longer = packet;
    longer.push(0);
    assert_eq!(opened(&mut longer, &key, ASSOCIATED_OF), None);
}

#[test]
fn a_packet_of_another_protocol_does_not_open() {
    let key = Key::generate().unwrap();
    let packet = sealed(Kind::KeepAlive, &[0; 8], 1, &key);
    assert_eq!(opened(&mut packet.clone(), &key, ASSOCIATED_OF + 1), None);
    assert_eq!(opened(&mut packet.clone(), &key, ASSOCIATED_OF), Some((Kind::KeepAlive, 1, vec![0; 8])));
}

proptest! {
    #[test]
    fn what_is_sealed_opens(sequence in any::<u64>(), shift in 0..64, body in proptest::collection::vec(any::<u8>(), 1..=1_200)) {
        let key = Key::generate().unwrap();
        let sequence = sequence >> shift;
        let mut packet = sealed(Kind::Payload, &body, sequence, &key);
        prop_assert_eq!(packet.len(), header_bytes(sequence) + body.len() + TAG_BYTES);
        prop_assert_eq!(opened(&mut packet, &key, ASSOCIATED_OF), Some((Kind::Payload, sequence, body)));
    }

    #[test]
    fn random_bytes_never_open_and_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..1_400), prefix in any::<u8>()) {
        let key = Key::from_bytes([1; 32]);
        if let Some(first) = bytes.first_mut() {
            *first = prefix;
        }
        prop_assert!(Request::read(&mut bytes.clone(), ASSOCIATED_OF).is_err());
        prop_assert_eq!(opened(&mut bytes, &key, ASSOCIATED_OF), None);
    }
}
