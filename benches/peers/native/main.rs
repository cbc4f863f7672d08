//! One encoder on one text: `native encode PEER VOCABULARY TEXT IDS`.
//!
//! `VOCABULARY` is a `.tiktoken` file whose name says which one it is, `TEXT` a UTF-8 file, and `IDS` where the ids are
//! written, 32 bits each, so that they can be compared. Prints one line of JSON: CPU and wall seconds to load, CPU
//! seconds to encode the text for the first time, and to encode it again with the same encoder.

mod encoders;

use cpu_time::ProcessTime;
use serde_json::json;
use std::path::Path;
use std::time::Instant;
use std::{env, fs, process};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let &["encode", peer, vocabulary, text, ids] = &arguments[..] else {
        eprintln!("usage: native encode PEER VOCABULARY TEXT IDS");
        process::exit(2);
    };
    let text = fs::read_to_string(text).expect("a UTF-8 file");
    let (start, wall) = (ProcessTime::now(), Instant::now());
    let Some(mut encode) = encoders::open(peer, Path::new(vocabulary)) else {
        eprintln!("{peer} does not have {vocabulary}");
        process::exit(3);
    };
    let load = start.elapsed().as_secs_f64();
    let load_wall = wall.elapsed().as_secs_f64();
    // Room that both passes find touched already: what is measured is encoding, not the kernel's pages.
    let mut out = vec![u32::MAX; text.len() + 16];
    out.clear();
    let mut pass = || {
        out.clear();
        let start = ProcessTime::now();
        encode(&text, &mut out);
        start.elapsed().as_secs_f64()
    };
    let (first, again) = (pass(), pass());
    let bytes: Vec<u8> = out.iter().flat_map(|id| id.to_le_bytes()).collect();
    fs::write(ids, bytes).expect("the ids can be written");
    println!(
        "{}",
        json!({ "load": load, "load_wall": load_wall, "first": first, "again": again, "tokens": out.len() })
    );
}
