# stack.awk: the deepest path through the header's own functions, from gcc's -fcallgraph-info=su. Prints, for each
# public function, the bytes of stack and the path.
#
# Functions of wolfSSL, of libc and of the caller that stand between are not counted. A call through a pointer goes
# where the room of its caller lets it go: from the session to the transport, to the actions of the engine's table and
# to the rows of commands; from the engine and from the rooms below it to the latter alone; from the session's look at
# the time to the clock; from all others to the caller's own functions. wolfSSL calls back into the room >>wolfssl, and
# that the transport. imc_hash_wipe_below() is not counted: its frame lies where those of wolfSSL's hashes lay.
# The handshake, where certificates are verified, and the login take place in a connect alone, and in the steps of one.
BEGIN {
    FS = "\""
    command = "^imc_(select|close|enable|list|status|namespace|messages|recv|store|move|search|idle)_" \
        "(take|next|end|choose|flag|expunge)$"
}
function bytes(label, part, n) { n = split(label, part, /\\n/); return part[n] ~ /bytes/ ? part[n] + 0 : -1 }
function plain(name) { sub(/.*:/, "", name); return name }
/^node/ { if (bytes($4) >= 0) own[plain($2)] = bytes($4) }
/^edge/ { calls[plain($2)] = calls[plain($2)] " " plain($4) }
# What only a login calls.
function of_login(name) {
    return name ~ /^imc_(session_prove|scram_.*|engine_(answer_(cram|nothing|token|scram)|greeted|preauth|log_in))$/
}
function targets(caller, callee, name, list) {
    if (callee == "imc_hash_wipe_below" || (!login && of_login(callee))) return ""
    if (callee in own) return callee
    if (callee ~ /^wolfSSL_(connect|read|write|shutdown)$/)
        return "imc_tls_receive imc_tls_send" (login ? " imc_tls_verify" : "")
    if (callee != "__indirect_call") return ""
    if (caller == "imc_session_now") return "imc_sockets_clock"
    for (name in own) {
        if (!login && of_login(name)) continue
        if ((name ~ /^imc_sockets_/ && caller ~ /^(imc_session_|imc_tls_|imapconnect)/) ||
            (name ~ /^imc_engine_/ && caller ~ /^(imc_session_|imc_engine_take|imc_engine_dispatch|imapconnect)/) ||
            (name ~ command && caller ~ /^(imc_session_|imc_engine_|imc_rows_|imc_responses_|imapconnect)/))
            list = list " " name
    }
    return list
}
function deepest(name, callee, target, n, m, i, j, most, one, best) {
    if (name in memo) return memo[name]
    memo[name] = own[name]
    n = split(calls[name], callee, " ")
    for (i = 1; i <= n; i++) {
        m = split(targets(name, callee[i]), target, " ")
        for (j = 1; j <= m; j++) {
            one = deepest(target[j])
            if (one > most) { most = one; best = target[j] }
        }
    }
    via[name] = best
    return memo[name] = own[name] + most
}
function report(name, path, step) {
    path = name
    for (step = name; deepest(name) >= 0 && via[step] != ""; step = via[step])
        path = path " > " via[step]
    print memo[name], path
}
END {
    login = 1
    report("imapconnect")
    report("imapconnect_step")
    login = 0
    split("", memo)
    split("", via)
    for (name in own)
        if (name ~ /^imapconnect/ && name != "imapconnect" && name != "imapconnect_step")
            report(name)
}
