/* What a review found, so that it does not come back: one test for each finding. The servers are arrays, a wolfSSL
   server in memory, and a listener on loopback; nothing waits for a clock but where it says so. */

#include <netdb.h>

/* The look-up of a name, which here has two addresses, 127.0.0.1 both. */
static int two_addresses(const char *host, const char *service, const struct addrinfo *hints,
                         struct addrinfo **found);
static void no_addresses(struct addrinfo *found);

#define getaddrinfo  two_addresses
#define freeaddrinfo no_addresses
#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"
#undef getaddrinfo
#undef freeaddrinfo

#include "test.h"
#include "loopback.h"

#include <arpa/inet.h>
#include <malloc.h>

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>

#define TEN          "0123456789"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char preauth[] = "* PREAUTH [CAPABILITY IMAP4rev1] x\r\n";

/* ---- a server that is an array ---- */

typedef struct script {
    imapconnect_session session;
    imapconnect_config config;
    const char *const *chunks; /* one read each, if it fits; "" is would-block, once; after the end always */
    size_t at, offset;
    const char *flood; /* in place of the chunks, once they have ended: this again and again */
    char sent[4096];
    size_t used;
    char host[IMAPCONNECT_MAX_HOST + 1];
    int opens, closes, reads, writes, keeps;
    int keep_cancels_at;
    int wait_code;
    int close_again; /* the transport's close calls imapconnect_close() */
    uint32_t open_takes, open_was_given[8];
    uint32_t now;
    void (*in_log)(struct script *s); /* called once, by the log procedure, at its call number log_at */
    int logs, log_at;
    int codes[3];                           /* what was returned inside */
    int reads_then, writes_then, used_then; /* and how far the transport was */
} script;

static int script_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    script *s = context;

    (void)port;
    assert_true(strlen(host) < sizeof s->host);
    memcpy(s->host, host, strlen(host) + 1);
    if (s->opens < (int)COUNT(s->open_was_given))
        s->open_was_given[s->opens] = *milliseconds;
    s->opens++;
    s->now += s->open_takes;
    return s->open_takes != 0 ? IMAPCONNECT_WANT_WRITE : 7;
}

static int script_read(void *context, void *bytes, size_t count)
{
    script *s = context;
    const char *chunk = s->chunks[s->at];
    size_t left;

    assert_int_equal(s->closes, 0);
    s->reads++;
    s->now += s->flood != 0;
    if (chunk == 0 && s->flood != 0) {
        left = strlen(s->flood);
        assert_true(left <= count);
        memcpy(bytes, s->flood, left);
        return (int)left;
    }
    if (chunk == 0)
        return IMAPCONNECT_WANT_READ;
    if (*chunk == '\0') {
        s->at++;
        return IMAPCONNECT_WANT_READ;
    }
    left = strlen(chunk) - s->offset;
    if (left > count)
        left = count;
    memcpy(bytes, chunk + s->offset, left);
    s->offset += left;
    if (chunk[s->offset] == '\0') {
        s->offset = 0;
        s->at++;
    }
    return (int)left;
}

static int script_write(void *context, const void *bytes, size_t count)
{
    script *s = context;

    assert_int_equal(s->closes, 0);
    s->writes++;
    assert_true(s->used + count < sizeof s->sent);
    memcpy(s->sent + s->used, bytes, count);
    s->used += count;
    s->sent[s->used] = '\0';
    return (int)count;
}

static int script_wait(void *context, int what, uint32_t milliseconds)
{
    script *s = context;

    (void)what;
    s->now += milliseconds < 10 ? milliseconds : 10;
    return s->wait_code;
}

static void script_close(void *context)
{
    script *s = context;

    s->closes++;
    if (s->close_again && s->closes < 5) /* a bug must not end on the stack's end */
        imapconnect_close(&s->session);
}

static uint32_t script_clock(void *user)
{
    return ((script *)user)->now;
}

static int script_keep_going(void *user)
{
    script *s = user;

    return ++s->keeps == s->keep_cancels_at;
}

static int script_log(void *user, int direction, const char *bytes, size_t count)
{
    script *s = user;

    (void)direction;
    (void)bytes;
    (void)count;
    if (++s->logs == s->log_at) {
        s->in_log(s);
        s->reads_then = s->reads;
        s->writes_then = s->writes;
        s->used_then = (int)s->used;
    }
    return 0;
}

static script *new_script(const char *const *chunks)
{
    script *s = calloc(1, sizeof *s);

    assert_non_null(s);
    s->chunks = chunks;
    s->config.user = s;
    s->config.clock = script_clock;
    s->config.keep_going = script_keep_going;
    s->config.timeout = 5000;
    s->config.transport.context = s;
    s->config.transport.open = script_open;
    s->config.transport.read = script_read;
    s->config.transport.write = script_write;
    s->config.transport.wait = script_wait;
    s->config.transport.close = script_close;
    return s;
}

static int script_connect(script *s, const char *server, int secure)
{
    assert_int_equal(imapconnect_init(&s->session, &s->config), 0);
    return imapconnect(&s->session, server, "joe", "pw", script_log, 0, secure, IMAPCONNECT_NO_VERIFY);
}

static void free_script(script *s)
{
    imapconnect_close(&s->session);
    imapconnect_close(&s->session);
    assert_int_equal(s->closes, s->opens > 0);
    free(s);
}

/* ---- a TLS server in memory, and the certificates it shows ---- */

typedef struct queue {
    unsigned char bytes[60000];
    size_t count;
} queue;

static void put(queue *q, const void *bytes, size_t count)
{
    assert_true(q->count + count <= sizeof q->bytes);
    memcpy(q->bytes + q->count, bytes, count);
    q->count += count;
}

/* Returns how many bytes were there, 0 for none. */
static size_t get(queue *q, void *bytes, size_t count)
{
    if (count > q->count)
        count = q->count;
    memcpy(bytes, q->bytes, count);
    q->count -= count;
    memmove(q->bytes, q->bytes + count, q->count);
    return count;
}

typedef struct peer {
    imapconnect_session session;
    imapconnect_config config;
    queue to_server, to_client;
    WOLFSSL_CTX *context;
    WOLFSSL *ssl; /* 0: the server speaks in clear */
    int up;
    char got[2000]; /* what came out of TLS */
    size_t used, answered;
    int opens, closes, writes;
    int block_at; /* the client's write of that number moves block_moves bytes, and the next one would block */
    int blocked;  /* and that has happened */
    size_t block_moves;
    int blocks; /* so many of the client's writes would block */
    uint32_t now;
} peer;

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

/* Says OK to each line that has come, with the tag that it has. */
static void peer_answer(peer *p)
{
    char answer[80];
    char *end;

    while ((end = memchr(p->got + p->answered, '\n', p->used - p->answered)) != 0) {
        const char *line = p->got + p->answered;
        int tag = (int)strcspn(line, " ");

        (void)snprintf(answer, sizeof answer, "%s%.*s OK done\r\n", strstr(line, "LOGOUT") ? "* BYE\r\n" : "", tag,
                       line);
        p->answered = (size_t)(end + 1 - p->got);
        assert_true(wolfSSL_write(p->ssl, answer, (int)strlen(answer)) > 0);
    }
}

/* The server does what it can. */
static void peer_work(peer *p)
{
    int got;

    if (p->ssl == 0)
        return;
    if (!p->up && wolfSSL_accept(p->ssl) == WOLFSSL_SUCCESS) {
        p->up = 1;
        assert_true(wolfSSL_write(p->ssl, preauth, (int)strlen(preauth)) > 0);
    }
    if (!p->up)
        return;
    while ((got = wolfSSL_read(p->ssl, p->got + p->used, (int)(sizeof p->got - 1 - p->used))) > 0) {
        p->used += (size_t)got;
        p->got[p->used] = '\0';
    }
    peer_answer(p);
}

static int peer_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    (void)host;
    (void)port;
    (void)milliseconds;
    ((peer *)context)->opens++;
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
    peer *p = context;

    p->writes++;
    if (p->blocks > 0) {
        p->blocks--;
        return IMAPCONNECT_WANT_WRITE;
    }
    if (p->block_at != 0 && p->writes == p->block_at && p->block_moves > 0 && p->block_moves < count) {
        put(&p->to_server, bytes, p->block_moves);
        p->block_at++;
        return (int)p->block_moves;
    }
    if (p->block_at != 0 && p->writes == p->block_at) {
        p->blocked = 1;
        assert_int_equal(wolfSSL_update_keys(p->ssl), WOLFSSL_SUCCESS); /* it asks for one of ours */
        return IMAPCONNECT_WANT_WRITE;
    }
    put(&p->to_server, bytes, count);
    return (int)count;
}

static int peer_wait(void *context, int what, uint32_t milliseconds)
{
    (void)what;
    ((peer *)context)->now += milliseconds < 100 ? milliseconds : 100;
    return 0;
}

static void peer_close(void *context)
{
    ((peer *)context)->closes++;
}

static uint32_t peer_clock(void *user)
{
    return ((peer *)user)->now;
}

/* A certificate and its key, in DER. */
typedef struct identity {
    ecc_key key;
    unsigned char certificate[1500], secret[200];
    size_t size, secret_size;
} identity;

static WC_RNG rng;
static identity authority, good, forged;

static const char localhost[] = "\x30\x0b\x82\x09localhost"; /* GeneralNames of one dNSName */

static void begin_certificate(identity *id, Cert *cert, const char *common_name)
{
    int size;

    assert_int_equal(wc_ecc_init(&id->key), 0);
    assert_int_equal(wc_ecc_make_key(&rng, 32, &id->key), 0);
    size = wc_EccKeyToDer(&id->key, id->secret, sizeof id->secret);
    assert_true(size > 0);
    id->secret_size = (size_t)size;
    assert_int_equal(wc_InitCert(cert), 0);
    (void)snprintf(cert->subject.commonName, sizeof cert->subject.commonName, "%s", common_name);
    cert->sigType = CTC_SHA256wECDSA;
    cert->daysValid = 30;
}

/* A server's: with the name, and not a CA. */
static void make_leaf(identity *id, Cert *cert)
{
    memcpy(cert->altNames, localhost, sizeof localhost - 1);
    cert->altNamesSz = sizeof localhost - 1;
    assert_int_equal(wc_SetIssuerBuffer(cert, authority.certificate, (int)authority.size), 0);
    assert_true(wc_MakeCert(cert, id->certificate, sizeof id->certificate, 0, &id->key, &rng) > 0);
}

static void sign(identity *id, const Cert *cert, ecc_key *key)
{
    int size = wc_SignCert(cert->bodySz, cert->sigType, id->certificate, sizeof id->certificate, 0, key, &rng);

    assert_true(size > 0);
    id->size = (size_t)size;
}

/* In place of a signature: what stands behind the body of the authority's certificate, its own signature. */
static void sign_with_copied_bytes(identity *id, size_t body)
{
    unsigned char *out = id->certificate;
    imc_slice whole, inside = {0, 0}, content = {0, 0};
    size_t size;

    whole.bytes = authority.certificate;
    whole.count = authority.size;
    assert_int_equal(imc_der_next(&whole, &inside), 0x30);
    assert_int_equal(imc_der_next(&inside, &content), 0x30);
    size = body + inside.count;
    assert_in_range(size, 256, sizeof id->certificate - 4);
    memmove(out + 4, out, body);
    memcpy(out + 4 + body, inside.bytes, inside.count);
    out[0] = 0x30;
    out[1] = 0x82;
    out[2] = (unsigned char)(size >> 8);
    out[3] = (unsigned char)size;
    id->size = size + 4;
}

/* An authority; a server that it vouches for; and one that has of the authority what everybody has: subject, key
   identifier, and the bytes of a signature. */
static int make_certificates(void **state)
{
    static Cert root, leaf;

    (void)state;
    assert_int_equal(wolfSSL_Init(), WOLFSSL_SUCCESS);
    assert_int_equal(wc_InitRng(&rng), 0);
    begin_certificate(&authority, &root, "test authority");
    root.isCA = 1;
    root.selfSigned = 1;
    assert_int_equal(wc_SetSubjectKeyIdFromPublicKey(&root, 0, &authority.key), 0);
    assert_true(wc_MakeCert(&root, authority.certificate, sizeof authority.certificate, 0, &authority.key, &rng) > 0);
    sign(&authority, &root, &authority.key);

    begin_certificate(&good, &leaf, "good");
    make_leaf(&good, &leaf);
    sign(&good, &leaf, &authority.key);

    begin_certificate(&forged, &leaf, "test authority");
    memcpy(leaf.skid, root.skid, sizeof leaf.skid);
    leaf.skidSz = root.skidSz;
    make_leaf(&forged, &leaf);
    sign_with_copied_bytes(&forged, (size_t)leaf.bodySz);
    return 0;
}

static int free_certificates(void **state)
{
    (void)state;
    wc_ecc_free(&authority.key);
    wc_ecc_free(&good.key);
    wc_ecc_free(&forged.key);
    wc_FreeRng(&rng);
    return 0;
}

static peer *new_peer(const identity *id)
{
    peer *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->config.user = p;
    p->config.clock = peer_clock;
    p->config.timeout = 5000;
    p->config.transport.context = p;
    p->config.transport.open = peer_open;
    p->config.transport.read = peer_read;
    p->config.transport.write = peer_write;
    p->config.transport.wait = peer_wait;
    p->config.transport.close = peer_close;
    p->config.ca_data = authority.certificate;
    p->config.ca_size = authority.size;
    p->config.ca_format = IMAPCONNECT_DER;
    p->context = wolfSSL_CTX_new(wolfTLSv1_3_server_method());
    assert_non_null(p->context);
    assert_int_equal(
        wolfSSL_CTX_use_certificate_buffer(p->context, id->certificate, (long)id->size, WOLFSSL_FILETYPE_ASN1),
        WOLFSSL_SUCCESS);
    assert_int_equal(
        wolfSSL_CTX_use_PrivateKey_buffer(p->context, id->secret, (long)id->secret_size, WOLFSSL_FILETYPE_ASN1),
        WOLFSSL_SUCCESS);
    p->ssl = wolfSSL_new(p->context);
    assert_non_null(p->ssl);
    wolfSSL_SSLSetIORecv(p->ssl, peer_receive);
    wolfSSL_SSLSetIOSend(p->ssl, peer_send);
    wolfSSL_SetIOReadCtx(p->ssl, p);
    wolfSSL_SetIOWriteCtx(p->ssl, p);
    return p;
}

static int peer_connect(peer *p, int verify)
{
    assert_int_equal(imapconnect_init(&p->session, &p->config), 0);
    return imapconnect(&p->session, "localhost", "joe", "pw", 0, 0, IMAPCONNECT_TLS, verify);
}

static void free_peer(peer *p)
{
    imapconnect_close(&p->session);
    assert_int_equal(p->closes, p->opens);
    wolfSSL_free(p->ssl);
    wolfSSL_CTX_free(p->context);
    free(p);
}

/* A context of the caller's that trusts the authority. */
static WOLFSSL_CTX *shared_context(void)
{
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfSSLv23_client_method());

    assert_non_null(context);
    assert_int_equal(
        wolfSSL_CTX_load_verify_buffer(context, authority.certificate, (long)authority.size, WOLFSSL_FILETYPE_ASN1),
        WOLFSSL_SUCCESS);
    return context;
}

/* ---- a server on loopback ---- */

typedef struct wire {
    imapconnect_session *session;
    imapconnect_config config;
    char address[24];
    int listener, fd;
    int mute;            /* it answers nothing */
    int reset_at_logout; /* it cuts the connection off */
    char got[2000];
    size_t used, answered;
} wire;

static void wire_say(const wire *w, const char *text)
{
    assert_int_equal(send(w->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void wire_hang_up(wire *w, int reset)
{
    struct linger now = {1, 0};

    if (reset)
        assert_int_equal(setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    w->used = w->answered = 0;
}

/* Says OK to each line that has come. */
static void wire_answer(wire *w)
{
    char answer[80];
    char *end;

    while ((end = memchr(w->got + w->answered, '\n', w->used - w->answered)) != 0) {
        const char *line = w->got + w->answered;
        int logout = strstr(line, "LOGOUT") != 0;

        (void)snprintf(answer, sizeof answer, "%s%.*s OK done\r\n", logout ? "* BYE\r\n" : "",
                       (int)strcspn(line, " "), line);
        w->answered = (size_t)(end + 1 - w->got);
        if (logout) {
            if (!w->reset_at_logout)
                wire_say(w, answer);
            wire_hang_up(w, w->reset_at_logout);
            return;
        }
        wire_say(w, answer);
    }
}

/* The server does what it can, whenever the client waits. */
static int wire_work(void *user)
{
    wire *w = user;
    ssize_t got;

    if (w->fd < 0) {
        w->fd = accept(w->listener, 0, 0);
        if (w->fd < 0)
            return 0;
        wire_say(w, preauth);
    }
    got = recv(w->fd, w->got + w->used, sizeof w->got - 1 - w->used, MSG_DONTWAIT);
    w->used += got > 0 ? (size_t)got : 0;
    w->got[w->used] = '\0';
    if (!w->mute)
        wire_answer(w);
    return 0;
}

static void begin_wire(wire *w, imapconnect_session *session)
{
    uint16_t port;

    memset(w, 0, sizeof *w);
    w->session = session;
    w->fd = -1;
    w->listener = listen_here(&port, 5);
    assert_int_equal(fcntl(w->listener, F_SETFL, O_NONBLOCK), 0);
    (void)snprintf(w->address, sizeof w->address, "127.0.0.1:%u", (unsigned)port);
    w->config.user = w;
    w->config.keep_going = wire_work;
    w->config.timeout = 5000;
}

static int wire_connect(wire *w, const char *server)
{
    return imapconnect(w->session, server, "joe", "pw", 0, 0, IMAPCONNECT_INSECURE, 0);
}

static void end_wire(wire *w)
{
    imapconnect_close(w->session);
    wire_hang_up(w, 0);
    close(w->listener);
}

static struct addrinfo looked_up[2];
static struct sockaddr_in looked_up_address;

static int two_addresses(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    size_t i;

    assert_string_equal(host, "two.test");
    memset(&looked_up_address, 0, sizeof looked_up_address);
    looked_up_address.sin_family = AF_INET;
    looked_up_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    looked_up_address.sin_port = htons((uint16_t)strtoul(service, 0, 10));
    for (i = 0; i < 2; i++) {
        looked_up[i] = *hints;
        looked_up[i].ai_family = AF_INET;
        looked_up[i].ai_addr = (struct sockaddr *)&looked_up_address;
        looked_up[i].ai_addrlen = sizeof looked_up_address;
        looked_up[i].ai_next = i == 0 ? &looked_up[1] : 0;
    }
    *found = looked_up;
    return 0;
}

static void no_addresses(struct addrinfo *found)
{
    assert_ptr_equal(found, looked_up);
}

/* ---- trust ---- */

static int accept_everything(int trusted, WOLFSSL_X509_STORE_CTX *store)
{
    (void)trusted;
    (void)store;
    return 1;
}

/* wolfSSL 5.5 hands the manager to our own callback then, in place of our structure: it must be neither believed nor
   written. */
static void a_manager_with_a_callback_of_its_own_is_not_believed(void **state)
{
    const identity *const shown[] = {&good, &forged};
    size_t i;
    int verify;

    (void)state;
    for (i = 0; i < COUNT(shown); i++) {
        for (verify = 0; verify < 2; verify++) {
            peer *p = new_peer(shown[i]);
            WOLFSSL_CTX *context = shared_context();
            void *manager = wolfSSL_CTX_GetCertManager(context);
            size_t size = malloc_usable_size(manager);
            unsigned char *before = malloc(size);

            assert_non_null(before);
            assert_true(size > sizeof(imapconnect_tls));
            wolfSSL_CertManagerSetVerify(manager, accept_everything);
            memcpy(before, manager, size);
            p->config.wolfssl_ctx = context;
            assert_true(peer_connect(p, verify) < 0);
            assert_int_equal(imapconnect_is_open(&p->session), 0);
            assert_int_equal(imapconnect_is_encrypted(&p->session), 0);
            peer_work(p);
            assert_int_equal(p->used, 0);
            assert_memory_equal(before, manager, size);
            free_peer(p);
            wolfSSL_CTX_free(context);
            free(before);
        }
    }
}

static int client_receive(WOLFSSL *ssl, char *bytes, int count, void *context)
{
    int got = peer_read(context, bytes, (size_t)count);

    (void)ssl;
    return got > 0 ? got : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int client_send(WOLFSSL *ssl, char *bytes, int count, void *context)
{
    (void)ssl;
    put(&((peer *)context)->to_server, bytes, (size_t)count);
    return count;
}

/* Does a client that leaves everything to wolfSSL accept this server, with the CAs of this context? */
static int wolfssl_accepts(WOLFSSL_CTX *context, const identity *id)
{
    peer *p = new_peer(id);
    WOLFSSL *client = wolfSSL_new(context);
    int tries, code = WOLFSSL_FAILURE;

    assert_non_null(client);
    wolfSSL_set_verify(client, WOLFSSL_VERIFY_PEER, 0);
    wolfSSL_SSLSetIORecv(client, client_receive);
    wolfSSL_SSLSetIOSend(client, client_send);
    wolfSSL_SetIOReadCtx(client, p);
    wolfSSL_SetIOWriteCtx(client, p);
    for (tries = 0; tries < 20 && code != WOLFSSL_SUCCESS; tries++)
        code = wolfSSL_connect(client);
    wolfSSL_free(client);
    wolfSSL_free(p->ssl);
    wolfSSL_CTX_free(p->context);
    free(p);
    return code == WOLFSSL_SUCCESS;
}

/* With a "trusted peer" made of every CA wolfSSL looks at nothing but what everybody knows of it. In a context of our
   own there is none, so that wolfSSL itself refuses; in the caller's there may be one. */
static void what_everybody_knows_of_a_ca_proves_nothing(void **state)
{
    int kind;

    (void)state;
    for (kind = 0; kind < 6; kind++) {
        peer *p = new_peer(kind % 2 ? &forged : &good);
        WOLFSSL_CTX *context = shared_context();
        char pem[3000];
        int code;

        if (kind / 2 == 1)
            p->config.wolfssl_ctx = context;
        if (kind / 2 == 2) {
            int size = wc_DerToPem(authority.certificate, (word32)authority.size, (unsigned char *)pem, sizeof pem,
                                   CERT_TYPE);

            assert_true(size > 0);
            p->config.ca_data = pem;
            p->config.ca_size = (size_t)size;
            p->config.ca_format = IMAPCONNECT_PEM;
        }
        code = peer_connect(p, IMAPCONNECT_VERIFY);
        if (kind % 2) {
            assert_int_equal(code, IMAPCONNECT_E_UNTRUSTED);
            peer_work(p);
            assert_int_equal(p->used, 0);
        } else {
            assert_int_equal(code, 3);
            assert_int_equal(imapconnect_noop(&p->session, 0), 0);
            assert_int_equal(wolfssl_accepts(p->session.tls.context, &good), 1);
            if (kind / 2 != 1)
                assert_int_equal(wolfssl_accepts(p->session.tls.context, &forged), 0);
        }
        free_peer(p);
        wolfSSL_CTX_free(context);
    }
}

/* SECURITY 1: where wolfSSL calls the callback for the leaf alone, what was sent behind it is looked at, too. The algorithm
   of the second certificate is made one that is too weak. */
static void what_stands_behind_the_leaf_is_looked_at(void **state)
{
    static const unsigned char ecdsa[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03};
    unsigned char weak[sizeof authority.certificate];
    size_t at = authority.size - sizeof ecdsa - 1;
    WOLFSSL_CTX *context = shared_context();
    WOLFSSL_BUFFER_INFO certificates[2];
    WOLFSSL_X509_STORE_CTX store;
    imapconnect_config config;
    imapconnect_server server;
    imapconnect_tls tls;

    (void)state;
    memcpy(weak, authority.certificate, sizeof weak);
    while (memcmp(weak + at, ecdsa, sizeof ecdsa) != 0)
        at--;
    weak[at + sizeof ecdsa] = 1; /* ecdsa-with-SHA224, RFC 5758 section 3.2 */
    imapconnect_config_init(&config);
    memset(&tls, 0, sizeof tls);
    tls.self = &tls;
    tls.verify = 1;
    tls.config = &config;
    tls.context = context;
    tls.server = &server;
    assert_int_equal(imc_names_parse(&server, "localhost", 993), 0);
    certificates[0].buffer = good.certificate;
    certificates[0].length = (unsigned)good.size;
    certificates[1].buffer = weak;
    certificates[1].length = (unsigned)authority.size;
    memset(&store, 0, sizeof store);
    store.userCtx = &tls;
    store.certs = certificates;
    store.totalCerts = 1;
    assert_int_equal(imc_tls_verify(1, &store), 1);
    store.totalCerts = 2;
    assert_int_equal(imc_tls_verify(1, &store), 0);
    assert_int_equal(tls.refused, IMAPCONNECT_E_WEAK);
    wolfSSL_CTX_free(context);
}

/* ---- a record that is stuck ---- */

/* wolfSSL answers a KeyUpdate from within a read, and sends what is stuck with it; whoever then repeats the write
   sends the command twice. RFC 8446 section 4.6.3. */
static void a_key_update_does_not_double_a_command(void **state)
{
    size_t moves;

    (void)state;
    for (moves = 0; moves < 60; moves += moves < 3 ? 1 : 19) {
        peer *p = new_peer(&good);

        assert_int_equal(peer_connect(p, IMAPCONNECT_VERIFY), 3);
        p->block_moves = moves;
        p->block_at = p->writes + 1;
        assert_int_equal(imapconnect_command(&p->session, "STORE 1 +FLAGS (X)", 0), 0);
        assert_int_equal(p->blocked, 1);
        assert_int_equal(imapconnect_noop(&p->session, 0), 0);
        assert_string_equal(p->got, "a1 STORE 1 +FLAGS (X)\r\na2 NOOP\r\n");
        free_peer(p);
    }
}

/* Once a record was stuck, and then the answer to a KeyUpdate is, wolfSSL takes the size of the one for how much of the
   next write has left with the other: a command would lose its beginning, or fail when it is the shorter one. */
static void a_stuck_answer_does_not_behead_a_command(void **state)
{
    static const char *const before[] = {"NOOP", "SEARCH TEXT " TEN TEN TEN TEN};
    char expected[200];
    size_t i;
    int blocks;

    (void)state;
    for (i = 0; i < COUNT(before); i++) {
        for (blocks = 1; blocks < 4; blocks++) {
            peer *p = new_peer(&good);

            assert_int_equal(peer_connect(p, IMAPCONNECT_VERIFY), 3);
            p->block_at = p->writes + 1;
            assert_int_equal(imapconnect_command(&p->session, before[i], 0), 0);
            assert_int_equal(p->blocked, 1);
            assert_int_equal(wolfSSL_update_keys(p->ssl), WOLFSSL_SUCCESS);
            p->blocks = blocks;
            assert_int_equal(imapconnect_command(&p->session, "STORE 1 +FLAGS (X)", 0), 0);
            assert_int_equal(p->blocks, 0);
            (void)snprintf(expected, sizeof expected, "a1 %s\r\na2 STORE 1 +FLAGS (X)\r\n", before[i]);
            assert_string_equal(p->got, expected);
            free_peer(p);
        }
    }
}

/* ---- calls from within the log ---- */

static void close_session(script *s)
{
    imapconnect_close(&s->session);
}

static void call_session(script *s)
{
    s->codes[0] = imapconnect_step(&s->session);
    s->codes[1] = imapconnect_noop(&s->session, 0);
    s->codes[2] = imapconnect_disconnect(&s->session, 0);
}

static int run_command(script *s, const char *text)
{
    return text == 0 ? imapconnect_noop(&s->session, 0) : imapconnect_command(&s->session, text, 0);
}

/* The second is longer than the log's line, the third than the transmit buffer. */
static const char *const commands[] = {
    0, "SEARCH TEXT " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN,
    "SEARCH TEXT " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
        TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
            TEN TEN TEN TEN TEN TEN TEN TEN TEN};

static const char *const one_answer[] = {preauth, "", "a1 OK x\r\n", 0};

/* The same for a command that leaves in two pieces. */
static const char *const late_answer[] = {preauth, "", "", "a1 OK x\r\n", 0};

static void a_close_while_a_command_is_composed_cancels_it(void **state)
{
    size_t i;
    int at;

    (void)state;
    for (i = 0; i < COUNT(commands); i++) {
        int code = IMAPCONNECT_E_CANCELLED;

        for (at = 1; code != 0; at++) {
            script *s = new_script(late_answer);

            assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
            s->in_log = close_session;
            s->log_at = s->logs + at;
            code = run_command(s, commands[i]);
            if (code == 0) { /* the log was not called so often */
                assert_true(s->logs < s->log_at && at > 2);
                free_script(s);
                continue;
            }
            assert_int_equal(code, IMAPCONNECT_E_CANCELLED);
            assert_int_equal(s->closes, 1);
            assert_int_equal(s->reads, s->reads_then);
            assert_int_equal(s->writes, s->writes_then);
            assert_true(at > 1 || s->used == 0);
            assert_int_equal(imapconnect_noop(&s->session, 0), IMAPCONNECT_E_CANCELLED);
            assert_int_equal(imapconnect_is_open(&s->session), 0);
            free_script(s);
        }
    }
}

static void calls_while_a_command_is_composed_are_refused(void **state)
{
    char expected[800];
    size_t i;
    int at;

    (void)state;
    for (i = 0; i < COUNT(commands); i++) {
        int called = 1;

        (void)snprintf(expected, sizeof expected, "a1 %s\r\n", commands[i] ? commands[i] : "NOOP");
        for (at = 1; called; at++) {
            script *s = new_script(late_answer);
            int reads;

            assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
            s->in_log = call_session;
            s->log_at = s->logs + at;
            reads = s->reads;
            assert_int_equal(run_command(s, commands[i]), 0);
            assert_string_equal(s->sent, expected);
            called = s->logs >= s->log_at;
            if (called) {
                assert_int_equal(s->codes[0], IMAPCONNECT_E_BUSY);
                assert_int_equal(s->codes[1], IMAPCONNECT_E_BUSY);
                assert_int_equal(s->codes[2], IMAPCONNECT_E_BUSY);
                assert_true(at > 1 || s->reads_then == reads); /* and nothing has begun inside */
            }
            assert_true(called || at > 2);
            assert_int_equal(s->closes, 0);
            free_script(s);
        }
    }
}

static const char *const log_in[] = {"* OK [CAPABILITY IMAP4rev1] x\r\n", "", "a1 OK in\r\n", "", "a2 OK x\r\n", 0};

/* Greeting, LOGIN, and its answer: three calls of the log. */
static void calls_from_the_log_of_a_connect(void **state)
{
    int at;

    (void)state;
    for (at = 1; at <= 3; at++) {
        script *s = new_script(log_in);

        s->in_log = close_session;
        s->log_at = at;
        assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), IMAPCONNECT_E_CANCELLED);
        assert_int_equal(s->logs >= at, 1);
        assert_int_equal(s->closes, 1);
        assert_int_equal(s->reads, s->reads_then);
        assert_int_equal(s->writes, s->writes_then);
        assert_int_equal((int)s->used, s->used_then);
        assert_int_equal(imapconnect_noop(&s->session, 0), IMAPCONNECT_E_CANCELLED);
        free_script(s);

        s = new_script(log_in);
        s->in_log = call_session;
        s->log_at = at;
        assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
        assert_int_equal(s->logs, 3);
        assert_int_equal(s->codes[0], IMAPCONNECT_E_BUSY);
        assert_int_equal(s->codes[1], IMAPCONNECT_E_BUSY);
        assert_int_equal(s->codes[2], IMAPCONNECT_E_BUSY);
        assert_int_equal(imapconnect_noop(&s->session, 0), 0);
        assert_string_equal(s->sent, "a1 LOGIN \"joe\" \"pw\"\r\na2 NOOP\r\n");
        free_script(s);
    }
}

/* The transport's close is called once for an open, also by whom it calls itself. */
static void a_close_inside_the_close_is_none(void **state)
{
    static const char *const refused[] = {"* BYE x\r\n", 0};
    static const char *const logged_out[] = {preauth, "", "* BYE x\r\na1 OK x\r\n", 0};
    script *s = new_script(one_answer);

    (void)state;
    s->close_again = 1;
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
    imapconnect_close(&s->session);
    assert_int_equal(s->closes, 1);
    assert_int_equal(imapconnect_noop(&s->session, 0), IMAPCONNECT_E_NOT_OPEN);
    free_script(s);

    s = new_script(refused);
    s->close_again = 1;
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), IMAPCONNECT_E_GREETING_BYE);
    assert_int_equal(s->closes, 1);
    free_script(s);

    s = new_script(logged_out);
    s->close_again = 1;
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
    assert_int_equal(imapconnect_disconnect(&s->session, 0), 0);
    assert_int_equal(s->closes, 1);
    free_script(s);
}

/* ---- a session that moves, and one that is used again ---- */

/* A copy of a session that is not open, elsewhere; the first place is no more. */
static imapconnect_session *moved(imapconnect_session *from)
{
    imapconnect_session *to = malloc(sizeof *to);

    assert_non_null(to);
    *to = *from;
    memset(from, 0xa5, sizeof *from);
    free(from);
    return to;
}

static void a_session_that_has_moved_connects(void **state)
{
    imapconnect_session *session = malloc(sizeof *session);
    wire w;
    int turn;

    (void)state;
    assert_non_null(session);
    begin_wire(&w, 0);
    assert_int_equal(imapconnect_init(session, &w.config), 0);
    for (turn = 0; turn < 3; turn++) { /* the first time after init, then after a logout */
        session = w.session = moved(session);
        assert_true(wire_connect(&w, w.address) >= 0);
        assert_int_equal(imapconnect_noop(session, 0), 0);
        assert_int_equal(imapconnect_disconnect(session, 0), 0);
        wire_hang_up(&w, 0);
    }
    end_wire(&w);
    free(session);
}

static const char *const logout[] = {preauth, "", "* BYE x\r\na1 OK x\r\n", 0};

/* The limit is that of a new session: the first `open` gets all of it, the second what the first has left. */
static void time_limits_start_anew_after_a_logout(void **state)
{
    script *s = new_script(logout);

    (void)state;
    s->config.timeout = 1000;
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
    s->now += 300;
    assert_int_equal(imapconnect_disconnect(&s->session, 0), 0);
    assert_int_equal(s->closes, 1);

    s->opens = s->closes = 0;
    s->now += 700;
    s->open_takes = 600;
    assert_int_equal(imapconnect(&s->session, "h", "joe", "pw", 0, 0, IMAPCONNECT_INSECURE, 0),
                     IMAPCONNECT_E_CONNECT_TIMEOUT);
    assert_int_equal(s->opens, 2);
    assert_int_equal(s->open_was_given[0], 1000);
    assert_in_range(s->open_was_given[1], 390, 400); /* a wait of 10 ms may lie between */
    free_script(s);
}

/* A numeric address has all the time, however it was divided between the addresses of the last name. */
static void shares_of_addresses_start_anew_after_a_logout(void **state)
{
    imapconnect_session session;
    uint32_t milliseconds = 0;
    char named[24];
    wire w;
    int code;

    (void)state;
    begin_wire(&w, &session);
    w.config.timeout = 60000;
    w.config.nonblocking = 1;
    (void)snprintf(named, sizeof named, "two.test:%s", strchr(w.address, ':') + 1);
    assert_int_equal(imapconnect_init(&session, &w.config), 0);
    code = wire_connect(&w, named);
    if (code == IMAPCONNECT_PENDING && imapconnect_wants(&session, &milliseconds) == IMAPCONNECT_WRITABLE)
        assert_in_range(milliseconds, 29000, 30000); /* half of it, so that there is something to forget */
    for (; code == IMAPCONNECT_PENDING; code = imapconnect_step(&session))
        wire_work(&w);
    assert_true(code >= 0);
    code = imapconnect_disconnect(&session, 0);
    for (; code == IMAPCONNECT_PENDING; code = imapconnect_step(&session))
        wire_work(&w);
    assert_int_equal(code, 0);

    assert_int_equal(wire_connect(&w, w.address), IMAPCONNECT_PENDING);
    (void)imapconnect_wants(&session, &milliseconds);
    assert_in_range(milliseconds, 59000, 60000);
    end_wire(&w);
}

static void the_detail_starts_anew_after_a_logout(void **state)
{
    imapconnect_session session;
    wire w;

    (void)state;
    begin_wire(&w, &session);
    w.reset_at_logout = 1;
    assert_int_equal(imapconnect_init(&session, &w.config), 0);
    assert_true(wire_connect(&w, w.address) >= 0);
    assert_int_equal(imapconnect_disconnect(&session, 0), IMAPCONNECT_E_RESET);
    assert_int_equal(imapconnect_detail(&session), ECONNRESET);
    assert_true(wire_connect(&w, w.address) >= 0);
    assert_int_equal(imapconnect_detail(&session), 0);
    end_wire(&w);
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t count)
{
    char path[600];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *folder, const char *name)
{
    char path[600];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static void skipped_files_are_counted_anew_after_a_logout(void **state)
{
    const char *build = getenv("BUILD_DIR");
    unsigned char pem[3000];
    char folder[500];
    peer *p = new_peer(&good);
    int size = wc_DerToPem(authority.certificate, (word32)authority.size, pem, sizeof pem, CERT_TYPE);

    (void)state;
    assert_true(size > 0);
    (void)snprintf(folder, sizeof folder, "%s/regressions.XXXXXX", build != 0 ? build : ".");
    assert_non_null(mkdtemp(folder));
    write_file(folder, "ca.pem", pem, (size_t)size);
    write_file(folder, "README", "none\n", 5);
    p->config.ca_data = 0;
    p->config.ca_path = folder;
    assert_int_equal(peer_connect(p, IMAPCONNECT_VERIFY), 3);
    assert_int_equal(imapconnect_ca_skipped(&p->session), 1);
    assert_int_equal(imapconnect_disconnect(&p->session, 0), 0);
    remove_file(folder, "README");
    remove_file(folder, "ca.pem");
    assert_int_equal(rmdir(folder), 0);

    wolfSSL_free(p->ssl); /* from now on in clear */
    p->ssl = 0;
    p->to_client.count = 0;
    put(&p->to_client, preauth, strlen(preauth));
    assert_int_equal(imapconnect(&p->session, "localhost", "joe", "pw", 0, 0, IMAPCONNECT_INSECURE, 0), 3);
    assert_int_equal(imapconnect_ca_skipped(&p->session), 0);
    free_peer(p);
}

/* ---- names ---- */

/* What a resolver takes for an address is no name: else the certificate of a name would be asked for, or an address
   that nobody has written be called. */
static void numbers_are_no_names(void **state)
{
    static const char *const refused[] = {"0x7f000001", "0x7f.1", "127.1",          "1.2.3.4.5",   "0X1",
                                          "2130706433", "1",      "017700000001",   "127.0.0.1.",  "0x",
                                          "a.0x7f",     "a.1",    "0x7f000001:143", "0X7F000001.", "1.2.3.0x4"};
    static const char *const names[] = {"0xzz", "x1", "1a", "0x7g.test", "1.2.3.a", "1-1", "0x7f000001.test"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(refused); i++) {
        script *s = new_script(one_answer);

        if (script_connect(s, refused[i], IMAPCONNECT_INSECURE) != IMAPCONNECT_E_VALUE || s->opens != 0)
            fail_msg("%s is taken for a name", refused[i]);
        free_script(s);
    }
    for (i = 0; i < COUNT(names); i++) {
        script *s = new_script(one_answer);

        if (script_connect(s, names[i], IMAPCONNECT_INSECURE) != 7)
            fail_msg("%s is not taken for a name", names[i]);
        assert_string_equal(s->host, names[i]);
        free_script(s);
    }
}

/* ---- answers that come before their questions ---- */

/* The transmit buffer is also where a challenge is decoded to. It would hold, from YTEgREVMRVRFICJJTkJPWCINCg==, a
   command of the server's choice. */
static void a_challenge_behind_the_greeting_is_not_sent_back(void **state)
{
    static const char *const chunks[] = {
        "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] x\r\n+ YTEgREVMRVRFICJJTkJPWCINCg==", "", "", "\r\n", 0};
    static const char *const apart[] = {
        "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] x\r\n", "+ YTEgREVMRVRFICJJTkJPWCINCg==", "", "", "\r\n", 0};
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        script *s = new_script(i ? apart : chunks);

        assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), IMAPCONNECT_E_RESPONSE);
        assert_string_equal(s->sent, "a1 AUTHENTICATE CRAM-MD5\r\n");
        free_script(s);
    }
}

/* CVE-2026-42246, with the end of the line behind the command. */
static void an_ok_that_began_before_its_command_is_refused(void **state)
{
    static const char *const starttls[] = {"* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\na1 OK begi", "", "", "n\r\n",
                                           0};
    static const char *const login[] = {"* OK [CAPABILITY IMAP4rev1] x\r\na1 OK begi", "", "", "n\r\n", 0};
    static const char *const noop[] = {"* PREAUTH [CAPABILITY IMAP4rev1] x\r\na1 OK begi", "", "", "n\r\n", 0};
    static const char *const tag[] = {"* PREAUTH [CAPABILITY IMAP4rev1] x\r\na", "", "", "1 OK begin\r\n", 0};
    script *s = new_script(starttls);

    (void)state;
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_STARTTLS), IMAPCONNECT_E_TAG);
    assert_string_equal(imapconnect_phase(&s->session), "starttls");
    assert_string_equal(s->sent, "a1 STARTTLS\r\n"); /* and no ClientHello */
    free_script(s);

    s = new_script(login);
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), IMAPCONNECT_E_TAG);
    assert_string_equal(imapconnect_mechanism(&s->session), "");
    assert_string_equal(s->sent, "a1 LOGIN \"joe\" \"pw\"\r\n");
    free_script(s);

    s = new_script(noop);
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
    assert_int_equal(imapconnect_noop(&s->session, 0), IMAPCONNECT_E_TAG);
    assert_int_equal(imapconnect_is_open(&s->session), 0);
    free_script(s);

    s = new_script(tag);
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
    assert_int_equal(imapconnect_noop(&s->session, 0), IMAPCONNECT_E_TAG);
    free_script(s);
}

/* The sockets save a read where nothing can have come; between two calls anything can. This one takes 0.2 s. */
static void an_answer_that_lies_there_is_none(void **state)
{
    struct timespec pause = {0, 200000000};
    imapconnect_session session;
    wire w;

    (void)state;
    begin_wire(&w, &session);
    assert_int_equal(imapconnect_init(&session, &w.config), 0);
    assert_true(wire_connect(&w, w.address) >= 0);
    w.mute = 1;
    wire_say(&w, "a1 OK never asked\r\n");
    assert_int_equal(nanosleep(&pause, 0), 0);
    assert_int_equal(imapconnect_noop(&session, 0), IMAPCONNECT_E_TAG);
    (void)wire_work(&w);
    assert_int_equal(w.used, 0); /* it has not even left */
    end_wire(&w);
}

/* ---- the rest ---- */

static void what_wait_returns_comes_through(void **state)
{
    static const struct {
        int returned, expected;
    } cases[] = {{IMAPCONNECT_E_RESET, IMAPCONNECT_E_RESET},
                 {IMAPCONNECT_E_NO_ROUTE, IMAPCONNECT_E_NO_ROUTE},
                 {-1, IMAPCONNECT_E_TRANSPORT},
                 {-77777, IMAPCONNECT_E_TRANSPORT},
                 {INT32_MIN, IMAPCONNECT_E_TRANSPORT},
                 {IMAPCONNECT_PENDING, IMAPCONNECT_E_TRANSPORT},
                 {IMAPCONNECT_WANT_READ, IMAPCONNECT_E_TRANSPORT}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        script *s = new_script(one_answer);

        assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
        s->chunks = one_answer + 3; /* nothing more comes */
        s->at = 0;
        s->wait_code = cases[i].returned;
        assert_int_equal(imapconnect_noop(&s->session, 0), cases[i].expected);
        assert_int_equal(s->closes, 1);
        free_script(s);
    }
}

static void unauthenticate_is_not_for_command(void **state)
{
    script *s = new_script(one_answer);

    (void)state;
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
    assert_int_equal(imapconnect_command(&s->session, "UNAUTHENTICATE", 0), IMAPCONNECT_E_USE_FUNCTION);
    assert_int_equal(imapconnect_command(&s->session, "unAuthenticate ", 0), IMAPCONNECT_E_USE_FUNCTION);
    assert_int_equal(s->used, 0);
    assert_int_equal(imapconnect_noop(&s->session, 0), 0); /* it goes on */
    free_script(s);
}

/* Each read has something, so that nothing ever waits: the watchdog is fed, and can cancel. */
static void keep_going_is_called_while_nothing_waits(void **state)
{
    script *s = new_script(one_answer);

    (void)state;
    assert_int_equal(script_connect(s, "h", IMAPCONNECT_INSECURE), 7);
    s->chunks = one_answer + 3;
    s->at = 0;
    s->flood = "* 1 EXISTS\r\n";
    s->config.transport.wait = 0;
    s->keep_cancels_at = s->keeps + 3;
    assert_int_equal(imapconnect_noop(&s->session, 0), IMAPCONNECT_E_CANCELLED);
    assert_int_equal(s->keeps, s->keep_cancels_at);
    assert_in_range(s->now, 3, 1000); /* one a second is promised; a read took 1 ms */
    free_script(s);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(a_manager_with_a_callback_of_its_own_is_not_believed),
                                          cmocka_unit_test(what_stands_behind_the_leaf_is_looked_at),
                                          cmocka_unit_test(what_everybody_knows_of_a_ca_proves_nothing),
                                          cmocka_unit_test(a_key_update_does_not_double_a_command),
                                          cmocka_unit_test(a_stuck_answer_does_not_behead_a_command),
                                          cmocka_unit_test(a_close_while_a_command_is_composed_cancels_it),
                                          cmocka_unit_test(calls_while_a_command_is_composed_are_refused),
                                          cmocka_unit_test(calls_from_the_log_of_a_connect),
                                          cmocka_unit_test(a_close_inside_the_close_is_none),
                                          cmocka_unit_test(a_session_that_has_moved_connects),
                                          cmocka_unit_test(time_limits_start_anew_after_a_logout),
                                          cmocka_unit_test(shares_of_addresses_start_anew_after_a_logout),
                                          cmocka_unit_test(the_detail_starts_anew_after_a_logout),
                                          cmocka_unit_test(skipped_files_are_counted_anew_after_a_logout),
                                          cmocka_unit_test(numbers_are_no_names),
                                          cmocka_unit_test(a_challenge_behind_the_greeting_is_not_sent_back),
                                          cmocka_unit_test(an_ok_that_began_before_its_command_is_refused),
                                          cmocka_unit_test(an_answer_that_lies_there_is_none),
                                          cmocka_unit_test(what_wait_returns_comes_through),
                                          cmocka_unit_test(unauthenticate_is_not_for_command),
                                          cmocka_unit_test(keep_going_is_called_while_nothing_waits)};

int main(void)
{
    return test_report(COUNT(tests), cmocka_run_group_tests(tests, make_certificates, free_certificates));
}
