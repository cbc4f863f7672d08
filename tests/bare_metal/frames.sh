# Stack frames and instruction counts on the Cortex-M4F. Sourced by `lib.sh`.

# Frames of all functions of the kernels, from an object file that no link has gone over, and the
# deepest chain of calls, from the firmware as it is.
stack_frames() {
    local object=$out/kernels.o
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 cargo rustc --quiet --profile frames -p barelm-kernels \
        -Zbuild-std=core --target thumbv7em-none-eabihf -- -Zemit-stack-sizes --emit "obj=$object"
    "$READELF" --stack-sizes "$object" | arm-none-eabi-c++filt | awk '$1 ~ /^[0-9]+$/' | sort -rn >"$out/frames.txt"
    say "Cortex-M4F: largest frames of kernels, in bytes:"
    head -12 "$out/frames.txt" | cut -c1-150
}

# Instructions of a token, where QEMU counts each for a nanosecond.
instructions() {
    cortex_m "$(elf thumbv7em-none-eabihf count)" -icount shift=0 >"$out/count.txt" 2>"$out/count.err" || fail 'counting instructions'
    say 'Cortex-M4F: instructions of the 128th token, and of what it is made of:'
    cat "$out/count.txt"
    local token
    token=$(sed -n 's/^token //p' "$out/count.txt")
    [ "$token" -le $INSTRUCTION_LIMIT ] || fail "$token instructions a token"
}
