//! Giving out blocks, one after the other, and writing to those of a file.

use super::{Writer, no_space};
use crate::{
    DeployError,
    install::ext4::{
        extents::Run,
        format::{BLOCK, GROUP_BLOCKS},
    },
};

impl Writer<'_> {
    /// Gives out at most so many adjacent blocks.
    pub(super) fn take(&mut self, wanted: u64) -> Result<(u64, u16), DeployError> {
        let mut group = self.next / GROUP_BLOCKS;
        if self.next >= self.geometry.end(group) {
            group += 1;
        }
        self.next = self.next.max(self.geometry.data(group));
        if group >= self.geometry.groups {
            return Err(no_space(self.root));
        }
        let count = wanted.min(self.geometry.end(group) - self.next);
        let first = self.next;
        self.next += count;
        // Less than a group's blocks.
        Ok((first, u16::try_from(count).unwrap_or(u16::MAX)))
    }

    /// Gives out blocks for a part of a file, and adds their runs.
    pub(super) fn place(
        &mut self,
        runs: &mut Vec<Run>,
        mut logical: u64,
        mut blocks: u64,
    ) -> Result<(), DeployError> {
        while blocks > 0 {
            let (physical, count) = self.take(blocks.min(GROUP_BLOCKS - 1))?;
            let adjacent = runs.last_mut().filter(|last| {
                last.logical + u64::from(last.blocks) == logical
                    && last.physical + u64::from(last.blocks) == physical
                    && u64::from(last.blocks) + u64::from(count) < GROUP_BLOCKS
            });
            match adjacent {
                Some(last) => last.blocks += count,
                None => runs.push(Run { logical, physical, blocks: count }),
            }
            logical += u64::from(count);
            blocks -= u64::from(count);
        }
        Ok(())
    }

    /// Writes bytes of a file from a block of it on.
    pub(super) fn put(&self, runs: &[Run], mut logical: u64, mut bytes: &[u8]) -> Result<(), DeployError> {
        while !bytes.is_empty() {
            let behind = runs.partition_point(|run| run.logical <= logical);
            let run = behind.checked_sub(1).and_then(|index| runs.get(index));
            let skipped = run.map_or(0, |run| logical - run.logical);
            let Some(run) = run.filter(|run| skipped < u64::from(run.blocks)) else {
                return Err(no_space(self.root));
            };
            let room =
                usize::try_from((u64::from(run.blocks) - skipped) * BLOCK as u64).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.area.write((run.physical + skipped) * BLOCK as u64, now)?;
            logical += now.len().div_ceil(BLOCK) as u64;
            bytes = rest;
        }
        Ok(())
    }
}
