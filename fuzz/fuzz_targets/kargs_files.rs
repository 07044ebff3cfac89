//! Any bytes as a file of `kargs.d` and as one of `install`: refused with a line that is there, or arguments that a
//! command line holds, none of which names the image, and which the law of updates leaves as they are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_boot::{ComposefsArg, Kargs};
use sealstone_deploy::{
    DeployError,
    kargs::{Architecture, ImageKargs, InstallConfig, KargsBase, KargsFile, KargsWish, derive},
};

fuzz_target!(|input: &[u8]| {
    let amd64 = Architecture::of(&"linux/amd64".parse().unwrap());
    let lines = input.iter().filter(|byte| **byte == b'\n').count() + 1;
    let mut image = ImageKargs::default();
    let has_line = |error: DeployError| match error {
        DeployError::ImageFile { line, .. } => assert!((1..=lines).contains(&line)),
        other => panic!("{other}"),
    };
    match KargsFile::parse("a.toml", input, &mut image.warnings) {
        Ok(file) => {
            assert!(file.kargs.iter().all(|karg| !ComposefsArg::is_named_by(karg)));
            let line: Kargs = file.kargs.iter().cloned().collect();
            if let Ok(again) = line.to_string().parse::<Kargs>() {
                assert_eq!(again, line);
            }
        }
        Err(error) => has_line(error),
    }
    let mut install = InstallConfig::default();
    if let Err(error) = install.overlay("a.toml", input, Some(&amd64), &mut image.warnings) {
        return has_line(error);
    }
    assert!(image.warnings.iter().all(|warning| (1..=lines).contains(&warning.line)));
    image.install = install;
    let first = derive(&image, None, KargsWish::default()).unwrap();
    let base = KargsBase { kargs: &first.kargs, deletes: &first.deletes };
    assert_eq!(derive(&image, Some(base), KargsWish::default()).unwrap(), first);
});
