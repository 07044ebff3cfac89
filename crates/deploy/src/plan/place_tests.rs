//! A deployment goes on to follow the place that its image came from, however the image was named.

use super::*;
use crate::testing::{Machine, System};

fn reference(machine: &Machine, request: &DeployRequest) -> (String, Option<String>) {
    let plan = plan_deploy(&machine.target(), request).unwrap();
    let image = plan.deployment.unwrap().image;
    (image.reference, image.resolved)
}

#[test]
fn the_name_by_which_a_deployment_keeps_an_image_never_becomes_a_place() {
    let machine = Machine::new();
    let place = (Some("docker://example.org/os:stable".to_owned()), Some("sha256:12".to_owned()));
    let request = DeployRequest {
        reference: place.0.clone().unwrap(),
        resolved: place.1.clone(),
        ..machine.import(&System::new("1"))
    };
    machine.deploy(&request);
    let kept = format!("localhost/bootc-{}", request.manifest);
    for name in [kept.clone(), format!("docker://{kept}")] {
        let again = DeployRequest { reference: name.clone(), resolved: None, ..request.clone() };
        assert_eq!(reference(&machine, &again), (place.0.clone().unwrap(), place.1.clone()));
        // Also as another deployment, and where nobody knows the place.
        let other = DeployRequest { kargs: vec!["debug".parse().unwrap()], ..again };
        assert_eq!(reference(&machine, &other).0, "docker://example.org/os:stable");
        let unknown = DeployRequest { reference: name, resolved: None, ..machine.import(&System::new("2")) };
        let unknown = DeployRequest { reference: format!("localhost/bootc-{}", unknown.manifest), ..unknown };
        assert_eq!(reference(&machine, &unknown), (unknown.manifest.to_string(), None));
    }
}

#[test]
fn an_image_that_is_named_by_its_content_follows_the_place_of_its_deployment() {
    let machine = Machine::new();
    let first = DeployRequest {
        reference: "docker://example.org/os:stable".into(),
        resolved: Some("sha256:12".into()),
        ..machine.import(&System::new("1"))
    };
    machine.deploy(&first);
    machine.deploy(&machine.import(&System::new("2")));
    let target = machine.target();
    let mut request = DeployRequest { reference: "oci:/tmp/os".into(), resolved: None, ..first.clone() };
    keep_place(&target, &mut request).unwrap();
    assert_eq!((request.reference, request.resolved), (first.reference, first.resolved));
    let other = machine.import(&System::new("3"));
    let mut request = other.clone();
    keep_place(&target, &mut request).unwrap();
    assert_eq!(request.reference, other.reference, "of which there is no deployment");
}
