/* What the platform and wolfSSL may answer, and hardly ever do: calls that fail, that are interrupted, that say
   something odd. The functions of libc and wolfSSL that the header calls are defined here anew: each does what the real
   one does, until a test says what it shall answer. The header itself is as it is.

   Which numbers must come out is SPEC.md's appendix; "a guard" is a condition that protects from what no version of
   wolfSSL is known to do. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#include <dlfcn.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* glibc hides the name from programs that ask for POSIX alone. */
#ifndef RTLD_NEXT
#define RTLD_NEXT ((void *)-1L)
#endif

/* ---- the functions ---- */

/* What a function shall answer: at its `at`th call from now on, or at each when that is 0. */
typedef struct rule {
    const char *name;
    int at, calls, number; /* errno */
    long value;
} rule;

static rule rules[8];
static size_t rule_count;

static int forget(void **state)
{
    (void)state;
    rule_count = 0;
    return 0;
}

static void shall(const char *name, int at, long value, int number)
{
    rule *one = &rules[rule_count++];

    assert_in_range(rule_count, 1, COUNT(rules));
    memset(one, 0, sizeof *one);
    one->name = name;
    one->at = at;
    one->value = value;
    one->number = number;
}

/* How often the function of the first rule was called. */
static int calls(void)
{
    return rules[0].calls;
}

static int is_told(const char *name, long *value)
{
    size_t i;

    for (i = 0; i < rule_count; i++) {
        if (strcmp(rules[i].name, name) != 0)
            continue;
        rules[i].calls++;
        if (rules[i].at != 0 && rules[i].at != rules[i].calls)
            continue;
        if (rules[i].number != 0)
            errno = rules[i].number;
        *value = rules[i].value;
        return 1;
    }
    return 0;
}

/* ISO C has no way from an object's address to a function. */
static void find(const char *name, void *function, size_t size)
{
    void *address = dlsym(RTLD_NEXT, name);

    assert_non_null(address);
    assert_int_equal(size, sizeof address);
    memcpy(function, &address, size);
}

#define STANDS_IN(type, name, parameters, arguments) \
    type name parameters                             \
    {                                                \
        static type(*real) parameters;               \
        long value;                                  \
        if (is_told(#name, &value))                  \
            return (type)value;                      \
        if (real == 0)                               \
            find(#name, &real, sizeof real);         \
        return real arguments;                       \
    }

STANDS_IN(int, socket, (int family, int type, int protocol), (family, type, protocol))
STANDS_IN(int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
STANDS_IN(int, getsockopt, (int fd, int level, int name, void *value_at, socklen_t *size),
          (fd, level, name, value_at, size))
STANDS_IN(ssize_t, recv, (int fd, void *bytes, size_t count, int flags), (fd, bytes, count, flags))
STANDS_IN(ssize_t, send, (int fd, const void *bytes, size_t count, int flags), (fd, bytes, count, flags))
STANDS_IN(int, poll, (struct pollfd * ready, nfds_t count, int milliseconds), (ready, count, milliseconds))

STANDS_IN(int, wc_InitMd5, (wc_Md5 * md5), (md5))
STANDS_IN(int, wc_Md5Update, (wc_Md5 * md5, const byte *text, word32 count), (md5, text, count))
STANDS_IN(int, wc_Md5Final, (wc_Md5 * md5, byte *digest), (md5, digest))

STANDS_IN(WOLFSSL *, wolfSSL_new, (WOLFSSL_CTX * context), (context))
STANDS_IN(int, wolfSSL_SetMinVersion, (WOLFSSL * ssl, int version), (ssl, version))
STANDS_IN(int, wolfSSL_set_cipher_list, (WOLFSSL * ssl, const char *list), (ssl, list))
STANDS_IN(int, wolfSSL_SetMinRsaKey_Sz, (WOLFSSL * ssl, short bits), (ssl, bits))
STANDS_IN(int, wolfSSL_SetMinEccKey_Sz, (WOLFSSL * ssl, short bits), (ssl, bits))
STANDS_IN(int, wolfSSL_UseSNI, (WOLFSSL * ssl, unsigned char type, const void *name, unsigned short count),
          (ssl, type, name, count))
STANDS_IN(int, wolfSSL_connect, (WOLFSSL * ssl), (ssl))
STANDS_IN(int, wolfSSL_get_error, (WOLFSSL * ssl, int returned), (ssl, returned))
STANDS_IN(int, wolfSSL_version, (WOLFSSL * ssl), (ssl))
STANDS_IN(int, wolfSSL_get_current_cipher_suite, (WOLFSSL * ssl), (ssl))
STANDS_IN(int, wolfSSL_CTX_load_system_CA_certs, (WOLFSSL_CTX * context), (context))
STANDS_IN(int, wolfSSL_CTX_Unload_trust_peers, (WOLFSSL_CTX * context), (context))
STANDS_IN(int, wolfSSL_CTX_load_verify_locations_ex,
          (WOLFSSL_CTX * context, const char *file, const char *path, word32 flags), (context, file, path, flags))
STANDS_IN(int, wolfSSL_CTX_load_verify_buffer,
          (WOLFSSL_CTX * context, const unsigned char *bytes, long count, int format),
          (context, bytes, count, format))
STANDS_IN(WOLFSSL_CERT_MANAGER *, wolfSSL_CertManagerNew, (void), ())
STANDS_IN(int, wolfSSL_CertManagerLoadCABuffer,
          (WOLFSSL_CERT_MANAGER * manager, const unsigned char *bytes, long count, int format),
          (manager, bytes, count, format))
STANDS_IN(int, wolfSSL_CertManagerVerifyBuffer,
          (WOLFSSL_CERT_MANAGER * manager, const unsigned char *bytes, long count, int format),
          (manager, bytes, count, format))

/* As wolfSSL does, the method is freed when there is no context. */
WOLFSSL_CTX *wolfSSL_CTX_new(WOLFSSL_METHOD *method)
{
    static WOLFSSL_CTX *(*real)(WOLFSSL_METHOD *);
    long value;

    if (is_told("wolfSSL_CTX_new", &value)) {
        XFREE(method, 0, DYNAMIC_TYPE_METHOD);
        return 0;
    }
    if (real == 0)
        find("wolfSSL_CTX_new", &real, sizeof real);
    return real(method);
}

/* A folder that is read without a name: the context is closed all the same. */
int wc_ReadDirFirst(ReadDirCtx *folder, const char *path, char **name)
{
    static int (*real)(ReadDirCtx *, const char *, char **);
    long value;

    if (is_told("wc_ReadDirFirst", &value)) {
        memset(folder, 0, sizeof *folder);
        return (int)value;
    }
    if (real == 0)
        find("wc_ReadDirFirst", &real, sizeof real);
    return real(folder, path, name);
}

/* More addresses than anybody has, all alike; each was given back when `given` is 0. */
static struct addrinfo many[300];
static struct sockaddr_in many_address;
static int given;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    long value;
    size_t i;

    (void)host;
    (void)service;
    (void)hints;
    if (is_told("getaddrinfo", &value))
        return (int)value;
    many_address.sin_family = AF_INET;
    for (i = 0; i < COUNT(many); i++) {
        many[i].ai_family = AF_INET;
        many[i].ai_addr = (struct sockaddr *)&many_address;
        many[i].ai_addrlen = sizeof many_address;
        many[i].ai_next = i + 1 < COUNT(many) ? &many[i + 1] : 0;
    }
    *result = many;
    given++;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    assert_ptr_equal(list, many);
    given--;
}

/* ---- room >>sasl ---- */

/* Each call to MD5 that fails is the end of the answer: one that is half made must not leave. RFC 2104 section 2: two
   passes of one start, two updates and one end each; a key longer than 64 bytes is hashed before. */
static void every_call_to_md5_counts(void **state)
{
    static const struct {
        const char *name;
        int calls, more;
    } functions[] = {{"wc_InitMd5", 2, 1}, {"wc_Md5Update", 4, 1}, {"wc_Md5Final", 2, 1}};
    char out[IMAPCONNECT_WRITE_SIZE], password[100];
    size_t i;
    int at, longer;

    (void)state;
    memset(password, 'p', sizeof password);
    password[sizeof password - 1] = '\0';
    for (i = 0; i < COUNT(functions); i++) {
        for (longer = 0; longer < 2; longer++) {
            int all = functions[i].calls + (longer ? functions[i].more : 0);

            for (at = 1; at <= all + 1; at++) {
                size_t count;

                forget(0);
                shall(functions[i].name, at, -1, 0);
                memset(out, 'c', sizeof out);
                count = imc_sasl_cram_md5(out, 20, "tim", longer ? password : "tanstaaftanstaaf");
                assert_int_equal(count, at <= all ? 0 : 48); /* base64 of 3 + 1 + 32 bytes */
            }
            assert_int_equal(calls(), all);
        }
    }
}

/* ---- room >>sockets ---- */

static void begin(imapconnect_sockets *sockets)
{
    memset(sockets, 0, sizeof *sockets);
    sockets->fd = -1;
}

/* Opens to an address where nothing will be sent, and returns the code. */
static int open_here(imapconnect_sockets *sockets, uint32_t *milliseconds)
{
    begin(sockets);
    return imc_sockets_open(sockets, "127.0.0.1", 1, milliseconds);
}

static void no_descriptor_is_free(void **state)
{
    imapconnect_sockets sockets;
    uint32_t milliseconds = 1000;

    (void)state;
    shall("socket", 0, -1, ENOBUFS);
    assert_int_equal(open_here(&sockets, &milliseconds), IMAPCONNECT_E_MEMORY);
    assert_int_equal(sockets.detail, ENOBUFS);
    forget(0);
    shall("socket", 0, -1, EMFILE);
    assert_int_equal(open_here(&sockets, &milliseconds), IMAPCONNECT_E_TRANSPORT);
    assert_int_equal(sockets.fd, -1);
}

/* POSIX, connect: it may be done at once, and EINTR does not end it: it goes on by itself. */
static void connecting_at_once_or_interrupted(void **state)
{
    imapconnect_sockets sockets;
    uint32_t milliseconds = 1000;
    int opened;

    (void)state;
    shall("connect", 0, 0, 0);
    opened = open_here(&sockets, &milliseconds);
    assert_true(opened >= 0);
    assert_int_equal(opened, sockets.fd);
    imc_sockets_close(&sockets);
    forget(0);
    shall("connect", 0, -1, EINTR);
    assert_int_equal(open_here(&sockets, &milliseconds), IMAPCONNECT_WANT_WRITE);
    assert_true(sockets.fd >= 0);
    imc_sockets_close(&sockets);
}

/* Time that is up when it begins stays 0, and does not wrap. */
static void no_time_at_all(void **state)
{
    imapconnect_sockets sockets;
    uint32_t milliseconds = 0;

    (void)state;
    shall("connect", 0, -1, EINPROGRESS);
    assert_int_equal(open_here(&sockets, &milliseconds), IMAPCONNECT_WANT_WRITE);
    assert_int_equal(milliseconds, 0);
    imc_sockets_close(&sockets);
}

static void the_result_of_connecting_is_not_known(void **state)
{
    imapconnect_sockets sockets;
    uint32_t milliseconds = 1000;

    (void)state;
    shall("connect", 0, -1, EINPROGRESS);
    shall("getsockopt", 0, -1, ECONNRESET);
    assert_int_equal(open_here(&sockets, &milliseconds), IMAPCONNECT_WANT_WRITE);
    sockets.ready = 1;
    assert_int_equal(imc_sockets_open(&sockets, "127.0.0.1", 1, &milliseconds), IMAPCONNECT_E_RESET);
    assert_int_equal(sockets.fd, -1);
}

static void a_look_up_that_fails(void **state)
{
    imapconnect_sockets sockets;
    uint32_t milliseconds = 1000;

    (void)state;
    begin(&sockets);
    shall("getaddrinfo", 0, EAI_AGAIN, 0);
    assert_int_equal(imc_sockets_open(&sockets, "imap.example.org", 143, &milliseconds), IMAPCONNECT_E_LOOKUP_AGAIN);
    assert_null(sockets.addresses);
    imc_sockets_close(&sockets);
    assert_int_equal(given, 0);
}

/* More addresses than are counted: all are tried, and those behind the 255th share what is left. */
static void a_name_with_many_addresses(void **state)
{
    imapconnect_sockets sockets;
    uint32_t milliseconds = 100000;

    (void)state;
    begin(&sockets);
    shall("connect", 0, -1, ECONNREFUSED);
    assert_int_equal(imc_sockets_open(&sockets, "imap.example.org", 143, &milliseconds), IMAPCONNECT_E_REFUSED);
    assert_int_equal(calls(), COUNT(many));
    assert_int_equal(given, 1);
    imc_sockets_close(&sockets);
    assert_int_equal(given, 0);
}

/* POSIX: a signal interrupts a call, which is then repeated; nothing has been moved. */
static void signals_interrupt_calls(void **state)
{
    imapconnect_sockets sockets;
    char bytes[4];
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    begin(&sockets);
    sockets.fd = ends[0];
    shall("send", 1, -1, EINTR);
    shall("recv", 1, -1, EINTR);
    assert_int_equal(imc_sockets_write(&sockets, "ab", 2), 2);
    assert_int_equal(calls(), 2);
    assert_int_equal(write(ends[1], "cd", 2), 2);
    sockets.drained = 0;
    assert_int_equal(imc_sockets_read(&sockets, bytes, sizeof bytes), 2);
    assert_memory_equal(bytes, "cd", 2);
    forget(0);
    shall("poll", 1, -1, EINTR);
    assert_int_equal(imc_sockets_wait(&sockets, IMAPCONNECT_READABLE, 1), 0);
    forget(0);
    shall("poll", 1, -1, ENOMEM);
    assert_int_equal(imc_sockets_wait(&sockets, IMAPCONNECT_READABLE, 1), IMAPCONNECT_E_MEMORY);
    imc_sockets_close(&sockets);
    close(ends[1]);
}

static int own_read(void *context, void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return IMAPCONNECT_CLOSED;
}

static int own_write(void *context, const void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return IMAPCONNECT_CLOSED;
}

static void own_close(void *context)
{
    (void)context;
}

static int connect_with(const imapconnect_config *config)
{
    static imapconnect_session session;

    assert_int_equal(imapconnect_init(&session, config), 0);
    return imapconnect(&session, "127.0.0.1:1", "joe", "secret", 0, 0, IMAPCONNECT_INSECURE, 0);
}

/* Half a transport of the caller's own is a mistake, and must not be completed by the platform's. */
static void half_a_transport(void **state)
{
    imapconnect_config config;

    (void)state;
    imapconnect_config_init(&config);
    config.transport.read = own_read;
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_PARAMETER);
    config.transport.read = 0;
    config.transport.write = own_write;
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_PARAMETER);
    config.transport.write = 0;
    config.transport.close = own_close;
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_PARAMETER);
}

/* ---- room >>wolfssl ---- */

static imapconnect_server server;
static imapconnect_transport lower;
static imapconnect_config config;
static imapconnect_tls tls;

/* One that is told what to answer has read from below before. */
int wolfSSL_read(WOLFSSL *ssl, void *bytes, int count)
{
    static int (*real)(WOLFSSL *, void *, int);
    long value;

    if (is_told("wolfSSL_read", &value)) {
        imc_tls_receive(ssl, bytes, count, &tls);
        return (int)value;
    }
    if (real == 0)
        find("wolfSSL_read", &real, sizeof real);
    return real(ssl, bytes, count);
}

/* A session to `host`, as far as before its handshake, verified or not. */
static int prepare(const char *host, int verify)
{
    memset(&lower, 0, sizeof lower);
    lower.read = own_read;
    lower.write = own_write;
    assert_int_equal(imc_names_parse(&server, host, 993), 0);
    return imc_tls_prepare(&tls, &config, &server, IMAPCONNECT_TLS, verify);
}

static void no_memory_for_tls(void **state)
{
    (void)state;
    imapconnect_config_init(&config);
    shall("wolfSSL_CTX_new", 0, 0, 0);
    assert_int_equal(prepare("imap.example.org", 0), IMAPCONNECT_E_MEMORY);
    imc_tls_free(&tls);
    forget(0);
    shall("wolfSSL_new", 0, 0, 0);
    assert_int_equal(prepare("imap.example.org", 0), IMAPCONNECT_E_MEMORY);
    imc_tls_free(&tls);
}

/* Without one of its policies no handshake begins. */
static void every_policy_counts(void **state)
{
    static const char *const policies[] = {"wolfSSL_SetMinVersion", "wolfSSL_set_cipher_list",
                                           "wolfSSL_SetMinRsaKey_Sz", "wolfSSL_SetMinEccKey_Sz", "wolfSSL_UseSNI"};
    size_t i;

    (void)state;
    imapconnect_config_init(&config);
    for (i = 0; i < COUNT(policies); i++) {
        forget(0);
        shall("wolfSSL_connect", 0, WOLFSSL_SUCCESS, 0);
        shall(policies[i], 0, WOLFSSL_FAILURE, 0);
        assert_int_equal(prepare("imap.example.org", 0), IMAPCONNECT_E_TLS);
        assert_int_equal(calls(), 0);
        imc_tls_free(&tls);
    }
}

/* RFC 6066 section 3: a numeric address is no server name. */
static void an_address_is_no_server_name(void **state)
{
    (void)state;
    imapconnect_config_init(&config);
    shall("wolfSSL_UseSNI", 0, WOLFSSL_FAILURE, 0);
    assert_int_equal(prepare("192.0.2.1", 0), 0);
    assert_int_equal(imc_tls_handshake(&tls, &lower), IMAPCONNECT_CLOSED);
    assert_int_equal(calls(), 0);
    imc_tls_free(&tls);
}

/* SECURITY 3, 6 and 8: what was agreed on is looked at once more, whatever wolfSSL was told. */
static void what_was_agreed_is_looked_at(void **state)
{
    static const struct {
        int seen, version, suite, code;
    } cases[] = {{1, 0x0303, 0xc02b, 0},
                 {1, 0x0304, 0x1301, 0},
                 {0, 0x0304, 0x1301, IMAPCONNECT_E_NO_CERTIFICATE},
                 {1, 0x0302, 0xc02b, IMAPCONNECT_E_WEAK},  /* TLS 1.1 */
                 {1, 0x0305, 0x1301, IMAPCONNECT_E_WEAK},  /* a version that nobody knows yet */
                 {1, 0xfefd, 0xc02b, IMAPCONNECT_E_WEAK},  /* DTLS 1.2 */
                 {1, 0x0303, 0x002f, IMAPCONNECT_E_WEAK},  /* RSA and CBC */
                 {1, 0x0304, 0x1305, IMAPCONNECT_E_WEAK}}; /* AES-128-CCM-8 */
    size_t i;

    (void)state;
    imapconnect_config_init(&config);
    for (i = 0; i < COUNT(cases); i++) {
        forget(0);
        shall("wolfSSL_connect", 0, WOLFSSL_SUCCESS, 0);
        shall("wolfSSL_version", 0, cases[i].version, 0);
        shall("wolfSSL_get_current_cipher_suite", 0, cases[i].suite, 0);
        assert_int_equal(prepare("imap.example.org", 0), 0);
        tls.leaf_seen = cases[i].seen != 0;
        assert_int_equal(imc_tls_handshake(&tls, &lower), cases[i].code);
        imc_tls_free(&tls);
    }
}

/* RFC 8446 section 6.1: only close_notify is an end; anything else may have cut the rest off. */
static void how_reading_ends(void **state)
{
    char bytes[4];

    (void)state;
    imapconnect_config_init(&config);
    shall("wolfSSL_read", 0, 0, 0);
    shall("wolfSSL_get_error", 0, WOLFSSL_ERROR_ZERO_RETURN, 0);
    assert_int_equal(prepare("imap.example.org", 0), 0);
    tls.lower = &lower;
    assert_int_equal(imc_tls_read(&tls, bytes, sizeof bytes), IMAPCONNECT_CLOSED);
    rules[1].value = SOCKET_PEER_CLOSED_E;
    assert_int_equal(imc_tls_read(&tls, bytes, sizeof bytes), IMAPCONNECT_E_TRUNCATED);
    imc_tls_free(&tls);
}

/* What failed below first is what is told: after a failed read wolfSSL may try to send an alert, and fail again. What
   only had to wait is no reason. */
static void the_first_failure_below_stays(void **state)
{
    (void)state;
    memset(&tls, 0, sizeof tls);
    assert_int_equal(imc_tls_from_below(&tls, IMAPCONNECT_E_RESET, 5), WOLFSSL_CBIO_ERR_GENERAL);
    assert_int_equal(imc_tls_from_below(&tls, IMAPCONNECT_CLOSED, 5), WOLFSSL_CBIO_ERR_CONN_CLOSE);
    assert_int_equal(tls.lower_code, IMAPCONNECT_E_RESET);
    shall("wolfSSL_get_error", 0, SOCKET_ERROR_E, 0);
    assert_int_equal(imc_tls_code(&tls, -1), IMAPCONNECT_E_RESET);
    tls.lower_code = IMAPCONNECT_WANT_READ;
    assert_int_equal(imc_tls_code(&tls, -1), IMAPCONNECT_E_TLS);
}

/* "No signer" says why the issuer was not taken, when that is known. */
static void the_reason_behind_no_signer(void **state)
{
    static const struct {
        int chain, code;
    } cases[] = {{0, IMAPCONNECT_E_UNTRUSTED},
                 {-9999, IMAPCONNECT_E_UNTRUSTED},
                 {ASN_AFTER_DATE_E, IMAPCONNECT_E_EXPIRED},
                 {ASN_BEFORE_DATE_E, IMAPCONNECT_E_NOT_YET_VALID}};
    size_t i;

    (void)state;
    shall("wolfSSL_get_error", 0, ASN_NO_SIGNER_E, 0);
    for (i = 0; i < COUNT(cases); i++) {
        memset(&tls, 0, sizeof tls);
        tls.chain_error = (int16_t)cases[i].chain;
        assert_int_equal(imc_tls_code(&tls, -1), cases[i].code);
    }
}

/* A root is signed with its own key: it must be taken for a CA, and its signature be good. */
static void what_a_root_is(void **state)
{
    unsigned char byte = 0x30;
    WOLFSSL_BUFFER_INFO der;

    (void)state;
    der.buffer = &byte;
    der.length = 1;
    shall("wolfSSL_CertManagerLoadCABuffer", 0, WOLFSSL_SUCCESS, 0);
    shall("wolfSSL_CertManagerVerifyBuffer", 0, WOLFSSL_SUCCESS, 0);
    assert_int_equal(imc_tls_is_root(&der), 1);
    rules[1].value = ASN_SIG_CONFIRM_E;
    assert_int_equal(imc_tls_is_root(&der), 0);
    rules[0].value = rules[1].value;
    rules[1].value = WOLFSSL_SUCCESS;
    assert_int_equal(imc_tls_is_root(&der), 0);
    assert_int_equal(rules[1].calls, 2);
    rules[0].value = WOLFSSL_SUCCESS;
    shall("wolfSSL_CertManagerNew", 0, 0, 0);
    assert_int_equal(imc_tls_is_root(&der), 0);
    assert_int_equal(calls(), 3);
}

/* The outermost parts of a certificate, RFC 5280 section 4.1: its algorithm is SHA-1 with RSA, and it has no names. */
static unsigned char weak_certificate[] = "\x30\x1c\x30\x18\x02\x01\x01"
                                          "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
                                          "\x30\x00\x30\x00\x30\x00\x30\x00\x30\x00";

/* SHA-1 is nothing to a root that was sent along, and too weak for anything else. */
static void a_weak_signature_in_a_chain(void **state)
{
    WOLFSSL_BUFFER_INFO certificates[2];
    WOLFSSL_X509_STORE_CTX *store = calloc(1, sizeof *store);

    (void)state;
    assert_non_null(store);
    certificates[0].buffer = certificates[1].buffer = weak_certificate;
    certificates[0].length = certificates[1].length = sizeof weak_certificate - 1;
    store->certs = certificates;
    store->totalCerts = 2;
    shall("wolfSSL_CertManagerLoadCABuffer", 0, WOLFSSL_SUCCESS, 0);
    shall("wolfSSL_CertManagerVerifyBuffer", 0, WOLFSSL_SUCCESS, 0);
    memset(&tls, 0, sizeof tls);
    assert_int_equal(imc_tls_check(&tls, store, 0), IMAPCONNECT_E_WEAK);
    assert_int_equal(imc_tls_check(&tls, store, 1), 0);
    rules[1].value = ASN_SIG_CONFIRM_E;
    assert_int_equal(imc_tls_check(&tls, store, 1), IMAPCONNECT_E_WEAK);
    free(store);
}

/* The first thing that was wrong with a chain is what is told. */
static void the_first_refusal_stays(void **state)
{
    WOLFSSL_BUFFER_INFO certificate;
    WOLFSSL_X509_STORE_CTX *store = calloc(1, sizeof *store);

    (void)state;
    assert_non_null(store);
    certificate.buffer = weak_certificate;
    certificate.length = sizeof weak_certificate - 1;
    store->certs = &certificate;
    store->totalCerts = 1;
    store->userCtx = &tls;
    memset(&tls, 0, sizeof tls);
    tls.self = &tls;
    tls.verify = 1;
    tls.server = &server;
    tls.refused = IMAPCONNECT_E_EXPIRED;
    assert_int_equal(imc_tls_verify(1, store), 0);
    assert_int_equal(tls.refused, IMAPCONNECT_E_EXPIRED);
    store->error = ASN_AFTER_DATE_E;
    assert_int_equal(imc_tls_verify(0, store), 0);
    store->error = ASN_NO_SIGNER_E;
    assert_int_equal(imc_tls_verify(0, store), 0);
    assert_int_equal(tls.chain_error, ASN_AFTER_DATE_E);
    free(store);
}

/* Prepares with the CAs at `path`, and returns the code. */
static int load(const char *path)
{
    int code;

    imapconnect_config_init(&config);
    config.ca_path = path;
    code = prepare("imap.example.org", 1);
    imc_tls_free(&tls);
    return code;
}

/* SPEC, -1029: no certificate is in there. One that the clock forbids is there: a device that was never told the time has to
   hear that, and not that its flash is broken. */
static void a_ca_that_the_clock_forbids(void **state)
{
    static const struct {
        int wolfssl, code;
    } cases[] = {{ASN_BEFORE_DATE_E, IMAPCONNECT_E_NOT_YET_VALID},
                 {ASN_AFTER_DATE_E, IMAPCONNECT_E_EXPIRED},
                 {ASN_PARSE_E, IMAPCONNECT_E_CA_FILE},
                 {ASN_SIG_CONFIRM_E, IMAPCONNECT_E_CA_FILE},
                 {WOLFSSL_BAD_FILE, IMAPCONNECT_E_CA_FILE}};
    char file[] = "/tmp/imapconnect-faults.XXXXXX";
    int fd = mkstemp(file);
    size_t i;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    for (i = 0; i < COUNT(cases); i++) {
        forget(0);
        shall("wolfSSL_CTX_load_verify_buffer", 0, cases[i].wolfssl, 0);
        shall("wolfSSL_CTX_load_verify_locations_ex", 0, cases[i].wolfssl, 0);
        imapconnect_config_init(&config);
        config.ca_data = "CA";
        config.ca_size = 2;
        assert_int_equal(prepare("imap.example.org", 1), cases[i].code);
        assert_int_equal(tls.detail, cases[i].wolfssl);
        imc_tls_free(&tls);
        assert_int_equal(load(file), cases[i].code);
    }
    unlink(file);
}

/* SPEC, -1027: nothing is there; -1029: what is there is no CA. */
static void where_cas_are_and_are_not(void **state)
{
    char folder[] = "/tmp/imapconnect-faults.XXXXXX", file[64];
    FILE *out;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/file", folder);
    assert_int_equal(load(folder), IMAPCONNECT_E_NO_CA); /* an empty one */
    out = fopen(file, "w");
    assert_non_null(out);
    fputs("no CA\n", out);
    fclose(out);
    assert_int_equal(load(folder), IMAPCONNECT_E_NO_CA); /* something else is in it */
    assert_int_equal(load(file), IMAPCONNECT_E_CA_FILE);
    shall("wolfSSL_CTX_load_verify_locations_ex", 0, WOLFSSL_SUCCESS, 0);
    assert_int_equal(load(folder), 0);
    assert_int_equal(load(file), 0);
    forget(0);
    shall("wolfSSL_CTX_load_verify_locations_ex", 0, WOLFSSL_BAD_FILE, ENOENT);
    assert_int_equal(load(file), IMAPCONNECT_E_NO_CA);
    rules[0].number = ENOTDIR;
    assert_int_equal(load(file), IMAPCONNECT_E_NO_CA);
    rules[0].number = EACCES;
    assert_int_equal(load(file), IMAPCONNECT_E_CA_FILE);
    forget(0);
    shall("wc_ReadDirFirst", 0, 0, 0); /* a guard: success, and no name */
    assert_int_equal(load(folder), IMAPCONNECT_E_NO_CA);
    remove(file);
    remove(folder);
}

static void the_cas_of_the_system(void **state)
{
    (void)state;
    shall("wolfSSL_CTX_load_system_CA_certs", 0, WOLFSSL_SUCCESS, 0);
    assert_int_equal(load(0), 0);
    rules[0].value = WOLFSSL_FAILURE;
    assert_int_equal(load(0), IMAPCONNECT_E_NO_CA);
}

/* SECURITY 1: a CA that stays a trusted peer would be a leaf that is not looked at. */
static void a_ca_that_stays_a_trusted_peer(void **state)
{
    (void)state;
    shall("wolfSSL_CTX_load_system_CA_certs", 0, WOLFSSL_SUCCESS, 0);
    shall("wolfSSL_CTX_Unload_trust_peers", 0, WOLFSSL_FAILURE, 0);
    assert_int_equal(load(0), IMAPCONNECT_E_TLS);
}

/* ---- rooms >>session, >>connect, >>codes ---- */

/* A server that greets, and is silent then. */
typedef struct talk {
    imapconnect_session session;
    int reads, writes, closes_at;
} talk;

static int talk_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    (void)context;
    (void)host;
    (void)port;
    (void)milliseconds;
    return 3;
}

static int talk_read(void *context, void *bytes, size_t count)
{
    static const char greeting[] = "* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n";
    talk *t = context;

    if (++t->reads == 1) {
        assert_true(count >= sizeof greeting - 1);
        memcpy(bytes, greeting, sizeof greeting - 1);
        return sizeof greeting - 1;
    }
    if (t->reads == t->closes_at)
        imapconnect_close(&t->session);
    return IMAPCONNECT_WANT_READ;
}

static int talk_write(void *context, const void *bytes, size_t count)
{
    talk *t = context;

    (void)bytes;
    t->writes++;
    return (int)count;
}

/* Who closes the session from within the transport's read is obeyed: what waited to be sent does not leave any more. */
static void closing_from_within_a_read(void **state)
{
    talk *t = calloc(1, sizeof *t);
    imapconnect_config own;

    (void)state;
    assert_non_null(t);
    imapconnect_config_init(&own);
    own.transport.context = t;
    own.transport.open = talk_open;
    own.transport.read = talk_read;
    own.transport.write = talk_write;
    own.transport.close = own_close;
    assert_int_equal(imapconnect_init(&t->session, &own), 0);
    assert_int_equal(imapconnect(&t->session, "imap.example.org", "joe", "secret", 0, 0, IMAPCONNECT_INSECURE, 0), 3);
    t->closes_at = t->reads + 1;
    assert_int_equal(imapconnect_noop(&t->session, 0), IMAPCONNECT_E_CANCELLED);
    assert_int_equal(t->writes, 0);
    free(t);
}

/* While the connection comes up its descriptor is there already, for the caller's own poll. */
static void the_descriptor_of_a_connection_that_comes_up(void **state)
{
    static imapconnect_session session;
    imapconnect_config own;

    (void)state;
    imapconnect_config_init(&own);
    own.nonblocking = 1;
    assert_int_equal(imapconnect_init(&session, &own), 0);
    assert_int_equal(imapconnect_socket(&session), -1);
    shall("connect", 0, -1, EINPROGRESS);
    assert_int_equal(imapconnect(&session, "127.0.0.1", "joe", "secret", 0, 0, IMAPCONNECT_INSECURE, 0),
                     IMAPCONNECT_PENDING);
    assert_true(imapconnect_socket(&session) >= 0);
    assert_int_equal(fcntl(imapconnect_socket(&session), F_GETFD), FD_CLOEXEC);
    imapconnect_close(&session);
    assert_int_equal(imapconnect_socket(&session), -1);
}

/* config.auth is a sum of mechanisms; another number is of a later version, and where to use them is none. */
static void an_unknown_way_to_log_in(void **state)
{
    imapconnect_config own;

    (void)state;
    imapconnect_config_init(&own);
    own.auth = IMAPCONNECT_AUTH_STRONGEST | 0x200;
    shall("connect", 0, -1, ECONNREFUSED);
    assert_int_equal(connect_with(&own), IMAPCONNECT_E_VALUE);
    own.auth = IMAPCONNECT_AUTH_IN_CLEAR;
    assert_int_equal(connect_with(&own), IMAPCONNECT_E_VALUE);
    assert_int_equal(calls(), 0);
}

static void no_error_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(imapconnect_strerror(IMAPCONNECT_OK), "no error");
}

#define FAULT(test) cmocka_unit_test_setup(test, forget)

static const struct CMUnitTest tests[] = {
    FAULT(every_call_to_md5_counts),
    FAULT(no_descriptor_is_free),
    FAULT(connecting_at_once_or_interrupted),
    FAULT(no_time_at_all),
    FAULT(the_result_of_connecting_is_not_known),
    FAULT(a_look_up_that_fails),
    FAULT(a_name_with_many_addresses),
    FAULT(signals_interrupt_calls),
    FAULT(half_a_transport),
    FAULT(no_memory_for_tls),
    FAULT(a_ca_that_the_clock_forbids),
    FAULT(every_policy_counts),
    FAULT(an_address_is_no_server_name),
    FAULT(what_was_agreed_is_looked_at),
    FAULT(how_reading_ends),
    FAULT(the_first_failure_below_stays),
    FAULT(the_reason_behind_no_signer),
    FAULT(what_a_root_is),
    FAULT(a_weak_signature_in_a_chain),
    FAULT(the_first_refusal_stays),
    FAULT(where_cas_are_and_are_not),
    FAULT(the_cas_of_the_system),
    FAULT(a_ca_that_stays_a_trusted_peer),
    FAULT(closing_from_within_a_read),
    FAULT(the_descriptor_of_a_connection_that_comes_up),
    FAULT(an_unknown_way_to_log_in),
    FAULT(no_error_has_a_text),
};

TEST_MAIN(tests)
