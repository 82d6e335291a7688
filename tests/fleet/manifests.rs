//! The manifests of the manual are what the platforms' own tools accept.

use std::fs;
use std::process::Command;

use crate::support::installed::installed;
use crate::support::nginx::Nginx;
use crate::support::{find_program, left_out};

const MANUAL: &str = include_str!("../../src/manual/getting_started.md");
const NOT_INSTALLED: &str = "it is not installed; tests/run installs it";

/// The blocks of a language in the section, in their order.
fn blocks(heading: &str, language: &str) -> Vec<&'static str> {
    let section = MANUAL
        .split("\n\n# ")
        .find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("no section {heading}"));
    let begin = format!("```{language}\n");
    let blocks = section.split(&begin).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

/// Has the tool read a text as a file. Returns what it said, which is no error.
fn accepts(command: &mut Command, name: &str, text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    fs::write(&file, text).unwrap();
    let output = command.arg(&file).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}\n{text}");
    said.into_owned()
}

#[test]
fn kubernetes_manifests_fit_the_schemas_of_kubernetes() {
    let Some(tools) = installed("manifests/requirements.txt", "manifests") else {
        return left_out("manifests for Kubernetes", NOT_INSTALLED);
    };
    let mut count = 0;
    for heading in ["Kubernetes", "Behind a proxy of your own"] {
        for manifest in blocks(heading, "yaml") {
            let mut validate = Command::new(tools.join("bin/kubernetes-validate"));
            accepts(validate.arg("--strict"), "manifest.yaml", manifest);
            count += 1;
        }
    }
    assert_eq!(count, 2);
}

#[test]
fn the_template_for_ecs_fits_the_schemas_of_cloudformation() {
    let Some(tools) = installed("manifests/requirements.txt", "manifests") else {
        return left_out("the template for ECS", NOT_INSTALLED);
    };
    let [template] = blocks("Amazon ECS", "yaml")[..] else {
        panic!("one template");
    };
    let mut lint = Command::new(tools.join("bin/cfn-lint"));
    accepts(&mut lint, "template.yaml", template);
}

#[test]
fn the_unit_is_one_of_systemd() {
    let Some(analyze) = find_program("systemd-analyze", &["/usr/bin"]) else {
        return left_out("the unit for systemd", NOT_INSTALLED);
    };
    let [unit] = blocks("Machines of your own", "ini")[..] else {
        panic!("one unit");
    };
    // There is no such program here.
    let unit = unit.replace("/usr/local/bin/rooms", "/bin/true");
    let said = accepts(Command::new(analyze).arg("verify"), "rooms.service", &unit);
    // A key that it does not know is no error to it.
    assert!(!said.contains("rooms.service"), "{said}");
}

#[test]
fn nginx_starts_with_its_configuration_for_kubernetes() {
    let [ours] = blocks("Behind a proxy of your own", "nginx")[..] else {
        panic!("one block");
    };
    let Some(nginx) = Nginx::for_kubernetes(ours) else {
        return left_out("nginx on Kubernetes", NOT_INSTALLED);
    };
    assert_eq!(nginx.log(), "", "no warning, no error");
}
