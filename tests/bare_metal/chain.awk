# The deepest chain of calls: its bytes of stack, then each function on it with its frame. The file DEPTHS gets
# the deepest chain from each function on, in bytes.
#     awk -v depths=DEPTHS -f chain.awk FRAMES CALLS
# FRAMES has a function and its frame a line. CALLS is a disassembly with relocations. What other crates'
# functions take is not known here and counts as nothing, as do calls of closures that a caller hands in.

function depth(name,    i, n, list, below, most) {
    if (name in known) return known[name]
    # A function that is reached from itself would count for ever: it counts once, and is told of.
    if (name in entered) { print "recursion: " name > "/dev/stderr"; return 0 }
    entered[name]
    n = split(calls[name], list, " ")
    most = 0
    for (i = 1; i <= n; i++) {
        below = depth(list[i])
        if (below > most) { most = below; next_of[name] = list[i] }
    }
    return known[name] = frame[name] + most
}

FILENAME == ARGV[1] { frame[$2] = $1; next }
/^[0-9a-f]+ <.*>:$/ { own = substr($2, 2, length($2) - 3) }
/R_ARM_THM_(CALL|JUMP24|JUMP19|JUMP11)/ {
    target = $NF
    sub(/^\.text\./, "", target)
    if (target != own && target in frame && !((own, target) in seen)) {
        seen[own, target]
        calls[own] = calls[own] " " target
    }
}

END {
    deepest = ""
    for (name in frame) if (deepest == "" || depth(name) > known[deepest]) deepest = name
    for (name in known) print known[name], name > depths
    print known[deepest], "bytes"
    for (name = deepest; name != ""; name = next_of[name]) print frame[name], name
}
