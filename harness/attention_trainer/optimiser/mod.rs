//! From a gradient to the next parameters, part by part.
//!
//! AdamW for everything, or Muon for the matrices of a transformer's blocks and AdamW for the rest.

mod adamw;
mod muon;

use super::parameters::Parameters;
use crate::parallel;
use std::mem::take;

/// Parameters that one task of AdamW updates.
const BLOCK: usize = 1 << 16;

/// How a part of the parameters is updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// AdamW, each parameter on its own.
    AdamW {
        /// Whether weight decay pulls at them.
        decays: bool,
    },
    /// Muon, a matrix of so many rows and columns.
    Muon(usize, usize),
}

/// A part of the parameters, which lie one part behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) len: usize,
    pub(super) rule: Rule,
}

/// How far to go in one step.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Learning rate of AdamW.
    pub(super) rate: f32,
    /// Learning rate of Muon.
    pub(super) muon_rate: f32,
    /// Weight decay, a share of the parameter and the rate.
    pub(super) decay: f32,
    /// Factor of the gradient, for clipping.
    pub(super) gradient_scale: f32,
}

/// What is remembered of earlier gradients.
#[derive(Debug)]
pub(super) struct Optimiser {
    /// The running average of the gradient.
    mean: Vec<f32>,
    /// That of its square; AdamW alone.
    square: Vec<f32>,
    /// AdamW's `b1^t` and `b2^t`.
    powers: [f32; 2],
    parts: Vec<Part>,
}

/// One task: a part, or a block of it.
struct Task<'a> {
    rule: Rule,
    parameters: &'a mut [f32],
    gradient: &'a [f32],
    mean: &'a mut [f32],
    square: &'a mut [f32],
}

impl Optimiser {
    /// The optimiser of parameters that consist of these parts.
    pub(super) fn new(parts: Vec<Part>) -> Self {
        let len = parts.iter().map(|part| part.len).sum();
        Self {
            mean: vec![0.0; len],
            square: vec![0.0; len],
            powers: [1.0; 2],
            parts,
        }
    }

    /// What the steps to come depend on: two numbers a parameter, and two for all.
    pub(super) fn state(&mut self) -> ([&mut [f32]; 2], &mut [f32; 2]) {
        ([&mut self.mean, &mut self.square], &mut self.powers)
    }

    /// Updates all parameters.
    pub(super) fn update(
        &mut self,
        parameters: &mut Parameters,
        gradient: &[f32],
        pace: Pace,
        threads: usize,
    ) {
        adamw::advance(&mut self.powers);
        let powers = self.powers;
        let tasks = self.tasks(&mut parameters.values, gradient);
        parallel::map(threads, tasks, |task| {
            let (p, g, mean) = (task.parameters, task.gradient, task.mean);
            match task.rule {
                Rule::AdamW { decays } => {
                    adamw::Step::new(pace, powers, decays).apply(p, g, mean, task.square);
                }
                Rule::Muon(rows, cols) => muon::step((rows, cols), pace, p, g, mean),
            }
        });
    }

    /// All parts; those that AdamW updates in blocks.
    fn tasks<'a>(&'a mut self, parameters: &'a mut [f32], gradient: &'a [f32]) -> Vec<Task<'a>> {
        let mut rest = Task {
            rule: Rule::AdamW { decays: false },
            parameters,
            gradient,
            mean: &mut self.mean,
            square: &mut self.square,
        };
        let mut tasks = Vec::new();
        for part in &self.parts {
            let mut left = part.len;
            while left > 0 {
                let len = match part.rule {
                    Rule::AdamW { .. } => left.min(BLOCK),
                    Rule::Muon(..) => left,
                };
                tasks.push(rest.split_off(len, part.rule));
                left -= len;
            }
        }
        tasks
    }
}

impl<'a> Task<'a> {
    /// The first `len` parameters, under a rule; the others stay.
    fn split_off(&mut self, len: usize, rule: Rule) -> Self {
        let (parameters, parameters_left) = take(&mut self.parameters).split_at_mut(len);
        let (gradient, gradient_left) = self.gradient.split_at(len);
        let (mean, mean_left) = take(&mut self.mean).split_at_mut(len);
        let (square, square_left) = take(&mut self.square).split_at_mut(len);
        *self = Self {
            rule,
            parameters: parameters_left,
            gradient: gradient_left,
            mean: mean_left,
            square: square_left,
        };
        Self {
            rule,
            parameters,
            gradient,
            mean,
            square,
        }
    }
}
