/* Room >>wolfssl against a wolfSSL that refuses what it is told, agrees to what was not asked for, or fails: some of its
   functions are replaced here. Real handshakes are in test_regressions.c and tls.sh. */

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/md5.h>

#include <string.h>

/* ---- the other wolfSSL ---- */

/* The calls that can fail: first those that set a policy. */
enum { NO_CALL, MIN_VERSION, SUITES, MIN_RSA, MIN_ECC, SNI, UNLOAD, NEW_CONTEXT, NEW_SESSION, HASH };

static struct {
    int fails, fails_at;               /* which call fails, and the how manieth: 1 is the first */
    int min_version, min_rsa, min_ecc; /* what was asked for */
    char suites[400], sni[300];
    int version, suite; /* what was agreed to */
    int error;          /* what wolfSSL_get_error() says */
    int connects, frees, context_frees, shutdowns, md5_begun, md5_freed;
    int has_no_certificate;
    int mode, context_mode; /* of verification */
    void *callback, *context_callback;
    int writes_nothing;
    int passes; /* a handshake succeeds at once, and then the bytes go through as they are */
} fake;

static void *session_of_fake; /* the one whose handshake it is */

static int fake_fails(int call)
{
    return fake.fails == call && --fake.fails_at == 0;
}

static void fake_verify(WOLFSSL *ssl, int mode, VerifyCallback callback)
{
    fake.mode = mode;
    memcpy(&fake.callback, &callback, sizeof callback);
    wolfSSL_set_verify(ssl, mode, callback);
}

static void fake_context_verify(WOLFSSL_CTX *context, int mode, VerifyCallback callback)
{
    fake.context_mode = mode;
    memcpy(&fake.context_callback, &callback, sizeof callback);
    wolfSSL_CTX_set_verify(context, mode, callback);
}

static int fake_min_version(WOLFSSL *ssl, int version)
{
    fake.min_version = version;
    return fake_fails(MIN_VERSION) ? WOLFSSL_FAILURE : wolfSSL_SetMinVersion(ssl, version);
}

static int fake_suites(WOLFSSL *ssl, const char *list)
{
    strncpy(fake.suites, list, sizeof fake.suites - 1);
    return fake_fails(SUITES) ? WOLFSSL_FAILURE : wolfSSL_set_cipher_list(ssl, list);
}

static int fake_min_rsa(WOLFSSL *ssl, short bits)
{
    fake.min_rsa = bits;
    return fake_fails(MIN_RSA) ? WOLFSSL_FAILURE : wolfSSL_SetMinRsaKey_Sz(ssl, bits);
}

static int fake_min_ecc(WOLFSSL *ssl, short bits)
{
    fake.min_ecc = bits;
    return fake_fails(MIN_ECC) ? WOLFSSL_FAILURE : wolfSSL_SetMinEccKey_Sz(ssl, bits);
}

static int fake_sni(WOLFSSL *ssl, unsigned char type, const void *name, unsigned short size)
{
    if (type == WOLFSSL_SNI_HOST_NAME && size < sizeof fake.sni)
        memcpy(fake.sni, name, size);
    return fake_fails(SNI) ? WOLFSSL_FAILURE : wolfSSL_UseSNI(ssl, type, name, size);
}

static int fake_unload(WOLFSSL_CTX *context)
{
    return fake_fails(UNLOAD) ? WOLFSSL_FAILURE : wolfSSL_CTX_Unload_trust_peers(context);
}

static WOLFSSL_CTX *fake_new_context(WOLFSSL_METHOD *method)
{
    WOLFSSL_CTX *context = wolfSSL_CTX_new(method);

    if (!fake_fails(NEW_CONTEXT))
        return context;
    wolfSSL_CTX_free(context);
    return 0;
}

static WOLFSSL *fake_new_session(WOLFSSL_CTX *context)
{
    return fake_fails(NEW_SESSION) ? 0 : wolfSSL_new(context);
}

static void fake_free(WOLFSSL *ssl)
{
    fake.frees++;
    wolfSSL_free(ssl);
}

static void fake_context_free(WOLFSSL_CTX *context)
{
    fake.context_frees++;
    wolfSSL_CTX_free(context);
}

static int fake_connect(WOLFSSL *ssl);
static int fake_read(WOLFSSL *ssl, void *bytes, int count);
static int fake_write(WOLFSSL *ssl, const void *bytes, int count);

static int fake_shutdown(WOLFSSL *ssl)
{
    (void)ssl;
    fake.shutdowns++;
    return WOLFSSL_SUCCESS;
}

static int fake_error(WOLFSSL *ssl, int returned)
{
    return fake.passes || fake.error != 0 ? fake.error : wolfSSL_get_error(ssl, returned);
}

static int fake_version(const WOLFSSL *ssl)
{
    (void)ssl;
    return fake.version;
}

static int fake_suite(WOLFSSL *ssl)
{
    (void)ssl;
    return fake.suite;
}

static int fake_md5_init(wc_Md5 *md5)
{
    if (fake_fails(HASH))
        return MEMORY_E;
    fake.md5_begun++;
    return wc_InitMd5(md5);
}

static int fake_md5_update(wc_Md5 *md5, const byte *bytes, word32 count)
{
    return fake_fails(HASH) ? BAD_FUNC_ARG : wc_Md5Update(md5, bytes, count);
}

static int fake_md5_final(wc_Md5 *md5, byte *digest)
{
    return fake_fails(HASH) ? BAD_FUNC_ARG : wc_Md5Final(md5, digest);
}

static void fake_md5_free(wc_Md5 *md5)
{
    fake.md5_freed++;
    wc_Md5Free(md5);
}

#define wolfSSL_SetMinVersion            fake_min_version
#define wolfSSL_set_cipher_list          fake_suites
#define wolfSSL_SetMinRsaKey_Sz          fake_min_rsa
#define wolfSSL_SetMinEccKey_Sz          fake_min_ecc
#define wolfSSL_UseSNI                   fake_sni
#define wolfSSL_CTX_Unload_trust_peers   fake_unload
#define wolfSSL_set_verify               fake_verify
#define wolfSSL_CTX_set_verify           fake_context_verify
#define wolfSSL_CTX_new                  fake_new_context
#define wolfSSL_new                      fake_new_session
#define wolfSSL_free                     fake_free
#define wolfSSL_CTX_free                 fake_context_free
#define wolfSSL_connect                  fake_connect
#define wolfSSL_read                     fake_read
#define wolfSSL_write                    fake_write
#define wolfSSL_shutdown                 fake_shutdown
#define wolfSSL_get_error                fake_error
#define wolfSSL_version                  fake_version
#define wolfSSL_get_current_cipher_suite fake_suite
#define wc_InitMd5                       fake_md5_init
#define wc_Md5Update                     fake_md5_update
#define wc_Md5Final                      fake_md5_final
#define wc_Md5Free                       fake_md5_free
#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"
#undef wolfSSL_CTX_new
#undef wolfSSL_CTX_free
#undef wolfSSL_connect
#undef wolfSSL_read
#undef wolfSSL_write

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the transport: an array ---- */

static struct {
    const char *input;
    int reads, writes, closes;
    char sent[1000];
    size_t used;
} line;

static int line_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    (void)context;
    (void)host;
    (void)port;
    (void)milliseconds;
    return 5;
}

/* One line at a time; behind the last one the stream has ended. */
static int line_read(void *context, void *bytes, size_t count)
{
    size_t length = strcspn(line.input, "\n");

    (void)context;
    line.reads++;
    if (*line.input == '\0')
        return IMAPCONNECT_CLOSED;
    if (*line.input == '~') { /* the client's turn */
        line.input++;
        return IMAPCONNECT_WANT_READ;
    }
    length += line.input[length] == '\n';
    assert_true(length <= count);
    memcpy(bytes, line.input, length);
    line.input += length;
    return (int)length;
}

static int line_write(void *context, const void *bytes, size_t count)
{
    (void)context;
    line.writes++;
    assert_true(line.used + count < sizeof line.sent);
    memcpy(line.sent + line.used, bytes, count);
    line.used += count;
    line.sent[line.used] = '\0';
    return (int)count;
}

static void line_close(void *context)
{
    (void)context;
    line.closes++;
}

static uint32_t line_clock(void *user)
{
    (void)user;
    return 0;
}

static int fake_connect(WOLFSSL *ssl)
{
    imapconnect_session *session = session_of_fake;

    fake.connects++;
    if (!fake.passes)
        return wolfSSL_connect(ssl);
    session->tls.leaf_seen = !fake.has_no_certificate;
    return WOLFSSL_SUCCESS;
}

static int fake_read(WOLFSSL *ssl, void *bytes, int count)
{
    int got = line_read(0, bytes, (size_t)count);

    (void)ssl;
    fake.error = got == IMAPCONNECT_CLOSED ? SOCKET_PEER_CLOSED_E : WOLFSSL_ERROR_WANT_READ;
    return got > 0 ? got : -1;
}

static int fake_write(WOLFSSL *ssl, const void *bytes, int count)
{
    (void)ssl;
    return fake.writes_nothing ? 0 : line_write(0, bytes, (size_t)count);
}

static void begin(imapconnect_config *config, const char *input)
{
    memset(&fake, 0, sizeof fake);
    memset(&line, 0, sizeof line);
    fake.version = 0x0304;
    fake.suite = 0x1301;
    line.input = input;
    imapconnect_config_init(config);
    config->clock = line_clock;
    config->transport.open = line_open;
    config->transport.read = line_read;
    config->transport.write = line_write;
    config->transport.close = line_close;
}

static char named_host[] = "imap.example.org";
static imapconnect_server named = {named_host, sizeof named_host - 1, 0, 993, {0}};

static int connect_to(imapconnect_session *session, const imapconnect_config *config, int secure)
{
    session_of_fake = session;
    assert_int_equal(imapconnect_init(session, config), 0);
    return imapconnect(session, "imap.example.org.", "tim", "tanstaaftanstaaf", 0, 0, secure, IMAPCONNECT_NO_VERIFY);
}

/* ---- SECURITY 1: each policy is set, and whether it was is looked at ---- */

static void what_is_asked_for(void **state)
{
    imapconnect_session session;
    imapconnect_config config;

    (void)state;
    begin(&config, "");
    assert_int_equal(connect_to(&session, &config, IMAPCONNECT_TLS), IMAPCONNECT_CLOSED);
    assert_true(line.writes > 0);
    assert_int_equal(fake.min_version, WOLFSSL_TLSV1_2);
    assert_int_equal(fake.min_rsa, 2048);
    assert_int_equal(fake.min_ecc, 256);
    assert_string_equal(fake.sni, "imap.example.org");
    assert_string_equal(fake.suites, "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:"
                                     "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                     "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                     "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305");
    imapconnect_close(&session);
    begin(&config, "");
    session_of_fake = &session;
    assert_int_equal(imapconnect(&session, "127.0.0.1", "tim", "x", 0, 0, IMAPCONNECT_TLS, IMAPCONNECT_NO_VERIFY),
                     IMAPCONNECT_CLOSED);
    assert_int_equal(fake.min_rsa, 2048);
    assert_string_equal(fake.sni, ""); /* RFC 6066 section 3: an address is no HostName */
    imapconnect_close(&session);
}

/* SECURITY 1: the mode is set in both branches, on the object with our callback, on a context of ours without one. On
   that it is what keeps an expired CA out. */
static void verification_is_asked_for(void **state)
{
    imapconnect_config config;
    imapconnect_tls tls;
    int (*ours)(int, WOLFSSL_X509_STORE_CTX *) = imc_tls_verify;
    int verify;

    (void)state;
    for (verify = 0; verify < 2; verify++) {
        int mode = verify ? WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT : WOLFSSL_VERIFY_NONE;

        begin(&config, "");
        config.wolfssl_ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
        fake.mode = fake.context_mode = -1;
        assert_int_equal(imc_tls_prepare(&tls, &config, &named, IMAPCONNECT_TLS, verify), 0);
        assert_int_equal(fake.mode, mode);
        assert_memory_equal(&fake.callback, &ours, sizeof ours);
        assert_int_equal(fake.context_mode, -1); /* it is the caller's */
        imc_tls_free(&tls);
        wolfSSL_CTX_free(config.wolfssl_ctx);

        begin(&config, "");
        config.ca_path = "/nonexistent/folder";
        fake.context_mode = -1;
        fake.context_callback = &fake;
        (void)imc_tls_prepare(&tls, &config, &named, IMAPCONNECT_TLS, verify);
        assert_int_equal(fake.context_mode, mode);
        assert_null(fake.context_callback);
        imc_tls_free(&tls);
    }
}

/* None of the bytes have left: that is no number of bytes, but a wait, and the same bytes are given again. */
static void a_write_of_nothing_is_a_wait(void **state)
{
    imapconnect_config config;
    imapconnect_tls tls;

    (void)state;
    begin(&config, "");
    assert_int_equal(imc_tls_prepare(&tls, &config, &named, IMAPCONNECT_TLS, 0), 0);
    fake.writes_nothing = 1;
    fake.error = WOLFSSL_ERROR_WANT_WRITE;
    assert_int_equal(imc_tls_write(&tls, "x", 1), IMAPCONNECT_WANT_READ);
    assert_int_equal(tls.writing, 1);
    imc_tls_free(&tls);
}

static void a_policy_that_cannot_be_set_is_an_error(void **state)
{
    imapconnect_session session;
    imapconnect_config config;
    int call;

    (void)state;
    for (call = MIN_VERSION; call <= SNI; call++) {
        begin(&config, "");
        fake.fails = call;
        fake.fails_at = 1;
        assert_int_equal(connect_to(&session, &config, IMAPCONNECT_TLS), IMAPCONNECT_E_TLS);
        assert_int_equal(line.writes, 0); /* no ClientHello */
        assert_int_equal(fake.frees, 1);
        imapconnect_close(&session);
    }
}

/* Nothing is left that trusts a CA as a peer, whether the CAs could be loaded or not. */
static void trusted_peers_are_unloaded(void **state)
{
    imapconnect_config config;
    imapconnect_tls tls;

    (void)state;
    begin(&config, "");
    config.ca_path = "/nonexistent/folder";
    fake.fails = UNLOAD;
    fake.fails_at = 1;
    assert_int_equal(imc_tls_prepare(&tls, &config, &named, IMAPCONNECT_TLS, 1), IMAPCONNECT_E_TLS);
    imc_tls_free(&tls);
}

static void without_memory(void **state)
{
    imapconnect_session session;
    imapconnect_config config;

    (void)state;
    begin(&config, "");
    fake.fails = NEW_CONTEXT;
    fake.fails_at = 1;
    assert_int_equal(connect_to(&session, &config, IMAPCONNECT_TLS), IMAPCONNECT_E_MEMORY);
    assert_int_equal(line.closes, 0);
    assert_int_equal(fake.context_frees, 0);
    begin(&config, "");
    fake.fails = NEW_SESSION;
    fake.fails_at = 1;
    assert_int_equal(connect_to(&session, &config, IMAPCONNECT_TLS), IMAPCONNECT_E_MEMORY);
    assert_int_equal(line.writes, 0);
    assert_int_equal(fake.context_frees, 1);
    assert_int_equal(fake.frees, 0);
    imapconnect_close(&session);
}

/* ---- what was agreed ---- */

static int agreed(int version, int suite, int has_no_certificate)
{
    imapconnect_session session;
    imapconnect_config config;
    int code;

    begin(&config, "* PREAUTH [CAPABILITY IMAP4rev1] x\r\n");
    fake.passes = 1;
    fake.version = version;
    fake.suite = suite;
    fake.has_no_certificate = has_no_certificate;
    code = connect_to(&session, &config, IMAPCONNECT_TLS);
    assert_int_equal(line.writes, 0);
    assert_int_equal(line.reads, code > 0); /* nothing is read from who is refused */
    assert_int_equal(fake.connects, 1);
    imapconnect_close(&session);
    assert_int_equal(fake.frees, 1);
    assert_int_equal(fake.context_frees, 1);
    return code;
}

/* An anonymous server, one with NULL or RC4, and one that goes back to an old version: whatever wolfSSL says. */
static void what_was_agreed_is_looked_at_again(void **state)
{
    (void)state;
    assert_int_equal(agreed(0x0304, 0x1301, 0), 5);
    assert_int_equal(agreed(0x0303, 0xc02b, 0), 5);
    assert_int_equal(agreed(0x0302, 0xc02b, 0), IMAPCONNECT_E_WEAK);
    assert_int_equal(agreed(0x0301, 0xc02b, 0), IMAPCONNECT_E_WEAK);
    assert_int_equal(agreed(0x0305, 0x1301, 0), IMAPCONNECT_E_WEAK);
    assert_int_equal(agreed(0, 0x1301, 0), IMAPCONNECT_E_WEAK);
    assert_int_equal(agreed(0x0303, 0x0034, 0), IMAPCONNECT_E_WEAK); /* ADH-AES128-SHA */
    assert_int_equal(agreed(0x0303, 0x00a7, 0), IMAPCONNECT_E_WEAK); /* ADH-AES256-GCM-SHA384 */
    assert_int_equal(agreed(0x0303, 0xc006, 0), IMAPCONNECT_E_WEAK); /* ECDHE-ECDSA-NULL-SHA */
    assert_int_equal(agreed(0x0304, 0x1304, 0), IMAPCONNECT_E_WEAK); /* AES-CCM: not asked for */
    assert_int_equal(agreed(0x0304, 0x1301, 1), IMAPCONNECT_E_NO_CERTIFICATE);
    assert_int_equal(agreed(0x0303, 0xc02b, 1), IMAPCONNECT_E_NO_CERTIFICATE);
}

/* ---- the end ---- */

static void each_object_is_freed_once(void **state)
{
    imapconnect_config config;
    imapconnect_tls tls;
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfSSLv23_client_method());

    (void)state;
    begin(&config, "");
    assert_int_equal(imc_tls_prepare(&tls, &config, &named, IMAPCONNECT_TLS, 0), 0);
    imc_tls_free(&tls);
    imc_tls_free(&tls);
    assert_int_equal(fake.frees, 1);
    assert_int_equal(fake.context_frees, 1);
    begin(&config, "");
    config.wolfssl_ctx = context;
    assert_int_equal(imc_tls_prepare(&tls, &config, &named, IMAPCONNECT_TLS, 0), 0);
    imc_tls_free(&tls);
    imc_tls_free(&tls);
    assert_int_equal(fake.frees, 1);
    assert_int_equal(fake.context_frees, 0); /* the caller's */
    wolfSSL_CTX_free(context);
}

/* How often a session that ends in this way has sent close_notify. The first line lets us in. */
static int close_notifies(const char *input, int logs_out)
{
    static const char welcome[] = "* PREAUTH [CAPABILITY IMAP4rev1] x\r\n~";
    imapconnect_session session;
    imapconnect_config config;
    char whole[200];

    assert_true(strlen(input) + sizeof welcome < sizeof whole);
    memcpy(whole, welcome, sizeof welcome);
    memcpy(whole + sizeof welcome - 1, input, strlen(input) + 1);
    begin(&config, whole);
    fake.passes = 1;
    assert_int_equal(connect_to(&session, &config, IMAPCONNECT_TLS), 5);
    if (logs_out)
        (void)imapconnect_disconnect(&session, 0);
    else
        (void)imapconnect_noop(&session, 0);
    imapconnect_close(&session);
    imapconnect_close(&session);
    assert_int_equal(line.closes, 1);
    assert_int_equal(fake.frees, 1);
    return fake.shutdowns;
}

/* Rule 10. */
static void close_notify_only_after_an_orderly_end(void **state)
{
    (void)state;
    assert_int_equal(close_notifies("* BYE x\r\na1 OK x\r\n", 1), 1);
    assert_int_equal(close_notifies("* BYE x\r\na1 NO x\r\n", 1), 0);
    assert_int_equal(close_notifies("* BYE x\r\na1 BAD x\r\n", 1), 0);
    assert_int_equal(close_notifies("* BYE x\r\na2 OK x\r\n", 1), 0);
    assert_int_equal(close_notifies("* BYE x\r\n", 1), 0);
    assert_int_equal(close_notifies("a1 OK x\r\n", 0), 0);
    assert_int_equal(close_notifies("* BYE x\r\n", 0), 0);
}

/* ---- what wolfSSL says ---- */

/* SPEC section 3: our numbers for wolfSSL's. */
static void each_error_of_wolfssl_has_its_number(void **state)
{
    static const struct {
        int theirs, ours;
    } cases[] = {{-150, -1409}, /* ASN_BEFORE_DATE_E */
                 {-151, -1408}, /* ASN_AFTER_DATE_E */
                 {-188, -1410}, /* ASN_NO_SIGNER_E */
                 {-275, -1410}, /* ASN_SELF_SIGNED_E */
                 {-155, -1410}, /* ASN_SIG_CONFIRM_E */
                 {-345, -1411}, /* NO_PEER_CERT */
                 {-409, -1412}, /* RSA_KEY_SIZE_E */
                 {-410, -1412}, /* ECC_KEY_SIZE_E */
                 {-326, -1412}, /* VERSION_ERROR */
                 {-501, -1412}, /* MATCH_SUITE_ERROR */
                 {-125, -1010}, /* MEMORY_E */
                 {-303, -1010}, /* MEMORY_ERROR */
                 {13, -1409},   /* X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD */
                 {14, -1408},   /* X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD */
                 {0, -1031},    {-1, -1031}, {-313, -1031}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        assert_int_equal(imc_tls_number(cases[i].theirs), cases[i].ours);
}

/* Which of several reasons is told. */
static void the_reason_that_is_told(void **state)
{
    static const struct {
        int error, refused, chain_error, lower_code, code;
    } cases[] = {{WOLFSSL_ERROR_WANT_READ, 0, 0, 0, IMAPCONNECT_WANT_READ},
                 {WOLFSSL_ERROR_WANT_WRITE, 0, 0, 0, IMAPCONNECT_WANT_READ},
                 {WOLFSSL_ERROR_WANT_READ, 0, 0, IMAPCONNECT_WANT_WRITE, IMAPCONNECT_WANT_WRITE},
                 {WOLFSSL_ERROR_WANT_WRITE, 0, 0, IMAPCONNECT_WANT_WRITE, IMAPCONNECT_WANT_WRITE},
                 {WOLFSSL_ERROR_WANT_WRITE, 0, 0, IMAPCONNECT_WANT_READ, IMAPCONNECT_WANT_READ},
                 {WOLFSSL_ERROR_ZERO_RETURN, 0, 0, IMAPCONNECT_E_RESET, IMAPCONNECT_CLOSED},
                 {ASN_NO_SIGNER_E, IMAPCONNECT_E_NAME, 0, 0, IMAPCONNECT_E_NAME}, /* what the callback found */
                 {ASN_NO_SIGNER_E, 0, ASN_AFTER_DATE_E, 0, IMAPCONNECT_E_EXPIRED},
                 {ASN_NO_SIGNER_E, 0, -313, 0, IMAPCONNECT_E_UNTRUSTED}, /* a reason that nobody knows is none */
                 {ASN_NO_SIGNER_E, 0, 0, 0, IMAPCONNECT_E_UNTRUSTED},
                 {VERSION_ERROR, 0, ASN_AFTER_DATE_E, 0, IMAPCONNECT_E_WEAK},
                 {VERSION_ERROR, 0, 0, IMAPCONNECT_E_RESET, IMAPCONNECT_E_WEAK},
                 {-313, 0, 0, IMAPCONNECT_E_RESET, IMAPCONNECT_E_RESET},
                 {-313, 0, 0, IMAPCONNECT_CLOSED, IMAPCONNECT_CLOSED},
                 {-313, 0, 0, IMAPCONNECT_WANT_WRITE, IMAPCONNECT_E_TLS},
                 {-313, 0, 0, 0, IMAPCONNECT_E_TLS}};
    imapconnect_config config;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        imapconnect_tls tls;

        begin(&config, "");
        memset(&tls, 0, sizeof tls);
        fake.error = cases[i].error;
        tls.refused = (int16_t)cases[i].refused;
        tls.chain_error = (int16_t)cases[i].chain_error;
        tls.lower_code = (int16_t)cases[i].lower_code;
        assert_int_equal(imc_tls_code(&tls, -1), cases[i].code);
    }
}

/* ---- a wolfSSL whose MD5 fails ---- */

/* SECURITY 1: where MD5 is not there, or a FIPS build refuses it, there is no answer, and no crash. */
static void no_md5_is_no_answer(void **state)
{
    static const char challenge[] =
        "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 LOGINDISABLED] x\r\n~+ PDEuMkB4Pg==\r\n~"
        "a1 BAD x\r\n";
    int at, failed = 1;

    (void)state;
    for (at = 1; failed; at++) {
        imapconnect_session session;
        imapconnect_config config;
        int code;

        begin(&config, challenge);
        fake.fails = HASH;
        fake.fails_at = at;
        code = connect_to(&session, &config, IMAPCONNECT_INSECURE);
        failed = fake.fails_at <= 0;
        assert_int_equal(code, IMAPCONNECT_E_CRAM_MD5);
        assert_int_equal(fake.md5_freed, fake.md5_begun);
        if (failed)
            assert_string_equal(line.sent, "a1 AUTHENTICATE CRAM-MD5\r\n*\r\n");
        imapconnect_close(&session);
    }
    assert_int_equal(at, 10); /* two passes of four calls */
}

/* The same with a key that is hashed first. */
static void no_md5_of_a_long_key(void **state)
{
    char out[IMAPCONNECT_WRITE_SIZE], password[IMAPCONNECT_MAX_ARGUMENT + 1];
    imapconnect_config config;
    int at;

    (void)state;
    memset(password, 'p', 65);
    password[65] = '\0';
    for (at = 1; at <= 12; at++) {
        begin(&config, "");
        fake.fails = at == 12 ? NO_CALL : HASH;
        fake.fails_at = at;
        memcpy(out, "<1.2@x>", 7);
        assert_int_equal(imc_sasl_cram_md5(out, 7, "tim", password), at == 12 ? 48 : 0);
        assert_int_equal(fake.md5_freed, fake.md5_begun);
    }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_asked_for),
                                          cmocka_unit_test(verification_is_asked_for),
                                          cmocka_unit_test(a_write_of_nothing_is_a_wait),
                                          cmocka_unit_test(a_policy_that_cannot_be_set_is_an_error),
                                          cmocka_unit_test(trusted_peers_are_unloaded),
                                          cmocka_unit_test(without_memory),
                                          cmocka_unit_test(what_was_agreed_is_looked_at_again),
                                          cmocka_unit_test(each_object_is_freed_once),
                                          cmocka_unit_test(close_notify_only_after_an_orderly_end),
                                          cmocka_unit_test(each_error_of_wolfssl_has_its_number),
                                          cmocka_unit_test(the_reason_that_is_told),
                                          cmocka_unit_test(no_md5_is_no_answer),
                                          cmocka_unit_test(no_md5_of_a_long_key)};
TEST_MAIN(tests)
