//! What a careless caller gets. A whole model is run by the C program of `tests/bare_metal`.

use crate::*;
use core::ptr::{null, null_mut};

#[test]
fn null_pointers_are_errors() {
    let mut out = 0.0;
    let x = [1.0_f32; 4];
    // SAFETY: null pointers are checked, the others are right.
    unsafe {
        assert_eq!(barelm_dot(null(), x.as_ptr(), 4, &mut out), Status::Null);
        assert_eq!(
            barelm_dot(x.as_ptr(), x.as_ptr(), 4, null_mut()),
            Status::Null
        );
        assert_eq!(barelm_softmax(null_mut(), 1), Status::Null);
        assert_eq!(barelm_model_info(null(), null_mut()), Status::Null);
        assert_eq!(barelm_session_push(null_mut(), 0), Status::Null);
        assert_eq!(
            barelm_session_logits(null_mut(), null_mut(), 0),
            Status::Null
        );
        let mut model = null();
        let open = barelm_model_open(null_mut(), 0, null(), 9, null_mut(), 0, &mut model);
        assert_eq!(open, Status::Null);
    }
}

#[test]
fn misaligned_pointers_are_errors() {
    let mut x = [0.0_f32; 4];
    let file = [0_u64; 16];
    // SAFETY: misaligned pointers are checked, and stay within their buffers.
    unsafe {
        let odd = x.as_mut_ptr().cast::<u8>().add(1).cast::<f32>();
        assert_eq!(barelm_softmax(odd, 2), Status::Misaligned);
        let mut words = 0;
        let bytes = file.as_ptr().cast::<u8>();
        let past = bytes.add(bytes.align_offset(64) + 8);
        assert_eq!(
            barelm_model_check_words(past, 8, &mut words),
            Status::Misaligned
        );
    }
}

#[test]
fn what_is_no_model_is_refused() {
    let (mut memory, mut model) = ([0_u8; 8], null());
    // SAFETY: all pointers are right; without bytes none are read.
    let open = unsafe {
        let file = null();
        barelm_model_open(memory.as_mut_ptr(), 8, file, 0, null_mut(), 0, &mut model)
    };
    assert_eq!((open, model), (Status::Format, null()));
}

#[test]
fn empty_buffers_may_be_null() {
    let mut out = 1.0;
    // SAFETY: nothing is read of them.
    let status = unsafe { barelm_dot(null(), null(), 0, &mut out) };
    assert_eq!(status, Status::Ok);
    assert_eq!(out, 0.0);
}

#[test]
fn handles_need_their_room() {
    let mut memory = [0_u8; 64];
    for len in 0..64 {
        for start in 0..8 {
            // SAFETY: within the buffer, which is not used otherwise.
            let placed = unsafe {
                buffer::place(memory.as_mut_ptr().add(start), len.min(64 - start), 7_u64)
            };
            match placed {
                Ok(place) => assert!(place.is_aligned() && len >= 8),
                Err(error) => {
                    assert_eq!(error, Status::TooShort);
                    assert!(len.min(64 - start) < buffer::size_of_place::<u64>());
                }
            }
        }
    }
}

#[test]
fn every_status_has_a_name_of_its_own() {
    let all = [
        Status::Ok,
        Status::Null,
        Status::Misaligned,
        Status::TooShort,
        Status::Shape,
        Status::Format,
        Status::Token,
        Status::Sampling,
        Status::Pattern,
    ];
    let name = |status| {
        // SAFETY: names are static and end with zero.
        unsafe { core::ffi::CStr::from_ptr(barelm_status_name(status)) }
    };
    let names: std::collections::HashSet<_> = all.map(name).into();
    assert_eq!(names.len(), all.len());
}
