//! What the next boot takes, and why the last one did not take what it should have.
//!
//! What lives here: reading the order of the menu, what the boot loader gave up and marks of broken deployments. What does
//! not: the mark's making (`plan/bless.rs`), and the order of the menu. Source of the counters: systemd's Automatic Boot Assessment, as the Boot
//! Loader Specification has it: `NAME+LEFT[-DONE].conf`; with none left, a boot loader takes the next entry.

use super::health::not_finalised;
use crate::{DeploymentId, Record, State, plan::spent, target::World};

/// What boots next.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NextBoot {
    /// The deployment.
    pub deployment: DeploymentId,
    /// How it comes to it.
    pub how: NextBootHow,
}

/// How a deployment comes to be the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextBootHow {
    /// It is first in the menu, and it runs (or it is not known what does).
    Menu,
    /// It is first in the menu, and another one runs: a change is queued.
    Queued,
    /// It is staged: it gets into the menu when the running system shuts down.
    Staged,
}

/// A deployment that should have booted, and did not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fallback {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Why not.
    pub reason: String,
}

/// What the next boot takes. `menu` is in the menu's order.
pub(crate) fn next_boot(
    records: &[Record],
    menu: &[&Record],
    running: Option<&DeploymentId>,
) -> Option<NextBoot> {
    let waits = |record: &&Record| record.state == State::Staged && !record.locked && record.broken.is_none();
    let staged = records.iter().filter(waits).max_by_key(|record| (record.order, record.serial));
    if let Some(staged) = staged {
        return Some(NextBoot { deployment: staged.id, how: NextBootHow::Staged });
    }
    let first = menu.first()?;
    let is_other = running.is_some_and(|running| *running != first.id);
    let how = if is_other { NextBootHow::Queued } else { NextBootHow::Menu };
    Some(NextBoot { deployment: first.id, how })
}

/// What should run and does not: what is staged and could not be finalised; else the newest deployment that was passed over
/// for the one that runs: it is marked as broken, or the boot loader has no tries left for it.
pub(crate) fn fallback_of(world: &World, running: Option<&DeploymentId>) -> Option<Fallback> {
    fallback(&world.records, &spent(world), running)
}

fn fallback(
    records: &[Record],
    spent: &[(DeploymentId, String)],
    running: Option<&DeploymentId>,
) -> Option<Fallback> {
    let unfinalised =
        |record: &Record| Some(Fallback { deployment: record.id, reason: not_finalised(record)? });
    if let Some(failed) = records.iter().find_map(unfinalised) {
        return Some(failed);
    }
    let ran = running.and_then(|running| records.iter().find(|record| record.id == *running));
    let newest_first = |record: &&Record| std::cmp::Reverse((record.order, record.serial));
    let mut wanted: Vec<&Record> = records
        .iter()
        .filter(|record| record.state == State::Deployed && Some(&record.id) != running)
        .filter(|record| ran.is_none_or(|ran| (record.order, record.serial) > (ran.order, ran.serial)))
        .collect();
    wanted.sort_by_key(newest_first);
    wanted.into_iter().find_map(|record| {
        let given_up = || spent.iter().find(|(id, _)| *id == record.id).map(|(_, reason)| reason.clone());
        let reason = record.broken.clone().or_else(given_up)?;
        Some(Fallback { deployment: record.id, reason })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    fn numbered(number: u64) -> Record {
        let id = format!("{number:02x}").repeat(64).parse().unwrap();
        Record { id, serial: number, order: number, state: State::Deployed, ..record() }
    }

    #[test]
    fn a_staged_one_is_next_unless_it_is_locked_or_broken() {
        let (old, new) = (numbered(1), Record { state: State::Staged, ..numbered(2) });
        let next = |new: &Record| {
            next_boot(&[new.clone(), old.clone()], &[&old], Some(&old.id))
                .map(|next| (next.deployment, next.how))
        };
        assert_eq!(next(&new), Some((new.id, NextBootHow::Staged)));
        for held in [
            Record { locked: true, ..new.clone() },
            Record { broken: Some("its image is lost".into()), ..new.clone() },
            Record { state: State::Making, ..new.clone() },
        ] {
            assert_eq!(next(&held), Some((old.id, NextBootHow::Menu)));
        }
    }

    #[test]
    fn another_first_in_the_menu_than_what_runs_is_queued() {
        let (old, new) = (numbered(1), numbered(2));
        let how = |running| next_boot(&[], &[&new, &old], running).unwrap().how;
        assert_eq!(how(Some(&old.id)), NextBootHow::Queued);
        assert_eq!(how(Some(&new.id)), NextBootHow::Menu);
        assert_eq!(how(None), NextBootHow::Menu);
        assert_eq!(next_boot(&[], &[], None), None);
    }

    #[test]
    fn what_could_not_be_finalised_is_told_until_it_is() {
        let (old, new) = (numbered(1), numbered(2));
        let staged = Record { state: State::Staged, unfinalised: Some("no space left".into()), ..new };
        let told = fallback(&[staged.clone(), old.clone()], &[], Some(&old.id)).unwrap();
        assert_eq!(
            (told.deployment, told.reason.as_str()),
            (staged.id, "it could not be finalised: no space left")
        );
        // It is tried again at the next shutdown.
        assert_eq!(
            next_boot(&[staged.clone(), old.clone()], &[&old], Some(&old.id)).unwrap().deployment,
            staged.id
        );
        let waits = Record { unfinalised: None, ..staged };
        assert_eq!(fallback(&[waits, old.clone()], &[], Some(&old.id)), None);
    }

    #[test]
    fn what_was_passed_over_is_told_with_the_reason() {
        let (old, new) = (numbered(1), numbered(2));
        let broken = Record { broken: Some("greenboot said no".into()), ..new.clone() };
        let told = fallback(&[broken, old.clone()], &[], Some(&old.id)).unwrap();
        assert_eq!((told.deployment, told.reason.as_str()), (new.id, "greenboot said no"));

        let records = [new.clone(), old.clone()];
        let spent = [(new.id, "the boot loader gave it up after 3 tries".to_owned())];
        let told = fallback(&records, &spent, Some(&old.id)).unwrap();
        assert_eq!(told.reason, "the boot loader gave it up after 3 tries");
        assert_eq!(fallback(&records, &[], Some(&old.id)), None);
        // What is older than what runs was not passed over.
        let broken = Record { broken: Some("long ago".into()), ..old };
        assert_eq!(fallback(&[new.clone(), broken], &[], Some(&new.id)), None);
    }
}
