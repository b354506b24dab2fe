//! Power fails at every write while payments are heard: what was answered is so, and what was not is repeated and done once.

use arbiter_economy::Economy;
use arbiter_economy::payments::{Notification, PaymentState};
use arbiter_eventlog::simulated::{Dice, Faults, SimulatedDisk};
use arbiter_ledger::{Account, Balance};

use super::payments::{begin, catalogue, of, opened, provider, says};
use super::{House, NOW, options};

/// Of three payments: what is heard, as badly ordered as providers are.
const HEARD: [(usize, &str); 8] = [
    (0, "paid"),
    (1, "refunded"),
    (0, "paid"),
    (2, "failed"),
    (1, "paid"),
    (2, "paid"),
    (0, "charged back"),
    (2, "refunded"),
];

/// An economy in which three payments were begun, and what is heard of them.
fn begun() -> (House, SimulatedDisk, Vec<u128>, Vec<Notification>) {
    let (mut economy, disk) = opened();
    let payments: Vec<u128> = [(1, "gems.100"), (1, "starter"), (2, "crown")]
        .iter()
        .zip(1_u128..)
        .map(|((player, product), number)| begin(&mut economy, *player, number, product))
        .collect();
    let heard = HEARD.iter().map(|(payment, what)| says(&economy, payments[*payment], what)).collect();
    (economy, disk, payments, heard)
}

/// Does what a notification says; whether that is on disk.
fn answered(economy: &mut House, notification: &Notification) -> bool {
    let told = economy.notify(&catalogue(), &provider(), notification, true, NOW);
    told.is_ok() && economy.commit().is_ok()
}

type Seen = (Vec<(Account, Balance)>, Vec<(PaymentState, bool)>);

fn seen(economy: &House, payments: &[u128]) -> Seen {
    let ledger = economy.ledger().expect("settled");
    ledger.audit().expect("every asset sums to zero");
    let accounts = ledger.accounts().map(|(account, balance)| (account.clone(), *balance)).collect();
    let state = |payment: &u128| (of(economy, *payment).state(NOW), of(economy, *payment).delivered);
    (accounts, payments.iter().map(state).collect())
}

#[test]
fn power_may_fail_at_every_write_of_a_payment() {
    let (mut economy, disk, payments, heard) = begun();
    disk.set_faults(Faults::default());
    assert!(heard.iter().all(|notification| answered(&mut economy, notification)));
    let (orderly, writes) = (seen(&economy, &payments), disk.operations());
    assert!(writes > 2 * 7, "each notification that does something is written: {writes}");
    for power_loss_at in 0..writes {
        let (mut economy, disk, payments, heard) = begun();
        disk.set_faults(Faults { power_loss_at: Some(power_loss_at), ..Faults::default() });
        let taken = heard.iter().take_while(|notification| answered(&mut economy, notification)).count();
        drop(economy);
        disk.restart(&mut Dice::new(power_loss_at));
        disk.set_faults(Faults::default());
        let (mut economy, _) = Economy::open_in(&disk, options()).expect("it opens");
        for notification in &heard[..taken] {
            let told = economy.notify(&catalogue(), &provider(), notification, true, NOW).expect("it is taken");
            assert_eq!(told.after, economy.acknowledged(), "what was answered is so: {notification:?}");
        }
        assert!(heard[taken..].iter().all(|notification| answered(&mut economy, notification)));
        assert_eq!(seen(&economy, &payments), orderly, "power failed at write {power_loss_at}");
    }
}
