/* Every call fails once: the k-th open, read, write, wait, look at the clock, call of wolfSSL, and allocation within
   wolfSSL, for every k until the session comes to its end without it; in clear, TLS and STARTTLS, blocking and stepped,
   and against servers whose certificate is bad. SECURITY.md section 3, 1, 6, 10, 27 and 32.

   With DEEP in the environment every allocation fails in turn; without, every one of the first 40 and then one in 11. */

#include "test.h"
#include "../imapconnect.h"
#include "tunnel.h"

#define USER     "torture-user"
#define PASSWORD "s3cret-Pa55word"
#define ANSWER   "dG9ydHVyZS11c2VyIDc0MGNhOWNiNjVmYjc1" /* how the right answer to the challenge begins */

#define DIGEST     "740ca9cb65fb7575aa50572648c3a284"
#define RAW_DIGEST "\x74\x0c\xa9\xcb\x65\xfb\x75\x75\xaa\x50\x57\x26\x48\xc3\xa2\x84"

enum { NOTHING, OPEN, READ, WRITE, WAIT, CLOCK, WOLFSSL_CALL, MEMORY, KINDS };

/* What fails, and whether it has. */
static struct {
    int kind, k, calls, happened;
    int armed;  /* the client runs, and not the server */
    int forced; /* the last call of wolfSSL was not made */
} fault;

static int due(int kind)
{
    if (!fault.armed || fault.kind != kind || ++fault.calls != fault.k)
        return 0;
    fault.happened = 1;
    fault.forced = kind == WOLFSSL_CALL;
    return 1;
}

/* ---- wolfSSL, as the header sees it ---- */

#define FAILS(code, call)                           (due(WOLFSSL_CALL) ? (code) : (call))
#define wolfSSL_CTX_new(a)                          FAILS(0, wolfSSL_CTX_new(a))
#define wolfSSL_new(a)                              FAILS(0, wolfSSL_new(a))
#define wolfSSL_CTX_load_verify_buffer(a, b, c, d)  FAILS(0, wolfSSL_CTX_load_verify_buffer(a, b, c, d))
#define wolfSSL_CTX_Unload_trust_peers(a)           FAILS(0, wolfSSL_CTX_Unload_trust_peers(a))
#define wolfSSL_CertManagerVerifyBuffer(a, b, c, d) FAILS(ASN_PARSE_E, wolfSSL_CertManagerVerifyBuffer(a, b, c, d))
#define wolfSSL_SetMinVersion(a, b)                 FAILS(0, wolfSSL_SetMinVersion(a, b))
#define wolfSSL_set_cipher_list(a, b)               FAILS(0, wolfSSL_set_cipher_list(a, b))
#define wolfSSL_SetMinRsaKey_Sz(a, b)               FAILS(0, wolfSSL_SetMinRsaKey_Sz(a, b))
#define wolfSSL_SetMinEccKey_Sz(a, b)               FAILS(0, wolfSSL_SetMinEccKey_Sz(a, b))
#define wolfSSL_UseSNI(a, b, c, d)                  FAILS(0, wolfSSL_UseSNI(a, b, c, d))
#define wolfSSL_version(a)                          FAILS(0, wolfSSL_version(a))
#define wolfSSL_get_current_cipher_suite(a)         FAILS(0, wolfSSL_get_current_cipher_suite(a))
#define wolfSSL_connect(a)                          FAILS(-1, wolfSSL_connect(a))
#define wolfSSL_read(a, b, c)                       FAILS(-1, wolfSSL_read(a, b, c))
#define wolfSSL_write(a, b, c)                      FAILS(-1, wolfSSL_write(a, b, c))
#define wolfSSL_shutdown(a)                         FAILS(-1, wolfSSL_shutdown(a))
#define wolfSSL_get_error(a, b)                     (fault.forced ? SOCKET_ERROR_E : wolfSSL_get_error(a, b))
#define wc_InitMd5(a)                               FAILS(-1, wc_InitMd5(a))
#define wc_Md5Update(a, b, c)                       FAILS(-1, wc_Md5Update(a, b, c))
#define wc_Md5Final(a, b)                           FAILS(-1, wc_Md5Final(a, b))

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

static long blocks;

static void *take_memory(size_t size)
{
    void *block = due(MEMORY) ? 0 : malloc(size);

    blocks += block != 0;
    return block;
}

static void give_memory(void *block)
{
    blocks -= block != 0;
    free(block);
}

static void *change_memory(void *block, size_t size)
{
    void *changed = due(MEMORY) ? 0 : realloc(block, size);

    blocks += changed != 0 && block == 0;
    return changed;
}

/* ---- the server, and the wire ---- */

typedef struct world {
    imapconnect_session session;
    imapconnect_list list;
    char text[4096], log[8192];
    size_t log_used;
    int secure, kind, in_tunnel, opens, closes, dead, on_its_way;
    tunnel tls;
    char out[2048], line[1024], tag[8]; /* what the server says in clear, and what it hears */
    size_t out_at, out_end, line_used;
    size_t heard;            /* bytes in clear, or inside TLS */
    int logged_in, sent_off; /* by the right secret; something was heard after the end */
    unsigned char raw[65536];
    size_t raw_used;
    uint32_t now;
} world;

static void say(world *w, const char *tag, const char *what)
{
    w->out_end += (size_t)snprintf(w->out + w->out_end, sizeof w->out - w->out_end, "%s%s\r\n", tag, what);
    assert_true(w->out_end < sizeof w->out);
}

/* One line of the client, without its CRLF. */
static void hear(world *w)
{
    const char *command = strchr(w->line, ' ');

    if (!command) { /* of an exchange: the answer to the challenge, or a star */
        w->logged_in |= strncmp(w->line, ANSWER, sizeof ANSWER - 1) == 0;
        say(w, w->tag, w->line[0] == '*' ? " BAD" : " OK");
        return;
    }
    snprintf(w->tag, sizeof w->tag, "%.*s", (int)(command - w->line), w->line);
    if (strcmp(command, " CAPABILITY") == 0)
        say(w, "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5", "");
    w->logged_in |= strcmp(command, " LOGIN \"" USER "\" \"" PASSWORD "\"") == 0;
    if (strcmp(command, " AUTHENTICATE CRAM-MD5") == 0)
        say(w, "+ PDEuMkB4Pg==", "");
    else
        say(w, w->tag, " OK");
}

static int plain_write(void *context, const void *bytes, size_t count)
{
    world *w = context;
    const char *from = bytes;

    w->heard += count;
    w->sent_off |= w->dead;
    for (size_t i = 0; i < count; i++) {
        assert_true(w->line_used + 1 < sizeof w->line);
        w->line[w->line_used++] = from[i];
        if (from[i] != '\n')
            continue;
        w->line[w->line_used - 2] = '\0';
        w->line_used = 0;
        hear(w);
    }
    return (int)count;
}

static int plain_read(void *context, void *bytes, size_t count)
{
    world *w = context;
    size_t left = w->out_end - w->out_at, n = count < left ? count : left;

    if (n == 0)
        return IMAPCONNECT_WANT_READ;
    memcpy(bytes, w->out + w->out_at, n);
    w->out_at += n;
    if (w->out_at == w->out_end)
        w->out_at = w->out_end = 0;
    return (int)n;
}

static int world_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    world *w = context;

    (void)milliseconds;
    assert_string_equal(host, TUNNEL_HOST);
    assert_true(port == 143 || port == 993);
    w->opens = 1;
    return due(OPEN) ? IMAPCONNECT_E_REFUSED : 7;
}

/* The server works: what fails then is not the client's. */
static int with_server(world *w, int writes, void *bytes, size_t count)
{
    int armed = fault.armed, forced = fault.forced, result;

    fault.armed = fault.forced = 0;
    if (!w->in_tunnel)
        result = writes ? plain_write(w, bytes, count) : plain_read(w, bytes, count);
    else
        result = writes ? tunnel_raw_write(&w->tls, bytes, count) : tunnel_raw_read(&w->tls, bytes, count);
    fault.armed = armed;
    fault.forced = forced;
    return result;
}

static int world_read(void *context, void *bytes, size_t count)
{
    world *w = context;

    if (due(READ)) {
        w->dead = 1;
        return IMAPCONNECT_E_RESET;
    }
    if (w->on_its_way) { /* the answer takes its time */
        w->on_its_way = 0;
        return IMAPCONNECT_WANT_READ;
    }
    return with_server(w, 0, bytes, count);
}

static int world_write(void *context, const void *bytes, size_t count)
{
    world *w = context;
    static unsigned char copy[20000];

    if (due(WRITE)) {
        w->dead = 1;
        return IMAPCONNECT_E_RESET;
    }
    assert_true(w->raw_used + count <= sizeof w->raw && count <= sizeof copy);
    memcpy(w->raw + w->raw_used, bytes, count);
    w->raw_used += count;
    memcpy(copy, bytes, count);
    w->on_its_way = 1;
    if (!w->in_tunnel && w->secure != 0 && copy[0] == 0x16) { /* a handshake record */
        int armed = fault.armed;

        fault.armed = 0;
        w->in_tunnel = 1;
        w->tls.context = w;
        w->tls.read = plain_read;
        w->tls.write = plain_write;
        tunnel_begin(&w->tls, w->kind, fault.k & 1);
        fault.armed = armed;
        w->heard = 0;
    }
    return with_server(w, 1, copy, count);
}

static int world_wait(void *context, int what, uint32_t milliseconds)
{
    world *w = context;

    (void)what;
    w->now += milliseconds < 1000 ? milliseconds : 1000;
    return due(WAIT) ? IMAPCONNECT_E_TRANSPORT : 0;
}

static void world_close(void *context)
{
    world *w = context;

    w->closes++;
}

/* When it fails it jumps by an hour. */
static uint32_t world_clock(void *user)
{
    world *w = user;

    w->now += due(CLOCK) ? 3600000 : 0;
    return w->now;
}

static int world_log(void *user, int direction, const char *bytes, size_t count)
{
    world *w = user;

    (void)direction;
    assert_true(w->log_used + count < sizeof w->log);
    memcpy(w->log + w->log_used, bytes, count);
    w->log_used += count;
    return 0;
}

/* ---- a session ---- */

static void start(world *w, int secure, int kind, int stepped)
{
    imapconnect_config config;

    memset(w, 0, sizeof *w);
    w->secure = secure;
    w->kind = kind;
    imapconnect_config_init(&config);
    config.user = w;
    config.clock = world_clock;
    config.nonblocking = stepped;
    config.ca_data = tunnel_ca.bytes;
    config.ca_size = (size_t)tunnel_ca.count;
    config.ca_format = IMAPCONNECT_DER;
    config.transport.context = w;
    config.transport.open = world_open;
    config.transport.read = world_read;
    config.transport.write = world_write;
    config.transport.wait = world_wait;
    config.transport.close = world_close;
    assert_int_equal(imapconnect_init(&w->session, &config), 0);
    imapconnect_list_init(&w->list, w->text, sizeof w->text);
    say(w, "* OK", secure == 2 ? " [CAPABILITY IMAP4rev1 STARTTLS] hi" : " [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
}

/* In what is left after a call no form of the password is found, nor of the answer and its digest. */
static void look_for_secrets(const world *w)
{
    static const char *const secrets[] = {PASSWORD,
                                          "czNjcmV0LVBhNTV3b3Jk",
                                          "7333637265742d50613535776f7264",
                                          ANSWER,
                                          "740ca9cb65fb7575aa50572648c3a284",
                                          "7333637265742D50613535776F7264"};

    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        size_t count = strlen(secrets[i]);

        if (has_bytes(&w->session, sizeof w->session, secrets[i], count))
            fail_msg("secret %zu is in the session", i);
        if (has_bytes(w->text, sizeof w->text, secrets[i], count))
            fail_msg("secret %zu is in the list", i);
        if (has_bytes(w->log, w->log_used, secrets[i], count))
            fail_msg("secret %zu is in the log", i);
    }
}

#define STACK_DEPTH 49152u

/* The stack below is known before a call ... */
__attribute__((noinline, no_sanitize_address)) static void paint_stack(void)
{
    volatile unsigned char below[STACK_DEPTH];

    for (size_t i = 0; i < sizeof below; i++)
        below[i] = 0;
}

/* ... and looked at after it, eight bytes of each secret at a time. */
__attribute__((noinline, no_sanitize_address)) static int find_on_stack(void)
{
    static const char *const pieces[] = {PASSWORD, &ANSWER[18], DIGEST, RAW_DIGEST};
    const volatile unsigned char *below = (const unsigned char *)__builtin_frame_address(0) - STACK_DEPTH;

    for (size_t i = 0; i + 8 <= STACK_DEPTH; i++) {
        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
            size_t n = 0;

            while (n < 8 && below[i + n] == (unsigned char)pieces[k][n])
                n++;
            if (n == 8)
                return (int)k + 1;
        }
    }
    return 0;
}

/* So that it can be trusted when it finds nothing. */
__attribute__((noinline, no_sanitize_address)) static void leave_on_stack(const volatile char *what)
{
    volatile char left[16384];

    for (size_t i = 0; i < sizeof left; i++) /* of fewer an optimizer makes no array */
        left[i] = what[i % 8];
}

static int whole(world *w, int result)
{
    for (int turns = 0; result == IMAPCONNECT_PENDING && turns < 10000; turns++) {
        uint32_t milliseconds = 0;

        (void)imapconnect_wants(&w->session, &milliseconds);
        w->now += turns > 100 ? 1000 : 0;
        result = imapconnect_step(&w->session);
    }
    look_for_secrets(w);
    return result;
}

/* Connects, asks, logs out. Returns the first error, or 0. */
static int scenario(world *w)
{
    int result, found;

    paint_stack();
    fault.armed = 1;
    result = whole(w, imapconnect(&w->session, TUNNEL_HOST, USER, PASSWORD, world_log, &w->list, w->secure, 1));
    found = find_on_stack();
    if (found)
        fail_msg("secret %d is on the stack: secure %d, fault %d at %d, result %d", found, w->secure, fault.kind,
                 fault.k, result);
    if (result >= 0 && !w->logged_in)
        fail_msg("success without a login");
    if (result >= 0)
        result = whole(w, imapconnect_noop(&w->session, &w->list));
    if (result >= 0)
        result = whole(w, imapconnect_disconnect(&w->session, &w->list));
    fault.armed = 0;
    return result;
}

static void check_wire(const world *w)
{
    static const char *const givers[] = {USER, PASSWORD, ANSWER, "LOGIN", "AUTHENTICATE"};

    for (size_t i = 0; w->secure != 0 && i < sizeof givers / sizeof givers[0]; i++)
        if (has_bytes(w->raw, w->raw_used, givers[i], strlen(givers[i])))
            fail_msg("%s left in clear", givers[i]);
    if (w->sent_off)
        fail_msg("something was sent after the end");
    if (w->kind != TUNNEL_GOOD && w->in_tunnel && w->heard)
        fail_msg("%zu bytes were sent to a server with a bad certificate", w->heard);
}

/* With this fault; returns whether it came to pass. */
static int suffer(int secure, int certificate, int stepped, int kind, int k)
{
    static world w;
    size_t raw_used;
    int result;
    long before;

    wc_ecc_fp_free(); /* points that wolfSSL keeps for the next time */
    before = blocks;
    memset(&fault, 0, sizeof fault);
    fault.kind = kind;
    fault.k = k;
    start(&w, secure, certificate, stepped);
    result = scenario(&w);
    raw_used = w.raw_used;
    if (certificate != TUNNEL_GOOD && result >= 0)
        fail_msg("a bad certificate was accepted");
    if (certificate == TUNNEL_GOOD && !fault.happened && result != 0)
        fail_msg("it fails without a fault: %d", result);
    if (result < 0 && (imapconnect_noop(&w.session, 0) >= 0 || imapconnect_is_open(&w.session)))
        fail_msg("a session that failed goes on");
    imapconnect_close(&w.session);
    imapconnect_close(&w.session);
    look_for_secrets(&w);
    check_wire(&w);
    if (w.raw_used != raw_used)
        fail_msg("something was sent after the call");
    if (w.closes != w.opens)
        fail_msg("%d opens, %d closes", w.opens, w.closes);
    tunnel_end(&w.tls);
    wc_ecc_fp_free();
    if (blocks != before)
        fail_msg("secure %d, certificate %d, stepped %d, fault %d at %d: result %d, %ld blocks are left", secure,
                 certificate, stepped, kind, k, result, blocks - before);
    return fault.happened;
}

static int is_deep;

/* What wolfSSL keeps from its first sessions is there before anything is counted: with TLS 1.3, and with 1.2. */
static int warm_up(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        static world w;

        memset(&fault, 0, sizeof fault);
        fault.k = i;
        start(&w, IMAPCONNECT_TLS, TUNNEL_GOOD, 0);
        assert_int_equal(scenario(&w), 0);
        imapconnect_close(&w.session);
        tunnel_end(&w.tls);
    }
    return 0;
}

/* For every k. Returns how often something failed. */
static int torture(int secure, int certificate, int stepped, int kind)
{
    int k = 1, times = 0;

    for (; suffer(secure, certificate, stepped, kind, k); times++) {
        k += kind == MEMORY && k >= 40 && !is_deep ? 11 : 1;
        assert_true(k < 20000);
    }
    return times;
}

static void torture_all(int secure)
{
    for (int stepped = 0; stepped < 2; stepped++) {
        for (int kind = OPEN; kind < KINDS; kind++) {
            int times = torture(secure, TUNNEL_GOOD, stepped, kind);

            printf("secure %d, stepped %d, fault %d: failed at %d calls\n", secure, stepped, kind, times);
            if (times == 0 && !(kind == WAIT && stepped) && !(kind == MEMORY && secure == 0))
                fail_msg("secure %d: nothing of kind %d has failed", secure, kind);
        }
    }
}

static void everything_fails_in_clear(void **state)
{
    (void)state;
    torture_all(IMAPCONNECT_INSECURE);
}

static void everything_fails_in_tls(void **state)
{
    (void)state;
    torture_all(IMAPCONNECT_TLS);
}

static void everything_fails_in_starttls(void **state)
{
    (void)state;
    torture_all(IMAPCONNECT_STARTTLS);
}

/* SECURITY.md section 3, 6: whatever fails, a bad certificate stays one. */
static void a_bad_certificate_is_never_accepted(void **state)
{
    (void)state;
    for (int secure = 1; secure < 3; secure++) {
        for (int bad = TUNNEL_GOOD + 1; bad < TUNNEL_KINDS; bad++) {
            int kinds[] = {WOLFSSL_CALL, MEMORY};

            for (size_t i = 0; i < 2; i++)
                if (i == 0 || is_deep || bad <= TUNNEL_UNTRUSTED)
                    assert_true(torture(secure, bad, bad & 1, kinds[i]) > 0);
        }
    }
}

static void what_is_left_on_the_stack_is_found(void **state)
{
    (void)state;
    paint_stack();
    assert_int_equal(find_on_stack(), 0);
    leave_on_stack(PASSWORD);
    assert_int_equal(find_on_stack(), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_left_on_the_stack_is_found),
    cmocka_unit_test(everything_fails_in_clear),
    cmocka_unit_test(everything_fails_in_tls),
    cmocka_unit_test(everything_fails_in_starttls),
    cmocka_unit_test(a_bad_certificate_is_never_accepted),
};

int main(void)
{
    int failed;

    is_deep = getenv("DEEP") != 0;
    wolfSSL_SetAllocators(take_memory, give_memory, change_memory);
    tunnel_prepare();
    failed = cmocka_run_group_tests(tests, warm_up, 0);
    tunnel_finish();
    return test_report(sizeof tests / sizeof tests[0], failed);
}
