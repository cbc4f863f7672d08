# The C interface: the header, a static library for host and Cortex-M4F, and a program linked with each. Sourced by `lib.sh`.

capi=$root/kernels/capi

header_is_fresh() {
    cargo run --quiet --release -p header -- "$capi" >"$out/barelm.h"
    diff "$capi/barelm.h" "$out/barelm.h" || fail "kernels/capi/barelm.h is stale: cp $out/barelm.h $capi/barelm.h"
}

# A static library that contains no panic, for the link says so.
static_library() {
    (cd "$root" && cargo rustc --quiet --release -p barelm-capi --crate-type staticlib \
        --config 'profile.release.panic="abort"' --config 'profile.release.lto="fat"' \
        --config 'profile.release.codegen-units=1' "$@")
}

c_on_host() {
    RUSTFLAGS='--cfg barelm_backend="portable"' static_library --target x86_64-unknown-linux-gnu
    cc -std=c11 -Wall -Wextra -Werror -O2 -I "$capi" -Wa,-I"$BARELM_MODELS" c/main.c c/model.s \
        "$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/libbarelm_capi.a" -Wl,--gc-sections -o "$out/c_host"
    "$out/c_host" || fail 'the C program ends with an error on this host'
}

c_on_target() {
    local target=thumbv7em-none-eabihf
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 static_library -Zbuild-std=core --target $target
    arm-none-eabi-gcc -std=c11 -Wall -Wextra -Werror -O2 -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 \
        -I "$capi" -Wa,-I"$BARELM_MODELS" c/main.c c/start.c c/model.s \
        "$CARGO_TARGET_DIR/$target/release/libbarelm_capi.a" --specs=rdimon.specs -nostartfiles -T c/cortex_m.ld \
        -Wl,--gc-sections -o "$out/c_target.elf"
    cortex_m "$out/c_target.elf" 2>/dev/null || fail 'the C program ends with an error on the Cortex-M4F'
}
