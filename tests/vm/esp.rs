//! The EFI system partition of a disk image, changed from outside with mtools.

use std::fs;
use std::path::Path;
use std::process::Command;

pub struct Esp {
    /// What mtools call it: the file and where in it the partition begins.
    place: String,
}

impl Esp {
    /// The first partition of the table.
    pub fn of(disk: &Path) -> Self {
        use std::os::unix::fs::FileExt;
        let mut entry = [0; 128];
        // GPT: entries from sector 2 on, the first sector of a partition at byte 32 of its entry (UEFI, 5.3.3).
        fs::File::open(disk).expect("the disk").read_exact_at(&mut entry, 1_024).expect("a partition table");
        let start = u64::from_le_bytes(entry[32..40].try_into().expect("eight bytes")) * 512;
        Self { place: format!("{}@@{start}", disk.display()) }
    }

    /// Puts a program where firmware looks for one that it was not told of, unless there is one.
    pub fn put_loader(&self, program: &Path) {
        let has = |path: &str| {
            let listed = Command::new("mdir").args(["-b", "-i", &self.place, path]).output();
            listed.expect("mtools").status.success()
        };
        if has("::/EFI/BOOT/BOOTX64.EFI") {
            return;
        }
        println!("the installation brought no boot loader: the test puts systemd-boot there");
        for folder in ["::/EFI", "::/EFI/BOOT"] {
            if !has(folder) {
                self.run("mmd", &[folder]);
            }
        }
        self.run("mcopy", &["-o", &program.display().to_string(), "::/EFI/BOOT/BOOTX64.EFI"]);
    }

    fn run(&self, program: &str, args: &[&str]) {
        let output = Command::new(program)
            .args(["-i", &self.place])
            .args(args)
            .env("MTOOLS_SKIP_CHECK", "1")
            .output()
            .expect("mtools");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {error}");
    }
}
