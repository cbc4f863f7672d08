# The steps of `run`, in their order. Sourced, not run.

TARGETS='thumbv7em-none-eabihf riscv32imac-unknown-none-elf riscv64gc-unknown-none-elf
    aarch64-unknown-none x86_64-unknown-linux-gnu wasm32-unknown-unknown'

# Budgets, in bytes, and in instructions of a token.
FLASH_LIMIT=$((64 * 1024))
TINY_LIMIT=$((4 * 1024))
RAM_LIMIT=$((96 * 1024))
INSTRUCTION_LIMIT=1500000

READELF=llvm-readelf

say() { printf 'bare metal: %s\n' "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }

install_packages() {
    local wanted=() package
    for package in rustc-web rust-web-src qemu-system-arm qemu-system-misc qemu-system-x86 nodejs \
        gcc-arm-none-eabi libnewlib-arm-none-eabi llvm; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted+=("$package")
    done
    [ ${#wanted[@]} -eq 0 ] && return
    local sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${wanted[@]}" >"$out/apt.log" 2>&1 ||
        fail "apt cannot install ${wanted[*]}: see $out/apt.log"
}

# Models from the synthetic corpus: a transformer of 238,144 parameters, the same for a device of 96 KiB of
# memory, and a seed with a tree.
models() {
    (cd "$root" && CARGO_TARGET_DIR=$root/target cargo build --quiet --profile test --bin barelm)
    local barelm=$root/target/debug/barelm folder=$CARGO_TARGET_DIR/training
    rm -rf "$folder" && mkdir "$folder"
    "$barelm" --quiet corpus generate --bytes 400K >"$folder/corpus.txt"
    "$barelm" --quiet lm train --config llama --vocab-size 1024 --dim 64 --layers 4 --heads 4 --kv-heads 2 \
        --hidden 160 --context 128 --steps 20 -o "$folder/llama" "$folder/corpus.txt" >"$out/models.txt"
    "$barelm" --quiet lm train --config seed --output huffman --vocab-size 512 --dim 64 --context 64 \
        --steps 20 -o "$folder/seed" "$folder/corpus.txt" >>"$out/models.txt"
    "$barelm" lm convert -m "$folder/llama" -o "$folder/llama_int8" --target-ram 96K --target-flash 512K \
        --text "$folder/corpus.txt" >"$out/converted.txt"
    local name
    for name in llama llama_int8 seed; do
        # Unchanged models are left alone, so that nothing is built again.
        cmp -s "$folder/$name/model.barelm" "$BARELM_MODELS/$name.barelm" ||
            cp "$folder/$name/model.barelm" "$BARELM_MODELS/$name.barelm"
    done
}

# What this host computes with the rounding of the targets.
expected() {
    RUSTFLAGS='--cfg barelm_backend="portable"' cargo build --quiet --release -p host
    "$CARGO_TARGET_DIR/release/host" "$BARELM_MODELS" >"$out/expected.txt" || fail 'a check fails on this host'
}

# Builds programs in a profile for some targets at once: with Debian's compiler, which has the sources of `core`,
# and this toolchain's linker; for x86-64, whose `core` is at hand, with this toolchain.
#     build_bins PROFILE "PROGRAM..." TARGET... [-- CARGO'S ARGUMENT...]
build_bins() {
    local profile=$1 lld bin target bins=() targets=() variables=()
    for bin in $2; do bins+=(--bin "$bin"); done
    shift 2
    lld=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        target=$1
        shift
        if [ "$target" = x86_64-unknown-linux-gnu ]; then
            RUSTFLAGS='--cfg barelm_backend="portable" -C relocation-model=static' \
                cargo build --quiet --profile "$profile" -p firmware "${bins[@]}" --target "$target" || return
        else
            targets+=(--target "$target")
            variables+=("CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$target")_LINKER=$lld")
        fi
    done
    [ ${#targets[@]} -eq 0 ] && return
    [ $# -eq 0 ] || shift
    env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 "${variables[@]}" \
        cargo build --quiet --profile "$profile" -p firmware "${bins[@]}" -Zbuild-std=core "${targets[@]}" "$@"
}

# Everything but the negative control.
build() {
    local reason='a panic can be reached, or see above'
    # Targets, not words of one.
    # shellcheck disable=SC2086
    build_bins release selftest $TARGETS || fail "the self-test does not link: $reason"
    build_bins small 'predict tiny hostile' thumbv7em-none-eabihf || fail "small firmware does not link: $reason"
    build_bins release count thumbv7em-none-eabihf || fail "the program that counts does not link: $reason"
}

# The file of a program: some are fast, the others are small, as what a product ships.
elf() {
    local profile=small
    case $2 in selftest | panics | count) profile=release ;; esac
    echo "$CARGO_TARGET_DIR/$1/$profile/$2"
}

# Runs a program on its machine; its output goes to stdout, its outcome is the status.
machine() {
    local program
    program=$(elf "$1" "$2")
    case $1 in
    thumb*) cortex_m "$program" ;;
    riscv32*) timeout 120 qemu-system-riscv32 -M virt -m 128 -bios none -display none -serial stdio -kernel "$program" ;;
    riscv64*) timeout 120 qemu-system-riscv64 -M virt -m 128 -bios none -display none -serial stdio -kernel "$program" ;;
    aarch64*) timeout 120 qemu-system-aarch64 -M virt -cpu cortex-a57 -display none -serial stdio -semihosting-config enable=on,target=native -kernel "$program" ;;
    x86_64*)
        local status=0
        timeout 120 qemu-system-x86_64 -M q35 -cpu max -display none -serial stdio -no-reboot \
            -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel "$program" || status=$?
        [ $status -eq 1 ] # The device makes 1 of a program's 0.
        ;;
    wasm32*) timeout 120 node wasm.mjs "$program.wasm" ;;
    esac </dev/null
}

# Semihosting writes where it likes; the line about the stack goes to stderr.
cortex_m() {
    local status=0 text=$out/cortex_m.txt program=$1
    shift
    timeout 300 qemu-system-arm -M mps2-an386 -nographic -semihosting-config enable=on,target=native "$@" \
        -kernel "$program" </dev/null >"$text" 2>&1 || status=$?
    grep '^stack ' "$text" >&2 || true
    grep -v '^stack ' "$text" || true
    return $status
}

# A target's lines are the host's.
self_test() {
    local got=$out/$1.txt
    machine "$1" selftest >"$got" 2>"$got.err" || fail "$1: the self-test ends with an error: see $got, $got.err"
    diff "$out/expected.txt" "$got" >"$got.diff" || { head -20 "$got.diff"; fail "$1: other bits than the host's"; }
    say "$1: $(wc -l <"$got") results, each bit as on the host"
}

# The same source with one panic must not link, on any target.
cannot_panic() {
    local target log=$out/panics.txt
    for target in $TARGETS; do rm -f "$(elf "$target" panics)"*; done
    # shellcheck disable=SC2086
    if build_bins release panics $TARGETS -- --keep-going >"$log" 2>&1; then fail "the negative control links: see $log"; fi
    # x86-64 is built first, and its failure ended the build.
    # shellcheck disable=SC2086
    build_bins release panics ${TARGETS/x86_64-unknown-linux-gnu/} -- --keep-going >>"$log" 2>&1 &&
        fail "the negative control links: see $log"
    for target in $TARGETS; do
        [ ! -e "$(elf "$target" panics)" ] && [ ! -e "$(elf "$target" panics).wasm" ] ||
            fail "$target: the negative control links, so the proof proves nothing"
        grep -A3 "/$target/release/deps" "$log" | grep -q a_panic_can_be_reached || fail "$target: the negative control fails for another reason: see $log"
        say "$target: no panic, no allocation; the negative control does not link"
    done
}

# Products added up in another order must be noticed.
perturbed() {
    local got=$out/perturbed.txt
    "$CARGO_TARGET_DIR/release/host" "$BARELM_MODELS" --in-another-order >"$got"
    if diff "$out/expected.txt" "$got" >/dev/null; then
        fail 'another order of accumulation goes unnoticed'
    fi
    say 'another order of accumulation is noticed'
}

# Bytes of some sections of a program.
section_bytes() {
    local program=$1 names=$2
    arm-none-eabi-size -A "$program" | awk -v names=" $names " 'index(names, " " $1 " ") { sum += $2 } END { print sum + 0 }'
}

budgets() {
    local target=thumbv7em-none-eabihf flash tiny ram stack
    machine $target predict >"$out/predict.txt" 2>"$out/predict.err" || fail 'the predicting firmware ends with an error'
    machine $target tiny >"$out/tiny.txt" 2>"$out/tiny.err" || fail 'the tiny firmware ends with an error'
    machine $target hostile >"$out/hostile.txt" 2>"$out/hostile.err" || { tail -3 "$out/hostile.txt"; fail 'a damaged image is not refused'; }
    flash=$(section_bytes "$(elf $target predict)" '.vectors .text .rodata')
    tiny=$(section_bytes "$(elf $target tiny)" .text)
    stack=$((16#$(sed -n 's/^stack //p' "$out/predict.err")))
    ram=$(($(section_bytes "$(elf $target predict)" '.bss .data') + stack))
    say "Cortex-M4F: tokenizes, predicts, generates in $flash bytes of .text and .rodata (at most $FLASH_LIMIT), $ram bytes of RAM, $stack of them stack (at most $RAM_LIMIT)"
    say "Cortex-M4F: dot, sigmoid table, Huffman walk in $tiny bytes of .text (at most $TINY_LIMIT)"
    say "Cortex-M4F: self-test of $(section_bytes "$(elf $target selftest)" '.text .rodata') bytes"
    say "Cortex-M4F: $(tail -1 "$out/hostile.txt")"
    [ "$flash" -le $FLASH_LIMIT ] || fail "$flash bytes of flash"
    [ "$tiny" -le $TINY_LIMIT ] || fail "$tiny bytes of .text"
    [ "$ram" -le $RAM_LIMIT ] || fail "$ram bytes of RAM"
    . ./frames.sh
    stack_frames
    instructions
}

# The C program prints the same on the host and on a Cortex-M4F.
c_programs() {
    . ./c/build.sh
    header_is_fresh
    c_on_host >"$out/c_host.txt"
    c_on_target >"$out/c_target.txt"
    diff "$out/c_host.txt" "$out/c_target.txt" || fail 'C prints other bits on the Cortex-M4F'
    say "C: $(wc -l <"$out/c_host.txt") lines, the same on host and Cortex-M4F; barelm.h is fresh"
}
