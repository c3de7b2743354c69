//! The inputs that the fuzzers kept, given to the decoders again: on stable, in every run of the
//! tests. `docs/testing.md` says how to make more of them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_testkit::fuzzing::TARGETS;

#[test]
fn what_the_fuzzers_kept_breaks_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in TARGETS {
        let kept = std::fs::read_to_string(folder.join(format!("{name}.base64"))).unwrap();
        let inputs: Vec<Vec<u8>> =
            kept.lines().map(|line| STANDARD.decode(line).unwrap()).collect();
        assert!(inputs.len() >= 20, "{name}: {} inputs", inputs.len());
        for input in inputs {
            target(&input);
            // An input that ends early is the commonest damage.
            target(input.get(..input.len() / 2).unwrap());
        }
    }
}
