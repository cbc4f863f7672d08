//! Building by two queues: leaves sorted by count, and inner nodes, which are made in order of
//! weight. Each step joins the two lightest heads. Ties go to the leaf, which keeps the longest
//! code as short as it can be, and among leaves to the smaller token.

use super::{HuffmanError, HuffmanRef, MAX_CODE_LEN};
use crate::error::take;
use crate::heap;

/// Elements of workspace that [`build`] and [`nodes_len`] need for a vocabulary.
pub const fn build_workspace_len(vocab_size: usize) -> usize {
    let order_and_parents = vocab_size.saturating_mul(3);
    vocab_size.saturating_add(order_and_parents.div_ceil(2))
}

/// Number of path nodes of the tree over `counts`: the length of [`build`]'s `nodes`.
///
/// # Errors
/// Those of [`build`].
pub fn nodes_len(counts: &[u64], workspace: &mut [u64]) -> Result<usize, HuffmanError> {
    let parents = join(counts, workspace)?;
    let mut total = 0usize;
    for token in 0..counts.len() {
        total += depth(parents, token)?;
    }
    u32::try_from(total).map_err(|_| HuffmanError::TooLarge)?;
    Ok(total)
}

/// Builds the tree over `counts`, in the caller's buffers.
///
/// Equal counts give equal trees on every machine. A count of 0 is taken as 1: the token may yet
/// be seen.
///
/// # Shapes
/// `workspace`: [`build_workspace_len`]; `offsets`: `V + 1`; `nodes`: [`nodes_len`]; `codes`: `V`.
/// Longer buffers are used in part.
///
/// # Errors
/// [`HuffmanError::Buffer`] for a buffer that is too small, [`HuffmanError::TooLarge`] above 2^31
/// tokens, [`HuffmanError::CodeTooLong`] when counts grow like Fibonacci numbers beyond 64 steps
/// (which takes a text of 2.8e13 tokens).
pub fn build<'a>(
    counts: &[u64],
    workspace: &mut [u64],
    offsets: &'a mut [u32],
    nodes: &'a mut [u32],
    codes: &'a mut [u64],
) -> Result<HuffmanRef<'a>, HuffmanError> {
    let needed = nodes_len(counts, workspace)?;
    let offsets = take(offsets, counts.len() + 1)?;
    let nodes = take(nodes, needed)?;
    let codes = take(codes, counts.len())?;
    let Workspace { parents, .. } = Workspace::new(workspace, counts.len())?;
    let (mut start, mut rest) = (0, &mut *nodes);
    for (token, (code, offset)) in codes.iter_mut().zip(&mut *offsets).enumerate() {
        *offset = start as u32;
        let len = depth(parents, token)?;
        start += len;
        let (path, after) = rest.split_at_mut_checked(len).unwrap_or_default();
        rest = after;
        *code = climb(parents, counts.len(), token, path);
    }
    if let Some(last) = offsets.last_mut() {
        *last = start as u32;
    }
    Ok(HuffmanRef {
        offsets,
        nodes,
        codes,
    })
}

const ROOT: u32 = u32::MAX;

/// The caller's workspace, divided.
struct Workspace<'w> {
    /// For each leaf (its token), then each inner node (in order of making): twice the rank of the
    /// inner node above it, plus the side.
    parents: &'w mut [u32],
    /// Tokens by rising count.
    order: &'w mut [u32],
    /// Weight of each inner node made so far.
    weights: &'w mut [u64],
}

impl<'w> Workspace<'w> {
    fn new(workspace: &'w mut [u64], vocab_size: usize) -> Result<Self, HuffmanError> {
        let workspace = take(workspace, build_workspace_len(vocab_size))?;
        let (weights, rest) = workspace
            .split_at_mut_checked(vocab_size)
            .unwrap_or_default();
        let (order, parents) = bytemuck::cast_slice_mut::<u64, u32>(rest)
            .split_at_mut_checked(vocab_size)
            .unwrap_or_default();
        let parents = take(parents, (2 * vocab_size).saturating_sub(1))?;
        Ok(Self {
            parents,
            order,
            weights,
        })
    }
}

/// Joins the two lightest until one is left, and returns every node's parent.
fn join<'w>(counts: &[u64], workspace: &'w mut [u64]) -> Result<&'w mut [u32], HuffmanError> {
    let vocab_size = counts.len();
    if vocab_size >= 1 << 31 {
        return Err(HuffmanError::TooLarge);
    }
    let Workspace {
        parents,
        order,
        weights,
    } = Workspace::new(workspace, vocab_size)?;
    let count = |token: u32| counts.get(token as usize).map_or(1, |c| (*c).max(1));
    for (slot, token) in order.iter_mut().zip(0..) {
        *slot = token;
    }
    let key = |token: &u32| (count(*token), *token);
    heap::sort(order, |a, b| key(a) < key(b));
    let (mut leaf, mut inner) = (0, 0);
    for made in 0..vocab_size.saturating_sub(1) {
        let mut sum = 0u64;
        for side in 0..2 {
            let token = order.get(leaf).copied();
            let heavy = weights.get(inner).filter(|_| inner < made).copied();
            let (child, weight) = match token.map(|token| (token, count(token))) {
                Some((token, light)) if heavy.is_none_or(|heavy| light <= heavy) => {
                    leaf += 1;
                    (token as usize, light)
                }
                _ => {
                    inner += 1;
                    (vocab_size + inner - 1, heavy.unwrap_or(0))
                }
            };
            sum = sum.saturating_add(weight);
            if let Some(parent) = parents.get_mut(child) {
                *parent = (made as u32) << 1 | side;
            }
        }
        if let Some(weight) = weights.get_mut(made) {
            *weight = sum;
        }
    }
    if let Some(root) = parents.last_mut() {
        *root = ROOT;
    }
    Ok(parents)
}

/// Parent of a node: rank and side.
#[inline(always)]
fn parent(parents: &[u32], node: usize) -> Option<(usize, u64)> {
    let packed = *parents.get(node)?;
    (packed != ROOT).then_some(((packed >> 1) as usize, u64::from(packed & 1)))
}

/// Length of a token's path.
fn depth(parents: &[u32], token: usize) -> Result<usize, HuffmanError> {
    let (vocab_size, mut node) = (parents.len().div_ceil(2), token);
    for depth in 0..=MAX_CODE_LEN {
        match parent(parents, node) {
            Some((rank, _)) => node = vocab_size + rank,
            None => return Ok(depth),
        }
    }
    let token = token as u32;
    Err(HuffmanError::CodeTooLong { token })
}

/// Writes a token's path, from its parent up, and returns its code.
fn climb(parents: &[u32], vocab_size: usize, token: usize, path: &mut [u32]) -> u64 {
    let (mut node, mut code) = (token, 0);
    for slot in path.iter_mut().rev() {
        let Some((rank, side)) = parent(parents, node) else {
            break;
        };
        // The last inner node made is the root: number them from there.
        *slot = (vocab_size - 2 - rank) as u32;
        code = code << 1 | side;
        node = vocab_size + rank;
    }
    code
}
