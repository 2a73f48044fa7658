//! Snapshots: one for each stream that has not ended, in the format that is asked for.

use antiphon_core::id::{StreamName, Version};

use super::{StoreUnderTest, opened, stream};
use crate::ledger::{Snapshot, Store as _};

pub fn a_snapshot_of_another_format_is_as_good_as_absent<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    store.append(&chain.event("coordination/a", "coordination.started", "{}"), &[]).unwrap();
    let a = stream("coordination/a");
    let mut snapshot = Snapshot {
        stream: a.clone(),
        version: Version(1),
        format: "1".to_owned(),
        bytes: vec![0, 1, 2],
    };
    assert_eq!(store.load_snapshot(&a, "1").unwrap(), None);
    store.save_snapshots(std::slice::from_ref(&snapshot)).unwrap();
    assert_eq!(store.load_snapshot(&a, "1").unwrap(), Some(snapshot.clone()));
    assert_eq!(store.load_snapshot(&a, "2").unwrap(), None);
    assert_eq!(store.load_snapshot(&StreamName::Ledger, "1").unwrap(), None);

    snapshot.format = "2".to_owned();
    snapshot.bytes = vec![3; 200_000];
    store.save_snapshots(std::slice::from_ref(&snapshot)).unwrap();
    assert_eq!(store.load_snapshot(&a, "1").unwrap(), None);
    assert_eq!(store.load_snapshot(&a, "2").unwrap(), Some(snapshot));
}

pub fn no_snapshot_is_kept_of_what_has_ended<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let of = |name: &str| Snapshot {
        stream: stream(name),
        version: Version(1),
        format: "1".to_owned(),
        bytes: vec![1],
    };
    let turn = chain
        .turn()
        .event("coordination/a", "coordination.started", "{}")
        .event("coordination/b", "coordination.aborted", "{}")
        .head("coordination/b", "aborted", true, "{}");
    store.append(&turn.build(), &[]).unwrap();
    store
        .save_snapshots(&[of("coordination/b"), of("coordination/a"), of("coordination/none")])
        .unwrap();
    let kept = |name: &str| store.load_snapshot(&stream(name), "1").unwrap().is_some();
    assert_eq!(
        [kept("coordination/a"), kept("coordination/b"), kept("coordination/none")],
        [true, false, false]
    );
}
