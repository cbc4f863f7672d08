//! The product, in place or by packed panels.

use super::Accum;
use super::in_place::InPlace;
use super::operand::Operand;
use super::packed::Packed;
use crate::mat::MatMut;
use crate::simd::{Kernel, Simd};

/// A product of non-empty operands whose shapes were checked.
pub(super) struct Product<'a, 'd> {
    pub(super) dst: &'a mut MatMut<'d>,
    pub(super) a: Operand<'a>,
    pub(super) b: Operand<'a>,
    pub(super) accum: Accum,
    /// `matmul_workspace_len` elements.
    pub(super) workspace: &'a mut [f32],
}

/// Multiply-adds that do not pay for packing `b`, however large it is.
const FEW_PRODUCTS: usize = 5 << 20;

impl Product<'_, '_> {
    /// Whether it is faster in place. `b` may have any number of rows pass by while it stays in the second
    /// cache level; a vector of it that crosses into the next cache line is read as slowly as two. Of the
    /// cache lines of a transposed `a` a tile reads a part: many products pay for packing it.
    #[inline(always)]
    fn is_faster_in_place<S: Simd>(&self) -> bool {
        let ((m, k), (_, n)) = (self.a.shape(), self.b.shape());
        let elements = k.saturating_mul(n);
        let products = elements.saturating_mul(m);
        let on_lines = self.b.lies_on_lines();
        let most_products = match self.a.is_transposed() {
            false if elements <= if on_lines { 256 * 256 } else { 128 * 128 } => usize::MAX,
            false => FEW_PRODUCTS,
            true if const { S::REGISTERS < 32 } => 1 << 20,
            true if on_lines => 1 << 24,
            true => 1 << 21,
        };
        !self.b.is_transposed() && products <= most_products
    }
}

impl Kernel for Product<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { S::REGISTERS < 8 } {
            Packed::new(self).run(simd);
        } else if self.is_faster_in_place::<S>() {
            InPlace::new(self).run(simd);
        } else {
            simd.call(Packed::new(self));
        }
    }
}
