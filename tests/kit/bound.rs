//! Systems that bind images, and the images: what `tests/bound_images.rs` and `tests/bundles.rs` deploy.

use super::layer::noise;
use super::registry::{Protection, Registry};
use super::{Image, Layer, Outcome, Sandbox};

pub const PLAIN: &str = "--tls-verify=false";

/// An image to be bound: two layers, of which the upper one hides a file of the lower one.
pub fn app(seed: u64) -> Image {
    let base = Layer::new()
        .dir("bin")
        .dir("etc")
        .file("etc/base", b"base\n")
        .file("etc/gone", b"gone\n")
        .file_with_mode("bin/tool", 0o755, &noise(30_000, 99));
    let top = Layer::new().whiteout("etc/gone").file("etc/app", format!("app {seed}\n").as_bytes());
    Image::new().layer(base).layer(top.file("etc/data", &noise(5_000, seed)))
}

/// A bootable system that binds these: name of the unit, and what it names.
pub fn system(version: &str, bound: &[(&str, &str)]) -> Image {
    let mut layer = Layer::new().dir("usr/share").dir("usr/lib/bootc").dir("usr/lib/bootc/bound-images.d");
    for (unit, reference) in bound {
        let is_image = unit.rsplit('.').next() == Some("image");
        let section = if is_image { "Image" } else { "Container" };
        let text = format!("# of {version}\n[{section}]\nImage={reference}\n");
        layer = layer
            .file(&format!("usr/share/{unit}"), text.as_bytes())
            .symlink(&format!("usr/lib/bootc/bound-images.d/{unit}"), &format!("/usr/share/{unit}"));
    }
    Image::new().layer(Layer::system(version)).layer(layer)
}

/// Pushes an image as `name`; gives its manifest's digest.
pub fn push(sandbox: &Sandbox, registry: &Registry, image: &Image, name: &str) -> String {
    let folder = format!("layout-{}", name.replace(['/', ':'], "-"));
    let digest = image.write(&sandbox.path(&folder));
    registry.push(sandbox, &format!("oci:{folder}:latest"), name, &["--preserve-digests"]);
    digest
}

/// A sysroot `NAME` with a repository and a boot partition.
pub fn machine(sandbox: &Sandbox, name: &str) {
    std::fs::create_dir_all(sandbox.path(name).join("esp")).expect("a folder");
    store(sandbox, name, &["init"]).succeeds();
}

/// The command, on a machine.
pub fn store(sandbox: &Sandbox, machine: &str, args: &[&str]) -> Outcome {
    let repository = sandbox.path(machine).join("composefs");
    let mut command = sandbox.command(args);
    command.env("SEALSTONE_REPO", repository);
    Outcome::of(&mut command)
}

/// The same for a verb that takes `--sysroot`.
pub fn on(sandbox: &Sandbox, machine: &str, args: &[&str]) -> Outcome {
    let sysroot = sandbox.path(machine).display().to_string();
    let mut all = args.to_vec();
    all.extend(["--sysroot", &sysroot]);
    store(sandbox, machine, &all)
}

/// Deploys an image of the repository.
pub fn deploy(sandbox: &Sandbox, machine: &str, image: &str, more: &[&str]) -> Outcome {
    let esp = sandbox.path(machine).join("esp").display().to_string();
    let mut args = vec!["deploy", "--json", image, "--esp", &esp];
    args.extend(more);
    on(sandbox, machine, &args)
}

/// A machine `m` with the image `os`, which binds two images of a registry, one by tag, one by digest.
pub fn setup(test: &str) -> Option<(Sandbox, Registry, [String; 2])> {
    setup_in(Sandbox::new(), test)
}

/// The same in a sandbox with a place for it.
pub fn setup_in(sandbox: Sandbox, test: &str) -> Option<(Sandbox, Registry, [String; 2])> {
    let registry = Registry::start(&sandbox, Protection::default(), test)?;
    let host = registry.host();
    let first = push(&sandbox, &registry, &app(1), "apps/one:1");
    let second = push(&sandbox, &registry, &app(2), "apps/two:1");
    let pinned = format!("{host}/apps/two@{second}");
    let os = system("6.1.0", &[("one.container", &format!("{host}/apps/one:1")), ("two.image", &pinned)]);
    os.write(&sandbox.path("os"));
    machine(&sandbox, "m");
    store(&sandbox, "m", &["import", "--name", "os", "oci:os"]).succeeds();
    Some((sandbox, registry, [first, second]))
}

/// The image stores of the machine's deployments.
pub fn image_stores(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    let states = sandbox.path("m/state/deploy").read_dir().unwrap();
    let mut found: Vec<_> = states.map(|entry| entry.unwrap().path().join("bound")).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}
