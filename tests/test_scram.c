/* SCRAM over real TLS: a wolfSSL server in memory, that keeps a verifier, exports keying material itself and computes
   its side by wolfCrypt's Hmac and PBKDF2, of which the header uses neither. Then what fails while a key is derived, and
   what imapconnect_reason() makes of a refusal. */

#include "test.h"

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/coding.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/pwdbased.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/sha256.h>

/* The call of this number, and all behind it, fail; 0: none. */
static int fail_at, fails_once, calls, no_random, no_generator, no_export;

static int fails_now(void)
{
    return fail_at != 0 && ++calls >= fail_at && (!fails_once || calls == fail_at);
}

static int random_block(WC_RNG *from, byte *bytes, word32 count)
{
    return no_random ? -1 : wc_RNG_GenerateBlock(from, bytes, count);
}

static int generators; /* that were made and not freed */

static int random_init(WC_RNG *made)
{
    generators += !no_generator;
    return no_generator ? -1 : wc_InitRng(made);
}

static int random_free(WC_RNG *made)
{
    generators--;
    return wc_FreeRng(made);
}

static int export(WOLFSSL *ssl, unsigned char *out, size_t count, const char *label, size_t length,
                  const unsigned char *context, size_t size, int use)
{
    return no_export ? 0 : wolfSSL_export_keying_material(ssl, out, count, label, length, context, size, use);
}

static int sha256_init(wc_Sha256 *sha)
{
    return fails_now() ? -1 : wc_InitSha256(sha);
}

static int sha256_update(wc_Sha256 *sha, const byte *bytes, word32 count)
{
    return fails_now() ? -1 : wc_Sha256Update(sha, bytes, count);
}

static int sha256_final(wc_Sha256 *sha, byte *digest)
{
    return fails_now() ? -1 : wc_Sha256Final(sha, digest);
}

static int sha256_copy(wc_Sha256 *from, wc_Sha256 *to)
{
    return fails_now() ? -1 : wc_Sha256Copy(from, to);
}

static WC_RNG generator;
static ecc_key own_key;
static unsigned char own_certificate[2000], own_secret[300];
static int own_certificate_size, own_secret_size;

/* Before the names mean the functions above. */
static int make_certificate(void **state)
{
    Cert made;

    (void)state;
    assert_int_equal(wc_InitRng(&generator), 0);
    assert_int_equal(wc_ecc_init(&own_key), 0);
    assert_int_equal(wc_ecc_make_key(&generator, 32, &own_key), 0);
    own_secret_size = wc_EccKeyToDer(&own_key, own_secret, sizeof own_secret);
    assert_true(own_secret_size > 0);
    assert_int_equal(wc_InitCert(&made), 0);
    strcpy(made.subject.commonName, "server");
    made.sigType = CTC_SHA256wECDSA;
    made.selfSigned = 1;
    assert_true(wc_MakeCert(&made, own_certificate, sizeof own_certificate, 0, &own_key, &generator) > 0);
    own_certificate_size =
        wc_SignCert(made.bodySz, made.sigType, own_certificate, sizeof own_certificate, 0, &own_key, &generator);
    assert_true(own_certificate_size > 0);
    return 0;
}

static int free_certificate(void **state)
{
    (void)state;
    wc_ecc_free(&own_key);
    wc_FreeRng(&generator);
    return 0;
}

#define wc_RNG_GenerateBlock random_block
#define wc_InitRng           random_init
#define wc_FreeRng           random_free
#define wc_InitSha256        sha256_init
#define wc_Sha256Update      sha256_update
#define wc_Sha256Final       sha256_final
#define wc_Sha256Copy        sha256_copy

/* What the header alone calls; the server exports with the real one. */
#define wolfSSL_export_keying_material export

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#undef wolfSSL_export_keying_material

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char password[] = "pencil-Xyzzy-42";
static const unsigned char salt[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

typedef struct queue {
    unsigned char bytes[16384];
    size_t count;
} queue;

typedef struct peer {
    imapconnect_session session;
    imapconnect_config config;
    queue to_server, to_client;
    WOLFSSL_CTX *context;
    WOLFSSL *ssl;
    int up;
    const char *offers;          /* AUTH=..., behind IMAP4rev1 SASL-IR */
    int plus;                    /* the server can bind, whatever its list says */
    const unsigned char *stolen; /* the binding of another connection */
    unsigned iterations;
    char got[4000];
    size_t used, answered;
    char tag[16], tried[200], header[40], bare[200], first[300];
    unsigned char binding[32];
    unsigned char salted[32], client_key[32], proof[32], signature[32];
    int commands, computed, proved, naps;
    uint32_t now;
} peer;

static void put(queue *q, const void *bytes, size_t count)
{
    assert_true(q->count + count <= sizeof q->bytes);
    memcpy(q->bytes + q->count, bytes, count);
    q->count += count;
}

static size_t get(queue *q, void *bytes, size_t count)
{
    if (count > q->count)
        count = q->count;
    memcpy(bytes, q->bytes, count);
    q->count -= count;
    memmove(q->bytes, q->bytes + count, q->count);
    return count;
}

static int peer_receive(WOLFSSL *ssl, char *bytes, int count, void *context)
{
    size_t got = get(&((peer *)context)->to_server, bytes, (size_t)count);
    (void)ssl;
    return got > 0 ? (int)got : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int peer_send(WOLFSSL *ssl, char *bytes, int count, void *context)
{
    (void)ssl;
    put(&((peer *)context)->to_client, bytes, (size_t)count);
    return count;
}

static void say(peer *p, const char *text)
{
    assert_true(wolfSSL_write(p->ssl, text, (int)strlen(text)) > 0);
}

/* "+ " and the text in base64. */
static void challenge(peer *p, const char *text)
{
    char line[600] = "+ ";
    word32 size = sizeof line - 4;
    assert_int_equal(Base64_Encode_NoNl((const byte *)text, (word32)strlen(text), (byte *)line + 2, &size), 0);
    memcpy(line + 2 + size, "\r\n", 3);
    say(p, line);
}

static void plain_of(const char *text, char *plain, word32 room)
{
    word32 size = room - 1;
    assert_int_equal(Base64_Decode((const byte *)text, (word32)strlen(text), (byte *)plain, &size), 0);
    plain[size] = '\0';
}

static void hmac(const unsigned char *with, word32 count, const char *text, unsigned char *digest)
{
    Hmac state;
    assert_int_equal(wc_HmacInit(&state, 0, INVALID_DEVID), 0);
    assert_int_equal(wc_HmacSetKey(&state, WC_SHA256, with, count), 0);
    assert_int_equal(wc_HmacUpdate(&state, (const byte *)text, (word32)strlen(text)), 0);
    assert_int_equal(wc_HmacFinal(&state, digest), 0);
    wc_HmacFree(&state);
}

/* client-first-message, RFC 5802 section 7: "p=tls-exporter,," or "n,," or "y,," and the bare one. */
static void first_message(peer *p, const char *mechanism, const char *base64)
{
    char plain[300], salt64[40];
    word32 size = sizeof salt64 - 1;
    const char *bare, *nonce;

    plain_of(base64, plain, sizeof plain);
    bare = strchr(strchr(plain, ',') + 1, ',') + 1;
    (void)snprintf(p->header, sizeof p->header, "%.*s", (int)(bare - plain), plain);
    (void)snprintf(p->bare, sizeof p->bare, "%s", bare);
    nonce = strstr(bare, ",r=") + 3;
    assert_int_equal(Base64_Encode_NoNl(salt, sizeof salt, (byte *)salt64, &size), 0);
    salt64[size] = '\0';
    (void)snprintf(p->first, sizeof p->first, "r=%sserver,s=%s,i=%u", nonce, salt64, p->iterations);
    strcat(strcat(p->tried, mechanism), " ");
    challenge(p, p->first);
}

/* What stands behind c=, in base64: the header, and with -PLUS what TLS exports, RFC 9266. */
static void expected_binding(peer *p, char *text, size_t room)
{
    unsigned char bytes[80];
    size_t count = strlen(p->header);
    word32 size = (word32)room - 1;

    memcpy(bytes, p->header, count);
    if (p->header[0] == 'p') {
        assert_int_equal(wolfSSL_export_keying_material(p->ssl, p->binding, sizeof p->binding,
                                                        "EXPORTER-Channel-Binding", 24, 0, 0, 0),
                         WOLFSSL_SUCCESS);
        memcpy(bytes + count, p->stolen != 0 ? p->stolen : p->binding, 32);
        count += 32;
    }
    assert_int_equal(Base64_Encode_NoNl(bytes, (word32)count, (byte *)text, &size), 0);
    text[size] = '\0';
}

/* RFC 5802 section 3. */
static void compute(peer *p, const char *without_proof)
{
    unsigned char stored[32], server_key[32];
    char message[800];
    size_t i;

    p->computed = 1;
    (void)snprintf(message, sizeof message, "%s,%s,%s", p->bare, p->first, without_proof);
    assert_int_equal(wc_PBKDF2(p->salted, (const byte *)password, sizeof password - 1, salt, sizeof salt,
                               (int)p->iterations, 32, WC_SHA256),
                     0);
    hmac(p->salted, 32, "Client Key", p->client_key);
    assert_int_equal(wc_Sha256Hash(p->client_key, 32, stored), 0);
    hmac(stored, 32, message, p->proof);
    for (i = 0; i < 32; i++)
        p->proof[i] ^= p->client_key[i];
    hmac(p->salted, 32, "Server Key", server_key);
    hmac(server_key, 32, message, p->signature);
}

/* client-final-message: the server's signature, or why there is none. */
static void final_message(peer *p, const char *base64)
{
    char plain[400], c[120], want[120], text[60] = "v=", proof[36];
    word32 size = sizeof text - 3;
    char *comma, *behind;

    plain_of(base64, plain, sizeof plain);
    comma = strchr(plain, ',');
    behind = strstr(plain, ",p=");
    (void)snprintf(c, sizeof c, "%.*s", (int)(comma - plain - 2), plain + 2);
    expected_binding(p, want, sizeof want);
    plain_of(behind + 3, proof, sizeof proof);
    *behind = '\0';
    compute(p, plain);
    if (p->plus && p->header[0] == 'y') {
        challenge(p, "e=server-does-support-channel-binding");
    } else if (strcmp(c, want) != 0) {
        challenge(p, "e=channel-bindings-dont-match");
    } else if (memcmp(proof, p->proof, 32) != 0) {
        challenge(p, "e=invalid-proof");
    } else {
        p->proved = 1;
        assert_int_equal(Base64_Encode_NoNl(p->signature, 32, (byte *)text + 2, &size), 0);
        text[2 + size] = '\0';
        challenge(p, text);
    }
    p->header[0] = '\0';
}

static void line_of(peer *p, const char *line)
{
    char tag[16], mechanism[40], base64[400], answer[60];

    if (sscanf(line, "%15s AUTHENTICATE %39s %399s", tag, mechanism, base64) == 3) {
        memcpy(p->tag, tag, sizeof tag);
        p->commands++;
        first_message(p, mechanism, base64);
        return;
    }
    if (p->header[0] != '\0') {
        final_message(p, line);
        return;
    }
    if (strchr(line, ' ') != 0) {
        p->commands++;
        (void)sscanf(line, "%15s", p->tag);
    }
    (void)snprintf(answer, sizeof answer, "%s %s\r\n", p->tag, p->proved ? "OK" : "NO");
    say(p, answer);
}

static void peer_work(peer *p)
{
    char line[500], *end;
    int got;

    if (!p->up && wolfSSL_accept(p->ssl) == WOLFSSL_SUCCESS) {
        p->up = 1;
        (void)snprintf(line, sizeof line, "* OK [CAPABILITY IMAP4rev1 SASL-IR %s] ready\r\n", p->offers);
        say(p, line);
    }
    if (!p->up)
        return;
    while ((got = wolfSSL_read(p->ssl, p->got + p->used, (int)(sizeof p->got - 1 - p->used))) > 0)
        p->used += (size_t)got;
    while ((end = memchr(p->got + p->answered, '\n', p->used - p->answered)) != 0) {
        (void)snprintf(line, sizeof line, "%.*s", (int)(end - 1 - (p->got + p->answered)), p->got + p->answered);
        p->answered = (size_t)(end + 1 - p->got);
        line_of(p, line);
    }
}

static int peer_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    (void)context;
    (void)host;
    (void)port;
    (void)milliseconds;
    return 3;
}

static int peer_read(void *context, void *bytes, size_t count)
{
    peer *p = context;
    size_t got;
    peer_work(p);
    got = get(&p->to_client, bytes, count);
    return got > 0 ? (int)got : IMAPCONNECT_WANT_READ;
}

static int peer_write(void *context, const void *bytes, size_t count)
{
    put(&((peer *)context)->to_server, bytes, count);
    return (int)count;
}

static int peer_wait(void *context, int what, uint32_t milliseconds)
{
    (void)what;
    ((peer *)context)->now += milliseconds;
    return 0;
}

static void peer_close(void *context)
{
    (void)context;
}

static uint32_t peer_clock(void *context)
{
    return ((peer *)context)->now;
}

static int peer_keep_going(void *context)
{
    ((peer *)context)->naps++;
    return 0;
}

static peer *new_peer(WOLFSSL_METHOD *method, const char *offers)
{
    peer *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->offers = offers;
    p->iterations = 4096;
    p->config.user = p;
    p->config.clock = peer_clock;
    p->config.keep_going = peer_keep_going;
    p->config.auth = IMAPCONNECT_AUTH_STRONGEST;
    p->config.transport.context = p;
    p->config.transport.open = peer_open;
    p->config.transport.read = peer_read;
    p->config.transport.write = peer_write;
    p->config.transport.wait = peer_wait;
    p->config.transport.close = peer_close;
    p->context = wolfSSL_CTX_new(method);
    assert_non_null(p->context);
    assert_int_equal(
        wolfSSL_CTX_use_certificate_buffer(p->context, own_certificate, own_certificate_size, WOLFSSL_FILETYPE_ASN1),
        WOLFSSL_SUCCESS);
    assert_int_equal(
        wolfSSL_CTX_use_PrivateKey_buffer(p->context, own_secret, own_secret_size, WOLFSSL_FILETYPE_ASN1),
        WOLFSSL_SUCCESS);
    p->ssl = wolfSSL_new(p->context);
    assert_non_null(p->ssl);
    wolfSSL_KeepArrays(p->ssl); /* what is exported comes from them */
    wolfSSL_SSLSetIORecv(p->ssl, peer_receive);
    wolfSSL_SSLSetIOSend(p->ssl, peer_send);
    wolfSSL_SetIOReadCtx(p->ssl, p);
    wolfSSL_SetIOWriteCtx(p->ssl, p);
    return p;
}

static int peer_connect(peer *p)
{
    assert_int_equal(imapconnect_init(&p->session, &p->config), 0);
    return imapconnect(&p->session, "localhost", "joe", password, 0, 0, IMAPCONNECT_TLS, IMAPCONNECT_NO_VERIFY);
}

static void free_peer(peer *p)
{
    imapconnect_close(&p->session);
    wolfSSL_free(p->ssl);
    wolfSSL_CTX_free(p->context);
    free(p);
}

static int holds(const void *memory, size_t size, const void *what, size_t count)
{
    const unsigned char *at = memory;
    for (; size >= count; at++, size--)
        if (memcmp(at, what, count) == 0)
            return 1;
    return 0;
}

/* SECURITY 3, 27, in pieces of eight bytes. */
static void check_no_secret(const peer *p)
{
    const unsigned char *const all[] = {p->salted, p->client_key, p->proof};
    size_t i, at;

    assert_false(holds(&p->session, sizeof p->session, password, 8));
    for (i = 0; i < sizeof p->session.engine.scram; i++) /* what the server had to prove itself with */
        assert_int_equal(p->session.engine.scram[i], 0);
    for (i = 0; p->computed && i < COUNT(all); i++)
        for (at = 0; at < 32; at += 8)
            assert_false(holds(&p->session, sizeof p->session, all[i] + at, 8));
}

#define ALL_BUT_PLUS "AUTH=SCRAM-SHA-256 AUTH=CRAM-MD5 AUTH=PLAIN"

/* RFC 9266: the server exports for itself what the exchange must be bound to. */
static void plus_is_bound_to_the_connection(void **state)
{
    peer *p = new_peer(wolfTLSv1_3_server_method(), "AUTH=SCRAM-SHA-256-PLUS " ALL_BUT_PLUS);

    (void)state;
    p->plus = 1;
    assert_true(peer_connect(p) >= 0);
    assert_string_equal(p->tried, "SCRAM-SHA-256-PLUS ");
    assert_string_equal(imapconnect_mechanism(&p->session), "SCRAM-SHA-256-PLUS");
    check_no_secret(p);
    free_peer(p);
}

/* A man in the middle has two connections, and what the client is bound to is not what the server exports. */
static void plus_of_another_connection_is_refused(void **state)
{
    static const char offers[] = "AUTH=SCRAM-SHA-256-PLUS " ALL_BUT_PLUS;
    peer *other = new_peer(wolfTLSv1_3_server_method(), offers), *p = new_peer(wolfTLSv1_3_server_method(), offers);

    (void)state;
    other->plus = p->plus = 1;
    assert_true(peer_connect(other) >= 0);
    p->stolen = other->binding;
    assert_int_equal(peer_connect(p), IMAPCONNECT_E_SCRAM);
    assert_memory_not_equal(p->binding, other->binding, 32);
    assert_int_equal(p->commands, 1); /* nothing weaker */
    check_no_secret(p);
    free_peer(other);
    free_peer(p);
}

/* RFC 5802 section 6: somebody took -PLUS off the list; the client could bind, says so, and the server knows better. */
static void a_stripped_plus_is_found_out(void **state)
{
    peer *p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);

    (void)state;
    p->plus = 1;
    assert_int_equal(peer_connect(p), IMAPCONNECT_E_SCRAM);
    assert_string_equal(p->tried, "SCRAM-SHA-256 ");
    assert_int_equal(p->commands, 1);
    check_no_secret(p);
    free_peer(p);
}

/* A server that really cannot takes the same words. c= is base64 of "y,,". */
static void a_server_without_plus_takes_the_flag(void **state)
{
    peer *p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);

    (void)state;
    assert_true(peer_connect(p) >= 0);
    assert_string_equal(p->tried, "SCRAM-SHA-256 ");
    check_no_secret(p);
    free_peer(p);
}

/* RFC 9266 section 4.2: with TLS 1.2 it is not sure to be unique, so there is none, and the client does not say "y". */
static void no_binding_with_tls_1_2(void **state)
{
    peer *p = new_peer(wolfTLSv1_2_server_method(), "AUTH=SCRAM-SHA-256-PLUS " ALL_BUT_PLUS);

    (void)state;
    p->plus = 1; /* "y" would be refused */
    assert_true(peer_connect(p) >= 0);
    assert_string_equal(p->tried, "SCRAM-SHA-256 ");
    free_peer(p);
}

/* RFC 7677 section 4: at least 4,096. */
static void iterations_are_bounded(void **state)
{
    static const struct {
        unsigned iterations;
        int result;
    } cases[] = {{0, IMAPCONNECT_E_SCRAM_ITERATIONS},
                 {1, IMAPCONNECT_E_SCRAM_ITERATIONS},
                 {4095, IMAPCONNECT_E_SCRAM_ITERATIONS},
                 {4096, 0},
                 {600001, IMAPCONNECT_E_SCRAM_ITERATIONS}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        peer *p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);
        int result;
        p->iterations = cases[i].iterations;
        result = peer_connect(p);
        assert_int_equal(result < 0 ? result : 0, cases[i].result);
        assert_int_equal(p->commands, 1);
        free_peer(p);
    }
}

/* The most that is taken by default. The watchdog must not bark meanwhile. */
static void the_watchdog_is_fed_while_a_key_is_derived(void **state)
{
    peer *p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);

    (void)state;
    p->iterations = 600000;
    assert_true(peer_connect(p) >= 0);
    assert_true(p->naps > 100);
    free_peer(p);
}

/* Steps until the key is being derived. Returns how often the session was pending then, at most `most`. */
static int derive_some(peer *p, int most)
{
    int status, count = 0;

    p->config.nonblocking = 1;
    p->iterations = 600000;
    status = peer_connect(p);
    while (status == IMAPCONNECT_PENDING && count < most) {
        count += p->session.engine.exchange == IMC_DERIVING;
        status = imapconnect_step(&p->session);
    }
    assert_int_equal(status, IMAPCONNECT_PENDING);
    return count;
}

static void closing_while_a_key_is_derived_wipes_it(void **state)
{
    peer *p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);
    unsigned char sum[32], last[32];

    (void)state;
    assert_int_equal(derive_some(p, 50), 50);
    memcpy(sum, p->session.engine.writer.out.challenge.scram.sum, sizeof sum);
    memcpy(last, p->session.engine.writer.out.challenge.scram.last, sizeof last);
    assert_true(holds(&p->session, sizeof p->session, sum, 8)); /* so that the search can be trusted */
    imapconnect_close(&p->session);
    assert_false(holds(&p->session, sizeof p->session, sum, 8));
    assert_false(holds(&p->session, sizeof p->session, sum + 24, 8));
    assert_false(holds(&p->session, sizeof p->session, last, 8));
    assert_false(holds(&p->session, sizeof p->session, last + 24, 8));
    free_peer(p);
}

static void no_random_numbers(void **state)
{
    peer *p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);

    (void)state;
    no_random = 1;
    assert_int_equal(peer_connect(p), IMAPCONNECT_E_RANDOM);
    no_random = 0;
    assert_int_equal(p->commands, 0);
    free_peer(p);
    p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);
    no_generator = 1;
    assert_int_equal(peer_connect(p), IMAPCONNECT_E_RANDOM);
    no_generator = 0;
    assert_int_equal(p->commands, 0);
    free_peer(p);
    assert_int_equal(generators, 0);
}

/* Nothing to bind to, once -PLUS was begun: no proof leaves, and nothing weaker is tried. */
static void nothing_is_exported(void **state)
{
    peer *p = new_peer(wolfTLSv1_3_server_method(), "AUTH=SCRAM-SHA-256-PLUS " ALL_BUT_PLUS);

    (void)state;
    p->plus = 1;
    no_export = 1;
    assert_int_equal(peer_connect(p), IMAPCONNECT_E_TLS);
    no_export = 0;
    assert_int_equal(p->commands, 1);
    assert_int_equal(p->proved, 0);
    free_peer(p);
}

/* The key is whole, and then a hash fails, or the message of the server is not what it was: guards. */
static void no_proof_without_a_hash_or_a_message(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        peer *p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);
        imapconnect_engine *engine = &p->session.engine;

        assert_int_equal(derive_some(p, 1), 1);
        calls = 0;
        fail_at = i == 0;
        if (i == 1)
            engine->writer.out.challenge.message[0] = 'x';
        imc_engine_scram_prove(engine, "eSws");
        fail_at = 0;
        assert_int_equal(engine->error, IMAPCONNECT_E_AUTHENTICATE);
        assert_int_equal(p->proved, 0);
        free_peer(p);
    }
}

/* Each call for the proof fails once, and nothing behind it: no proof leaves that is none. */
static void each_call_for_the_proof_fails(void **state)
{
    peer *p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);
    imapconnect_engine *engine = &p->session.engine;
    char nonce[sizeof engine->scram]; /* what the server must prove with is going to stand there */

    (void)state;
    assert_int_equal(derive_some(p, 1), 1);
    memcpy(nonce, engine->scram, sizeof nonce);
    fails_once = 1;
    for (fail_at = 1;; fail_at++) {
        calls = 0;
        imc_engine_scram_prove(engine, "eSws");
        if (calls < fail_at)
            break;
        assert_int_equal(engine->error, IMAPCONNECT_E_AUTHENTICATE);
        assert_int_equal(engine->writer.used, 0);
        engine->error = 0;
        memcpy(engine->scram, nonce, sizeof nonce);
    }
    assert_int_equal(engine->error, 0);
    assert_true(fail_at > 20);
    fail_at = fails_once = 0;
    free_peer(p);
}

/* Each of the first calls fails, some within the iterations, and some behind them; nothing weaker is tried. */
static void a_hash_that_fails_is_an_error(void **state)
{
    static const int places[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 20, 24, 100, 5000, 24000};
    size_t i;

    (void)state;
    for (i = 0; i < 2 * COUNT(places); i++) {
        peer *p = new_peer(wolfTLSv1_3_server_method(), ALL_BUT_PLUS);
        int result;
        calls = 0;
        fail_at = places[i / 2];
        fails_once = i % 2; /* and those behind it hide nothing */
        result = peer_connect(p);
        if (result != IMAPCONNECT_E_AUTHENTICATE || calls < fail_at)
            fail_msg("call %d: %d, after %d calls", fail_at, result, calls);
        fail_at = 0;
        assert_int_equal(p->proved, 0);
        assert_int_equal(p->commands, 1);
        check_no_secret(p);
        free_peer(p);
    }
}

/* RFC 5530 section 3; codes in any letter case, with and without arguments. */
static void reasons_in_any_letter_case(void **state)
{
    static const struct {
        const char *code, *text;
        int reason;
    } cases[] = {{"", "", IMAPCONNECT_REASON_NONE},
                 {"X-OTHER", "", IMAPCONNECT_REASON_UNKNOWN},
                 {"ALERTS", "", IMAPCONNECT_REASON_UNKNOWN},
                 {"ALER", "", IMAPCONNECT_REASON_UNKNOWN},
                 {"ALERT", "", IMAPCONNECT_REASON_ALERT},
                 {"alert", "", IMAPCONNECT_REASON_ALERT},
                 {"Unavailable", "", IMAPCONNECT_REASON_UNAVAILABLE},
                 {"AUTHENTICATIONFAILED", "", IMAPCONNECT_REASON_AUTHENTICATIONFAILED},
                 {"authorizationfailed", "", IMAPCONNECT_REASON_AUTHORIZATIONFAILED},
                 {"eXPIRED", "", IMAPCONNECT_REASON_EXPIRED},
                 {"PrivacyRequired", "", IMAPCONNECT_REASON_PRIVACYREQUIRED},
                 {"CONTACTADMIN", "", IMAPCONNECT_REASON_CONTACTADMIN},
                 {"LIMIT", "", IMAPCONNECT_REASON_LIMIT},
                 {"noperm", "", IMAPCONNECT_REASON_NOPERM},
                 {"INUSE", "", IMAPCONNECT_REASON_INUSE},
                 {"OVERQUOTA", "", IMAPCONNECT_REASON_OVERQUOTA},
                 {"ALREADYEXISTS", "", IMAPCONNECT_REASON_ALREADYEXISTS},
                 {"NonExistent", "", IMAPCONNECT_REASON_NONEXISTENT},
                 {"TRYCREATE", "", IMAPCONNECT_REASON_TRYCREATE},
                 {"CANNOT", "", IMAPCONNECT_REASON_CANNOT},
                 {"BADCHARSET (UTF-8)", "", IMAPCONNECT_REASON_BADCHARSET},
                 {"EXPUNGEISSUED", "", IMAPCONNECT_REASON_EXPUNGEISSUED},
                 {"CORRUPTION", "", IMAPCONNECT_REASON_CORRUPTION},
                 {"SERVERBUG", "", IMAPCONNECT_REASON_SERVERBUG},
                 {"clientbug", "", IMAPCONNECT_REASON_CLIENTBUG},
                 {"ALERT", "Too many simultaneous connections. (Failure)", IMAPCONNECT_REASON_LIMIT}, /* Gmail */
                 {"", "Maximum number of connections from user+IP exceeded", IMAPCONNECT_REASON_LIMIT},
                 {"UNAVAILABLE", "Maximum number of connections from user+IP exceeded", IMAPCONNECT_REASON_LIMIT},
                 {"X-OTHER", "too many connections", IMAPCONNECT_REASON_LIMIT},
                 {"", "Request is throttled. Suggested", IMAPCONNECT_REASON_LIMIT}, /* Microsoft 365 */
                 {"AUTHENTICATIONFAILED", "no more connections", IMAPCONNECT_REASON_AUTHENTICATIONFAILED},
                 {"CLIENTBUG", "no more connections", IMAPCONNECT_REASON_CLIENTBUG},
                 {"PRIVACYREQUIRED", "disallowed on non-secure connections.", IMAPCONNECT_REASON_PRIVACYREQUIRED}};
    imapconnect_session session;
    size_t i;

    (void)state;
    memset(&session, 0, sizeof session);
    for (i = 0; i < COUNT(cases); i++) {
        imapconnect_reader *reader = &session.engine.reader;
        (void)snprintf(reader->code, sizeof reader->code, "%s", cases[i].code);
        (void)snprintf(reader->text, sizeof reader->text, "%s", cases[i].text);
        if (imapconnect_reason(&session) != cases[i].reason)
            fail_msg("[%s] %s: %d", cases[i].code, cases[i].text, imapconnect_reason(&session));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(plus_is_bound_to_the_connection),
    cmocka_unit_test(plus_of_another_connection_is_refused),
    cmocka_unit_test(a_stripped_plus_is_found_out),
    cmocka_unit_test(a_server_without_plus_takes_the_flag),
    cmocka_unit_test(no_binding_with_tls_1_2),
    cmocka_unit_test(iterations_are_bounded),
    cmocka_unit_test(the_watchdog_is_fed_while_a_key_is_derived),
    cmocka_unit_test(closing_while_a_key_is_derived_wipes_it),
    cmocka_unit_test(no_random_numbers),
    cmocka_unit_test(nothing_is_exported),
    cmocka_unit_test(no_proof_without_a_hash_or_a_message),
    cmocka_unit_test(each_call_for_the_proof_fails),
    cmocka_unit_test(a_hash_that_fails_is_an_error),
    cmocka_unit_test(reasons_in_any_letter_case),
};

int main(void)
{
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return test_report(COUNT(tests), cmocka_run_group_tests(tests, make_certificate, free_certificate));
}
