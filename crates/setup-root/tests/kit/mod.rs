//! A machine for the initramfs program: a physical root in a folder, with a repository, images and the state of deployments
//! as bootc lays them out; and the program run in a mount namespace of its own.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests, with ordinary files"
)]

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use sealstone_store::{
    Algorithm, InitOptions, ObjectId, Repository, Verity,
    disk::RealDisk,
    erofs,
    tree::{Content, InodeId, Metadata, Timestamp, Tree, XattrSet},
    verity,
};

/// What `/usr/object` of every image holds: too much to be in the image itself.
pub fn large() -> String {
    "the content of an object ".repeat(1000)
}

/// A physical root in `physical/`, and `sysroot/` to mount it on.
pub struct Machine {
    folder: tempfile::TempDir,
    repository: Repository,
}

/// What a script printed, and how it ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Machine {
    /// One with an empty repository, which the kernel guards or does not.
    pub fn new(algorithm: Algorithm, verity: Verity) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["physical", "sysroot", "physical/state", "physical/state/deploy"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::create_dir_all(folder.path().join("physical/state/os/default/var/lib")).unwrap();
        let options = InitOptions { algorithm, verity: Some(verity) };
        let place = folder.path().join("physical/composefs");
        let (repository, _) = Repository::init(&RealDisk::shared(), place, &options).unwrap();
        Self { folder, repository }
    }

    /// An image with this text in `/usr/name`, with its usual folders and these files, named.
    pub fn image(&self, name: &str, files: &[(&str, &str)]) -> ObjectId {
        self.image_with(name, &["etc", "var", "sysroot"], files)
    }

    pub fn image_with(&self, name: &str, folders: &[&str], files: &[(&str, &str)]) -> ObjectId {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        self.image_of(name, folders, &files)
    }

    /// The same with files of any size, which can be run.
    pub fn image_of(&self, name: &str, folders: &[&str], files: &[(&str, &[u8])]) -> ObjectId {
        let transaction = self.repository.transaction().unwrap();
        let metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 9, nsec: 0 } };
        let mut tree = Tree::new(metadata);
        let add_file = |tree: &mut Tree, path: &str, bytes: &[u8]| {
            // As images have it: what is small is in the image itself.
            if bytes.len() <= 64 {
                return add(tree, metadata, path, Content::Inline(bytes));
            }
            let object = transaction.put(bytes).unwrap().id;
            add(tree, metadata, path, Content::External { object, size: bytes.len() as u64 });
        };
        add_file(&mut tree, "usr/object", large().as_bytes());
        add_file(&mut tree, "usr/name", name.as_bytes());
        for folder in folders {
            let inode = folder_of(&mut tree, metadata, folder);
            if *folder == "etc" {
                tree.set_metadata(inode, Metadata { mode: 0o751, uid: 7, gid: 8, ..metadata });
                add_file(&mut tree, "etc/of-image", b"of the image");
            }
        }
        for (path, bytes) in files {
            add_file(&mut tree, path, bytes);
        }
        let image = transaction.put(&erofs::write(&tree).unwrap()).unwrap().id;
        transaction.name_image(image);
        let _ = transaction.commit(()).unwrap();
        image
    }

    /// The state of a deployment, as bootc lays it out.
    pub fn state(&self, id: &str) {
        let state = self.path("physical/state/deploy").join(id);
        fs::create_dir_all(state.join("etc")).unwrap();
        fs::write(state.join("etc/of-state"), id).unwrap();
        symlink("../../os/default/var", state.join("var")).unwrap();
    }

    /// An image and its state.
    pub fn deployment(&self, name: &str) -> ObjectId {
        let image = self.image(name, &[]);
        self.state(&image.to_hex());
        image
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub fn read(&self, relative: &str) -> Option<String> {
        fs::read_to_string(self.path(relative)).ok()
    }

    /// The file of an object.
    pub fn object(&self, id: &ObjectId) -> PathBuf {
        self.path("physical/composefs/objects").join(id.object_path())
    }

    /// The file of the object that every image has.
    pub fn shared_object(&self) -> PathBuf {
        self.object(&verity::digest(self.repository.algorithm(), large().as_bytes()))
    }

    /// Runs a script in a mount namespace whose mounts are shared, as systemd has them: `$S` is the physical root, mounted,
    /// `$P` the program with these arguments behind it for the kernel's command line.
    pub fn run(&self, command_line: &str, script: &str) -> Outcome {
        self.run_with("", command_line, script)
    }

    /// The same with more options of the program.
    pub fn run_with(&self, options: &str, command_line: &str, script: &str) -> Outcome {
        let mut text = String::from("set -e\nmount --make-rshared /\nmount -t tmpfs tmpfs /run\n");
        let (physical, sysroot) = (self.path("physical"), self.path("sysroot"));
        writeln!(text, "S={}", sysroot.display()).unwrap();
        writeln!(text, "mount -o bind {} $S", physical.display()).unwrap();
        writeln!(
            text,
            "boot() {{ {} --sysroot $S --cmdline '{command_line}' {options} \"$@\"; }}",
            program().display()
        )
        .unwrap();
        text.push_str(script);
        let output = Command::new("unshare").args(["-m", "sh", "-c", &text]).output().unwrap();
        let of = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: of(output.stdout),
            stderr: of(output.stderr),
        }
    }
}

impl Outcome {
    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Ends with this code; gives the messages.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self.stderr
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_store-setup-root"))
}

/// Whether mounts can be tested here; says so when not.
pub fn can_mount(test: &str) -> bool {
    let has_unshare = Command::new("unshare").args(["-m", "true"]).output();
    if has_unshare.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("SEALSTONE_VM").is_none(), "the guest can mount");
    println!("skipped {test}: mounting needs root and unshare(1)");
    false
}

/// A machine whose objects the kernel guards, where there is fs-verity. In the guest there has to be.
pub fn guarded(test: &str, algorithm: Algorithm) -> Option<Machine> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("probe"), b"probe").unwrap();
    let probe = fs::File::open(folder.path().join("probe")).unwrap();
    match verity::enable(&probe, Algorithm::Sha256) {
        Ok(()) if can_mount(test) => Some(Machine::new(algorithm, Verity::Required)),
        Ok(()) => None,
        Err(why) => {
            assert!(std::env::var_os("SEALSTONE_VM").is_none(), "the guest has fs-verity: {why}");
            println!("skipped {test}: the file system has no fs-verity: {why}");
            None
        }
    }
}

/// The folder at a path, made with those above it.
fn folder_of(tree: &mut Tree, metadata: Metadata, path: &str) -> InodeId {
    path.split('/').filter(|name| !name.is_empty()).fold(tree.root(), |parent, name| {
        if let Some(found) = tree.lookup(parent, name.as_bytes()) {
            return found;
        }
        let inode = tree.add(metadata, Content::Directory, XattrSet::EMPTY).unwrap();
        tree.link(parent, name.as_bytes(), inode).unwrap();
        inode
    })
}

fn add(tree: &mut Tree, metadata: Metadata, path: &str, content: Content<'_>) {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = folder_of(tree, metadata, folder);
    let inode = tree.add(metadata, content, XattrSet::EMPTY).unwrap();
    tree.link(folder, name.as_bytes(), inode).unwrap();
}
