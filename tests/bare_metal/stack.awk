# Whether functions take no more stack than the table of the documentation states.
#     awk -f stack.awk DEPTHS TABLE
# DEPTHS has the bytes of the deepest chain from a function on, and its name, a line. Rows of TABLE name a module, perhaps a
# type, and a function; where that lies deeper in the module does not matter.

FILENAME == ARGV[1] { bytes = $1; sub(/^[0-9]+ /, ""); depth[$0] = bytes; next }
/^\| \[`/ {
    stated = $4
    n = split(substr($2, 3, length($2) - 4), part, "::")
    pattern = "barelm_kernels::" part[1] "(::.*)?::" (n == 3 ? part[2] ">" "::" : "") part[n] "$"
    most = -1
    for (name in depth) if (name ~ pattern && depth[name] + 0 > most) most = depth[name] + 0
    if (most < 0) { print $2 " is no function of the kernels"; wrong = 1 }
    if (most > stated) { print $2 " takes " most " bytes of stack, not " stated; wrong = 1 }
    rows++
}
END { if (!rows) print "no rows were found"; exit wrong || !rows }
