/* config.tls over real TLS, with the server of tunnel.h: a certificate of ours, from buffers and files, in PEM and DER;
   pins; tickets, taken, not taken, of the other version, with something behind them. Then each call of wolfSSL that
   these need fails once: the answer is the error that says so, or a session without a ticket, and never another one. */

#include "test.h"
#include "../imapconnect.h"
#include "tunnel.h"

#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The function that fails, at its `at`th call from now on; 0: none. */
static struct {
    const char *name;
    int at, calls;
} fault;

static int fails(const char *name)
{
    return fault.name != 0 && strcmp(fault.name, name) == 0 && ++fault.calls == fault.at;
}

static void shall_fail(const char *name, int at)
{
    fault.name = name;
    fault.at = at;
    fault.calls = 0;
}

#define FAILS(name, code, call) (fails(name) ? (code) : (call))

/* What was begun and not freed, of the header's: hashes, and sessions of wolfSSL. */
static int hashes, sessions;

static int begin_hash(wc_Sha256 *hash)
{
    hashes++;
    return wc_InitSha256(hash);
}

static void free_hash(wc_Sha256 *hash)
{
    hashes--;
    wc_Sha256Free(hash);
}

static WOLFSSL_SESSION *have_session(WOLFSSL_SESSION *made)
{
    sessions += made != 0;
    return made;
}

static void free_session(WOLFSSL_SESSION *made)
{
    sessions--;
    wolfSSL_SESSION_free(made);
}

/* RFC 5246 section F.1.4: a session of TLS 1.2 for a day at most. */
static int set_timeout(WOLFSSL *ssl, unsigned seconds)
{
    assert_int_equal(seconds, 86400);
    return wolfSSL_set_timeout(ssl, seconds);
}

#define wc_InitSha256(a)                      FAILS("init", -1, begin_hash(a))
#define wc_Sha256Free(a)                      free_hash(a)
#define wolfSSL_SESSION_free(a)               free_session(a)
#define wc_Sha256Update(a, b, c)              FAILS("update", -1, wc_Sha256Update(a, b, c))
#define wc_Sha256Final(a, b)                  FAILS("final", -1, wc_Sha256Final(a, b))
#define wc_Sha256Hash(a, b, c)                FAILS("hash", -1, wc_Sha256Hash(a, b, c))
#define wolfSSL_check_private_key(a)          FAILS("match", 0, wolfSSL_check_private_key(a))
#define wolfSSL_set_SessionTicket_cb(a, b, c) FAILS("callback", 0, wolfSSL_set_SessionTicket_cb(a, b, c))
#define wolfSSL_set_timeout(a, b)             FAILS("timeout", 0, set_timeout(a, b))
#define wolfSSL_d2i_SSL_SESSION(a, b, c)      FAILS("d2i", 0, have_session(wolfSSL_d2i_SSL_SESSION(a, b, c)))
#define wolfSSL_set_session(a, b)             FAILS("set", 0, wolfSSL_set_session(a, b))
#define wolfSSL_get1_session(a)               FAILS("get1", 0, have_session(wolfSSL_get1_session(a)))
#define wolfSSL_SESSION_is_resumable(a)       FAILS("numbered", 0, wolfSSL_SESSION_is_resumable(a))
#define wolfSSL_i2d_SSL_SESSION(a, b)         FAILS("i2d", 0, wolfSSL_i2d_SSL_SESSION(a, b))

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

/* ---- a client and its server ---- */

static tunnel server;
static imapconnect_session session;
static imapconnect_config config;
static imapconnect_tls_options options;
static imapconnect_transport lower;
static unsigned char ticket[8192];
static int on_its_way;

static int plain_read(void *context, void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return IMAPCONNECT_WANT_READ;
}

static int plain_write(void *context, const void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    return (int)count;
}

/* What the server says takes its time, once. */
static int raw_read(void *context, void *bytes, size_t count)
{
    if (on_its_way) {
        on_its_way = 0;
        return IMAPCONNECT_WANT_READ;
    }
    return tunnel_raw_read(context, bytes, count);
}

static int raw_write(void *context, const void *bytes, size_t count)
{
    return tunnel_raw_write(context, bytes, count);
}

static int begin(void **state)
{
    (void)state;
    shall_fail(0, 0);
    memset(&options, 0, sizeof options);
    imapconnect_config_init(&config);
    config.tls = &options;
    config.ca_data = tunnel_ca.bytes;
    config.ca_size = (size_t)tunnel_ca.count;
    config.ca_format = IMAPCONNECT_DER;
    lower.context = &server;
    lower.read = raw_read;
    lower.write = raw_write;
    return 0;
}

static void end(void)
{
    assert_int_equal(hashes, 0);
    assert_int_equal(sessions, 0);
    imc_tls_free(&session.tls);
    tunnel_end(&server);
}

/* Up to the end of the handshake. What fails before it costs the server no byte. */
static int shake(int kind, int is_tls12, int verify)
{
    int code;

    assert_int_equal(imapconnect_init(&session, &config), 0);
    assert_int_equal(imc_names_parse(&session.server, TUNNEL_HOST, 993), 0);
    server.read = plain_read;
    server.write = plain_write;
    on_its_way = 1;
    tunnel_begin(&server, kind, is_tls12);
    code = imc_tls_prepare(&session.tls, &config, &session.server, IMAPCONNECT_TLS, verify);
    if (code != 0)
        assert_int_equal(server.to_server.end + server.to_client.end + (size_t)server.accepted, 0);
    else
        for (int i = 0; i < 50 && (i == 0 || code == IMAPCONNECT_WANT_READ); i++)
            code = imc_tls_handshake(&session.tls, &lower);
    if (code == 0) { /* no second handshake is wanted, and what was said before the data does not count any more */
        assert_null(session.tls.server);
        assert_int_equal(session.tls.silence, 0);
    }
    return code;
}

/* The ticket is behind the handshake in TLS 1.3, RFC 8446 section 4.6.1. */
static size_t take_ticket(void)
{
    char bytes[16];

    session.secured = 1;
    assert_int_equal(imc_tls_read(&session.tls, bytes, sizeof bytes), IMAPCONNECT_WANT_READ);
    return imapconnect_ticket(&session, ticket, sizeof ticket);
}

/* A whole session with a ticket at its end, which the next one offers. */
static void get_ticket(int is_tls12)
{
    options.resume = 1;
    options.ticket = 0;
    assert_int_equal(shake(TUNNEL_GOOD, is_tls12, 1), 0);
    options.ticket_size = take_ticket();
    assert_in_range(options.ticket_size, 60, sizeof ticket);
    options.ticket = ticket;
    end();
}

/* ---- bytes ---- */

static char heard[8];
static size_t heard_count;

static int hear(void *context, const void *bytes, size_t count)
{
    (void)context;
    assert_true(heard_count + count <= sizeof heard);
    memcpy(heard + heard_count, bytes, count);
    heard_count += count;
    return (int)count;
}

static const char *to_say;

static int say(void *context, void *bytes, size_t count)
{
    (void)context;
    (void)count;
    if (*to_say == '\0')
        return IMAPCONNECT_WANT_READ;
    *(char *)bytes = *to_say++;
    return 1;
}

/* One byte is as good as many, in both directions; a wait for more is one look below, and no byte is lost by it. What is
   read ends a silence. */
static void one_byte_at_a_time(void **state)
{
    char byte;

    (void)state;
    for (int is_tls12 = 0; is_tls12 < 2; is_tls12++) {
        assert_int_equal(shake(TUNNEL_GOOD, is_tls12, 1), 0);
        heard_count = 0;
        server.write = hear;
        server.read = say;
        to_say = "";
        assert_int_equal(imc_tls_write(&session.tls, "a", 1), 1);
        assert_int_equal(session.tls.writing, 0);
        assert_int_equal(imc_tls_write(&session.tls, "b", 1), 1);
        assert_int_equal(imc_tls_read(&session.tls, &byte, 1), IMAPCONNECT_WANT_READ);
        assert_int_equal(imc_tls_read(&session.tls, &byte, 1), IMAPCONNECT_WANT_READ);
        assert_int_equal(heard_count, 2);
        assert_memory_equal(heard, "ab", 2);
        to_say = "xy";
        assert_int_equal(imc_tls_read(&session.tls, &byte, 1), 1);
        assert_int_equal(byte, 'x');
        assert_int_equal(session.tls.silence, 0);
        assert_int_equal(imc_tls_read(&session.tls, &byte, 1), 1);
        assert_int_equal(byte, 'y');
        end();
    }
}

/* ---- a certificate of ours ---- */

static tunnel_der own;
static unsigned char own_key[256], own_pem[4096], own_key_pem[1024];
static int own_key_size, own_pem_size, own_key_pem_size;
static char own_path[2][300];

static void write_file(const char *path, const void *bytes, int count)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, (size_t)count, file), count);
    assert_int_equal(fclose(file), 0);
}

static int prepare(void **state)
{
    const char *folder = getenv("BUILD_DIR");
    WC_RNG random;
    ecc_key key;

    (void)state;
    tunnel_prepare();
    assert_int_equal(wc_InitRng(&random), 0);
    tunnel_key(&key, &random);
    tunnel_authority(&own, &key, "a device", &random);
    own_key_size = wc_EccKeyToDer(&key, own_key, sizeof own_key);
    own_pem_size = wc_DerToPem(own.bytes, (word32)own.count, own_pem, sizeof own_pem, CERT_TYPE);
    own_key_pem_size =
        wc_DerToPem(own_key, (word32)own_key_size, own_key_pem, sizeof own_key_pem, ECC_PRIVATEKEY_TYPE);
    assert_true(own_key_size > 0 && own_pem_size > 0 && own_key_pem_size > 0);
    for (int i = 0; i < 2; i++)
        snprintf(own_path[i], sizeof own_path[i], "%s/own-%ld-%d", folder ? folder : "/tmp", (long)getpid(), i);
    write_file(own_path[0], own.bytes, own.count);
    write_file(own_path[1], own_key, own_key_size);
    wc_ecc_free(&key);
    wc_FreeRng(&random);
    for (int i = 0; i < 2; i++) /* the two that ask for a certificate, and know this one */
        assert_int_equal(wolfSSL_CTX_load_verify_buffer(tunnel_contexts[i][TUNNEL_GOOD], own.bytes, own.count,
                                                        WOLFSSL_FILETYPE_ASN1),
                         WOLFSSL_SUCCESS);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    tunnel_finish();
    unlink(own_path[0]);
    unlink(own_path[1]);
    return 0;
}

static void ask_for_certificates(int mode)
{
    for (int i = 0; i < 2; i++)
        wolfSSL_CTX_set_verify(tunnel_contexts[i][TUNNEL_GOOD], mode, 0);
}

static void set_own(int in_files, int format)
{
    int is_der = format == IMAPCONNECT_DER;

    memset(&options, 0, sizeof options);
    options.format = format;
    if (in_files) {
        options.cert_path = own_path[0];
        options.key_path = own_path[1];
        return;
    }
    options.cert_data = is_der ? own.bytes : own_pem;
    options.cert_size = (size_t)(is_der ? own.count : own_pem_size);
    options.key_data = is_der ? own_key : own_key_pem;
    options.key_size = (size_t)(is_der ? own_key_size : own_key_pem_size);
}

/* The server takes nobody without one; it has seen ours when it says that it has accepted. */
static void a_certificate_of_ours(void **state)
{
    static const struct {
        int in_files, format;
    } cases[] = {{0, IMAPCONNECT_PEM}, {0, IMAPCONNECT_DER}, {1, IMAPCONNECT_DER}};

    (void)state;
    ask_for_certificates(WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int is_tls12 = 0; is_tls12 < 2; is_tls12++) {
            set_own(cases[i].in_files, cases[i].format);
            assert_int_equal(shake(TUNNEL_GOOD, is_tls12, 1), 0);
            assert_int_equal(server.accepted, 1);
            end();
            memset(&options, 0, sizeof options);
            (void)shake(TUNNEL_GOOD, is_tls12, 1);
            assert_int_equal(server.accepted, 0);
            end();
        }
    }
    ask_for_certificates(WOLFSSL_VERIFY_NONE);
}

/* Told before a byte is sent. */
static void a_certificate_without_its_key(void **state)
{
    (void)state;
    set_own(0, IMAPCONNECT_DER);
    options.key_size = 3;
    assert_int_equal(shake(TUNNEL_GOOD, 0, 1), IMAPCONNECT_E_OWN_CERTIFICATE);
    end();
    set_own(1, IMAPCONNECT_DER);
    options.key_path = "/nonexistent";
    assert_int_equal(shake(TUNNEL_GOOD, 0, 1), IMAPCONNECT_E_OWN_CERTIFICATE);
    end();
    set_own(0, IMAPCONNECT_DER);
    shall_fail("match", 1);
    assert_int_equal(shake(TUNNEL_GOOD, 0, 1), IMAPCONNECT_E_OWN_CERTIFICATE);
    assert_int_equal(fault.calls, 1);
    end();
}

/* ---- pins ---- */

/* A hash that fails pins nothing. */
static void a_pin_that_does_not_fit(void **state)
{
    static const uint8_t pin[IMAPCONNECT_PIN_SIZE] = {1};

    (void)state;
    options.pins = pin;
    options.pin_count = 1;
    for (int i = 0; i < 2; i++) {
        shall_fail("hash", i);
        assert_int_equal(shake(TUNNEL_GOOD, 0, 1), IMAPCONNECT_E_PIN);
        assert_int_equal(fault.calls, 1);
        end();
    }
}

/* RFC 7469 section 2.4, of the key that this kind of server has. */
static void pin_of(int kind, uint8_t *pin)
{
    const tunnel_der *leaf = &tunnel_leaves[kind];
    imc_certificate certificate;
    const imc_slice *subject = &certificate.field[IMC_DER_SUBJECT], *key = &certificate.field[IMC_DER_KEY];
    const unsigned char *info;

    assert_true(imc_der_certificate(leaf->bytes, (size_t)leaf->count, &certificate));
    info = subject->bytes + subject->count;
    assert_int_equal(wc_Sha256Hash(info, (word32)(key->bytes + key->count - info), pin), 0);
}

/* The right key is enough without verification, and not with it. */
static void a_pin_is_no_way_round_the_chain(void **state)
{
    static const int codes[TUNNEL_KINDS] = {0,
                                            IMAPCONNECT_E_NAME,
                                            IMAPCONNECT_E_UNTRUSTED,
                                            IMAPCONNECT_E_UNTRUSTED,
                                            IMAPCONNECT_E_EXPIRED,
                                            IMAPCONNECT_E_NOT_YET_VALID};
    uint8_t pin[IMAPCONNECT_PIN_SIZE];

    (void)state;
    options.pins = pin;
    options.pin_count = 1;
    for (int kind = 0; kind < TUNNEL_KINDS; kind++) {
        pin_of(kind, pin);
        for (int is_tls12 = 0; is_tls12 < 2; is_tls12++) {
            assert_int_equal(shake(kind, is_tls12, 0), 0);
            end();
            assert_int_equal(shake(kind, is_tls12, 1), codes[kind]);
            end();
        }
    }
}

/* ---- tickets ---- */

static void sessions_are_resumed(void **state)
{
    (void)state;
    for (int is_tls12 = 0; is_tls12 < 2; is_tls12++) {
        get_ticket(is_tls12);
        assert_int_equal(shake(TUNNEL_GOOD, is_tls12, 1), 0);
        assert_int_equal(imc_tls_is_resumed(&session.tls), 1);
        assert_int_equal(wolfSSL_session_reused(server.ssl), 1);
        assert_int_equal(session.tls.leaf_seen, 0);
        session.secured = 1;
        if (!is_tls12) /* the secret is another one than that of the old ticket, and the new one has not come */
            assert_int_equal(imapconnect_ticket(&session, ticket, sizeof ticket), 0);
        assert_true(take_ticket() > 0); /* and that is good for the next */
        assert_int_equal(imc_tls_is_resumed(&session.tls), 1);
        end();
    }
}

static void only_a_session_inside_tls_has_a_ticket(void **state)
{
    size_t count;

    (void)state;
    assert_int_equal(imapconnect_ticket(0, ticket, sizeof ticket), 0);
    memset(&session, 0, sizeof session);
    assert_int_equal(imapconnect_ticket(&session, ticket, sizeof ticket), 0);
    options.resume = 1;
    assert_int_equal(shake(TUNNEL_GOOD, 0, 1), 0);
    assert_int_equal(imapconnect_ticket(&session, ticket, sizeof ticket), 0);
    session.secured = 1;
    assert_int_equal(imapconnect_ticket(&session, ticket, sizeof ticket), 0); /* it has not come */
    count = take_ticket();
    session.secured = 0;
    assert_int_equal(imapconnect_ticket(&session, ticket, sizeof ticket),
                     0); /* nor is it given once that has ended */
    session.secured = 1;
    assert_false(has_bytes(ticket, count, TUNNEL_HOST, sizeof TUNNEL_HOST - 1)); /* no certificate in it */
    assert_int_equal(imapconnect_ticket(&session, 0, 0), count);                 /* so long it would be */
    assert_int_equal(imapconnect_ticket(&session, 0, sizeof ticket), count);
    memset(ticket, 7, sizeof ticket);
    assert_int_equal(imapconnect_ticket(&session, ticket, count - 1), count);
    assert_int_equal(ticket[0], 7);
    assert_int_equal(imapconnect_ticket(&session, ticket, count), count);
    assert_int_equal(ticket[0], 1);
    assert_int_equal(ticket[count], 7);
    end();
}

/* Where none is wanted the server may send what it likes. */
static void no_ticket_unless_wanted(void **state)
{
    (void)state;
    for (int is_tls12 = 0; is_tls12 < 2; is_tls12++) {
        assert_int_equal(shake(TUNNEL_GOOD, is_tls12, 1), 0);
        assert_int_equal(take_ticket(), 0);
        end();
    }
}

/* Sealed anew with one byte more: wolfSSL would not read it, so the session is not offered. */
static void something_behind_the_session(void **state)
{
    size_t sealed;

    (void)state;
    get_ticket(0);
    sealed = options.ticket_size - WC_SHA256_DIGEST_SIZE;
    ticket[sealed++] = 0;
    assert_int_equal(wc_Sha256Hash(ticket, (word32)sealed, ticket + sealed), 0);
    options.ticket_size++;
    assert_int_equal(shake(TUNNEL_GOOD, 0, 1), 0);
    assert_int_equal(session.tls.ticket & 1, 0);
    assert_int_equal(wolfSSL_session_reused(server.ssl), 0);
    end();
}

/* Another server has no use for it: its certificate counts, as always. */
static void a_ticket_opens_no_other_server(void **state)
{
    (void)state;
    get_ticket(0);
    assert_int_equal(shake(TUNNEL_WRONG_NAME, 0, 1), IMAPCONNECT_E_NAME);
    assert_int_equal(session.tls.leaf_seen, 1);
    assert_int_equal(imc_tls_is_resumed(&session.tls), 0);
    session.tls.leaf_seen = 0; /* a session that is not resumed, and came to be without one */
    assert_int_equal(imc_tls_agreed(&session.tls), IMAPCONNECT_E_NO_CERTIFICATE);
    end();
    assert_int_equal(shake(TUNNEL_UNTRUSTED, 0, 1), IMAPCONNECT_E_UNTRUSTED);
    end();
}

/* Of the other version: the caller is told that it was the ticket, so that it tries again without. */
static void a_ticket_of_the_other_version(void **state)
{
    (void)state;
    for (int is_tls12 = 0; is_tls12 < 2; is_tls12++) {
        get_ticket(is_tls12);
        assert_int_equal(shake(TUNNEL_GOOD, !is_tls12, 1), IMAPCONNECT_E_TICKET);
        end();
        options.ticket = 0;
        assert_int_equal(shake(TUNNEL_GOOD, !is_tls12, 1), 0);
        end();
    }
}

/* What each call is for, with a ticket to offer: the code, and whether the session was resumed. */
static void each_call_for_a_ticket_fails(void **state)
{
    static const struct {
        const char *name;
        int code, resumed;
    } cases[] = {{"callback", IMAPCONNECT_E_TLS, 0},
                 {"timeout", IMAPCONNECT_E_TLS, 0},
                 {"d2i", IMAPCONNECT_E_TICKET, 0},
                 {"set", 0, 0},
                 {"hash", IMAPCONNECT_E_TICKET, 0}};

    (void)state;
    get_ticket(0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        shall_fail(cases[i].name, 1);
        assert_int_equal(shake(TUNNEL_GOOD, 0, 1), cases[i].code);
        assert_true(fault.calls >= 1);
        assert_int_equal(wolfSSL_session_reused(server.ssl), cases[i].resumed);
        end();
    }
}

/* A ticket is not used, and none is made, when what it is bound to cannot be computed: each step of the hash. */
static void no_binding_no_ticket(void **state)
{
    static const char *const names[] = {"init", "update", "final"};

    (void)state;
    get_ticket(0);
    for (int has_ticket = 0; has_ticket < 2; has_ticket++) {
        for (size_t i = 0; i < COUNT(names); i++) {
            for (int at = 1;; at++) {
                int code;

                options.ticket = has_ticket ? ticket : 0;
                shall_fail(names[i], at);
                code = shake(TUNNEL_GOOD, 0, 1);
                end();
                if (fault.calls < at)
                    break;
                assert_true(code == IMAPCONNECT_E_TLS || (has_ticket && code == IMAPCONNECT_E_TICKET));
            }
        }
    }
}

/* None is given when it cannot be made. */
static void each_call_that_makes_a_ticket_fails(void **state)
{
    static const char *const names[] = {"get1", "numbered", "i2d", "hash"};

    (void)state;
    options.resume = 1;
    assert_int_equal(shake(TUNNEL_GOOD, 0, 1), 0);
    for (size_t i = 0; i < COUNT(names); i++) {
        shall_fail(names[i], 1);
        assert_int_equal(take_ticket(), 0);
        assert_int_equal(fault.calls, 1);
    }
    assert_true(take_ticket() > 0);
    end();
}

#define OPTIONS(test) cmocka_unit_test_setup(test, begin)

static const struct CMUnitTest tests[] = {
    OPTIONS(one_byte_at_a_time),
    OPTIONS(a_certificate_of_ours),
    OPTIONS(a_certificate_without_its_key),
    OPTIONS(a_pin_that_does_not_fit),
    OPTIONS(a_pin_is_no_way_round_the_chain),
    OPTIONS(sessions_are_resumed),
    OPTIONS(only_a_session_inside_tls_has_a_ticket),
    OPTIONS(no_ticket_unless_wanted),
    OPTIONS(something_behind_the_session),
    OPTIONS(a_ticket_opens_no_other_server),
    OPTIONS(a_ticket_of_the_other_version),
    OPTIONS(each_call_for_a_ticket_fails),
    OPTIONS(no_binding_no_ticket),
    OPTIONS(each_call_that_makes_a_ticket_fails),
};

int main(void)
{
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return test_report(COUNT(tests), cmocka_run_group_tests(tests, prepare, finish));
}
