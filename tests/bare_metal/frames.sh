# Stack frames and instruction counts on the Cortex-M4F. Sourced by `lib.sh`.

# Most bytes of a function's frame.
FRAME_LIMIT=512

# Frames of all functions of the kernels, and the deepest chain of calls between them, from an object
# file that no link has gone over.
stack_frames() {
    local object=$out/kernels.o largest
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 cargo rustc --quiet --profile frames -p barelm-kernels \
        -Zbuild-std=core --target thumbv7em-none-eabihf -- -Zemit-stack-sizes --emit "obj=$object"
    "$READELF" --stack-sizes "$object" | awk '$1 ~ /^[0-9]+$/ { print $1, $2 }' | sort -rn >"$out/frames.mangled"
    demangled <"$out/frames.mangled" >"$out/frames.txt"
    largest=$(sed -n '1s/ .*//p' "$out/frames.txt")
    [ -n "$largest" ] || fail 'no frames were found'
    say "Cortex-M4F: largest frames of $(wc -l <"$out/frames.txt") functions of kernels, in bytes (at most $FRAME_LIMIT):"
    head -5 "$out/frames.txt" | cut -c1-150
    arm-none-eabi-objdump -dr --no-show-raw-insn "$object" |
        awk -v depths="$out/depths.mangled" -f chain.awk "$out/frames.mangled" - | demangled >"$out/chain.txt"
    say "Cortex-M4F: deepest chain of calls within kernels, $(head -1 "$out/chain.txt"):"
    tail -n +2 "$out/chain.txt" | cut -c1-150
    demangled <"$out/depths.mangled" >"$out/depths.txt"
    awk -f stack.awk "$out/depths.txt" ../../kernels/stack.md || fail 'the stack that kernels/stack.md states'
    [ "$largest" -le $FRAME_LIMIT ] || fail "a frame of $(head -1 "$out/frames.txt" | cut -c1-300)"
}

# Names as in the source, without the hashes of crates.
demangled() { arm-none-eabi-c++filt | sed 's/\[[0-9a-f]\{12,16\}\]//g'; }

# Instructions of a token, where QEMU counts each for a nanosecond.
instructions() {
    cortex_m "$(elf thumbv7em-none-eabihf count)" -icount shift=0 >"$out/count.txt" 2>"$out/count.err" || fail 'counting instructions'
    say 'Cortex-M4F: instructions of the 128th token, and of what it is made of:'
    cat "$out/count.txt"
    local token
    token=$(sed -n 's/^token //p' "$out/count.txt")
    [ "$token" -le $INSTRUCTION_LIMIT ] || fail "$token instructions a token"
}
