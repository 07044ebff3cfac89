//! The room of a plan: what boot partitions and the sysroot need, have and get back, and what goes early for it.
//!
//! What lives here: counting, and the choice of what makes room. What does not: the removal (`order.rs`), what may stay by
//! policy (`retention.rs`). Invariant (D9 (6)): room is counted before anything is written.

use sealstone_boot::BootDigest;

use super::{
    Room,
    boot_steps::{kernels_to_remove, kernels_to_write, ukis_to_remove},
    planner::{Gone, Planner},
};
use crate::{DeployError, Record, entries::menu, retention::oldest};

impl Planner<'_> {
    /// How many bytes the fullest boot partition is short of having `free` left in the end; `early` says that only what
    /// goes early counts.
    pub(super) fn shortage(&self, free: u64, early: bool) -> Result<u64, DeployError> {
        let mut shortage = 0;
        for number in 0..self.target.esps.len() {
            // One that fails has no room to keep, and gets nothing.
            if !self.world.is_usable(number) {
                continue;
            }
            let room = self.esp_room(number, early)?;
            shortage = shortage.max((room.needed + free).saturating_sub(room.free + room.freed));
        }
        Ok(shortage)
    }

    /// What a boot partition needs, has, and gets back.
    fn esp_room(&self, number: usize, early: bool) -> Result<Room, DeployError> {
        let Some(esp) = self.target.esps.get(number) else { return Err(DeployError::Changed) };
        if !self.world.is_usable(number) {
            let (needed, free, freed) = (0, 0, 0);
            return Ok(Room::of_bytes(esp.name(), needed, free, freed));
        }
        // What replaces something is there twice for a moment.
        let mut needed = self.loader.get(number).map_or(0, |writes| writes.needed);
        for record in kernels_to_write(self.target, &self.world, number, &self.after)? {
            needed += esp.bytes_needed_for(&record.kernel.files())?;
        }
        let mut freed = 0;
        for kernel in self.kernels_that_go(number, early) {
            freed += esp.kernel_bytes(&kernel)?;
        }
        for uki in self.ukis_that_go(number, early) {
            freed += esp.uki_bytes(&uki)?;
        }
        let free = esp.space()?.available;
        Ok(Room::of_bytes(esp.name(), needed, free, freed))
    }

    /// The kernels that nobody needs, once what goes (early) is gone.
    pub(super) fn kernels_that_go(&self, esp: usize, early: bool) -> Vec<BootDigest> {
        let goes = |gone: &&Gone| !early || gone.is_early;
        let owned = self.gone.iter().filter(goes).map(|gone| gone.record.kernel.sizes.digest).collect();
        kernels_to_remove(&self.world, esp, &self.stays(early), &owned)
    }

    /// The unified kernel images that nobody needs, once what goes (early) is gone.
    pub(super) fn ukis_that_go(&self, esp: usize, early: bool) -> Vec<String> {
        let goes = |gone: &&Gone| !early || gone.is_early;
        let gone = self.gone.iter().filter(goes).map(|gone| &gone.record);
        ukis_to_remove(&self.world, esp, &self.stays(early), gone)
    }

    /// The records that stay, once what goes (early) is gone.
    fn stays(&self, early: bool) -> Vec<Record> {
        let mut stays = self.after.clone();
        if early {
            stays.extend(self.gone.iter().filter(|gone| !gone.is_early).map(|gone| gone.record.clone()));
        }
        stays
    }

    /// Lets go early what is needed to make room, the oldest first: of what goes anyway, then of the rest. What boots
    /// until the new deployment is whole is not touched.
    pub(super) fn make_room(&mut self) -> Result<bool, DeployError> {
        if self.target.esps.is_empty() || !self.is_short_without_removals()? {
            return Ok(false);
        }
        let mut protected = self.protected();
        protected.extend(menu(&self.before).first().map(|record| record.id));
        while self.shortage(0, true)? > 0 {
            let mut going: Vec<&mut Gone> = self
                .gone
                .iter_mut()
                .filter(|gone| !gone.is_early && !protected.contains(&gone.record.id))
                .collect();
            going.sort_by_key(|gone| (gone.record.order, gone.record.serial));
            if let Some(gone) = going.into_iter().next() {
                gone.is_early = true;
                continue;
            }
            let next = if self.make_room { oldest(&menu(&self.after), &protected) } else { None };
            let Some(id) = next.map(|record| record.id) else { break };
            self.remove(&id, "the boot partition needs its room");
            if let Some(gone) = self.gone.last_mut() {
                gone.is_early = true;
            }
        }
        Ok(true)
    }

    fn is_short_without_removals(&self) -> Result<bool, DeployError> {
        for number in 0..self.target.esps.len() {
            let room = self.esp_room(number, true)?;
            if room.needed > room.free {
                return Ok(true);
            }
        }
        Ok(false)
    }
    pub(super) fn rooms(&mut self) -> Result<(), DeployError> {
        let space = self.target.sysroot.dir().space()?;
        let (needed, inodes_needed) = self.needed;
        self.plan.room.push(Room {
            place: self.target.sysroot.dir().label().display().to_string(),
            guessed: self.guessed,
            inodes_needed,
            inodes_free: space.free_inodes,
            ..Room::of_bytes(String::new(), needed, space.available, 0)
        });
        for number in 0..self.target.esps.len() {
            let room = self.esp_room(number, true)?;
            self.plan.room.push(room);
        }
        Ok(())
    }
}
