/* tunnel.h: a TLS server of wolfSSL in the test's own process. Its link to the client is memory, its certificates are
   made here when the program starts, and what it says inside TLS, and what it is told there, is the test's business.

   Include it before the header's implementation when wolfSSL's functions are to be replaced there: what the server
   calls is never replaced. After test.h. */

#ifndef TUNNEL_H
#define TUNNEL_H

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>

#define TUNNEL_HOST   "imap.example.org"
#define TUNNEL_SUITE  "TLS13-AES128-GCM-SHA256" /* the only one of its kind that is offered, so the log can be known */
#define TUNNEL_SUITE2 "ECDHE-ECDSA-AES128-GCM-SHA256"
#define TUNNEL_RECORD 16384u
#define TUNNEL_PIPE   65536u

/* Which certificate the server shows. */
enum {
    TUNNEL_GOOD,
    TUNNEL_WRONG_NAME,
    TUNNEL_UNTRUSTED,
    TUNNEL_SELF_SIGNED,
    TUNNEL_EXPIRED,
    TUNNEL_EARLY,
    TUNNEL_KINDS
};

typedef struct tunnel_der {
    unsigned char bytes[1024];
    int count;
} tunnel_der;

static tunnel_der tunnel_ca; /* the one that a client should trust */
static tunnel_der tunnel_leaves[TUNNEL_KINDS];
static WOLFSSL_CTX *tunnel_contexts[2][TUNNEL_KINDS];

/* Bytes on their way. */
typedef struct tunnel_pipe {
    unsigned char bytes[TUNNEL_PIPE];
    size_t at, end;
} tunnel_pipe;

/* The server. `read` and `write` are the plain side: a transport as the header describes it, with the test behind it. */
typedef struct tunnel {
    WOLFSSL *ssl;
    tunnel_pipe to_client, to_server;
    void *context;
    int (*read)(void *context, void *bytes, size_t count);
    int (*write)(void *context, const void *bytes, size_t count);
    int accepted;  /* the handshake is complete, as the server sees it */
    int bare_end;  /* the end comes without close_notify */
    int ending;    /* what the client reads once the pipe is empty: 0 nothing yet, or a code */
    int notified;  /* close_notify that came from the client */
    int failed;    /* TLS has failed, as the server sees it */
    size_t record; /* at most so many bytes in a record; 0: any */
} tunnel;

static int has_bytes(const void *where, size_t size, const void *what, size_t count)
{
    const unsigned char *at = where, *end = at + size, *first = what;

    while ((size_t)(end - at) >= count && count) {
        at = memchr(at, *first, (size_t)(end - at) - count + 1);
        if (!at)
            return 0;
        if (memcmp(at++, what, count) == 0)
            return 1;
    }
    return 0;
}

/* ---- certificates ---- */

static void tunnel_key(ecc_key *key, WC_RNG *random)
{
    assert_int_equal(wc_ecc_init(key), 0);
    assert_int_equal(wc_ecc_make_key(random, 32, key), 0);
}

/* RFC 5280 section 4.2.1.6: GeneralNames with one dNSName. */
static void tunnel_name(Cert *certificate, const char *host)
{
    size_t count = strlen(host);

    certificate->altNames[0] = 0x30;
    certificate->altNames[1] = (byte)(count + 2);
    certificate->altNames[2] = 0x82;
    certificate->altNames[3] = (byte)count;
    memcpy(certificate->altNames + 4, host, count);
    certificate->altNamesSz = (int)count + 4;
}

/* Signed by `issuer` with its key, or, without one, with its own. */
static void tunnel_sign(Cert *certificate, tunnel_der *out, ecc_key *key, const tunnel_der *issuer, ecc_key *signer,
                        WC_RNG *random)
{
    certificate->sigType = CTC_SHA256wECDSA;
    assert_int_equal(wc_SetSubjectKeyIdFromPublicKey(certificate, 0, key), 0);
    if (issuer) {
        assert_int_equal(wc_SetIssuerBuffer(certificate, issuer->bytes, issuer->count), 0);
        assert_int_equal(wc_SetAuthKeyIdFromPublicKey(certificate, 0, signer), 0);
    }
    assert_true(wc_MakeCert(certificate, out->bytes, sizeof out->bytes, 0, key, random) > 0);
    out->count = wc_SignCert(certificate->bodySz, certificate->sigType, out->bytes, sizeof out->bytes, 0,
                             issuer ? signer : key, random);
    assert_true(out->count > 0);
}

static void tunnel_authority(tunnel_der *out, ecc_key *key, const char *name, WC_RNG *random)
{
    Cert certificate;

    assert_int_equal(wc_InitCert(&certificate), 0);
    snprintf(certificate.subject.commonName, sizeof certificate.subject.commonName, "%s", name);
    certificate.isCA = 1;
    tunnel_sign(&certificate, out, key, 0, 0, random);
}

/* UTCTime, from and until. */
static void tunnel_dates(Cert *certificate, const char *from, const char *until)
{
    certificate->beforeDateSz = certificate->afterDateSz = 15;
    memcpy(certificate->beforeDate, "\x17\x0d", 2);
    memcpy(certificate->beforeDate + 2, from, 13);
    memcpy(certificate->afterDate, "\x17\x0d", 2);
    memcpy(certificate->afterDate + 2, until, 13);
}

static WOLFSSL_CTX *tunnel_context(WOLFSSL_METHOD *method, const char *suite, const tunnel_der *certificate,
                                   const unsigned char *key, int count)
{
    WOLFSSL_CTX *context = wolfSSL_CTX_new(method);

    assert_non_null(context);
    assert_int_equal(wolfSSL_CTX_set_cipher_list(context, suite), WOLFSSL_SUCCESS);
    assert_int_equal(
        wolfSSL_CTX_use_certificate_buffer(context, certificate->bytes, certificate->count, WOLFSSL_FILETYPE_ASN1),
        WOLFSSL_SUCCESS);
    assert_int_equal(wolfSSL_CTX_use_PrivateKey_buffer(context, key, count, WOLFSSL_FILETYPE_ASN1), WOLFSSL_SUCCESS);
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, 0);
    return context;
}

/* One kind, for TLS 1.3 and 1.2. */
static void tunnel_kind(int kind, const tunnel_der *ca, ecc_key *ca_key, WC_RNG *random)
{
    Cert certificate;
    ecc_key key;
    unsigned char bytes[256];
    tunnel_der *leaf = &tunnel_leaves[kind];
    int count;

    tunnel_key(&key, random);
    assert_int_equal(wc_InitCert(&certificate), 0);
    snprintf(certificate.subject.commonName, sizeof certificate.subject.commonName, "%s", TUNNEL_HOST);
    tunnel_name(&certificate, kind == TUNNEL_WRONG_NAME ? "imap.example.net" : TUNNEL_HOST);
    if (kind == TUNNEL_EXPIRED)
        tunnel_dates(&certificate, "200101000000Z", "210101000000Z");
    if (kind == TUNNEL_EARLY)
        tunnel_dates(&certificate, "480101000000Z", "490101000000Z");
    tunnel_sign(&certificate, leaf, &key, ca, ca_key, random);
    count = wc_EccKeyToDer(&key, bytes, sizeof bytes);
    assert_true(count > 0);
    tunnel_contexts[0][kind] = tunnel_context(wolfTLSv1_3_server_method(), TUNNEL_SUITE, leaf, bytes, count);
    tunnel_contexts[1][kind] = tunnel_context(wolfTLSv1_2_server_method(), TUNNEL_SUITE2, leaf, bytes, count);
    wc_ecc_free(&key);
}

/* Once, before the first tunnel. */
static void tunnel_prepare(void)
{
    WC_RNG random;
    ecc_key trusted, other;
    tunnel_der other_ca;

    assert_int_equal(wolfSSL_Init(), WOLFSSL_SUCCESS);
    assert_int_equal(wc_InitRng(&random), 0);
    tunnel_key(&trusted, &random);
    tunnel_key(&other, &random);
    tunnel_authority(&tunnel_ca, &trusted, "trusted", &random);
    tunnel_authority(&other_ca, &other, "other", &random);
    tunnel_kind(TUNNEL_GOOD, &tunnel_ca, &trusted, &random);
    tunnel_kind(TUNNEL_WRONG_NAME, &tunnel_ca, &trusted, &random);
    tunnel_kind(TUNNEL_UNTRUSTED, &other_ca, &other, &random);
    tunnel_kind(TUNNEL_SELF_SIGNED, 0, 0, &random);
    tunnel_kind(TUNNEL_EXPIRED, &tunnel_ca, &trusted, &random);
    tunnel_kind(TUNNEL_EARLY, &tunnel_ca, &trusted, &random);
    wc_ecc_free(&trusted);
    wc_ecc_free(&other);
    wc_FreeRng(&random);
}

static void tunnel_finish(void)
{
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < TUNNEL_KINDS; k++)
            wolfSSL_CTX_free(tunnel_contexts[i][k]);
    wolfSSL_Cleanup();
}

/* ---- the link ---- */

static size_t tunnel_take(tunnel_pipe *pipe, void *bytes, size_t count)
{
    size_t left = pipe->end - pipe->at, n = count < left ? count : left;

    memcpy(bytes, pipe->bytes + pipe->at, n);
    pipe->at += n;
    if (pipe->at == pipe->end)
        pipe->at = pipe->end = 0;
    return n;
}

static void tunnel_put(tunnel_pipe *pipe, const void *bytes, size_t count)
{
    assert_true(pipe->end + count <= TUNNEL_PIPE);
    memcpy(pipe->bytes + pipe->end, bytes, count);
    pipe->end += count;
}

static int tunnel_receive(WOLFSSL *ssl, char *bytes, int count, void *context)
{
    tunnel *t = context;
    size_t n = tunnel_take(&t->to_server, bytes, (size_t)count);

    (void)ssl;
    return n ? (int)n : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int tunnel_send(WOLFSSL *ssl, char *bytes, int count, void *context)
{
    tunnel *t = context;

    (void)ssl;
    tunnel_put(&t->to_client, bytes, (size_t)count);
    return count;
}

static void tunnel_begin(tunnel *t, int kind, int is_tls12)
{
    t->ssl = wolfSSL_new(tunnel_contexts[is_tls12][kind]);
    assert_non_null(t->ssl);
    wolfSSL_SSLSetIORecv(t->ssl, tunnel_receive);
    wolfSSL_SSLSetIOSend(t->ssl, tunnel_send);
    wolfSSL_SetIOReadCtx(t->ssl, t);
    wolfSSL_SetIOWriteCtx(t->ssl, t);
}

static void tunnel_end(tunnel *t)
{
    if (t->ssl)
        wolfSSL_free(t->ssl);
    memset(t, 0, offsetof(tunnel, to_client));
    t->to_client.at = t->to_client.end = t->to_server.at = t->to_server.end = 0;
    t->accepted = t->ending = t->notified = t->failed = 0;
}

static int tunnel_would_block(tunnel *t, int returned)
{
    int error = wolfSSL_get_error(t->ssl, returned);

    return error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE;
}

/* What the client has sent goes through TLS to the plain side. Returns 0, or what the plain side returned. */
static int tunnel_listen(tunnel *t)
{
    static char bytes[4096];
    int got, at, n;

    if (!t->accepted && !t->failed) {
        got = wolfSSL_accept(t->ssl);
        t->accepted = got == WOLFSSL_SUCCESS;
        t->failed = !t->accepted && !tunnel_would_block(t, got);
    }
    while (t->accepted && !t->failed) {
        got = wolfSSL_read(t->ssl, bytes, sizeof bytes);
        if (got <= 0) {
            int error = wolfSSL_get_error(t->ssl, got);

            t->notified |= error == WOLFSSL_ERROR_ZERO_RETURN;
            t->failed = error != WOLFSSL_ERROR_WANT_READ;
            return 0;
        }
        for (at = 0; at < got; at += n) {
            n = t->write(t->context, bytes + at, (size_t)(got - at));
            if (n <= 0)
                return n;
        }
    }
    return 0;
}

/* What the plain side has to say goes through TLS to the client; its end, too. */
static void tunnel_talk(tunnel *t)
{
    static char bytes[TUNNEL_RECORD];
    int got;

    if (!t->accepted || t->failed || t->ending)
        return;
    got = t->read(t->context, bytes, t->record ? t->record : sizeof bytes);
    if (got > 0) {
        assert_int_equal(wolfSSL_write(t->ssl, bytes, got), got);
        return;
    }
    if (got == IMAPCONNECT_WANT_READ)
        return;
    if (got == IMAPCONNECT_CLOSED && !t->bare_end)
        (void)wolfSSL_shutdown(t->ssl);
    t->ending = got;
}

/* ---- the client's side: raw bytes ---- */

static int tunnel_raw_read(tunnel *t, void *bytes, size_t count)
{
    if (t->to_client.at == t->to_client.end)
        tunnel_talk(t);
    if (t->to_client.at < t->to_client.end)
        return (int)tunnel_take(&t->to_client, bytes, count);
    if (t->ending)
        return t->ending;
    return t->failed ? IMAPCONNECT_CLOSED : IMAPCONNECT_WANT_READ;
}

static int tunnel_raw_write(tunnel *t, const void *bytes, size_t count)
{
    int code;

    tunnel_put(&t->to_server, bytes, count);
    code = tunnel_listen(t);
    if (t->failed)
        t->to_server.at = t->to_server.end = 0;
    return code < 0 ? code : (int)count;
}

#endif
