/* tls_probe: one imapconnect() over a transport that keeps every byte, for the tests of TLS.

       tls_probe [options] SERVER

       -s 0|1|2    secure              -k          verify off
       -C PATH     CA folder or file   -P, -D FILE CA buffer, PEM or DER
       -X FILE     a shared WOLFSSL_CTX with the CAs of FILE, -w HOW  spoiled: none callback weak psk
       -r PORT     connect to 127.0.0.1:PORT, whatever SERVER says; -6 to [::1]:PORT; else to the address
                   in SERVER, or the loopback
       -U, -W TEXT user name and password in place of the secrets that are looked for
       -m AUTH     config.auth, a number
       -o          the default transport, nothing is recorded
       -b          a byte at a time, and every other call would block
       -t MS       time limit          -B BYTES    max_reply      -n  non-blocking
       -c COMMAND  sent once connected (NOOP by imapconnect_noop), -q  disconnect at the end
       -T PORT     connect a second time with the same configuration, to PORT, verify on
       -e, -a FILE our certificate and its key as files     -E, -A FILE  as buffers     -d  they are DER
       -p HEX      a pin; several are allowed
       -R          ask for a ticket   -i FILE     use the ticket in it   -O FILE  write the newest ticket there
       -v          print the log and the list

   It prints, for the shell to compare:

       RESULT number name detail phase encrypted mechanism skipped
       SAID reason code                                     imapconnect_reason and _response_code
       COMMAND number name phase open                              for each -c
       WIRE opens closes plain hello after secret sni versions suites
       TICKET size resumed                                  for -O, before the end
       CHECKS what the library must never do, "CHECKS clean" when it did not
       TIME milliseconds

   `plain` is what left before the first TLS record, `hello` counts ClientHellos, `after` the bytes that left after
   the call had failed, `secret` how often a secret or a command that carries one stands in clear on the wire. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define USER     "probe-user12"
#define PASSWORD "s3cret-Pa55word"

/* The secrets in the forms in which they could leak: raw, base64, hexadecimal. */
static const char *const secrets[] = {PASSWORD, "czNjcmV0LVBhNTV3b3Jk", "7333637265742d50613535776f7264",
                                      "7333637265742D50613535776F7264"};
static const char *const givers[] = {USER, "cHJvYmUtdXNlcjEy", "LOGIN", "AUTHENTICATE"};

struct wire {
    int fd;
    int family;
    uint16_t port; /* 0: the one asked for */
    int trickle;   /* 1: one byte at a time */
    unsigned reads;
    unsigned writes;
    int opens;
    int closes;
    size_t size;
    unsigned char bytes[65536]; /* written by the library */
};

struct text {
    size_t size;
    char bytes[65536];
};

struct probe {
    imapconnect_config config;
    imapconnect_tls_options tls;
    uint8_t pins[4 * IMAPCONNECT_PIN_SIZE];
    const char *ticket; /* the file for it */
    const char *user;
    const char *password;
    imapconnect_session session;
    struct wire wire;
    struct text log;
    const char *commands[8];
    int secure;
    int verify;
    int quit;
    uint16_t twice;
    int verbose;
    int own;
    int misnamed; /* a command ended the session with a code that is not fatal */
};

/* ---- the transport ---- */

static int wire_open(void *context, const char *host, uint16_t port, uint32_t *left)
{
    struct wire *wire = context;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    int one = 1;
    int failed;
    (void)left;
    wire->opens++;
    if (wire->port)
        port = wire->port;
    memset(&v4, 0, sizeof v4);
    memset(&v6, 0, sizeof v6);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (wire->port || inet_pton(AF_INET, host, &v4.sin_addr) != 1)
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    wire->fd = socket(wire->family, SOCK_STREAM, 0);
    if (wire->family == AF_INET6)
        failed = connect(wire->fd, (struct sockaddr *)&v6, sizeof v6);
    else
        failed = connect(wire->fd, (struct sockaddr *)&v4, sizeof v4);
    if (failed)
        return -10061; /* refused */
    setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(wire->fd, F_SETFL, O_NONBLOCK);
    return wire->fd;
}

static int wire_read(void *context, void *bytes, size_t count)
{
    struct wire *wire = context;
    ssize_t n;
    if (wire->trickle && ++wire->reads % 2)
        return IMAPCONNECT_WANT_READ;
    n = recv(wire->fd, bytes, wire->trickle ? 1 : count, 0);
    if (n > 0)
        return (int)n;
    if (n == 0)
        return IMAPCONNECT_CLOSED;
    if (errno == EAGAIN)
        return IMAPCONNECT_WANT_READ;
    return errno == ECONNRESET || errno == EPIPE ? -10054 : -1;
}

static int wire_write(void *context, const void *bytes, size_t count)
{
    struct wire *wire = context;
    ssize_t n;
    if (wire->trickle && ++wire->writes % 2)
        return IMAPCONNECT_WANT_WRITE;
    n = send(wire->fd, bytes, wire->trickle ? 1 : count, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
        return IMAPCONNECT_WANT_WRITE;
    if (n <= 0)
        return errno == ECONNRESET || errno == EPIPE ? -10054 : -1;
    if (wire->size + (size_t)n > sizeof wire->bytes) {
        fprintf(stderr, "tls_probe: the client has sent too much\n");
        exit(3);
    }
    memcpy(wire->bytes + wire->size, bytes, (size_t)n);
    wire->size += (size_t)n;
    return (int)n;
}

static int wire_wait(void *context, int what, uint32_t milliseconds)
{
    struct wire *wire = context;
    struct pollfd p = {wire->fd, 0, 0};
    if (what & IMAPCONNECT_READABLE)
        p.events |= POLLIN;
    if (what & IMAPCONNECT_WRITABLE)
        p.events |= POLLOUT;
    return poll(&p, 1, (int)milliseconds) < 0 && errno != EINTR ? -1 : 0;
}

static void wire_close(void *context)
{
    struct wire *wire = context;
    wire->closes++;
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
}

/* ---- what left ---- */

static const unsigned char *find(const void *where, size_t size, const char *what)
{
    const unsigned char *at = where;
    size_t length = strlen(what);
    for (; size >= length; at++, size--) {
        if (memcmp(at, what, length) == 0)
            return at;
    }
    return 0;
}

static int count_of(const void *where, size_t size, const char *what)
{
    const unsigned char *at = where;
    const unsigned char *end = at + size;
    int n = 0;
    while ((at = find(at, (size_t)(end - at), what)) != 0) {
        n++;
        at++;
    }
    return n;
}

static size_t two(const unsigned char *at)
{
    return (size_t)at[0] << 8 | at[1];
}

struct hello {
    int count;
    int alpn;
    char sni[256];
    char versions[64];
    char suites[1024];
};

static void add_hex(char *to, size_t size, const unsigned char *from, size_t count)
{
    size_t i;
    for (i = 0; i + 1 < count; i += 2) {
        size_t used = strlen(to);
        snprintf(to + used, size - used, "%s%02x%02x", used ? "," : "", from[i], from[i + 1]);
    }
}

/* A ClientHello, RFC 8446 section 4.1.2. Our own, so that it is taken to be well formed. */
static void read_hello(struct hello *hello, const unsigned char *at, const unsigned char *end)
{
    size_t n;
    hello->suites[0] = hello->versions[0] = 0;
    at += 4 + 2 + 32; /* type and length, version, random */
    at += 1 + at[0];  /* session id */
    n = two(at);
    add_hex(hello->suites, sizeof hello->suites, at + 2, n);
    at += 2 + n;
    at += 1 + at[0] + 2; /* compression; length of the extensions */
    for (; at + 4 <= end; at += 4 + n) {
        n = two(at + 2);
        if (two(at) == 0) /* server_name, RFC 6066 section 3 */
            snprintf(hello->sni, sizeof hello->sni, "%.*s", (int)two(at + 7), (const char *)(at + 9));
        if (two(at) == 16)
            hello->alpn = 1;
        if (two(at) == 43)
            add_hex(hello->versions, sizeof hello->versions, at + 5, at[4]);
    }
}

static void read_records(struct hello *hello, const unsigned char *at, const unsigned char *end)
{
    for (; at + 5 <= end; at += 5 + two(at + 3)) {
        if (at[0] == 22 && at[5] == 1) {
            hello->count++;
            read_hello(hello, at + 5, at + 5 + two(at + 3));
        }
    }
}

/* The lines in clear, with their tags and CRLF left out: "CAPABILITY,STARTTLS". */
static size_t read_plain(const struct wire *wire, int secure, char *plain, size_t size)
{
    size_t at = 0;
    plain[0] = 0;
    while (secure != IMAPCONNECT_TLS && at < wire->size && wire->bytes[at] >= 0x20) {
        const unsigned char *line = wire->bytes + at;
        const unsigned char *end = find(line, wire->size - at, "\r\n");
        const unsigned char *space = end ? find(line, (size_t)(end - line), " ") : 0;
        size_t used = strlen(plain);
        if (!space)
            break;
        snprintf(plain + used, size - used, "%s%.*s", used ? "," : "", (int)(end - space - 1),
                 (const char *)(space + 1));
        at = (size_t)(end + 2 - wire->bytes);
    }
    return at;
}

static void print_wire(const struct probe *probe, size_t when_failed)
{
    const struct wire *wire = &probe->wire;
    static struct hello hello;
    char plain[1024];
    size_t at = read_plain(wire, probe->secure, plain, sizeof plain);
    int secret = 0;
    size_t i;
    memset(&hello, 0, sizeof hello);
    if (probe->secure)
        read_records(&hello, wire->bytes + at, wire->bytes + wire->size);
    for (i = 0; i < sizeof secrets / sizeof *secrets; i++)
        secret += count_of(wire->bytes, wire->size, secrets[i]);
    for (i = 0; i < sizeof givers / sizeof *givers; i++)
        secret += count_of(wire->bytes, wire->size, givers[i]);
    for (i = 0; plain[i]; i++)
        plain[i] = plain[i] == ' ' ? '_' : plain[i];
    printf("WIRE opens=%d closes=%d plain=%s hello=%d written=%lu after=%lu secret=%d alpn=%d sni=%s versions=%s "
           "suites=%s\n",
           wire->opens, wire->closes, plain, hello.count, (unsigned long)wire->size,
           (unsigned long)(wire->size - when_failed), secret, hello.alpn, hello.sni, hello.versions, hello.suites);
}

/* ---- what must never be ---- */

static int keep_log(void *user, int direction, const char *bytes, size_t count)
{
    struct probe *probe = user;
    struct text *log = &probe->log;
    const char *who = direction & IMAPCONNECT_LOG_SENT ? "C: " : direction & IMAPCONNECT_LOG_RECEIVED ? "S: " : "-- ";
    if (probe->verbose)
        printf("LOG %s%.*s\n", who, (int)count, bytes);
    if (log->size + count <= sizeof log->bytes) {
        memcpy(log->bytes + log->size, bytes, count); /* pieces of a line are put together again */
        log->size += count;
    }
    return 0;
}

static int has_secret(const void *where, size_t size)
{
    size_t i;
    for (i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        if (find(where, size, secrets[i]))
            return 1;
    }
    return 0;
}

/* Of -W, too, where it is long enough not to be there by chance. */
static int has_password(const struct probe *probe, const void *where, size_t size)
{
    return has_secret(where, size) || (strlen(probe->password) > 5 && find(where, size, probe->password) != 0);
}

static const char *checks(struct probe *probe, const imapconnect_list *list, int result)
{
    const char *text = imapconnect_server_text(&probe->session);
    if (has_password(probe, probe->log.bytes, probe->log.size))
        return "the log has a secret";
    if (has_password(probe, list->text, list->used))
        return "the list has a secret";
    if (has_password(probe, text, strlen(text)))
        return "the error text has a secret";
    if (has_password(probe, &probe->session, sizeof probe->session))
        return "the session still has the password";
    if (result < 0 && imapconnect_is_open(&probe->session))
        return "failed and open";
    if (probe->misnamed)
        return "the session is over, but imapconnect_code_is_fatal() says that it goes on";
    if (result < 0 && imapconnect_noop(&probe->session, 0) != result)
        return "the error did not stay";
    if (result < 0 && imapconnect_step(&probe->session) != result)
        return "the error did not stay for step";
    return "clean";
}

/* ---- the calls ---- */

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A call in a non-blocking session is stepped to its end. */
static int whole(struct probe *probe, int result)
{
    while (result == IMAPCONNECT_PENDING) {
        uint32_t milliseconds = 0;
        int what = imapconnect_wants(&probe->session, &milliseconds);
        struct pollfd p = {imapconnect_socket(&probe->session), 0, 0};
        if (what & IMAPCONNECT_READABLE)
            p.events |= POLLIN;
        if (what & IMAPCONNECT_WRITABLE)
            p.events |= POLLOUT;
        poll(&p, 1, (int)milliseconds);
        result = imapconnect_step(&probe->session);
    }
    return result;
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

static void print_list(const struct probe *probe, const imapconnect_list *list)
{
    const char *line = 0;
    while (probe->verbose && (line = imapconnect_list_next(list, line)) != 0)
        printf("LIST %s\n", line);
}

static int run_commands(struct probe *probe, imapconnect_list *list)
{
    int result = 0;
    int i;
    for (i = 0; probe->commands[i]; i++) {
        const char *text = probe->commands[i];
        if (strcmp(text, "NOOP") == 0)
            result = whole(probe, imapconnect_noop(&probe->session, list));
        else
            result = whole(probe, imapconnect_command(&probe->session, text, list));
        printf("COMMAND %d %s %s %d\n", result, or_dash(imapconnect_code_name(result)),
               imapconnect_phase(&probe->session), imapconnect_is_open(&probe->session));
        if (result < 0 && !imapconnect_is_open(&probe->session) && !imapconnect_code_is_fatal(result))
            probe->misnamed = 1;
        print_list(probe, list);
    }
    return result;
}

/* Into the file; a smaller buffer must be left alone. */
static void keep_ticket(struct probe *probe)
{
    static unsigned char bytes[65536], untouched[65536];
    size_t size = imapconnect_ticket(&probe->session, 0, 0);
    FILE *file = probe->ticket ? fopen(probe->ticket, "wb") : 0;
    if (!file)
        return;
    if (size > sizeof bytes || (size && imapconnect_ticket(&probe->session, bytes, size - 1) != size) ||
        memcmp(bytes, untouched, sizeof bytes) || imapconnect_ticket(&probe->session, bytes, sizeof bytes) != size ||
        fwrite(bytes, 1, size, file) != size)
        exit(3);
    fclose(file);
    printf("TICKET %lu %d\n", (unsigned long)size,
           probe->session.tls.ssl ? wolfSSL_session_reused(probe->session.tls.ssl) : 0);
}

static int probe_once(struct probe *probe, const char *server)
{
    static char text[4096];
    imapconnect_list list;
    imapconnect_session *session = &probe->session;
    const char *verdict;
    size_t size;
    long start = now();
    int result;
    int last;
    imapconnect_list_init(&list, text, sizeof text);
    result = whole(probe, imapconnect(session, server, probe->user, probe->password, keep_log, &list, probe->secure,
                                      probe->verify));
    printf("TIME %ld\n", now() - start);
    printf("RESULT %d %s %d %s %d %s %u\n", result > 0 ? 0 : result, or_dash(imapconnect_code_name(result)),
           imapconnect_detail(session), imapconnect_phase(session), imapconnect_is_encrypted(session),
           or_dash(imapconnect_mechanism(session)), imapconnect_ca_skipped(session));
    printf("SAID %d %s\n", imapconnect_reason(session), or_dash(imapconnect_response_code(session)));
    print_list(probe, &list);
    last = result;
    if (result >= 0 && probe->commands[0]) {
        start = now();
        last = run_commands(probe, &list);
        printf("TIME %ld\n", now() - start);
    }
    keep_ticket(probe);
    size = probe->wire.size;
    verdict = checks(probe, &list, imapconnect_code_is_fatal(last) || result < 0 ? last : 0);
    if (probe->quit || last < 0)
        printf("DISCONNECT %d\n", whole(probe, imapconnect_disconnect(session, 0)));
    else
        imapconnect_close(session);
    imapconnect_close(session);
    printf("CHECKS %s\n", verdict);
    print_wire(probe, last < 0 ? size : probe->wire.size);
    return result;
}

/* ---- the configuration ---- */

static void *load(const char *path, size_t *size)
{
    static char all[6][65536]; /* one for each option that reads a file */
    static int used;
    char *bytes = all[used++ % 6];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    *size = fread(bytes, 1, sizeof all[0], file);
    fclose(file);
    return bytes;
}

static void add_pin(struct probe *probe, const char *hex)
{
    unsigned byte;
    size_t i;
    for (i = 0; i < IMAPCONNECT_PIN_SIZE && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
        probe->pins[probe->tls.pin_count * IMAPCONNECT_PIN_SIZE + i] = (uint8_t)byte;
    probe->tls.pins = probe->pins;
    if (i != IMAPCONNECT_PIN_SIZE || ++probe->tls.pin_count > 4)
        exit(2);
}

static int believe(int preverify, WOLFSSL_X509_STORE_CTX *store)
{
    (void)preverify;
    (void)store;
    return 1;
}

static unsigned psk(WOLFSSL *ssl, const char *hint, char *identity, unsigned identity_size, unsigned char *key,
                    unsigned key_size)
{
    (void)ssl;
    (void)hint;
    (void)key_size;
    snprintf(identity, identity_size, "Client_identity");
    memcpy(key, "\x1a\x2b\x3c\x4d", 4);
    return 4;
}

static unsigned psk13(WOLFSSL *ssl, const char *hint, char *identity, unsigned identity_size, unsigned char *key,
                      unsigned key_size, const char **suite)
{
    *suite = "TLS13-AES128-GCM-SHA256";
    return psk(ssl, hint, identity, identity_size, key, key_size);
}

/* A context that a careless program shares: everything in it that could weaken the policy. */
static WOLFSSL_CTX *shared_context(const char *ca, const char *how)
{
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
    if (!ctx || wolfSSL_CTX_load_verify_locations(ctx, ca, 0) != WOLFSSL_SUCCESS)
        exit(2);
    if (strcmp(how, "none") == 0)
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, 0);
    if (strcmp(how, "callback") == 0)
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER, believe);
    if (strcmp(how, "weak") == 0) {
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, believe);
        wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1);
        wolfSSL_CTX_SetMinRsaKey_Sz(ctx, 512);
        if (wolfSSL_CTX_set_cipher_list(ctx, "ADH-AES128-SHA:ADH-AES256-GCM-SHA384:DHE-RSA-AES128-SHA:"
                                             "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-NULL-SHA:"
                                             "ECDHE-ECDSA-RC4-SHA:ECDHE-ECDSA-DES-CBC3-SHA:"
                                             "TLS13-SHA256-SHA256:TLS13-AES128-GCM-SHA256") != WOLFSSL_SUCCESS)
            exit(2);
    }
    if (strcmp(how, "psk") == 0) {
        wolfSSL_CTX_set_psk_client_callback(ctx, psk);
        wolfSSL_CTX_set_psk_client_tls13_callback(ctx, psk13);
    }
    return ctx;
}

static void usage(void)
{
    fprintf(stderr, "usage: tls_probe [options] SERVER, see tls_probe.c\n");
    exit(2);
}

/* Those of config.tls. Returns 0 for others. */
static int tls_option(struct probe *probe, int c, const char *value)
{
    imapconnect_tls_options *tls = &probe->tls;
    switch (c) {
    case 'e':
        tls->cert_path = value;
        break;
    case 'a':
        tls->key_path = value;
        break;
    case 'E':
        tls->cert_data = load(value, &tls->cert_size);
        break;
    case 'A':
        tls->key_data = load(value, &tls->key_size);
        break;
    case 'd':
        tls->format = IMAPCONNECT_DER;
        break;
    case 'p':
        add_pin(probe, value);
        break;
    case 'R':
        tls->resume = 1;
        break;
    case 'i':
        tls->ticket = load(value, &tls->ticket_size);
        break;
    case 'O':
        probe->ticket = value;
        break;
    default:
        return 0;
    }
    probe->config.tls = tls;
    return 1;
}

static void option(struct probe *probe, int c, char *value, const char **ca, const char **how)
{
    imapconnect_config *config = &probe->config;
    size_t i = 0;
    switch (c) {
    case 's':
        probe->secure = atoi(value);
        break;
    case 'k':
        probe->verify = IMAPCONNECT_NO_VERIFY;
        break;
    case 'C':
        config->ca_path = value;
        break;
    case 'P':
        config->ca_data = load(value, &config->ca_size);
        config->ca_format = IMAPCONNECT_PEM;
        break;
    case 'D':
        config->ca_data = load(value, &config->ca_size);
        config->ca_format = IMAPCONNECT_DER;
        break;
    case 'X':
        *ca = value;
        break;
    case 'w':
        *how = value;
        break;
    case 'r':
        probe->wire.port = (uint16_t)atoi(value);
        break;
    case 'U':
        probe->user = value;
        break;
    case 'W':
        probe->password = value;
        break;
    case 'm':
        config->auth = (int)strtol(value, 0, 0);
        break;
    case '6':
        probe->wire.family = AF_INET6;
        break;
    case 'o':
        probe->own = 0;
        break;
    case 't':
        config->timeout = (uint32_t)atoi(value);
        break;
    case 'B':
        config->max_reply = (uint32_t)atoi(value);
        break;
    case 'b':
        probe->wire.trickle = 1;
        break;
    case 'n':
        config->nonblocking = 1;
        break;
    case 'q':
        probe->quit = 1;
        break;
    case 'T':
        probe->twice = (uint16_t)atoi(value);
        break;
    case 'v':
        probe->verbose = 1;
        break;
    case 'c':
        while (probe->commands[i])
            i++;
        if (i + 1 < sizeof probe->commands / sizeof *probe->commands)
            probe->commands[i] = value;
        break;
    default:
        usage();
    }
}

int main(int argc, char **argv)
{
    static struct probe probe;
    const char *ca = 0;
    const char *how = "";
    WOLFSSL_CTX *ctx = 0;
    int mode = 0;
    int result;
    int c;
    imapconnect_config_init(&probe.config);
    probe.secure = IMAPCONNECT_TLS;
    probe.verify = IMAPCONNECT_VERIFY;
    probe.wire.family = AF_INET;
    probe.wire.fd = -1;
    probe.own = 1;
    probe.user = USER;
    probe.password = PASSWORD;
    probe.config.timeout = 5000;
    while ((c = getopt(argc, argv, "s:kC:P:D:X:w:r:6obt:B:nc:qT:ve:a:E:A:dp:Ri:O:U:W:m:")) != -1)
        if (!tls_option(&probe, c, optarg))
            option(&probe, c, optarg, &ca, &how);
    if (optind + 1 != argc)
        usage();
    if (probe.own) {
        imapconnect_transport own = {&probe.wire, wire_open, wire_read, wire_write, wire_wait, wire_close};
        probe.config.transport = own;
    }
    probe.config.user = &probe;
    wolfSSL_Init();
    if (ca) {
        ctx = shared_context(ca, how);
        probe.config.wolfssl_ctx = ctx;
        mode = wolfSSL_CTX_get_verify_mode(ctx);
    }
    if (imapconnect_init(&probe.session, &probe.config) != 0)
        return 2;
    result = probe_once(&probe, argv[optind]);
    if (probe.twice) {
        probe.wire.size = 0;
        probe.wire.port = probe.twice;
        probe.verify = IMAPCONNECT_VERIFY;
        result = probe_once(&probe, argv[optind]);
    }
    if (ctx) {
        printf("CTX %s\n", wolfSSL_CTX_get_verify_mode(ctx) == mode ? "unchanged" : "changed");
        wolfSSL_CTX_free(ctx);
    }
    return result >= 0 ? 0 : 1;
}
