# seeds.awk: the dialogues of ../transcripts as inputs for a fuzzer.
#
#   awk -v target=connect|responses|rows -f seeds.awk FILE...
#
# prints a line for each that the target can use: its name, a space, and a text for printf's %b, as in the *.seeds files.
# The server's lines become the script (see fuzz.h), each line of the client a turn, and each call its letters. What the
# transcript expects is left out, and so are the arguments: it is the server's side that is worth having.

BEGIN {
    split("connect - close - noop n command c disconnect d", pairs, " ")
    for (i = 1; i <= 10; i += 2)
        letters["connect " pairs[i]] = pairs[i + 1]
    split("connect - close - noop n command f check c disconnect d", pairs, " ")
    for (i = 1; i <= 12; i += 2)
        letters["responses " pairs[i]] = pairs[i + 1]
    split("connect - close - disconnect - select jFA examine kFA create sFA delete sFB subscribe sFC unsubscribe sFD " \
        "status iFA rename sFF list aJM lsub bJM close-mailbox tAA unselect tAB check tAC expunge tAD namespaces lAA " \
        "id sFE enable qAB messages cAA headers eAA message fAA part gAA flags pAA copy rFA move oFA search hAA " \
        "append nFE idle mAB noop tAF command uFA", pairs, " ")
    for (i = 1; i in pairs; i += 2)
        letters["rows " pairs[i]] = pairs[i + 1]
    split("IDLE MOVE UIDPLUS LITERAL+ LITERAL-", offers, " ")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
    split("external 1 oauthbearer 2 xoauth2 4 scram-sha-256-plus 8 scram-sha-256 16 scram-sha-1 32 cram-md5 64 " \
        "plain 128 login 256 strongest 504 in-clear 512", pairs, " ")
    for (i = 1; i in pairs; i += 2)
        bits[pairs[i]] = pairs[i + 1]
}

# An option of so much, as an octal escape: 'A' is 0.
function option(value) {
    value = (value + 65) % 256
    return sprintf("\\0%d%d%d", int(value / 64), int(value / 8) % 8, value % 8)
}

# `auth: plain in-clear`: the sum, as fuzz_connect.c reads it.
function sum_of(words,    names, sum, i) {
    for (i = split(words, names, " "); i > 0; i--)
        sum += bits[names[i]]
    return sum
}

# An answer in base64 is one of ours; the signature of SCRAM must be that for the fuzzer's password, where it is right.
function said(line) {
    if (name ~ /^auth-scram/ && name !~ /wrong|signature-/ && line ~ /^S: \+ dj[0-3]/)
        return "+ \\0002v=\\0001\\0002"
    return unescape(substr(line, 4))
}

# Which kind of argument, see argument() in fuzz_connect.c.
function kind_of(value) {
    if (value ~ /\\x/)
        return 3
    if (value ~ /[,=]/)
        return 8
    if (value ~ /\*255/)
        return 6
    if (value ~ /\*256/)
        return 7
    return value ~ /\*4000/ ? 11 : value == "" ? 15 : 0
}

function hex(digit) {
    return index("0123456789abcdef", digit) - 1
}

# \xNN as %b wants it.
function octal(digits,    value) {
    value = hex(substr(digits, 1, 1)) * 16 + hex(substr(digits, 2, 1))
    return sprintf("\\0%d%d%d", int(value / 64), int(value / 8) % 8, value % 8)
}

# One escape; `taken` is how many characters it has.
function escape(text,    kind, times, open, close_, out) {
    kind = substr(text, 2, 1)
    taken = 2
    if (kind == "x") {
        taken = 4
        return octal(substr(text, 3, 2))
    }
    if (kind == "0")
        return "\\0000"
    if (kind != "*")
        return substr(text, 1, 2)
    open = index(text, "(")
    close_ = index(text, ")")
    times = substr(text, 3, open - 3) + 0
    out = unescape(substr(text, open + 1, close_ - open - 1))
    taken = close_
    return times * length(out) > 2000 ? "" : repeated(out, times)
}

function repeated(text, times,    out) {
    for (out = ""; times > 0; times--)
        out = out text
    return out
}

function unescape(text,    out) {
    for (out = ""; text != ""; text = substr(text, taken + 1)) {
        taken = 1
        out = out (substr(text, 1, 1) == "\\" ? escape(text) : substr(text, 1, 1))
    }
    return out
}

# The bits of what a greeting offers, as a letter.
function offered(line,    i, sum, bit) {
    for (i = 1; i <= 5; i++)
        if (index(line " ", " " offers[i] " ") || index(line, " " offers[i] "]"))
            sum += 2 ^ (i - 1)
    return sum == 27 ? "\\\\" : substr(alphabet, sum + 1, 1)
}

function finish(    options) {
    if (name == "" || skip || length(script) > 3000 || (target != "connect" && preauth == ""))
        return
    options = ending "AAA"
    if (target != "connect")
        sub(/^\|/, "", script) # there the target waits by itself
    if (target == "connect")
        print name, options substr(alphabet, mode + 1, 1) option(user + 16 * password) "A" option(auth % 256) \
            option(int(auth / 256)) iterations substr(calls, 1, 6) "\\n" script
    else if (target == "responses")
        print name, options "A" substr(calls, 1, 6) "\\n" script
    else
        print name, options offered(preauth) "A" substr(calls, 1, 12) "\\n\\n\\n" script
}

FNR == 1 {
    finish()
    name = FILENAME
    sub(/.*\//, "", name)
    sub(/\.txt$/, "", name)
    script = calls = preauth = ""
    ending = iterations = "A"
    skip = mode = lines = user = password = auth = 0
}

/^secure: 1/ { skip = 1 }
/^secure: 2/ { mode += 1 }
/^refuse_cleartext: 1/ { mode += 2 }
/^user:/ { user = kind_of(substr($0, 7)) }
/^password:/ { password = kind_of(substr($0, 11)) }
/^auth: / { auth = sum_of(substr($0, 7)) }
/^iterations: 10$/ { iterations = "C" }
/^iterations: 600/ { iterations = "F" }
/^call: / {
    if (!((target " " $2) in letters))
        skip = 1
    else if (letters[target " " $2] != "-")
        calls = calls letters[target " " $2]
}
/^S! EOF/ { ending = "B" }
/^S! RESET/ { ending = "C" }
/^C! TLS/ || (/^C: / && !/\+}$/) { script = script "|" }
/^S[:>]/ {
    if (!lines++ && target != "connect" && index($0, "S: * PREAUTH") == 1)
        preauth = $0 # the target says that itself
    else
        script = script said($0) (/^S:/ ? "\\r\\n" : "")
}
END { finish() }
