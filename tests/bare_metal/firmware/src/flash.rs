//! A file in flash, at a multiple of its sections' alignment.

/// The bytes of a file.
#[repr(C, align(64))]
pub struct Flash<const N: usize>(pub [u8; N]);

impl<const N: usize> Flash<N> {
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A static with the content of a file of the folder `BARELM_MODELS`, in a section of its own.
#[macro_export]
macro_rules! flash {
    ($name:ident, $file:literal) => {
        #[cfg_attr(not(target_arch = "wasm32"), unsafe(link_section = ".model"))]
        static $name: $crate::Flash<
            { include_bytes!(concat!(env!("BARELM_MODELS"), "/", $file)).len() },
        > = $crate::Flash(*include_bytes!(concat!(env!("BARELM_MODELS"), "/", $file)));
    };
}
