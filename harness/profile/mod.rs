//! Measures this machine, then every hot loop as a share of what the machine allows.
//!
//! | question | file |
//! |---|---|
//! | how fast can one core compute and read? | `machine.rs` |
//! | how near to that does each kernel come? | `kernels.rs`, `word_vectors.rs` |
//! | how fast are the stages that a user waits for? | `stages.rs` |
//! | how long does a call take? | `timing.rs` |
//!
//! The bound of a kernel is the roofline model's: its operations at the rate of multiply-adds from
//! registers, or its bytes at the rate of reads from the cache that its data fits, whichever takes
//! longer (S. Williams et al., "Roofline: an insightful visual performance model", 2009).

mod kernels;
mod machine;
mod report;
mod stages;
mod timing;
mod word_vectors;

pub use report::{Bound, Report, Row};

use crate::corpus::{Corpus, CorpusOptions};
use crate::kernels::simd::Backend;
use crate::synthetic::SyntheticCorpus;
use crate::{Error, Result, parallel};
use machine::Machine;
use std::path::PathBuf;

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct ProfileOptions {
    /// Text for the stages; without any, the built-in corpus.
    pub files: Vec<PathBuf>,
    /// The field of each JSON record that holds its text.
    pub jsonl_field: Option<String>,
    /// Bytes of the built-in corpus.
    pub built_in_bytes: u64,
    /// At most so many bytes of the files are read.
    pub max_bytes: u64,
    /// Seconds for a row, in five repetitions of which the median counts.
    pub seconds_per_row: f64,
    /// Threads of the stages.
    pub threads: usize,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            jsonl_field: None,
            built_in_bytes: 4 << 20,
            max_bytes: 16 << 20,
            seconds_per_row: 0.25,
            threads: parallel::default_threads(),
        }
    }
}

impl ProfileOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Usage`], one sentence.
    pub fn validate(&self) -> Result<()> {
        if (1e-6..=60.0).contains(&self.seconds_per_row) {
            return Ok(());
        }
        let seconds = self.seconds_per_row;
        let message = format!("seconds per row must be between 0.000001 and 60, not {seconds}");
        Err(Error::Usage(message))
    }

    fn corpus(&self) -> Result<Corpus> {
        if self.files.is_empty() {
            let mut text = Vec::new();
            let written = SyntheticCorpus::new(1).write_into(self.built_in_bytes, &mut text);
            written.map_err(Error::io("built-in corpus"))?;
            return Ok(Corpus::from_bytes("built-in corpus", text));
        }
        let options = CorpusOptions {
            jsonl_field: self.jsonl_field.clone(),
        };
        let corpus = Corpus::open(&self.files, &options)?;
        let excess = corpus.bytes().saturating_sub(self.max_bytes);
        Ok(corpus.split_off_tail(excess).0)
    }
}

/// Measures the machine, the kernels and the stages.
///
/// # Errors
/// [`Error::Usage`] for senseless options, those of [`Corpus::open`], [`Error::Interrupted`].
///
/// # Example
/// ```no_run
/// use barelm::profile::{ProfileOptions, run};
/// println!("{}", run(&ProfileOptions::default())?);
/// # Ok::<(), barelm::Error>(())
/// ```
pub fn run(options: &ProfileOptions) -> Result<Report> {
    options.validate()?;
    let corpus = options.corpus()?;
    let machine = Machine::measure(options.seconds_per_row)?;
    let mut rows = machine.rows();
    rows.extend(kernels::measure(&machine, options.seconds_per_row)?);
    rows.extend(stages::measure(&corpus, options)?);
    Ok(Report {
        backend: Backend::best().name(),
        threads: options.threads,
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_short_run_reports_every_row_once_with_a_positive_figure() {
        let options = ProfileOptions {
            built_in_bytes: 1 << 16,
            seconds_per_row: 1e-6,
            ..Default::default()
        };
        let report = run(&options).expect("it runs");
        let mut seen = HashSet::new();
        for row in &report.rows {
            let bound = row.bound.as_ref().map_or(1.0, |bound| bound.percent);
            for figure in [row.value, bound] {
                assert!(figure.is_finite() && figure > 0.0, "{row}");
            }
            assert!(seen.insert((row.name, &row.shape)), "{row}");
            assert!(report.to_string().contains(row.name));
        }
        assert!(report.rows.len() > 20);
    }

    #[test]
    fn senseless_seconds_are_refused() {
        for seconds_per_row in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let options = ProfileOptions {
                seconds_per_row,
                ..Default::default()
            };
            assert!(matches!(run(&options), Err(Error::Usage(_))));
        }
    }
}
