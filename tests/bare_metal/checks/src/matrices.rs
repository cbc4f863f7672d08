//! Products of matrices and vectors, and the best of many scores.

use crate::{Arena, Checksum, sum_of};
use barelm_kernels::mat::{MatMut, MatRef};
use barelm_kernels::matmul::{self as products, Accum, matmul_workspace_len};
use barelm_kernels::top_k as best;

pub fn matvec(arena: &mut Arena<'_>) -> Option<u64> {
    let (a, x, y) = (arena.values(23 * 70)?, arena.values(70)?, arena.zeros(23)?);
    products::matvec(y, MatRef::new(a, 23, 70).ok()?, x).ok()?;
    sum_of(y)
}

pub fn matvec_t(arena: &mut Arena<'_>) -> Option<u64> {
    let (a, x, y) = (arena.values(23 * 70)?, arena.values(23)?, arena.zeros(70)?);
    products::matvec_t(y, MatRef::new(a, 23, 70).ok()?, x).ok()?;
    sum_of(y)
}

/// More steps than one chain covers, and edges on every side.
const M: usize = 7;
const N: usize = 53;
const K: usize = 300;

type Product = fn(
    MatMut<'_>,
    MatRef<'_>,
    MatRef<'_>,
    Accum,
    &mut [f32],
) -> Result<(), barelm_kernels::error::KernelError>;

/// The product of two operands of these shapes, added to what was there.
fn product(
    arena: &mut Arena<'_>,
    multiply: Product,
    a: (usize, usize),
    b: (usize, usize),
) -> Option<u64> {
    let (a_values, b_values) = (arena.values(M * K)?, arena.values(K * N)?);
    let (c, workspace) = (
        arena.values(M * N)?,
        arena.zeros(matmul_workspace_len(M, N, K))?,
    );
    let a = MatRef::new(a_values, a.0, a.1).ok()?;
    let b = MatRef::new(b_values, b.0, b.1).ok()?;
    multiply(MatMut::new(c, M, N).ok()?, a, b, Accum::Add, workspace).ok()?;
    sum_of(c)
}

pub fn matmul(arena: &mut Arena<'_>) -> Option<u64> {
    product(arena, products::matmul, (M, K), (K, N))
}

pub fn matmul_nt(arena: &mut Arena<'_>) -> Option<u64> {
    product(arena, products::matmul_nt, (M, K), (N, K))
}

pub fn matmul_tn(arena: &mut Arena<'_>) -> Option<u64> {
    product(arena, products::matmul_tn, (K, M), (K, N))
}

fn sum_of_scored(entries: &[best::Scored]) -> Option<u64> {
    let add = |sum: Checksum, entry: &best::Scored| sum.word(entry.index).float(entry.score);
    entries.iter().fold(Checksum::new(), add).finish()
}

pub fn top_k(arena: &mut Arena<'_>) -> Option<u64> {
    sum_of_scored(&best::top_k::<8>(arena.values(300)?))
}

pub fn top_k_of_products(arena: &mut Arena<'_>) -> Option<u64> {
    let (table, x) = (arena.values(60 * 33)?, arena.values(33)?);
    sum_of_scored(&best::top_k_of_products::<8>(MatRef::new(table, 60, 33).ok()?, x).ok()?)
}

pub fn top_k_of_cosines(arena: &mut Arena<'_>) -> Option<u64> {
    let (table, x, inverse_norms) = (arena.values(60 * 33)?, arena.values(33)?, arena.values(60)?);
    let table = MatRef::new(table, 60, 33).ok()?;
    sum_of_scored(&best::top_k_of_cosines::<8>(table, inverse_norms, x).ok()?)
}
