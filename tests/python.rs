//! The Python package in contrib/python: its own tests, against this very command; and that it is what it says it is.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use kit::skip;

fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("contrib/python")
}

/// Python, at least 3.9, in the folder of the package; none where it is not installed.
fn python() -> Option<Command> {
    let enough = "import sys; sys.exit(sys.version_info < (3, 9))";
    let found = Command::new("python3").args(["-c", enough]).status().ok()?;
    let mut python = Command::new("python3");
    python.current_dir(package()).env("PYTHONDONTWRITEBYTECODE", "1");
    found.success().then_some(python)
}

#[test]
fn the_python_package_does_what_its_tests_promise() {
    let Some(mut python) = python() else {
        return skip("the_python_package_does_what_its_tests_promise", "no python3 of 3.9 or later");
    };
    let output = python
        .args(["-W", "error", "-m", "unittest", "-v"])
        .env("SEALSTONE_STORE", env!("CARGO_BIN_EXE_store"))
        .output()
        .expect("python3 runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("Ran ") && !told.contains("Ran 0 tests"), "{told}");
}

#[test]
fn the_python_package_needs_nothing_but_python() {
    let Some(mut python) = python() else {
        return skip("the_python_package_needs_nothing_but_python", "no python3 of 3.9 or later");
    };
    let listing = "import sys, sealstone\n\
                   names = {name.split('.')[0] for name in sys.modules}\n\
                   print('\\n'.join(sorted(names - set(sys.stdlib_module_names) - {'sealstone', '__main__'})))";
    // Without site-packages, so that what is not Python's own cannot even be found.
    let output = python.args(["-S", "-c", listing]).output().expect("python3 runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let foreign: Vec<_> = told.lines().filter(|name| !name.is_empty() && !name.starts_with('_')).collect();
    assert!(
        output.status.success() && foreign.is_empty(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_python_package_has_an_exception_for_each_documented_exit_code_and_is_typed() {
    let read = |path: PathBuf| {
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let errors = read(package().join("sealstone/errors.py"));
    let codes = errors.lines().filter_map(|line| line.trim().strip_prefix("exit_code = ")?.parse().ok());
    let codes: BTreeSet<u32> = codes.collect();
    let table = read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md"));
    let documented =
        table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()?.parse().ok());
    let documented: BTreeSet<u32> = documented.filter(|code| *code != 0).collect();
    assert_eq!(codes, documented);
    assert!(package().join("sealstone/py.typed").exists());
    for entry in fs::read_dir(package().join("sealstone")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let text = read(path.clone());
            assert!(text.starts_with("\"\"\""), "{} does not say what it is for", path.display());
            assert!(text.lines().count() < 500, "{} is long", path.display());
        }
    }
}
