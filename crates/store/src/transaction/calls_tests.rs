//! Transactions: what an object costs in calls, and which look-ups are spared.

use super::tests::{names, recorded};
use crate::{Algorithm, Error, fixture::Fixture, verity};

/// Contents whose ids share the first byte, so that they are in one folder.
fn of_one_folder<const N: usize>() -> [Vec<u8>; N] {
    let byte = |content: &[u8]| verity::digest(Algorithm::Sha256, content).as_bytes()[0];
    let folder = byte(b"0");
    let mut contents = (0_u32..1_000_000).map(|i| i.to_string().into_bytes());
    std::array::from_fn(|_| contents.find(|content| byte(content) == folder).unwrap())
}

#[test]
fn an_object_costs_four_calls_when_it_is_new_one_more_in_an_old_folder_and_one_when_it_is_there() {
    let fixture = Fixture::new();
    let (repository, recording) = recorded(&fixture);
    let transaction = repository.transaction().unwrap();
    let [first, second, third, fourth] = of_one_folder();
    assert!(transaction.put(&first).unwrap().is_new);
    recording.clear();
    assert!(transaction.put(&second).unwrap().is_new);
    // And the close, which no disk sees.
    assert_eq!(names(&recording), ["CreateTemp", "Write", "LinkFile"], "the transaction made the folder");
    recording.clear();
    assert!(!transaction.put(&second).unwrap().is_new);
    assert!(recording.log().is_empty(), "known in this transaction");
    let _ = transaction.commit(()).unwrap();
    let again = repository.transaction().unwrap();
    recording.clear();
    assert!(!again.put(&second).unwrap().is_new);
    assert_eq!(names(&recording), ["Metadata"]);
    assert_eq!(again.stats().reused_bytes, second.len() as u64);
    // The first new one of a transaction makes its mark.
    assert!(again.put(&third).unwrap().is_new);
    recording.clear();
    assert!(again.put(&fourth).unwrap().is_new);
    assert_eq!(names(&recording), ["Metadata", "CreateTemp", "Write", "LinkFile"]);
}

#[test]
fn what_others_put_into_a_folder_that_we_made_is_reused_or_refused_never_replaced() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let transaction = repository.transaction().unwrap();
    let [first, second, third] = of_one_folder();
    assert!(transaction.put(&first).unwrap().is_new);
    let other = repository.transaction().unwrap();
    let theirs = other.put(&second).unwrap();
    let _ = other.commit(()).unwrap();
    assert!(theirs.is_new && !transaction.put(&second).unwrap().is_new);
    assert_eq!((transaction.stats().new_objects, transaction.stats().reused_objects), (1, 1));
    // Not the object's size: no import put it there.
    let place = fixture.object(&verity::digest(Algorithm::Sha256, &third));
    std::fs::write(&place, b"something else").unwrap();
    assert!(matches!(transaction.put(&third), Err(Error::Corrupt { .. })));
    assert_eq!(std::fs::read(&place).unwrap(), b"something else");
}
