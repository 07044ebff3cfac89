//! The EFI system partition of a disk image, looked at and changed from outside with mtools.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

pub struct Esp {
    /// What mtools call it: the file and where in it the partition begins.
    place: String,
}

impl Esp {
    /// The first partition of the table.
    pub fn of(disk: &Path) -> Self {
        Self { place: format!("{}@@{}", disk.display(), Self::partition(disk).start) }
    }

    /// Where on the disk it is, in bytes.
    pub fn partition(disk: &Path) -> Range<u64> {
        use std::os::unix::fs::FileExt;
        let mut entry = [0; 128];
        // GPT: entries from sector 2 on, the first and the last sector of a partition at byte 32 of its entry (UEFI, 5.3.3).
        fs::File::open(disk).expect("the disk").read_exact_at(&mut entry, 1_024).expect("a partition table");
        let sector = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
        sector(32) * 512..(sector(40) + 1) * 512
    }

    /// The unified kernel images that were deployed.
    pub fn ukis(&self) -> Vec<String> {
        let listed = self.run("mdir", &["-b", "::/EFI/Linux/bootc"]);
        listed
            .lines()
            .map(str::trim)
            .filter(|name| name.contains("bootc_composefs-"))
            .map(str::to_owned)
            .collect()
    }

    /// Puts a file in the place of another one.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), bytes).expect("a file");
        self.run("mcopy", &["-o", &file.path().display().to_string(), path]);
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(program)
            .args(["-i", &self.place])
            .args(args)
            .env("MTOOLS_SKIP_CHECK", "1")
            .output()
            .expect("mtools");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
