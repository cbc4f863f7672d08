//! One adapter a library.

use barelm::kernels::mat::{MatMut, MatRef};
use barelm::kernels::matmul::{Accum, matmul, matmul_workspace_len, matvec};
use barelm::kernels::rng::Rng;

/// `c = a b`, all row by row, and room that barelm asks for.
pub struct Problem {
    /// `m`, `n` and `k`: `a` is `m x k`, `b` is `k x n`.
    pub shape: [usize; 3],
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    workspace: Vec<f32>,
}

impl Problem {
    /// Random matrices.
    pub fn new(shape: [usize; 3]) -> Self {
        let [m, n, k] = shape;
        let mut rng = Rng::new(1);
        let mut values = |len| (0..len).map(|_| rng.uniform() - 0.5).collect();
        Self {
            shape,
            a: values(m * k),
            b: values(k * n),
            c: vec![f32::NAN; m * n],
            workspace: vec![0.0; matmul_workspace_len(m, n, k)],
        }
    }

    /// Floating-point operations of one product.
    pub fn flops(&self) -> f64 {
        self.shape.iter().product::<usize>() as f64 * 2.0
    }

    /// How often small products run between two looks at the clock.
    pub fn repeats(&self) -> usize {
        (1e6 / self.flops()).ceil() as usize
    }

    /// Compares the result with a sum in `f64`, and forgets it.
    pub fn check(&mut self, name: &str) {
        let [m, n, k] = self.shape;
        let places = (0..m * n).step_by(1 + m * n / 1000);
        for (row, column) in places.map(|i| (i / n, i % n)) {
            let term = |p| f64::from(self.a[row * k + p]) * f64::from(self.b[p * n + column]);
            let (want, got) = ((0..k).map(term).sum::<f64>(), self.c[row * n + column]);
            let near = (f64::from(got) - want).abs() < 1e-5 * (k as f64).sqrt();
            assert!(near, "{name}: {got} instead of {want} at {row}, {column}");
        }
        self.c.fill(f32::NAN);
    }
}

/// A library and its product.
pub struct Library {
    pub name: &'static str,
    pub product: fn(&mut Problem),
}

/// barelm first.
pub const LIBRARIES: [Library; 4] = [
    Library {
        name: "barelm",
        product: barelm,
    },
    Library {
        name: "gemm",
        product: gemm,
    },
    Library {
        name: "matrixmultiply",
        product: matrixmultiply,
    },
    Library {
        name: "OpenBLAS",
        product: openblas,
    },
];

fn barelm(problem: &mut Problem) {
    let Problem {
        shape: [m, n, k],
        a,
        b,
        c,
        workspace,
    } = problem;
    let a = MatRef::new(a, *m, *k).expect("m x k");
    if *n == 1 {
        return matvec(c, a, b).expect("m and k");
    }
    let b = MatRef::new(b, *k, *n).expect("k x n");
    let c = MatMut::new(c, *m, *n).expect("m x n");
    matmul(c, a, b, Accum::Replace, workspace).expect("shapes fit");
}

fn gemm(problem: &mut Problem) {
    let Problem {
        shape: [m, n, k],
        a,
        b,
        c,
        ..
    } = problem;
    let (row, column) = (|width: usize| width as isize, 1);
    let parallelism = gemm::Parallelism::None;
    // SAFETY: the strides are those of three whole matrices.
    unsafe {
        gemm::gemm(
            *m,
            *n,
            *k,
            c.as_mut_ptr(),
            column,
            row(*n),
            false,
            a.as_ptr(),
            column,
            row(*k),
            b.as_ptr(),
            column,
            row(*n),
            0.0_f32,
            1.0_f32,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn matrixmultiply(problem: &mut Problem) {
    let Problem {
        shape: [m, n, k],
        a,
        b,
        c,
        ..
    } = problem;
    let row = |width: usize| width as isize;
    // SAFETY: the strides are those of three whole matrices.
    unsafe {
        matrixmultiply::sgemm(
            *m,
            *k,
            *n,
            1.0,
            a.as_ptr(),
            row(*k),
            1,
            b.as_ptr(),
            row(*n),
            1,
            0.0,
            c.as_mut_ptr(),
            row(*n),
            1,
        );
    }
}

#[link(name = "openblas")]
unsafe extern "C" {
    fn cblas_sgemm(
        order: i32,
        a_is: i32,
        b_is: i32,
        m: i32,
        n: i32,
        k: i32,
        alpha: f32,
        a: *const f32,
        lda: i32,
        b: *const f32,
        ldb: i32,
        beta: f32,
        c: *mut f32,
        ldc: i32,
    );
    fn cblas_sgemv(
        order: i32,
        a_is: i32,
        m: i32,
        n: i32,
        alpha: f32,
        a: *const f32,
        lda: i32,
        x: *const f32,
        x_step: i32,
        beta: f32,
        y: *mut f32,
        y_step: i32,
    );
}

fn openblas(problem: &mut Problem) {
    let Problem { shape, a, b, c, .. } = problem;
    let [m, n, k] = shape.map(|len| len as i32);
    let (by_rows, plain) = (101, 111);
    // SAFETY: the strides are those of three whole matrices.
    unsafe {
        if n == 1 {
            cblas_sgemv(
                by_rows,
                plain,
                m,
                k,
                1.0,
                a.as_ptr(),
                k,
                b.as_ptr(),
                1,
                0.0,
                c.as_mut_ptr(),
                1,
            );
        } else {
            cblas_sgemm(
                by_rows,
                plain,
                plain,
                m,
                n,
                k,
                1.0,
                a.as_ptr(),
                k,
                b.as_ptr(),
                n,
                0.0,
                c.as_mut_ptr(),
                n,
            );
        }
    }
}
