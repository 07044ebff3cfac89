//! Power cuts: the machine is killed at a random moment of an update, and of what it had not flushed to its disk, each write
//! is lost or not. What boots then is the old system or the new one, whole, and the next update comes to its end.

use std::thread;
use std::time::Duration;

use super::life::{Life, UPDATE};
use crate::random::Random;
use crate::system_image::SystemImage;

/// As many as `SEALSTONE_VM_CUTS` says, or five.
fn wanted() -> u32 {
    std::env::var("SEALSTONE_VM_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

#[test]
fn a_power_cut_in_an_update_leaves_the_old_system_or_the_new_one() {
    let test = "a_power_cut_in_an_update_leaves_the_old_system_or_the_new_one";
    let Some(life) = Life::begin("cuts", test) else { return };
    let mut random = Random::seeded(test);
    let image = |version: u32| SystemImage::new(&version.to_string()).with_payload(2_000_000);
    let mut guest = life.machine.start_logged();
    guest.is_up("1");
    guest.succeeds("echo mine > /etc/of-the-machine");
    let undisturbed = life.update(&mut guest, &image(2));
    println!("{test}: an update takes {:.1} s when nobody cuts it", undisturbed.as_secs_f32());
    // What boots next, if nothing comes between.
    let mut old = 2;
    let mut booted_new = 0;
    let cuts = wanted();
    for cut in 1..=cuts {
        let new = old + 1;
        life.push(&image(new));
        guest.send(UPDATE);
        let after = moment(&mut random, undisturbed);
        thread::sleep(after);
        guest.cut();
        let loss = life.machine.lose_what_was_not_flushed(|| random.below(2) == 0);

        guest = life.machine.start_logged();
        let booted: u32 = guest.greeting().parse().expect("a version");
        println!(
            "cut {cut}: after {:.2} s of the update to {new}, {loss:?}: boots {booted}",
            after.as_secs_f32()
        );
        assert!(booted == old || booted == new, "cut {cut}: {booted} boots");
        booted_new += u32::from(booted == new);
        assert_eq!(guest.succeeds("cat /etc/of-the-machine /etc/version"), format!("mine\n{booted}\n"));
        guest.succeeds("store fsck");
        // The next run comes to the end that nobody disturbed.
        guest.succeeds(UPDATE);
        guest.succeeds("store prune --esp /boot --keep 2 && store gc && sync");
        old = new;
    }
    guest.reboots("reboot -f", &old.to_string());
    guest.succeeds("store fsck");
    guest.switch_off("poweroff -f");
    println!(
        "{test}: {cuts} cuts; the new system booted after {booted_new} of them, the old one after the others"
    );
}

/// When an update that takes so long is cut: at any moment of it, or shortly after.
fn moment(random: &mut Random, undisturbed: Duration) -> Duration {
    let milliseconds = u64::try_from(undisturbed.as_millis()).expect("a short time");
    Duration::from_millis(random.below(milliseconds * 12 / 10))
}
