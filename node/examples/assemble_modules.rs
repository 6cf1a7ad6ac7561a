//! Makes `modules/*.wasm` of `modules/*.wat`: `cargo run --package mesh30k-node --example assemble_modules`.

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules");
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wat") {
            fs::write(path.with_extension("wasm"), wat::parse_file(&path)?)?;
        }
    }
    Ok(())
}
