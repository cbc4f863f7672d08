//! What a run found, as a table and as JSON.

use serde::Serialize;
use std::fmt;

/// The figures of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Instructions that the kernels chose.
    pub backend: &'static str,
    /// Threads of the stages; machine and kernels are measured on one.
    pub threads: usize,
    /// The machine first, then kernels, then stages.
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// On how much.
    pub shape: String,
    /// How fast it was.
    pub value: f64,
    /// Unit of `value`, and of the bound.
    pub unit: &'static str,
    /// What the machine allows, if it is known.
    pub bound: Option<Bound>,
}

/// The limit of the machine that a kernel meets first.
#[derive(Clone, Debug, Serialize)]
pub struct Bound {
    /// `"FMA peak"`, or the memory that the working set fits: `"L1"`, `"L2"`, `"L3"`, `"memory"`.
    pub name: &'static str,
    /// The limit.
    pub value: f64,
    /// The figure as a share of it.
    pub percent: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            backend, threads, ..
        } = self;
        writeln!(
            f,
            "{backend}; machine and kernels on one thread, stages on {threads}\n"
        )?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, shape, unit, ..
        } = self;
        let value = figure(self.value);
        write!(f, "{name:<22} {shape:<26} {value:>9} {unit:<8}")?;
        let Some(bound) = &self.bound else {
            return Ok(());
        };
        let Bound { name, percent, .. } = bound;
        let value = figure(bound.value);
        write!(f, " {percent:>4.0} % of {name} ({value})")
    }
}

/// About three digits.
fn figure(x: f64) -> String {
    match x {
        x if x >= 100.0 => format!("{x:.0}"),
        x if x >= 10.0 => format!("{x:.1}"),
        _ => format!("{x:.2}"),
    }
}
