//! A batch of windows as flat tables.

use crate::error::ShapeError;
use crate::simd::{Kernel, Simd, dispatch};

/// Windows, each with the rows it reads: vectors of its context, and rows of `thetas` to compare
/// `x` with. For hierarchical softmax those are the nodes of the target's path.
#[derive(Clone, Copy, Debug)]
pub struct BatchRef<'a> {
    context_offsets: &'a [u32],
    contexts: &'a [u32],
    node_offsets: &'a [u32],
    nodes: &'a [u32],
    /// Whether each word of a context is an `x` of its own.
    of_pairs: bool,
    /// The largest row of a context, and of a node.
    largest: (u32, u32),
}

impl<'a> BatchRef<'a> {
    /// Window `b` has the context `contexts[context_offsets[b] .. context_offsets[b + 1]]`, and
    /// its nodes likewise.
    ///
    /// # Errors
    /// [`ShapeError`] unless both lists of offsets are as long, start at 0, do not fall, and end
    /// with their table.
    pub fn new(
        context_offsets: &'a [u32],
        contexts: &'a [u32],
        node_offsets: &'a [u32],
        nodes: &'a [u32],
    ) -> Result<Self, ShapeError> {
        let same = context_offsets.len() == node_offsets.len();
        if same && divides(context_offsets, contexts) && divides(node_offsets, nodes) {
            Ok(Self {
                context_offsets,
                contexts,
                node_offsets,
                nodes,
                of_pairs: false,
                largest: (largest(contexts), largest(nodes)),
            })
        } else {
            Err(ShapeError)
        }
    }

    /// Number of windows.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.context_offsets.len().saturating_sub(1)
    }

    /// Whether there is no window.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same windows for skip-gram: every word of a context is an `x` of its own, which visits
    /// the nodes of its window.
    ///
    /// The words of a context are taken in [`blocks`]. Scores come window by window, block by block,
    /// node by node, word by word.
    pub fn of_pairs(self) -> Self {
        Self {
            of_pairs: true,
            ..self
        }
    }

    /// Whether it is for skip-gram.
    #[inline(always)]
    pub fn is_of_pairs(&self) -> bool {
        self.of_pairs
    }

    /// Number of `x`: windows, or for skip-gram words of contexts.
    #[inline(always)]
    pub fn xs(&self) -> usize {
        if self.of_pairs {
            self.contexts.len()
        } else {
            self.len()
        }
    }

    /// Number of scores: nodes that each `x` visits.
    #[inline(always)]
    pub fn scores_len(&self) -> usize {
        if self.of_pairs {
            self.windows()
                .map(|(context, nodes)| context.len().saturating_mul(nodes.len()))
                .fold(0, usize::saturating_add)
        } else {
            self.nodes.len()
        }
    }

    /// Number of partial sums of a slice: the scores, then `|x|^2` of each `x`.
    #[inline(always)]
    pub fn partials_len(&self) -> usize {
        self.scores_len().saturating_add(self.xs())
    }

    /// Rows of a slice that a batch has to itself: `x` of each window; none for skip-gram.
    pub fn x_rows(&self) -> usize {
        if self.of_pairs { 0 } else { self.len() }
    }

    /// Context and nodes of window `b`; empty when there is no such window.
    #[inline(always)]
    pub fn window(&self, b: usize) -> (&'a [u32], &'a [u32]) {
        (
            part(self.context_offsets, self.contexts, b),
            part(self.node_offsets, self.nodes, b),
        )
    }

    /// The nodes of all windows.
    #[inline(always)]
    pub(super) fn nodes(&self) -> &'a [u32] {
        self.nodes
    }

    /// All windows in order.
    #[inline(always)]
    pub(super) fn windows(self) -> impl Iterator<Item = (&'a [u32], &'a [u32])> {
        let (mut contexts, mut nodes) = (self.contexts, self.nodes);
        let lens = lens(self.context_offsets).zip(lens(self.node_offsets));
        lens.map(move |(of_context, of_nodes)| {
            let context = contexts.split_off(..of_context).unwrap_or_default();
            (context, nodes.split_off(..of_nodes).unwrap_or_default())
        })
    }

    /// Whether all rows exist.
    pub(super) fn is_within(&self, vectors: usize, thetas: usize) -> bool {
        let below = |list: &[u32], largest, end| list.is_empty() || (largest as usize) < end;
        let (context, node) = self.largest;
        below(self.contexts, context, vectors) && below(self.nodes, node, thetas)
    }
}

fn largest(list: &[u32]) -> u32 {
    dispatch(Largest(list))
}

/// The maximum of a list. It vectorises, as stopping at the first that is too large would not.
struct Largest<'a>(&'a [u32]);

impl Kernel for Largest<'_> {
    type Output = u32;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> u32 {
        let mut largest = 0;
        for row in self.0 {
            largest = largest.max(*row);
        }
        largest
    }
}

fn divides(offsets: &[u32], table: &[u32]) -> bool {
    offsets.first() == Some(&0)
        && offsets.windows(2).all(|pair| pair[0] <= pair[1])
        && offsets.last().map(|end| *end as usize) == Some(table.len())
}

#[inline(always)]
fn lens(offsets: &[u32]) -> impl Iterator<Item = usize> {
    let ends = offsets.iter().skip(1);
    let lens = offsets.iter().zip(ends);
    lens.map(|(start, end)| end.wrapping_sub(*start) as usize)
}

#[inline(always)]
fn part<'a>(offsets: &[u32], table: &'a [u32], b: usize) -> &'a [u32] {
    let ends = offsets.get(b..).and_then(|rest| rest.first_chunk());
    let range = ends.map_or(0..0, |[start, end]| *start as usize..*end as usize);
    table.get(range).unwrap_or(&[])
}

/// Lengths of the blocks of a skip-gram context of so many words: four as often as that goes, then two,
/// then one.
///
/// ```
/// let of_seven: Vec<_> = barelm_kernels::cbow::blocks(7).collect();
/// assert_eq!(of_seven, [4, 2, 1]);
/// ```
pub fn blocks(words: usize) -> impl Iterator<Item = usize> {
    let twos_and_ones = [2, 1].into_iter().filter(move |len| words & len != 0);
    core::iter::repeat_n(4, words / 4).chain(twos_and_ones)
}

/// The blocks of four, of two and of one.
type Blocks<'a, T> = (&'a [[T; 4]], &'a [[T; 2]], &'a [[T; 1]]);

/// A list with an element for each word of a context, cut into its [`blocks`].
#[inline(always)]
pub(super) fn in_blocks<T>(of_words: &[T]) -> Blocks<'_, T> {
    let (fours, rest) = of_words.as_chunks();
    let (twos, ones) = rest.as_chunks();
    (fours, twos, ones.as_chunks().0)
}
