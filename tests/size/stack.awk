# stack.awk: the deepest path through the header's own functions, from gcc's -fcallgraph-info=su. Prints, for each
# public function, the bytes of stack and the path.
#
# Functions of wolfSSL, of libc and of the caller that stand between are not counted. A call through a pointer goes
# where the room of its caller lets it go: from the session to the transport, to the actions of the engine's table and
# to the rows of commands; from the engine and from the rooms below it to the latter alone; from all others to the
# caller's own functions. wolfSSL calls back into the room >>wolfssl, and that the transport.
BEGIN { FS = "\""; command = "^imc_.*_(take|next|end|send|choose|fetch|flag|expunge)$" }
function bytes(label, part, n) { n = split(label, part, /\\n/); return part[n] ~ /bytes/ ? part[n] + 0 : -1 }
function plain(name) { sub(/.*:/, "", name); return name }
/^node/ { if (bytes($4) >= 0) own[plain($2)] = bytes($4) }
/^edge/ { calls[plain($2)] = calls[plain($2)] " " plain($4) }
function targets(caller, callee, name, list) {
    if (callee in own) return callee
    if (callee ~ /^wolfSSL_(connect|read|write|shutdown)$/) return "imc_tls_verify imc_tls_receive imc_tls_send"
    if (callee != "__indirect_call") return ""
    for (name in own)
        if ((name ~ /^imc_sockets_/ && caller ~ /^(imc_session_|imc_tls_|imapconnect)/) ||
            (name ~ /^imc_engine_/ && caller ~ /^(imc_session_|imc_engine_take|imc_engine_dispatch|imapconnect)/) ||
            (name ~ command && caller ~ /^(imc_session_|imc_engine_|imc_rows_|imc_responses_|imapconnect)/))
            list = list " " name
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
END {
    for (name in own) {
        if (name !~ /^imapconnect/)
            continue
        path = name
        for (step = name; deepest(name) >= 0 && via[step] != ""; step = via[step])
            path = path " > " via[step]
        print memo[name], path
    }
}
