//! barelm's attention for `compare.py`: reads a line `WHAT HEADS N D PATH` after the other, and answers each with the
//! seconds of one call. With a path other than `-`, what was computed is written there, as 32-bit floats.
//!
//! `WHAT` is forward-full, forward-causal, backward-full, backward-causal, one-query, or one-query-half, whose keys and
//! values are kept in half precision.

use barelm::kernels::attention::*;
use barelm::kernels::mat::{MatMut, MatRef};
use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

fn main() {
    let mut last = None;
    for line in stdin().lock().lines() {
        let line = line.expect("a line of text");
        let words: Vec<&str> = line.split(' ').collect();
        let &[what, heads, n, d, path] = &words[..] else {
            panic!("not WHAT HEADS N D PATH: {line}");
        };
        let shape = [heads, n, d].map(|number| number.parse().expect("a number"));
        let (_, problem) = last
            .take_if(|(name, problem): &mut (String, Problem)| {
                name == what && problem.shape == shape
            })
            .unwrap_or_else(|| (what.to_string(), Problem::new(what, shape)));
        let problem = &mut last.insert((what.to_string(), problem)).1;
        let start = Instant::now();
        problem.run(what);
        println!("{}", start.elapsed().as_secs_f64());
        stdout().flush().expect("the other side listens");
        if path != "-" {
            std::fs::write(path, bytes_of(&problem.results)).expect("a file to write to");
        }
    }
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Keys and values as generation keeps them.
struct Cache<T> {
    keys: Vec<T>,
    values: Vec<T>,
}

impl<T: Element + Default> Cache<T> {
    fn new(k: &[f32], v: &[f32], [heads, n, d]: [usize; 3]) -> Self {
        let zeros = || vec![T::default(); k.len()];
        let (mut keys, mut values) = (zeros(), zeros());
        let mut cache = CachedMut::new(&mut keys, &mut values, heads, d, n).expect("sized so");
        for place in 0..n {
            let row = |x| (0..heads).flat_map(move |h| head(x, h, n, d).row(place).to_vec());
            let (key, value): (Vec<f32>, Vec<f32>) = (row(k).collect(), row(v).collect());
            cache.put(place, &key, &value).expect("fits");
        }
        Self { keys, values }
    }

    fn attend(&self, out: &mut [f32], weights: &mut [f32], q: &[f32], [heads, n, d]: [usize; 3]) {
        let cached = Cached::new(&self.keys, &self.values, heads, d, n).expect("sized so");
        for (h, (q, out)) in q.chunks(d).zip(out.chunks_mut(d)).enumerate() {
            let scale = 1.0 / (d as f32).sqrt();
            attend_cached(out, &mut weights[..n], q, cached, h, scale).expect("fits");
        }
    }
}

/// What one query is computed with.
enum OneQuery {
    Single(Cache<f32>),
    Half(Cache<u16>),
}

/// Heads of `n` keys of `d` elements, and as many queries, or one.
struct Problem {
    shape: [usize; 3],
    mask: Mask,
    /// Queries, keys, values, gradient of the outputs.
    tensors: [Vec<f32>; 4],
    one_query: Option<OneQuery>,
    out: Vec<f32>,
    log_sums: Vec<f32>,
    /// Outputs, or the gradients of queries, keys and values.
    results: Vec<f32>,
    workspace: Vec<f32>,
}

impl Problem {
    fn new(what: &str, [heads, n, d]: [usize; 3]) -> Self {
        let len = heads * n * d;
        let queries = if what.starts_with("one-query") {
            heads * d
        } else {
            len
        };
        let sizes = [
            attention_forward_workspace_len(d, d),
            attention_backward_workspace_len(n, n, d, d),
            n,
        ];
        let tensors =
            [(0, queries), (1, len), (2, len), (3, len)].map(|(seed, len)| values(seed, len));
        let [_, k, v, _] = &tensors;
        let one_query = match what {
            "one-query" => Some(OneQuery::Single(Cache::new(k, v, [heads, n, d]))),
            "one-query-half" => Some(OneQuery::Half(Cache::new(k, v, [heads, n, d]))),
            _ => None,
        };
        let mut problem = Self {
            one_query,
            tensors,
            shape: [heads, n, d],
            mask: match what.ends_with("full") {
                true => Mask::Full,
                false => Mask::Causal { offset: 0 },
            },
            out: vec![0.0; len],
            log_sums: vec![0.0; heads * n],
            results: vec![
                0.0;
                if what.starts_with("backward") {
                    3 * len
                } else {
                    queries
                }
            ],
            workspace: vec![0.0; sizes.into_iter().max().unwrap_or(0)],
        };
        if what.starts_with("backward") {
            problem.forward();
            problem.out.copy_from_slice(&problem.results[..len]);
        }
        problem
    }

    fn run(&mut self, what: &str) {
        let (q, out) = (&self.tensors[0], &mut self.results);
        match &self.one_query {
            Some(OneQuery::Single(cache)) => cache.attend(out, &mut self.workspace, q, self.shape),
            Some(OneQuery::Half(cache)) => cache.attend(out, &mut self.workspace, q, self.shape),
            None if what.starts_with("backward") => self.backward(),
            None => self.forward(),
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape[2] as f32).sqrt()
    }

    fn forward(&mut self) {
        let ([heads, n, d], scale) = (self.shape, self.scale());
        for h in 0..heads {
            let [q, k, v, _] = self.tensors.each_ref().map(|x| head(x, h, n, d));
            let inputs = AttentionInputs::new(q, k, v, self.mask, scale, None).expect("fits");
            let out = MatMut::new(&mut self.results[h * n * d..][..n * d], n, d).expect("n x d");
            let log_sums = &mut self.log_sums[h * n..][..n];
            attention_forward(out, log_sums, inputs, &mut self.workspace).expect("fits");
        }
    }

    fn backward(&mut self) {
        self.results.fill(0.0); // gradients are added to what is there
        let ([heads, n, d], scale) = (self.shape, self.scale());
        for h in 0..heads {
            let [q, k, v, dout] = self.tensors.each_ref().map(|x| head(x, h, n, d));
            let inputs = AttentionInputs::new(q, k, v, self.mask, scale, None).expect("fits");
            let mut parts = self.results.chunks_mut(heads * n * d);
            let [dq, dk, dv] = [(); 3].map(|()| {
                let part = &mut parts.next().expect("three gradients")[h * n * d..][..n * d];
                MatMut::new(part, n, d).expect("n x d")
            });
            let gradients = AttentionGradients {
                dq,
                dk,
                dv,
                dbias: None,
            };
            let (out, log_sums) = (head(&self.out, h, n, d), &self.log_sums[h * n..][..n]);
            attention_backward(gradients, dout, out, log_sums, inputs, &mut self.workspace)
                .expect("fits");
        }
    }
}

fn head(x: &[f32], h: usize, n: usize, d: usize) -> MatRef<'_> {
    MatRef::new(&x[h * n * d..][..n * d], n, d).expect("n x d")
}

/// The numbers that `compare.py` makes too.
fn values(seed: u32, len: usize) -> Vec<f32> {
    let bits = |i: u32| {
        i.wrapping_mul(2_654_435_761)
            .wrapping_add(seed.wrapping_mul(974_711))
            ^ i >> 7
    };
    let value =
        |i: u32| (f64::from(bits(i).wrapping_mul(747_796_405)) / 2f64.powi(32) - 0.5) as f32;
    (0..len as u32).map(|i| 4.0 * value(i)).collect()
}
