//! bootc's rules of bound images, one by one.

use sealstone_store::Repository;

use super::*;
use crate::{
    image_tree::image_tree,
    merge,
    testing::{Entry, Machine, System, dir, file, layer, symlink},
};

const D: &str = "usr/lib/bootc/bound-images.d";
const Q: &str = "usr/share/containers/systemd";

fn repository() -> (Machine, Repository) {
    let machine = Machine::new();
    let repository = machine.target().repository;
    (machine, repository)
}

/// What the links bind: `unit reference`, or `unit! reason`.
fn bound(entries: &[Entry]) -> Vec<String> {
    let (_machine, repository) = repository();
    let tree = merge(&[&layer(entries)]).unwrap();
    let units = bound_units(&repository, &tree).unwrap();
    let line = |unit| match unit {
        Ok(BoundRef { unit, reference, .. }) => format!("{unit} {reference}"),
        Err(UnitFault { unit, reason }) => format!("{unit}! {reason}"),
    };
    units.into_iter().map(line).collect()
}

fn link(name: &str, target: &str) -> Entry {
    symlink(&format!("{D}/{name}"), target)
}

fn container(image: &str) -> String {
    format!("[Container]\nImage={image}\n")
}

fn image(image: &str) -> String {
    format!("[Image]\nImage={image}\n")
}

#[test]
fn an_image_without_the_folder_binds_nothing() {
    assert!(bound(&[dir("usr", 0o755)]).is_empty());
    assert!(bound(&[dir(D, 0o755)]).is_empty());
    assert_eq!(bound(&[file(D, "")]), [format!("/{D}! it is no folder")]);
}

#[test]
fn links_are_followed_inside_the_image_absolute_ones_as_well() {
    let entries = [
        file(&format!("{Q}/app.container"), &container("q.io/a:1")),
        file(&format!("{Q}/tool.image"), &image("q.io/t:1")),
        link("absolute.container", &format!("/{Q}/app.container")),
        link("relative.image", "../../../share/containers/systemd/tool.image"),
        symlink("usr/chain", &format!("../{Q}/app.container")),
        link("chain.container", "/usr/chain"),
        symlink("q", Q),
        link("through.container", "/q/app.container"),
        link("over-the-top.container", &format!("../../../../../../../../{Q}/app.container")),
    ];
    assert_eq!(
        bound(&entries),
        [
            "absolute.container q.io/a:1",
            "chain.container q.io/a:1",
            "over-the-top.container q.io/a:1",
            "relative.image q.io/t:1",
            "through.container q.io/a:1",
        ]
    );
}

#[test]
fn the_links_name_decides_how_the_file_is_read() {
    let entries = [
        file("usr/unit", "[Container]\nImage=q.io/c:1\n[Image]\nImage=q.io/i:1\n"),
        link("a.container", "/usr/unit"),
        link("b.image", "/usr/unit"),
        link("c.kube", "/usr/unit"),
        link("d", "/usr/unit"),
        link(".image", "/usr/unit"),
        link("e.IMAGE", "/usr/unit"),
    ];
    let ending = "its name ends with neither .image nor .container";
    assert_eq!(
        bound(&entries),
        [
            format!(".image! {ending}"),
            "a.container q.io/c:1".to_owned(),
            "b.image q.io/i:1".to_owned(),
            format!("c.kube! {ending}"),
            format!("d! {ending}"),
            format!("e.IMAGE! {ending}"),
        ]
    );
}

#[test]
fn what_is_no_link_or_leads_nowhere_is_told_by_unit() {
    let entries = [
        file(&format!("{D}/file.image"), &image("q.io/a:1")),
        dir(&format!("{D}/folder.image"), 0o755),
        link("dangling.image", "/usr/gone"),
        link("host.image", "/etc/passwd"),
        link("loop.image", "loop.image"),
        dir("usr/dir", 0o755),
        link("to-dir.image", "/usr/dir"),
    ];
    assert_eq!(
        bound(&entries),
        [
            "dangling.image! it leads to /usr/gone, which is not there",
            "file.image! it is not a symlink",
            "folder.image! it is not a symlink",
            "host.image! it leads to /etc/passwd, which is not there",
            "loop.image! its links lead in a circle",
            "to-dir.image! it leads to /usr/dir, which is no file",
        ]
    );
}

#[test]
fn credentials_specifiers_and_missing_fields_are_refused() {
    let units = [
        ("auth.image", "[Image]\nImage=q.io/a\nAuthFile=/x\n"),
        ("auth2.image", "[Image]\nImage=q.io/a\nAuthFile=\n"),
        ("b.container", "[Container]\nImage=q.io/a\nAuthFile=/x\n"),
        ("c.container", "[Image]\nImage=q.io/a\n"),
        ("d.image", "[Image]\nImage=\n"),
        ("e.image", "[Image]\nImage=q.io/a:%v\n"),
        ("f.image", "[Image]\nImage=q.io/a:%%v%%\n"),
        ("g.image", "[Image]\nImage=q.io/a:1%\n"),
        ("h.image", "no unit"),
    ];
    let mut entries = Vec::new();
    for (name, text) in units {
        entries.push(file(&format!("usr/{name}"), text));
        entries.push(link(name, &format!("/usr/{name}")));
    }
    assert_eq!(
        bound(&entries),
        [
            "auth.image! AuthFile= is not for bound images: credentials are the machine's",
            "auth2.image! AuthFile= is not for bound images: credentials are the machine's",
            "b.container q.io/a",
            "c.container! it has no Image= in [Container]",
            "d.image! it has no Image= in [Image]",
            "e.image! Image=q.io/a:%v: the specifier %v is not for bound images",
            "f.image q.io/a:%v%",
            "g.image! Image=q.io/a:1%: it ends with a lone %",
            "h.image! line 1 is neither a section nor KEY=VALUE",
        ]
    );
}

#[test]
fn a_container_may_name_the_image_unit_that_quadlet_would_find() {
    let entries = [
        file(&format!("{Q}/a.container"), &container("shared.image")),
        file(&format!("{Q}/shared.image"), &image("q.io/usr:1")),
        file("etc/containers/systemd/over.image", &image("q.io/etc:1")),
        file(&format!("{Q}/over.image"), &image("q.io/usr:1")),
        file("usr/units/b.container", &container("over.image")),
        file("usr/units/c.container", &container("beside.image")),
        file("usr/units/beside.image", &image("q.io/beside:%%1")),
        file("usr/units/d.container", &container("gone.image")),
        file("usr/units/e.container", &container("again.image")),
        file("usr/units/again.image", &image("other.image")),
        file("usr/units/f.container", &container("secret.image")),
        file("usr/units/secret.image", "[Image]\nImage=q.io/a\nAuthFile=/x\n"),
        file("usr/units/g.container", &container("q.io/x/app.image")),
        link("a.container", &format!("/{Q}/a.container")),
        link("b.container", "/usr/units/b.container"),
        link("c.container", "/usr/units/c.container"),
        link("d.container", "/usr/units/d.container"),
        link("e.container", "/usr/units/e.container"),
        link("f.container", "/usr/units/f.container"),
        link("g.container", "/usr/units/g.container"),
    ];
    assert_eq!(
        bound(&entries),
        [
            "a.container q.io/usr:1",
            "b.container q.io/etc:1",
            "c.container q.io/beside:%1",
            "d.container! Image=gone.image: there is no unit of that name",
            "e.container! Image=again.image: it names a unit again, other.image",
            "f.container! Image=secret.image: AuthFile= is not for bound images: credentials are the machine's",
            "g.container q.io/x/app.image",
        ]
    );
}

#[test]
fn a_unit_that_is_an_object_is_read_from_the_repository_and_a_huge_one_is_not() {
    let machine = Machine::new();
    let long = format!("# {}\n{}", "a comment ".repeat(50), image("q.io/long:1"));
    let mut system = System::new("1");
    system.more = vec![
        file("usr/long", &long),
        file("usr/huge", &"#".repeat(1 + (1 << 20))),
        link("long.image", "/usr/long"),
        link("huge.image", "/usr/huge"),
    ];
    let request = machine.import(&system);
    let repository = machine.target().repository;
    let tree = image_tree(&repository, &request.image).unwrap();
    let units = bound_units(&repository, &tree).unwrap();
    assert_eq!(units[0].as_ref().unwrap_err().reason, "its file has more than 1048576 bytes");
    assert_eq!(units[1].as_ref().unwrap().reference, "q.io/long:1");
    let error = bound_refs(&repository, &tree).unwrap_err();
    assert_eq!(error.to_string(), "bound image unit huge.image: its file has more than 1048576 bytes");
}
