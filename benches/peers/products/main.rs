//! Matrix and matrix-vector products of barelm beside gemm, matrixmultiply and OpenBLAS, one thread, f32.
//!
//! `OPENBLAS_NUM_THREADS=1 cargo run --release --features products --bin products [MILLISECONDS]`; OpenBLAS is that of
//! the system (Debian's `libopenblas-dev`). `unsafe` is what the peers' interfaces ask for.
//!
//! All results are first compared with a product in `f64`. Then the libraries take turns, for some milliseconds each, and
//! each row shows medians of GFLOP/s, and barelm's rate over that of the peer which is best for it: medians of turns.

mod libraries;

use libraries::{LIBRARIES, Library, Problem};
use std::time::{Duration, Instant};

/// Turns of each library on each shape.
const TURNS: usize = 31;

fn main() {
    let milliseconds = std::env::args().nth(1).map_or(Ok(4), |text| text.parse());
    let time = Duration::from_millis(milliseconds.expect("a number of milliseconds"));
    let squares = [16, 32, 64, 128, 256, 512, 1024].map(|n| [n, n, n]);
    let odd = [20, 24, 50, 100, 200, 300].map(|n| [n, n, n]);
    let few_rows = [[2, 256, 256], [8, 256, 256], [12, 1024, 256]];
    let vectors = [[256, 1, 256], [768, 1, 768], [2048, 1, 2048]];
    let names = LIBRARIES.map(|library| library.name).join(" | ");
    println!("| m x n x k | {names} | barelm / best peer |");
    println!("|---|{}---|", "---|".repeat(LIBRARIES.len()));
    for shape in squares
        .into_iter()
        .chain(odd)
        .chain(few_rows)
        .chain(vectors)
    {
        row(&mut Problem::new(shape), time);
    }
}

/// Prints a row of the table.
fn row(problem: &mut Problem, time: Duration) {
    for library in &LIBRARIES {
        (library.product)(problem);
        problem.check(library.name);
    }
    let rates: Vec<[f64; LIBRARIES.len()]> = (0..TURNS)
        .map(|_| {
            LIBRARIES
                .each_ref()
                .map(|library| rate(library, problem, time))
        })
        .collect();
    let beside = |i: usize| median(rates.iter().map(|rates| rates[0] / rates[i]).collect());
    let share = (1..LIBRARIES.len())
        .map(beside)
        .fold(f64::INFINITY, f64::min);
    let of = |i: usize| {
        format!(
            "{:.1}",
            median(rates.iter().map(|rates| rates[i]).collect())
        )
    };
    let rates: Vec<String> = (0..LIBRARIES.len()).map(of).collect();
    let [m, n, k] = problem.shape;
    println!("| {m} x {n} x {k} | {} | {share:.2} |", rates.join(" | "));
}

/// GFLOP/s of a library over some time.
fn rate(library: &Library, problem: &mut Problem, time: Duration) -> f64 {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < time {
        for _ in 0..problem.repeats() {
            (library.product)(problem);
        }
        count += problem.repeats();
    }
    count as f64 * problem.flops() / start.elapsed().as_secs_f64() * 1e-9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
