/* fuzz_names.c: what turns one text into another: the challenge's base64, the answer to it, the server's text, the names
   of mailboxes, both ways; what a mechanism says first, what SCRAM is answered, and the envelope of a session ticket. Each
   is compared with slow.h, with the system's own, or with what is done here again in a plainer way.

   An input: a letter for what is tried, and the text. Texts stand in memory of exactly their size, so that
   AddressSanitizer sees whoever reads or writes behind them. */

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#define IMAPCONNECT_IMPLEMENTATION
#include "../../imapconnect.h"

#include "slow.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 4096 /* bytes of an input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *why, const char *text, size_t count)
{
    size_t i;
    fprintf(stderr, "FOUND: %s\n%zu bytes:", why, count);
    for (i = 0; i < count; i++)
        fprintf(stderr, " %02x", (unsigned)(uint8_t)text[i]);
    fputs("\n", stderr);
    abort();
}

#define require(condition, why) ((condition) ? (void)0 : fail((why), text, count))

/* So many bytes and no more; `text` is copied into them. */
static char *exactly(const char *text, size_t count)
{
    char *copy = (char *)malloc(count == 0 ? 1 : count);
    if (copy == 0)
        abort();
    memcpy(copy, text, count);
    return copy;
}

/* The same with a NUL behind it. */
static char *as_string(const char *text, size_t count)
{
    char *copy = (char *)malloc(count + 1);
    if (copy == 0)
        abort();
    memcpy(copy, text, count);
    copy[count] = '\0';
    return copy;
}

/* ---- base64 of a challenge ---- */

/* Reads a text in pieces of `step`; returns how many bytes come out, or -1 - reason. */
static long decode_challenge(const char *text, size_t count, size_t step, char *out)
{
    imapconnect_reader reader;
    size_t at;
    memset(&reader, 0, sizeof reader);
    for (at = 0; at < count && reader.base64_bad != IMC_BASE64_BAD; at += step) {
        size_t size = count - at < step ? count - at : step;
        char *piece = exactly(text + at, size);
        imc_base64_take(&reader, piece, size, out);
        free(piece);
    }
    if (reader.base64_count != 0 || reader.base64_bad == IMC_BASE64_BAD)
        return -1 - IMC_BASE64_BAD;
    return reader.base64_bad != IMC_BASE64_GOOD ? -1 - reader.base64_bad : (long)reader.challenge;
}

static void try_base64(const char *text, size_t count)
{
    static const size_t steps[] = {MOST, 1, 3, 4, 7};
    static unsigned char wanted[MOST];
    char *out = exactly("", 0);
    long right = slow_base64_decode(text, count, wanted);
    size_t i;
    free(out);
    for (i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        long got;
        out = (char *)malloc(IMAPCONNECT_WRITE_SIZE);
        if (out == 0)
            abort();
        got = decode_challenge(text, count, steps[i], out);
        if (right > IMAPCONNECT_WRITE_SIZE)
            require(got == -1 - IMC_BASE64_TOO_LONG, "SECURITY 3, 16: a challenge of more than 512 bytes");
        else if (right < 0)
            require(got == -1 - IMC_BASE64_BAD, "SECURITY 3, 16: what is not strict base64 is decoded");
        else
            require(got == right && memcmp(out, wanted, (size_t)right) == 0, "base64 is decoded wrong");
        free(out);
    }
}

/* ---- the answer to a challenge ---- */

/* A letter for the length of the password, the user name up to a line end, the challenge. The password is the beginning
   of the challenge over and over, so that it can be of any length. */
static void try_cram(const char *text, size_t count)
{
    size_t key_count = count == 0 ? 0 : (uint8_t)text[0], user_count = 0, size, i;
    char user[IMAPCONNECT_MAX_ARGUMENT + 1] = {0}, key[IMAPCONNECT_MAX_ARGUMENT + 1] = {0};
    char *out = (char *)calloc(1, IMAPCONNECT_WRITE_SIZE);
    unsigned char digest[16], plain[400];
    char wanted[600];
    if (out == 0)
        abort();
    for (i = 1; i < count && text[i] != '\n' && text[i] != '\0' && user_count < IMAPCONNECT_MAX_ARGUMENT; i++)
        user[user_count++] = text[i];
    i += i < count;
    size = i < count ? count - i : 0;
    size = size < IMAPCONNECT_WRITE_SIZE ? size : IMAPCONNECT_WRITE_SIZE;
    memcpy(out, text + (i < count ? i : 0), size);
    for (i = 0; i < key_count; i++)
        key[i] = size == 0 || out[i % size] == '\0' ? 'k' : out[i % size];
    slow_hmac_md5((unsigned char *)key, key_count, (unsigned char *)out, size, digest);
    i = (size_t)snprintf((char *)plain, sizeof plain, "%s ", user);
    for (size_t k = 0; k < 16; k++)
        i += (size_t)snprintf((char *)plain + i, 3, "%02x", (unsigned)digest[k]);
    i = slow_base64_encode(plain, i, '=', wanted);
    require(imc_sasl_cram_md5(out, size, user, key) == i && memcmp(out, wanted, i) == 0,
            "SECURITY 3, 15: the answer to the challenge is wrong");
    free(out);
}

/* ---- the server's text ---- */

/* The system's opinion of an address: 4, 16, or 0 for none. */
static size_t system_address(const char *host, size_t count, int bracket, unsigned char *address)
{
    char name[300];
    memcpy(name, host, count);
    name[count] = '\0';
    if (inet_pton(AF_INET6, name, address) == 1)
        return 16;
    return !bracket && inet_pton(AF_INET, name, address) == 1 ? 4 : 0;
}

/* A text that was refused: is it one that the rules allow? Plain addresses with and without a good port alone. */
static int is_refused_wrongly(const char *text)
{
    unsigned char address[16];
    size_t count = strlen(text);
    return count < 200 && (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1);
}

static void check_host(const imapconnect_server *server, const char *text, size_t count)
{
    size_t i;
    require(server->length <= IMAPCONNECT_MAX_HOST, "the host's name is too long");
    require(server->host[0] != '-' && server->host[0] != '.', "a host that begins with - or .");
    for (i = 0; i < server->length; i++) {
        char c = server->host[i];
        int colon = server->address_length == 16 && c == ':';
        require((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
                    c == '_' || colon,
                "a byte that no host's name has");
    }
}

static void try_server(const char *bytes, size_t count)
{
    char *text = as_string(bytes, count);
    imapconnect_server server;
    unsigned char address[16];
    int code = imc_names_parse(&server, text, 143);
    if (code != 0) {
        require(code == IMAPCONNECT_E_VALUE, "another code than -503");
        require(!is_refused_wrongly(text), "an address is refused");
    } else {
        size_t behind = (size_t)(server.host - text) + server.length;
        int bracket = text[0] == '[';
        count = strlen(text);
        require(server.length > 0 && behind <= count, "the host is not in the text");
        require(text[behind] == '\0' || text[behind] == ':' || text[behind] == ']', "the host ends elsewhere");
        require(server.port != 0, "port 0");
        check_host(&server, text, count);
        require(system_address(server.host, server.length, bracket, address) == server.address_length,
                "the system takes it for another kind of address");
        require(memcmp(address, server.address, server.address_length) == 0, "the system reads another address");
        behind += (size_t)bracket;
        require(text[behind] == '\0' ? server.port == 143 : strtoul(text + behind + 1, 0, 10) == server.port,
                "another port");
    }
    free(text);
}

/* ---- names of mailboxes ---- */

/* A name as it goes on the wire. */
static size_t encode(const char *name, char *out)
{
    imapconnect_utf7 state = {0, 0, 0};
    size_t used = 0;
    uint32_t c;
    while ((c = imc_names_character(&name)) != 0)
        used += imc_names_encode(&state, c, out + used);
    return used + imc_names_unshift(&state, out + used);
}

static size_t decode(const char *text, size_t count, char *out)
{
    char *exact = exactly(text, count);
    size_t used = imc_names_decode(exact, count, out);
    free(exact);
    return used;
}

/* Every text: is it UTF-8? And if so: there and back. */
static void try_utf8(const char *bytes, size_t size)
{
    static char wire[6 * MOST + 16], wanted[6 * MOST + 16];
    char *text = as_string(bytes, size), *back;
    size_t count = strlen(text), used;
    int valid = slow_utf8_is_valid((unsigned char *)text, count);
    require(imc_names_is_utf8(text) == valid, "UTF-8, or not?");
    if (valid) {
        used = encode(text, wire);
        require(used == slow_utf7_encode((unsigned char *)text, count, wanted) && memcmp(wire, wanted, used) == 0,
                "another modified UTF-7");
        back = (char *)malloc(used + used / 8 + 4);
        if (back == 0)
            abort();
        if (imc_commands_is_line(text, count)) /* the others cannot be sent */
            require(decode(wire, used, back) == count && memcmp(back, text, count) == 0,
                    "decode(encode(name)) is another name");
        free(back);
    }
    free(text);
}

/* Modified UTF-7 as far as it can be understood at all, for what is refused: UTF-8 comes out, or -1. */
static long lenient_decode(const char *text, size_t count, unsigned char *out)
{
    static unsigned char units[MOST];
    size_t at = 0, used = 0, bits, i;
    while (at < count) {
        if (text[at] != '&') {
            out[used++] = (unsigned char)text[at++];
            continue;
        }
        memset(units, 0, sizeof units);
        for (at++, bits = 0; at < count && text[at] != '-'; at++, bits += 6) {
            int value = slow_base64_value(text[at] == ',' ? '/' : text[at]);
            if (value < 0 || text[at] == '/')
                return -1;
            for (i = 0; i < 6; i++)
                units[(bits + i) / 8] |= (unsigned char)((unsigned)(value >> (5 - i) & 1) << (7 - (bits + i) % 8));
        }
        if (at++ == count)
            return -1;
        if (bits == 0)
            out[used++] = '&';
        for (i = 0; i + 16 <= bits; i += 16) {
            uint32_t c = (uint32_t)units[i / 8] << 8 | units[i / 8 + 1];
            if (c >= 0xd800 && c < 0xdc00 && i + 32 <= bits) {
                i += 16;
                c = 0x10000 + ((c - 0xd800) << 10) + (((uint32_t)units[i / 8] << 8 | units[i / 8 + 1]) - 0xdc00);
            }
            if (c == 0 || c > 0x10ffff)
                return -1;
            used += imc_names_put((char *)out + used, c);
        }
    }
    return (long)used;
}

/* Every text: what decodes, encodes to itself; what is refused is not what any name encodes to. */
static void try_utf7(const char *text, size_t count)
{
    static unsigned char name[2 * MOST];
    static char again[12 * MOST + 16];
    char *out = (char *)malloc(count + count / 8 + 4);
    size_t used;
    long size;
    if (out == 0)
        abort();
    used = decode(text, count, out);
    require(used <= count + count / 8, "a decoded name is longer than it may be");
    if (used != 0) {
        require(slow_utf8_is_valid((unsigned char *)out, used), "a decoded name is not UTF-8");
        require(imc_commands_is_line(out, used) && memchr(out, '\0', used) == 0, "a decoded name cannot be sent");
        require(slow_utf7_encode((unsigned char *)out, used, again) == count && memcmp(again, text, count) == 0,
                "encode(decode(name)) is another name");
    } else if (count != 0 && (size = lenient_decode(text, count, name)) > 0 &&
               slow_utf8_is_valid(name, (size_t)size) && imc_commands_is_line((char *)name, (size_t)size)) {
        require(slow_utf7_encode(name, (size_t)size, again) != count || memcmp(again, text, count) != 0,
                "canonical modified UTF-7 is refused");
    }
    free(out);
}

/* The same in its place, as LIST does it: what comes out is what was decoded elsewhere, or the name as it came. */
static void try_in_place(const char *text, size_t count)
{
    static char wanted[2 * MOST];
    imapconnect_engine *engine = (imapconnect_engine *)calloc(1, sizeof *engine);
    imapconnect_row *row;
    size_t size, got, base;
    char *name;
    uint8_t raw = 7;
    if (engine == 0 || count == 0)
        abort();
    engine->utf8 = text[0] & 1;
    base = (uint8_t)text[0] / 2;
    text++;
    count--;
    row = &engine->writer.out.in.row;
    row->base = (uint16_t)base;
    size = sizeof engine->writer.out.in.text - base;
    name = engine->writer.out.in.text + base;
    row->length = (uint16_t)(count < size ? count : size);
    row->cut = count > size;
    memcpy(name, text, row->length);
    got = imc_list_decode(engine, &raw);
    size = engine->utf8 ? 0 : decode(text, count, wanted);
    if (engine->error == 0) {
        require(memchr(text, '\0', count) == 0, "a name is cut short at its NUL");
        require(name[got] == '\0' && strlen(name) == got, "the name has another length");
        if (raw)
            require(size == 0 && got == count + 1 && (uint8_t)name[0] == 0xff && memcmp(name + 1, text, count) == 0,
                    "a raw name is not what came");
        else if (engine->utf8)
            require(got == count && memcmp(name, text, count) == 0 &&
                        slow_utf8_is_valid((const unsigned char *)text, count),
                    "with UTF8=ACCEPT another name");
        else
            require(got == size && memcmp(name, wanted, size) == 0, "a name is decoded in another way in its place");
    } else if (engine->error != 0) {
        require(count >= 280 - base || memchr(text, '\0', count) != 0, "a short name is too long");
    }
    free(engine);
}

/* ---- what a mechanism says first ---- */

/* The user name as RFC 5802 section 5.1 wants it, with the escapes taken out again: is it the same? */
static void check_escaped(const char *bytes, size_t size, const char *user, const char *text, size_t count)
{
    size_t at, used = 0;
    for (at = 0; at < size; at++, used++) {
        int coded = bytes[at] == '=';
        char c = bytes[at];
        require(c != ',', "a comma in a name");
        if (coded) {
            require(size - at > 2 && (memcmp(bytes + at, "=2C", 3) == 0 || memcmp(bytes + at, "=3D", 3) == 0),
                    "an escape that is none");
            c = bytes[at + 1] == '2' ? ',' : '=';
            at += 2;
        }
        require(user[used] == c, "another name");
    }
    require(user[used] == '\0', "a part of the name");
}

/* All of a first message, in memory of exactly its size. */
static char *payload(const char *before, const char *format, const char *const *texts, size_t *size)
{
    imapconnect_payload state;
    char *out = (char *)malloc(4 * MOST);
    int c;
    if (out == 0)
        abort();
    memset(&state, 0, sizeof state);
    state.text = before;
    state.format = format;
    for (*size = 0; (c = imc_payload_next(&state, texts)) >= 0;)
        out[(*size)++] = (char)c;
    return out;
}

/* The first messages of the mechanisms: what stands before the user name, what between it and the password, what behind
   that; "" is a NUL. The name is escaped where the third is 1; where it is 2, "a=" stands before one that is not empty. */
static void try_payload(const char *text, size_t count)
{
    static const struct {
        const char *format, *parts[3];
        size_t sizes[3];
        int escaped, user, password;
    } firsts[] = {{"%0", {"", "", ""}, {0, 0, 0}, 0, 1, 0},
                  {"n,%a,\1auth=Bearer %1\1\1", {"n,", ",\1auth=Bearer ", "\1\1"}, {2, 14, 2}, 2, 1, 1},
                  {"user=%0\1auth=Bearer %1\1\1", {"user=", "\1auth=Bearer ", "\1\1"}, {5, 13, 2}, 0, 1, 1},
                  {"n=%e,r=%2", {"n,,n=", ",r=nonce", ""}, {5, 8, 0}, 1, 1, 0},
                  {"%z%0%z%1", {"", "", ""}, {1, 1, 0}, 0, 1, 1}};
    size_t kind = count == 0 ? 0 : (uint8_t)text[0] % 5, size, password, user, name;
    char *user_text = as_string(text + (count != 0), count - (count != 0)), *line = strchr(user_text, '\n'), *out;
    const char *texts[3];
    texts[0] = user_text;
    texts[1] = line == 0 ? "" : line + 1;
    texts[2] = "nonce";
    if (line != 0)
        *line = '\0';
    out = payload(kind == 3 ? "n,," : 0, firsts[kind].format, texts, &size);
    password = firsts[kind].password ? strlen(texts[1]) : 0;
    user = size - password - firsts[kind].sizes[0] - firsts[kind].sizes[1] - firsts[kind].sizes[2];
    name = firsts[kind].sizes[0];
    require(user <= size && memcmp(out, firsts[kind].parts[0], name) == 0, "another beginning");
    if (firsts[kind].escaped == 2 && texts[0][0] != '\0') {
        require(user >= 2 && memcmp(out + name, "a=", 2) == 0, "not an authzid");
        name += 2;
        user -= 2;
    }
    if (firsts[kind].escaped)
        check_escaped(out + name, user, texts[0], text, count);
    else
        require(user == strlen(texts[0]) && memcmp(out + name, texts[0], user) == 0, "another name");
    user += name;
    require(memcmp(out + user, firsts[kind].parts[1], firsts[kind].sizes[1]) == 0, "another middle");
    user += firsts[kind].sizes[1];
    require(memcmp(out + user, texts[1], password) == 0 &&
                memcmp(out + user + password, firsts[kind].parts[2], firsts[kind].sizes[2]) == 0,
            "another password, or another end");
    free(out);
    free(user_text);
}

/* ---- SCRAM ---- */

/* server-first-message, RFC 5802 section 7: is it one? The three attributes at its beginning, if so. */
static int scram_is_first(const char *text, size_t count, const char *nonce, const char **values, size_t *sizes)
{
    size_t at = 0, i, k;
    unsigned long long number = 0;
    for (i = 0; i < 3; i++, at++) {
        if (at + 2 >= count || text[at] != "rsi"[i] || text[at + 1] != '=')
            return 0;
        values[i] = text + at + 2;
        for (at += 2; at < count && text[at] != ',';)
            at++;
        sizes[i] = (size_t)(text + at - values[i]);
        if (sizes[i] == 0)
            return 0;
    }
    for (k = 0; k < sizes[2]; k++) {
        if (values[2][k] < '0' || values[2][k] > '9' || k == 10)
            return 0;
        number = number * 10 + (unsigned long long)(values[2][k] - '0');
    }
    return number <= 0xffffffffu && sizes[0] > strlen(nonce) && sizes[0] <= 200 &&
           memcmp(values[0], nonce, strlen(nonce)) == 0;
}

/* A letter for the length of our nonce, and the message. */
static void try_scram(const char *text, size_t count)
{
    static const char ours[] = "AAECAwQFBgcICQoLDA0ODxAR";
    const char *nonce = ours + (count == 0 ? 0 : (uint8_t)(text[0] - 'A') % sizeof ours), *values[3], *texts[3];
    size_t sizes[3];
    imc_scram scram;
    char *exact;
    int right;
    text += count != 0;
    count -= count != 0;
    exact = exactly(text, count);
    memset(&scram, 0, sizeof scram);
    texts[0] = texts[1] = "";
    texts[2] = nonce;
    scram.texts = texts;
    scram.message.bytes = (const unsigned char *)exact;
    scram.message.count = count;
    right = scram_is_first(exact, count, nonce, values, sizes);
    require(imc_scram_parse(&scram) == right, "is it server-first-message, or not?");
    if (right) {
        require((const char *)scram.nonce.bytes == values[0] && scram.nonce.count == sizes[0], "another nonce");
        require((const char *)scram.salt.bytes == values[1] && scram.salt.count == sizes[1], "another salt");
        require(scram.iterations == strtoul(values[2], 0, 10) || values[2] + sizes[2] == exact + count,
                "another number of iterations");
    }
    free(exact);
}

/* A letter for the room, and base64. */
static void try_salt(const char *text, size_t count)
{
    static unsigned char wanted[MOST];
    size_t room = count == 0 ? 0 : (uint8_t)(text[0] - 'A') % 72, used;
    imc_slice slice;
    unsigned char *out = (unsigned char *)malloc(room == 0 ? 1 : room);
    char *exact;
    long right;
    if (out == 0)
        abort();
    text += count != 0;
    count -= count != 0;
    exact = exactly(text, count);
    slice.bytes = (const unsigned char *)exact;
    slice.count = count;
    right = slow_base64_decode(text, count, wanted);
    used = imc_scram_decode(&slice, out, room);
    if (right <= 0 || count / 4 * 3 > room)
        require(used == 0, "what is not strict base64, or too long, is decoded");
    else
        require(used == (size_t)right && memcmp(out, wanted, used) == 0, "a salt is decoded wrong");
    free(exact);
    free(out);
}

/* ---- the envelope of a session ticket ---- */

#if defined(HAVE_SESSION_TICKET) && defined(HAVE_EXT_CACHE) && !defined(NO_SESSION_CACHE)

#define TICKET_FORMAT  1 /* the header takes its own numbers back */
#define TICKET_BINDING 16

/* Is it taken, in memory of exactly its size? */
static int is_ours(const unsigned char *ticket, size_t size, const uint8_t *binding)
{
    char *exact = exactly((const char *)ticket, size);
    int ours = imc_tls_is_ours((const byte *)exact, size, binding);
    free(exact);
    return ours;
}

/* Is it closed with the hash of what stands before? libFuzzer sees what is compared, and has made one that was. */
static int is_sealed(const unsigned char *ticket, size_t size)
{
    unsigned char digest[WC_SHA256_DIGEST_SIZE];
    if (size < sizeof digest)
        return 0;
    size -= sizeof digest;
    return wc_Sha256Hash(ticket, (word32)size, digest) == 0 && memcmp(digest, ticket + size, sizeof digest) == 0;
}

/* Two bytes for what is changed, and what the ticket holds: by itself it is none, in an envelope it is, and with one bit
   changed or one byte less it is none again. What is in it is not given to wolfSSL, whose wolfSSL_d2i_SSL_SESSION() of
   5.5.4 crashes on what it did not write itself: that is what the envelope is for. */
static void try_ticket(const char *text, size_t count)
{
    static unsigned char ticket[MOST + 64];
    const uint8_t binding[TICKET_BINDING] = {1, 2, 3};
    size_t size = 3 + sizeof binding, at = count < 2 ? 0 : (size_t)((uint8_t)text[0] << 8 | (uint8_t)text[1]);
    size_t held = count < 2 ? 0 : count - 2;
    require(!is_ours((const unsigned char *)text, count, binding) || is_sealed((const unsigned char *)text, count),
            "anything is a ticket");
    ticket[0] = TICKET_FORMAT;
    memcpy(ticket + 3, binding, sizeof binding);
    memcpy(ticket + size, text + count - held, held);
    size += held;
    if (wc_Sha256Hash(ticket, (word32)size, ticket + size) != 0)
        abort();
    size += WC_SHA256_DIGEST_SIZE;
    require(is_ours(ticket, size, binding) == (held != 0),
            "a ticket that is whole is refused, or an empty one taken");
    require(!is_ours(ticket, at % size, binding) || is_sealed(ticket, at % size), "a part of a ticket is one");
    ticket[at / 8 % size] ^= (unsigned char)(1u << at % 8);
    require(!is_ours(ticket, size, binding), "a ticket that has changed by a bit is taken");
}

#else

static void try_ticket(const char *text, size_t count)
{
    (void)text;
    (void)count;
}

#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const trials[])(const char *, size_t) = {try_base64, try_cram,     try_server,  try_utf8,
                                                           try_utf7,   try_in_place, try_payload, try_scram,
                                                           try_salt,   try_ticket};
    size_t trial = size == 0 ? 0 : (uint8_t)(data[0] - 'A') % (sizeof trials / sizeof trials[0]);
    if (size == 0 || size > MOST || (trial == 5 && size < 2))
        return 0;
    trials[trial]((const char *)data + 1, size - 1);
    return 0;
}
