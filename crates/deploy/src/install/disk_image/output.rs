//! [`DiskOutput`]: takes an artifact's bytes, reads the image in them, and ends with its partition table.

use std::sync::Arc;

use sealstone_import::{
    ImportError,
    artifact::{ArtifactOutput, Fetched},
    disk_image::{DecodeDisk, DiskDecoder, DiskFormat, DiskSink},
};

use super::{WrittenDisk, writer::DiskWriter};
use crate::{
    DeployError,
    install::{CONFIG_DRIVE, ConfigDrive, PartitionTable},
};

pub(super) struct DiskOutput {
    writer: DiskWriter,
    decoder: DiskDecoder,
    name: String,
    sector_bytes: Option<u32>,
    config_drive: Option<Arc<ConfigDrive>>,
    disk_bytes: u64,
    table: Option<PartitionTable>,
    /// What is wrong with the image: told when it is known that the bytes are those that were promised, so that a damaged
    /// blob is told as one.
    fault: Option<ImportError>,
    /// Why the end could not be made, which is no import's error.
    refused: Option<DeployError>,
}

impl DiskOutput {
    pub(super) fn new(
        writer: DiskWriter,
        name: &str,
        decode: DecodeDisk,
        sector_bytes: Option<u32>,
        config_drive: Option<Arc<ConfigDrive>>,
    ) -> Self {
        Self {
            writer,
            decoder: DiskDecoder::new(name, decode),
            name: name.to_owned(),
            sector_bytes,
            config_drive,
            disk_bytes: 0,
            table: None,
            fault: None,
            refused: None,
        }
    }

    /// Why the image cannot be on a disk, if that was it.
    pub(super) const fn take_refusal(&mut self) -> Option<DeployError> {
        self.refused.take()
    }

    pub(super) fn written(mut self, fetched: Fetched) -> Result<WrittenDisk, DeployError> {
        let target_bytes = self.writer.disk_bytes();
        let written_bytes = self.writer.written();
        let format = self.decoder.format().unwrap_or(DiskFormat::Raw);
        let Some(table) = self.table.take() else {
            return Err(unfit(&self.name, "it has no partition table"));
        };
        let disk_bytes = self.disk_bytes;
        Ok(WrittenDisk { fetched, format, disk_bytes, target_bytes, written_bytes, table })
    }

    /// The table of what came, made right for the disk that it is on; gives what belongs at its end.
    fn settle(&mut self) -> Result<Option<(u64, Vec<u8>)>, DeployError> {
        let name = self.name.clone();
        let unfit = |reason: String| unfit(&name, &reason);
        let mut table = PartitionTable::read(self.writer.head()).map_err(unfit)?;
        if let (Some(device), Some(image)) = (self.sector_bytes, table.sector_bytes)
            && device != image
        {
            let reason =
                format!("its partition table is for sectors of {image} bytes, and the disk has {device}");
            return Err(unfit(reason));
        }
        if table.partitions.is_empty() {
            return Err(unfit("its partition table is empty".to_owned()));
        }
        if let Some(drive) = &self.config_drive {
            self.writer.make_room(drive.bytes());
            let disk_bytes = self.writer.disk_bytes();
            let mut at =
                table.add(CONFIG_DRIVE, drive.bytes(), disk_bytes, self.writer.head()).map_err(unfit)?;
            drive.stream(|bytes| {
                self.writer.write(at, bytes)?;
                at += bytes.len() as u64;
                Ok(())
            })?;
        }
        let tail = table.reach_to(self.writer.disk_bytes(), self.writer.head()).map_err(unfit)?;
        self.table = Some(table);
        Ok(tail)
    }
}

impl ArtifactOutput for DiskOutput {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        if self.fault.is_some() {
            return Ok(());
        }
        match self.decoder.take(bytes, &mut self.writer) {
            Err(error @ ImportError::Malformed { .. }) => {
                self.fault = Some(error);
                Ok(())
            }
            other => other,
        }
    }

    fn finish(&mut self) -> Result<(), ImportError> {
        let result = match self.fault.take() {
            Some(fault) => Err(fault),
            None => self.decoder.finish(&mut self.writer),
        };
        let settled = result.and_then(|disk_bytes| {
            self.disk_bytes = disk_bytes;
            self.settle().map_err(|error| {
                let reason = error.to_string();
                self.refused = Some(error);
                ImportError::Unsupported { what: self.name.clone(), reason }
            })
        });
        match settled {
            Ok(tail) => self.writer.finish(tail.as_ref().map(|(offset, bytes)| (*offset, bytes.as_slice()))),
            Err(error) => {
                self.writer.discard();
                Err(error)
            }
        }
    }

    fn keep(&mut self) {
        self.writer.discard();
    }

    fn discard(&mut self) {
        self.writer.discard();
    }
}

fn unfit(name: &str, reason: &str) -> DeployError {
    DeployError::Unfit { profile: "a whole disk", reason: format!("{name}: {reason}") }
}
