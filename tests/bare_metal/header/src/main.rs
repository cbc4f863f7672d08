//! Prints `barelm.h`, generated from the sources of `kernels/capi`.
//!
//! `header FOLDER_OF_CAPI`

use cbindgen::{Builder, Config};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("usage: header FOLDER_OF_CAPI")?;
    let folder = Path::new(&folder);
    let mut builder = Builder::new().with_config(Config::from_file(folder.join("cbindgen.toml"))?);
    for module in ["status", "kernels", "model", "session"] {
        builder = builder.with_src(folder.join("src").join(module).with_extension("rs"));
    }
    builder.generate()?.write(std::io::stdout());
    Ok(())
}
