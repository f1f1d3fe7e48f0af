/* fuzz_connect.c: the whole connect, in clear text and with STARTTLS as far as the ClientHello, and a few calls behind
   it. What a server can do to that before it knows a secret, and before we know who it is.

   An input: four options (fuzz_script_begin), then

       mode       even: in clear text, odd: STARTTLS; every other pair refuses clear-text passwords
       user       which kind of user name and password
       limit      of a reply after the login
       auth       config.auth: its lowest eight bits, and then the others, with two that are wrong
       iterations the most that the configuration allows
       calls      letters, up to the end of the line

   and then the script. */

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/random.h>

/* The nonce is always the same, or no run could be repeated. */
static int fixed_random(WC_RNG *rng, byte *bytes, word32 count)
{
    (void)rng;
    for (word32 i = 0; i < count; i++)
        bytes[i] = (byte)i;
    return 0;
}
#define wc_RNG_GenerateBlock fixed_random
#define IMC_MIN_ITERATIONS   1u

#include "scram.h"

#include <wolfssl/ssl.h>

typedef struct connect_input {
    fuzz_script script;
    char *user, *password, *calls;
    int secure, refuse_cleartext, auth;
    uint32_t max_reply, iterations;
} connect_input;

static connect_input input;

/* One for all runs: making one takes far longer than a run. */
static WOLFSSL_CTX *context(void)
{
    static WOLFSSL_CTX *made;
    if (made == 0) {
        (void)wolfSSL_Init();
        made = wolfSSL_CTX_new(wolfTLS_client_method());
    }
    return made;
}

/* Texts of every kind that an argument can be, around one that is easily found again: what stands before it and behind
   it, and how long it is made. The last is empty. */
static char *argument(const char *core, unsigned kind)
{
    static const struct {
        const char *before, *behind;
        size_t size;
    } kinds[16] = {{"", "", 0},     {"", "\"\\x", 0},   {"\"", "", 0},   {"", "\xfc", 0},
                   {"", "\r\n", 0}, {" ", "%{3}", 0},   {"", "", 255},   {"", "", 256},
                   {",", "=,=", 0}, {"=2C", ",=3D", 0}, {"", "", 300},   {"", "", 4000},
                   {"", "", 16384}, {"", "", 16385},    {"\1", "\1", 0}, {"", "", 0}};
    size_t size;
    char *text = (char *)malloc(16400), *tight;
    if (text == 0)
        abort();
    kind %= 16;
    size = (size_t)snprintf(text, 100, "%s%s%s", kinds[kind].before, kind == 15 ? "" : core, kinds[kind].behind);
    for (; size < kinds[kind].size; size++)
        text[size] = 'x';
    text[size] = '\0';
    tight = (char *)realloc(text, size + 1); /* nobody may read behind it */
    return tight == 0 ? text : tight;
}

static void on_line(fuzz_run *run, const char *line, size_t count);

/* Two letters: the bits of config.auth, and two that it has not. */
static int read_auth(fuzz_input *rest)
{
    static const int high[] = {IMAPCONNECT_AUTH_LOGIN, IMAPCONNECT_AUTH_IN_CLEAR, 0x200, (int)0x80000000u};
    int auth = (int)(fuzz_option(rest) & 0xff);
    unsigned kind = fuzz_option(rest), i;
    for (i = 0; i < 4; i++)
        auth |= (kind >> i & 1) != 0 ? high[i] : 0;
    return auth;
}

static void read_input(const uint8_t *data, size_t size)
{
    static const uint32_t iterations[] = {300, 1, 10, 256, 257, 600}; /* more would take too long */
    fuzz_input rest;
    unsigned kind;
    rest.bytes = (const char *)data;
    rest.count = size;
    fuzz_script_begin(&input.script, &rest);
    input.script.on_line = on_line;
    kind = fuzz_option(&rest);
    input.secure = kind % 2 != 0 ? IMAPCONNECT_STARTTLS : IMAPCONNECT_INSECURE;
    input.refuse_cleartext = kind / 2 % 2 != 0;
    kind = fuzz_option(&rest);
    input.user = argument(input.script.user, kind);
    input.password = argument(input.script.secret, kind / 16);
    input.max_reply = fuzz_option(&rest) * 20;
    input.auth = read_auth(&rest);
    input.iterations = iterations[fuzz_option(&rest) % 6];
    input.calls = fuzz_line(&rest, 6);
    fuzz_script_end(&input.script, &rest);
}

/* ---- what is said in AUTHENTICATE ---- */

/* The mechanism of the last AUTHENTICATE, from its line; 0 for none. `behind` is what stands behind its name. */
static const scram_mechanism *mechanism_of(const char *line, size_t count, const char **behind)
{
    size_t i, used = 1;
    while (used < count && line[used] != ' ')
        used++;
    if (!fuzz_begins(line + used, count - used, " AUTHENTICATE "))
        return 0;
    used += 14;
    for (i = 0; i < SCRAM_MECHANISMS; i++) {
        size_t size = strlen(scram_mechanisms[i].name);
        *behind = line + used + size;
        if (fuzz_begins(line + used, count - used, scram_mechanisms[i].name) &&
            (used + size == count || **behind == ' '))
            return &scram_mechanisms[i];
    }
    return 0;
}

/* The exchange that a run is in. */
typedef struct exchange {
    const scram_mechanism *mechanism;
    unsigned said; /* lines of the client */
} exchange;

static exchange exchanges[FUZZ_WAYS];

/* The client's proof: is it what somebody who knows the password would say? From here on the server's is known, too. */
static void check_proof(fuzz_run *run, const exchange *now, const char *line, size_t count)
{
    static fuzz_text last, server;
    char proof[48];
    const char *value = 0, *nonce = 0;
    size_t size;
    fuzz_require(run, run->plus[0].count > 2 && scram_decode(&server, run->plus[0].bytes + 2, run->plus[0].count - 2),
                 "a proof, and no challenge");
    fuzz_require(run,
                 scram_decode(&last, line, count) && strncmp(last.bytes, "c=biws,", 7) == 0 &&
                     scram_value(&last, 'p', &value) != 0,
                 "client-final-message");
    size = scram_value(&server, 'r', &nonce);
    fuzz_require(run,
                 size > 24 && strncmp(nonce, SCRAM_NONCE, 24) == 0 && scram_value(&last, 'r', &value) == size &&
                     memcmp(value, nonce, size) == 0,
                 "a proof for another nonce");
    scram_derive(run, now->mechanism->hash, input.user, input.password, &server, &last);
    proof[slow_base64_encode(run->keys[2], run->key_size, '=', proof)] = '\0';
    size = scram_value(&last, 'p', &value);
    fuzz_require(run, value + size == last.bytes + last.count && strcmp(value, proof) == 0,
                 "SECURITY 3, 15: the proof is wrong");
    size = scram_value(&server, 'i', &value);
    fuzz_require(run, strtoul(value, 0, 10) >= 1 && strtoul(value, 0, 10) <= input.iterations, "too many iterations");
}

/* RFC 5802 section 7: server-final-message, with the signature that belongs to the client's proof. */
static int is_signed(const fuzz_run *run)
{
    static fuzz_text last;
    const char *value = 0;
    size_t size = strlen(run->signature);
    return size != 0 && run->plus[0].count > 2 &&
           scram_decode(&last, run->plus[0].bytes + 2, run->plus[0].count - 2) && strncmp(last.bytes, "v=", 2) == 0 &&
           scram_value(&last, 'v', &value) == size && memcmp(value, run->signature, size) == 0;
}

/* What the client says first. */
static void check_first(fuzz_run *run, const exchange *now, const char *line, size_t count, int initial)
{
    static fuzz_text said, wanted;
    if (now->mechanism->first == 0)
        return;
    scram_first(&wanted, now->mechanism->first, input.user, input.password);
    if (initial && wanted.count == 0) { /* RFC 4959 section 3 */
        fuzz_require(run, count == 1 && line[0] == '=', "an empty initial response");
        return;
    }
    fuzz_require(run,
                 scram_decode(&said, line, count) && said.count == wanted.count &&
                     memcmp(said.bytes, wanted.bytes, said.count) == 0,
                 "SECURITY 3, 15: another first message");
}

/* One more line of an exchange. */
static void check_said(fuzz_run *run, exchange *now, const char *line, size_t count, int initial)
{
    int hash = now->mechanism->hash;
    now->said++;
    if (count == 1 && line[0] == '*')
        return;
    if (now->said == 1)
        check_first(run, now, line, count, initial);
    else if (now->said == 2 && hash != 0)
        check_proof(run, now, line, count);
    else if (hash != 0)
        fuzz_require(run, now->said == 3 && count == 0 && is_signed(run), "SCRAM goes on without the signature");
    else
        fuzz_require(run, now->said == 2 && now->mechanism->first != 0, "an answer too many");
}

static void on_line(fuzz_run *run, const char *line, size_t count)
{
    exchange *now = &exchanges[run - fuzz_runs];
    const char *behind = 0;
    const scram_mechanism *mechanism;
    if (strcmp(run->parser.verb, "AUTHENTICATE") != 0)
        return;
    mechanism = mechanism_of(line, count, &behind);
    if (mechanism != 0) {
        now->mechanism = mechanism;
        now->said = 0;
        run->signature[0] = '\0';
        if (behind < line + count)
            check_said(run, now, behind + 1, (size_t)(line + count - behind - 1), 1);
    } else if (now->mechanism != 0) {
        check_said(run, now, line, count, 0);
    }
}

/* ---- what must hold once the connect is done ---- */

/* How often a command was sent; where it stands last. */
static unsigned count_commands(const fuzz_run *run, const char *verb, size_t *place)
{
    unsigned found = 0;
    size_t at;
    for (at = 0; at < run->parser.plain; at++) {
        size_t next = at;
        if ((at != 0 && run->wire.bytes[at - 1] != '\n') || run->wire.bytes[at] != 'a')
            continue;
        while (next < run->parser.plain && run->wire.bytes[next] != ' ' && run->wire.bytes[next] != '\n')
            next++;
        if (!fuzz_begins(run->wire.bytes + next + 1, run->parser.plain - next, verb))
            continue;
        found++;
        *place = at;
    }
    return found;
}

/* How often a mechanism was tried. */
static unsigned count_tries(const fuzz_run *run, const scram_mechanism *mechanism, size_t *place)
{
    char verb[2][40];
    (void)snprintf(verb[0], 40, "AUTHENTICATE %s\r\n", mechanism->name);
    (void)snprintf(verb[1], 40, "AUTHENTICATE %s ", mechanism->name);
    if (mechanism->bit == IMAPCONNECT_AUTH_LOGIN) {
        (void)snprintf(verb[0], 40, "LOGIN \"");
        (void)snprintf(verb[1], 40, "LOGIN {");
    }
    return count_commands(run, verb[0], place) + count_commands(run, verb[1], place);
}

/* May it be tried, by the configuration? */
static int is_allowed(const scram_mechanism *mechanism)
{
    int documented = IMAPCONNECT_AUTH_CRAM_MD5 | IMAPCONNECT_AUTH_LOGIN;
    if (((input.auth == 0 ? documented : input.auth) & mechanism->bit) == 0)
        return 0;
    return !mechanism->clear ||
           (!input.refuse_cleartext && (input.auth == 0 || (input.auth & IMAPCONNECT_AUTH_IN_CLEAR) != 0));
}

/* And by the server? */
static int is_offered(const fuzz_run *run, const scram_mechanism *mechanism)
{
    char atom[40];
    (void)snprintf(atom, sizeof atom, "AUTH=%s", mechanism->name);
    return mechanism->bit == IMAPCONNECT_AUTH_LOGIN || fuzz_mentions(run->stream.bytes, run->read, atom);
}

/* Was the command at `place` refused? Then the next may follow. */
static int is_refused(const fuzz_run *run, size_t place)
{
    char wanted[2][16];
    unsigned long tag = strtoul(run->wire.bytes + place + 1, 0, 10);
    (void)snprintf(wanted[0], 16, "\na%lu NO", tag);
    (void)snprintf(wanted[1], 16, "\na%lu BAD", tag);
    return fuzz_mentions(run->stream.bytes, run->read, wanted[0]) ||
           fuzz_mentions(run->stream.bytes, run->read, wanted[1]);
}

/* Each way in at most once, three in all, from the first of the table to the last, and the next only behind a refusal.
   Returns how many there were, and the last one. */
static unsigned check_tries(fuzz_run *run, const scram_mechanism **last)
{
    unsigned tries = 0, count;
    size_t i, place = 0, before = 0;
    for (i = 0; i < SCRAM_MECHANISMS; i++, tries += count) {
        const scram_mechanism *mechanism = &scram_mechanisms[i];
        count = count_tries(run, mechanism, &place);
        if (count == 0)
            continue;
        fuzz_require(run, count == 1, "SECURITY 3, 18: a login is tried twice");
        fuzz_require(run, is_allowed(mechanism), "a mechanism that the configuration forbids");
        fuzz_require(run, is_offered(run, mechanism), "a mechanism that the server does not offer");
        if (tries != 0)
            fuzz_require(run, place > before && is_refused(run, before),
                         "SECURITY 3, 18: another mechanism, and the one before was not refused");
        before = place;
        *last = mechanism;
    }
    fuzz_require(run, tries <= 3, "more than three logins");
    return tries;
}

/* The way in is one of these commands. */
static void check_commands(fuzz_run *run, int result)
{
    const scram_mechanism *last = 0;
    size_t place = 0;
    unsigned tries = check_tries(run, &last);
    unsigned known =
        tries + count_commands(run, "CAPABILITY\r\n", &place) + count_commands(run, "STARTTLS\r\n", &place);
    fuzz_require(run, run->parser.tls || run->parser.waits || known == run->parser.tag || run->broken,
                 "the connect sends another command");
    if (result < 0)
        return;
    fuzz_require(run, strcmp(imapconnect_mechanism(run->session), tries == 0 ? "PREAUTH" : last->name) == 0,
                 "logged in in another way");
    if (tries != 0 && last->hash != 0)
        fuzz_require(run, is_signed(run) && exchanges[run - fuzz_runs].said == 3,
                     "SCRAM has ended well, and the server has not proved itself");
}

/* A sum that makes no sense is refused before anything happens. */
static void check_auth(fuzz_run *run, int result)
{
    int known = 0x1ff, wrong = (input.auth & ~(known | IMAPCONNECT_AUTH_IN_CLEAR)) != 0;
    if (input.auth == 0 || (!wrong && (input.auth & known) != 0))
        return;
    fuzz_require(run, result == IMAPCONNECT_E_VALUE && run->opens == 0, "a wrong config.auth is taken");
}

static void check_starttls(fuzz_run *run, int result)
{
    fuzz_require(run, result < 0, "connected without TLS, though it was asked for");
    fuzz_require(run, run->list.used == 0, "what came before TLS is in the list");
    if (fuzz_begins(run->stream.bytes, run->stream.count, "* PREAUTH"))
        fuzz_require(run, run->wire.count == 0, "SECURITY 3, 4: something is sent after PREAUTH");
}

/* ---- a run ---- */

static int call(fuzz_run *run, char letter)
{
    imapconnect_session *session = run->session;
    switch (letter) {
    case 'c':
        return fuzz_result(run, "command", imapconnect_command(session, "SEARCH UNSEEN", &run->list));
    case 'r': /* refused, and nothing is sent */
        return fuzz_result(run, "refused", imapconnect_command(session, "LOGIN x y", &run->list));
    case 'o':
        return fuzz_result(run, "open", imapconnect(session, "h", "u", "p", 0, &run->list, 0, 0));
    case 'd':
        return fuzz_result(run, "disconnect", imapconnect_disconnect(session, &run->list));
    default:
        return fuzz_result(run, "noop", imapconnect_noop(session, &run->list));
    }
}

static void replay(fuzz_run *run, const fuzz_way *way)
{
    imapconnect_config config;
    const char *next;
    int result, disconnected = 0;
    exchanges[run - fuzz_runs].mechanism = 0;
    fuzz_begin(run, &input.script, way);
    fuzz_config(run, &config);
    config.refuse_cleartext = input.refuse_cleartext;
    config.max_reply = input.max_reply;
    config.auth = input.auth;
    config.scram_iterations = input.iterations;
    config.wolfssl_ctx = context();
    (void)imapconnect_init(run->session, &config);
    result = fuzz_connect(run, input.user, input.password, input.secure);
    fuzz_require(run, result == FUZZ_SOCKET || result < 0, "another socket");
    fuzz_require(run, (result >= 0) == imapconnect_is_open(run->session), "open, or not open");
    check_commands(run, result);
    check_auth(run, result);
    if (input.secure == IMAPCONNECT_STARTTLS)
        check_starttls(run, result);
    for (next = input.calls; *next != '\0' && !run->over; next++) {
        if (*next == 'o' && disconnected)
            continue; /* that would be another connection */
        disconnected |= *next == 'd';
        if (call(run, *next) < 0 && *next == 'd')
            break;
    }
    fuzz_finish(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t i;
    read_input(data, size);
    for (i = 0; i < FUZZ_WAYS; i++)
        replay(&fuzz_runs[i], &fuzz_ways[i]);
    fuzz_compare();
    free(input.user);
    free(input.password);
    free(input.calls);
    return 0;
}
