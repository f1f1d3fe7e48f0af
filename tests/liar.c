/* liar: an IMAP server that lies, for the tests.

       liar [-m 0|1|2] [-2] [-d CERTDIR] [-n NAME] [-k NAME] [-c SUITES] -o PREFIX SCENARIO

   It serves one connection on a loopback port of the system's choice, prints "PORT n", plays the scenario,
   then behaves like an honest server, so that a client which believed the lie gives itself away. PREFIX.raw gets
   every byte that came over the wire, PREFIX.text what the server understood: lines in clear, and what TLS
   decrypted. The assertions are made on those two files and not here.

   -m is the client's `secure`, for the scenarios that have the same lie in all three modes; -2 is TLS 1.2 only;
   -k has the key of another certificate. */

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/settings.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A scenario is a list of steps; the first character says what a step does, the rest is its argument.

     >text    send it; %t is the tag of the client's last command, %n the tag that it will use next
     <WORD    serve honestly until the command WORD has come, and leave that one unanswered
     Ctext    the capabilities that an honest answer to CAPABILITY lists from now on
     M        what an honest server does first in this mode, greeting and STARTTLS included
     m        the same without the greeting: for lies in the greeting (modes 0 and 1)
     T        the TLS handshake
     ~n       wait n milliseconds
     .n text  send the text a byte every n milliseconds, over and over
     *text    send the text without end (1 GB)
     #n text  send the text n times
     r...     three lists of raw bytes, past TLS: see raw_flood()
     K H Y    TLS 1.3 KeyUpdate without end, TLS 1.2 HelloRequest without end, TLS 1.3 tickets without end
     F N R    close with a bare FIN, with close_notify, with RST
     Q        silent until the client goes
     S        serve honestly to the end; the default after the last step */

#define CAPS    "IMAP4rev1 STARTTLS AUTH=CRAM-MD5"
#define HI_TEXT "* OK [CAPABILITY " CAPS "] hi\r\n"
#define HI      ">" HI_TEXT
#define GO      ">" GO_TEXT
#define HELLO   ">* OK hi\r\n"
#define GO_TEXT "%t OK go\r\n"

struct scenario {
    const char *name;
    const char *step[9];
};

static const struct scenario scenarios[] = {
    /* no lie */
    {"honest", {"M"}},
    {"honest-asked", {"m", HELLO}},
    {"case",
     {">* oK hI\r\n", "<CAPABILITY", ">* caPability iMAP4REV1 sTARTtLS\r\n%t oK\r\n", "<STARTTLS", ">%t ok\r\n",
      "T"}},

    /* STARTTLS is taken away */
    {"strip", {"CIMAP4rev1 AUTH=CRAM-MD5", HELLO}},
    {"strip-code", {">* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi\r\n"}},
    {"strip-atom", {"CIMAP4rev1 STARTTLSX XSTARTTLS", HELLO}},
    {"caps-empty", {HELLO, "<CAPABILITY", ">* CAPABILITY\r\n%t OK\r\n"}},
    {"caps-none", {HELLO, "<CAPABILITY", ">%t OK\r\n"}},
    {"caps-no", {HELLO, "<CAPABILITY", ">%t NO\r\n"}},
    {"caps-bad", {HELLO, "<CAPABILITY", ">* CAPABILITY " CAPS "\r\n%t BAD\r\n"}},
    {"not-rev1", {"CIMAP4rev2 STARTTLS AUTH=CRAM-MD5", HELLO}},
    {"starttls-no", {HI, "<STARTTLS", ">%t NO not today\r\n"}},
    {"starttls-bad", {HI, "<STARTTLS", ">%t BAD what\r\n"}},
    {"starttls-plus", {HI, "<STARTTLS", ">+ go on\r\n"}},
    {"starttls-garbage", {HI, "<STARTTLS", ">\x01\x02 %%%% ((( \r\n"}},
    {"starttls-foreign", {HI, "<STARTTLS", ">%tx OK go\r\n", "T"}},
    {"starttls-word", {HI, "<STARTTLS", ">%t OKAY go\r\n", "T"}},
    {"starttls-preauth", {HI, "<STARTTLS", ">%t PREAUTH go\r\n", "T"}},
    {"starttls-bye", {HI, "<STARTTLS", ">* BYE shutting down\r\n"}},
    {"starttls-untagged", {HI, "<STARTTLS", ">* OK go\r\n", "T"}},

    /* bytes behind the OK */
    {"inject-byte", {HI, "<STARTTLS", ">%t OK go\r\nX", "T"}},
    {"inject-lf", {HI, "<STARTTLS", ">%t OK go\r\n\n", "T"}},
    {"inject-record", {HI, "<STARTTLS", ">%t OK go\r\n\x16\x03\x03", "T"}},
    {"inject-full",
     {HI, "<STARTTLS", ">%t OK go\r\n* CAPABILITY IMAP4rev1\r\n%n OK done\r\n* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n",
      "T"}},
    {"inject-split", {HI, "<STARTTLS", ">%t OK go\r", "~30", ">\n* 1 EXISTS\r\n", "T"}},
    {"inject-late", {HI, "<STARTTLS", GO, "~50", ">* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n%n OK done\r\n", "T"}},

    /* answers that come too early, or to nothing */
    {"preauth", {">* PREAUTH [CAPABILITY " CAPS "] welcome\r\n"}},
    {"preauth-asked", {"m", ">* PREAUTH welcome\r\n"}},
    {"preauth-tls", {"T", ">* PREAUTH [CAPABILITY " CAPS "] welcome\r\n"}},
    {"early-ok", {HELLO, "<CAPABILITY", ">* CAPABILITY " CAPS "\r\n%t OK\r\n%n OK begin TLS now\r\n", "T"}},
    {"early-greeting", {"m", ">* OK [CAPABILITY " CAPS "] hi\r\na1 OK done\r\n"}},
    {"foreign-tag", {"M", "<NOOP", ">zz99 OK done\r\n"}},
    {"early-login", {HELLO, "<CAPABILITY", ">* CAPABILITY IMAP4rev1\r\n%t OK\r\n%n OK logged in\r\n"}},

    /* greetings */
    {"greet-exists", {"m", ">* 5 EXISTS\r\n* OK hi\r\n"}},
    {"greet-http", {"m", ">HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"}},
    {"greet-no", {"m", ">* NO go away\r\n"}},
    {"bye", {"m", ">* BYE overloaded\r\n"}},
    {"bye-referral", {"m", ">* BYE [REFERRAL imap://evil.example.org/] elsewhere\r\n"}},
    {"referral", {"m", ">* OK [REFERRAL imap://evil.example.org/] hi\r\n"}},

    /* what was said in clear must be forgotten */
    {"state",
     {">* OK [CAPABILITY " CAPS "] hi\r\n* 77 EXISTS\r\n* LIST () \"/\" forged\r\n", "<STARTTLS",
      ">* 78 EXISTS\r\n%t OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] forged text\r\n", "T", "CIMAP4rev1 LOGINDISABLED"}},

    /* TLS port, but no TLS, or not for long */
    {"plain-on-tls", {HI}},
    {"tls-garbage", {"#2000 \x7fgarbage\r\n", "Q"}},
    {"tls-alert", {"<ClientHello", "ralert", "Q"}},
    {"tls-huge", {"rhuge", "#9000 xxxxxxxx", "Q"}},
    {"tls-drip", {".300 \x16\x03\x03\x40"}},
    {"tls-fin", {"<ClientHello", "F"}},
    {"tls-rst", {"<ClientHello", "R"}},
    {"tls-hello-requests", {"rhello"}},
    {"tls-ccs", {"rccs"}},
    {"tls-warnings", {"rwarning"}},

    /* no end in sight */
    {"silent", {"Q"}},
    {"silent-inside", {"m", "Q"}},
    {"silent-reply", {"M", "<NOOP", "Q"}},
    {"slow", {"m", ">* OK ", ".300 x"}},
    {"slow-lines", {"m", HELLO, "<CAPABILITY", ".60 * 1 EXISTS\r\n"}},
    {"slow-reply", {"M", "<NOOP", ".60 * 1 EXISTS\r\n"}},
    {"endless-greeting", {"m", ">* OK ", "*xxxxxxxx"}},
    {"endless-lines", {"m", HELLO, "<CAPABILITY", "** 1 EXISTS\r\n"}},
    {"endless-bad", {"m", HELLO, "<CAPABILITY", "** BAD you\r\n"}},
    {"endless-caps", {"m", HELLO, "<CAPABILITY", ">* CAPABILITY", "* XX=YYYY"}},
    {"endless-starttls", {HI, "<STARTTLS", "** 1 EXISTS\r\n"}},
    {"endless-login", {"CIMAP4rev1", "m", HELLO, "<LOGIN", "** 1 EXISTS\r\n"}},
    {"endless-reply", {"M", "<NOOP", "** 1 EXISTS\r\n"}},
    {"endless-line", {"M", "<NOOP", ">* X ", "*yyyyyyyy"}},
    {"key-updates", {"m", "K"}},
    {"tickets", {"m", "Y"}},
    {"hello-requests", {"m", "H"}},

    /* much, but not too much: 1,000 lines, and 998 * 65 + 24 + 7 = 64,901 bytes */
    {"many-lines",
     {"m", "CIMAP4rev1", HELLO, "<CAPABILITY",
      "#998 * 1 FETCH (FLAGS (\\Seen) X \"012345678901234567890123456789012\")\r\n",
      ">* CAPABILITY IMAP4rev1\r\n%t OK\r\n"}},

    /* after the login */
    {"lines-reply", {"M", "<NOOP", "#20000 * 1 EXISTS\r\n", ">%t OK\r\n"}},
    {"fin-reply", {"M", "<NOOP", ">* 1 EXI", "F"}},
    {"fin-literal", {"M", "<NOOP", ">* 1 FETCH (BODY[] {100}\r\nhalf", "F"}},
    {"fin-greeting", {"m", ">* OK h", "F"}},
    {"notify-reply", {"M", "<NOOP", ">* 1 EXISTS\r\n", "N"}},
    {"notify-greeting", {"m", ">* OK h", "N"}},
    {"rst-reply", {"M", "<NOOP", "~50", "R"}},
    {"bye-reply", {"M", "<NOOP", ">* BYE so long\r\n", "N"}},
    {"plus-reply", {"M", "<NOOP", ">+ what\r\n"}},
    {"literal-early", {"m", HELLO, "<CAPABILITY", ">* X {4294967295}\r\n", "*zzzzzzzz"}},
    {"literal-early-drip", {"m", HELLO, "<CAPABILITY", ">* X {4294967295}\r\n", ".60 z"}},
    {"literal-drip", {"M", "<NOOP", ">* 1 FETCH (BODY[] {4294967295}\r\n", "#8 z", "~200", "#8 z", "Q"}},
    {"literal-flood", {"M", "<NOOP", ">* 1 FETCH (BODY[] {4294967295}\r\n", "*zzzzzzzz"}},
    {"literal-overflow", {"M", "<NOOP", ">* 1 FETCH (BODY[] {4294967296}\r\nzz)\r\n%t OK\r\n"}},
    {"literal-digits", {"M", "<NOOP", ">* 1 FETCH (BODY[] {00000000002}\r\nzz)\r\n%t OK\r\n"}},
    {"literal-plus", {"M", "<NOOP", ">* 1 FETCH (BODY[] {2+}\r\nzz)\r\n%t OK\r\n"}},

    /* the secrets */
    {"cram-ok", {"M", "<AUTHENTICATE", ">+ PDEuMkB4Pg==\r\n", "<*", ">%t OK in\r\n"}},
    {"cram-early", {"M", "<AUTHENTICATE", ">%t OK in\r\n"}},
    {"cram-bye", {"M", "<AUTHENTICATE", ">* BYE no\r\n"}},
    {"cram-fin", {"M", "<AUTHENTICATE", "F"}},
    {"logindisabled", {"CIMAP4rev1 LoginDisabled", "m", HELLO}},
};

struct liar {
    int fd;
    int mode;
    WOLFSSL_CTX *ctx;
    WOLFSSL *ssl;
    FILE *raw;
    FILE *text;
    const char *caps;
    char tag[32];
    char command[32];
};

/* ---- bytes ---- */

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void milliseconds(long n)
{
    struct timespec t;
    t.tv_sec = n / 1000;
    t.tv_nsec = n % 1000 * 1000000L;
    nanosleep(&t, 0);
}

static void record(FILE *file, const void *bytes, size_t count)
{
    fwrite(bytes, 1, count, file);
    fflush(file);
}

/* Every byte from the wire passes here, in clear and below TLS. */
static int raw_read(struct liar *liar, void *bytes, size_t count)
{
    ssize_t n = recv(liar->fd, bytes, count, 0);
    if (n > 0)
        record(liar->raw, bytes, (size_t)n);
    return (int)n;
}

static int raw_write(struct liar *liar, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t n = send(liar->fd, at, count, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        at += n;
        count -= (size_t)n;
    }
    return 0;
}

static int tls_receive(WOLFSSL *ssl, char *bytes, int count, void *user)
{
    int n = raw_read(user, bytes, (size_t)count);
    (void)ssl;
    return n > 0 ? n : WOLFSSL_CBIO_ERR_CONN_CLOSE;
}

static int tls_send(WOLFSSL *ssl, char *bytes, int count, void *user)
{
    (void)ssl;
    return raw_write(user, bytes, (size_t)count) == 0 ? count : WOLFSSL_CBIO_ERR_CONN_RST;
}

/* One byte at a time: what follows a line may belong to TLS. */
static int get(struct liar *liar)
{
    unsigned char c;
    int n = liar->ssl ? wolfSSL_read(liar->ssl, &c, 1) : raw_read(liar, &c, 1);
    if (n != 1)
        return -1;
    record(liar->text, &c, 1);
    return c;
}

static int put(struct liar *liar, const char *bytes, size_t count)
{
    if (liar->ssl)
        return wolfSSL_write(liar->ssl, bytes, (int)count) == (int)count ? 0 : -1;
    return raw_write(liar, bytes, count);
}

static int get_line(struct liar *liar, char *line, size_t size)
{
    size_t n = 0;
    int c;
    while ((c = get(liar)) != '\n') {
        if (c < 0)
            return -1;
        if (n + 1 < size)
            line[n++] = (char)c;
    }
    line[n] = 0;
    return 0;
}

/* Reads what has come already, so that it is on record and the client never waits for room. */
static void drink(struct liar *liar)
{
    struct pollfd p = {liar->fd, POLLIN, 0};
    char bytes[512];
    int n;
    while (poll(&p, 1, 0) == 1) {
        n = liar->ssl ? wolfSSL_read(liar->ssl, bytes, sizeof bytes) : raw_read(liar, bytes, sizeof bytes);
        if (n <= 0)
            return;
        record(liar->text, bytes, (size_t)n);
    }
}

static void drain(struct liar *liar)
{
    while (get(liar) >= 0)
        continue;
}

/* ---- TLS ---- */

static void handshake(struct liar *liar)
{
    liar->ssl = wolfSSL_new(liar->ctx);
    if (!liar->ssl)
        die("wolfSSL_new");
    wolfSSL_SetIOReadCtx(liar->ssl, liar);
    wolfSSL_SetIOWriteCtx(liar->ssl, liar);
    if (wolfSSL_accept(liar->ssl) != WOLFSSL_SUCCESS) {
        printf("HANDSHAKE failed %d\n", wolfSSL_get_error(liar->ssl, 0));
        fflush(stdout);
        liar->ssl = 0; /* the rest is put on record as it comes */
        drain(liar);
        exit(0);
    }
    printf("HANDSHAKE %s %s\n", wolfSSL_get_version(liar->ssl), wolfSSL_get_cipher(liar->ssl));
    fflush(stdout);
}

/* The tests of wolfSSL's own floods: whatever wolfSSL's server can send again and again. */
static void flood_tls13(struct liar *liar, int (*send_one)(WOLFSSL *))
{
    long i;
    for (i = 0; i < 10000000L; i++) {
        if (send_one(liar->ssl) != WOLFSSL_SUCCESS)
            break;
        drink(liar);
    }
}

/* HelloRequest (RFC 5246 section 7.4.1.1) encrypted by hand, because wolfSSL's server does not send it: AES-GCM
   records with the sequence number as nonce (RFC 5288 section 3). The server's Finished was number 0. */
static void flood_hello_requests(struct liar *liar)
{
    static const unsigned char hello_request[4] = {0, 0, 0, 0};
    unsigned char record_bytes[5 + 8 + 4 + 16] = {22, 3, 3, 0, 8 + 4 + 16};
    unsigned char nonce[12];
    unsigned char aad[13] = {0, 0, 0, 0, 0, 0, 0, 0, 22, 3, 3, 0, 4};
    unsigned long sequence;
    static Aes aes;
    wc_AesInit(&aes, 0, INVALID_DEVID);
    wc_AesGcmSetKey(&aes, wolfSSL_GetServerWriteKey(liar->ssl), (word32)wolfSSL_GetKeySize(liar->ssl));
    memcpy(nonce, wolfSSL_GetServerWriteIV(liar->ssl), 4);
    for (sequence = 1; sequence < 10000000UL; sequence++) {
        int i;
        for (i = 0; i < 8; i++)
            aad[i] = (unsigned char)(i < 4 ? 0 : sequence >> (8 * (7 - i)));
        memcpy(nonce + 4, aad, 8);
        memcpy(record_bytes + 5, aad, 8);
        wc_AesGcmEncrypt(&aes, record_bytes + 13, hello_request, 4, nonce, 12, record_bytes + 17, 16, aad, 13);
        if (raw_write(liar, record_bytes, sizeof record_bytes) != 0)
            break;
        drink(liar);
    }
    wc_AesFree(&aes);
}

/* Records in clear, as a man in the middle can send them. */
static void raw_flood(struct liar *liar, const char *what)
{
    static const struct {
        const char *name;
        long times;
        size_t count;
        unsigned char bytes[9];
    } records[] = {
        {"hello", 10000000L, 9, {22, 3, 3, 0, 4, 0, 0, 0, 0}}, /* HelloRequest */
        {"ccs", 10000000L, 6, {20, 3, 3, 0, 1, 1}},            /* ChangeCipherSpec */
        {"warning", 10000000L, 7, {21, 3, 3, 0, 2, 1, 90}},    /* warning: user_canceled */
        {"alert", 1, 7, {21, 3, 3, 0, 2, 2, 40}},              /* fatal: handshake_failure */
        {"huge", 1, 5, {22, 3, 3, 0xff, 0xff}},                /* RFC 8446 section 5.1: at most 2^14 + 256 */
    };
    size_t i;
    long n;
    for (i = 0; strcmp(records[i].name, what) != 0; i++)
        continue;
    for (n = 0; n < records[i].times; n++) {
        if (raw_write(liar, records[i].bytes, records[i].count) != 0)
            break;
        drink(liar);
    }
}

/* ---- an honest server ---- */

/* Sends a text with the tags filled in. */
static int say(struct liar *liar, const char *text)
{
    char out[1024];
    size_t n = 0;
    for (; *text && n + sizeof liar->tag + 1 < sizeof out; text++) {
        if (text[0] == '%' && text[1] == 't') {
            n += (size_t)sprintf(out + n, "%s", liar->tag);
            text++;
        } else if (text[0] == '%' && text[1] == 'n') {
            size_t digits = strcspn(liar->tag, "0123456789");
            n += (size_t)sprintf(out + n, "%.*s%0*ld", (int)digits, liar->tag, (int)strlen(liar->tag + digits),
                                 strtol(liar->tag + digits, 0, 10) + 1);
            text++;
        } else {
            if (text[0] == '%' && text[1] == '%')
                text++;
            out[n++] = *text;
        }
    }
    return put(liar, out, n);
}

/* The literals of a LOGIN: each {n} at the end of a line gets its "+", RFC 3501 section 4.3. */
static int literals(struct liar *liar, char *line, size_t size)
{
    for (;;) {
        char *brace = strrchr(line, '{');
        long n;
        if (!brace || !strchr(brace, '}') || strchr(brace, '}')[1] != '\r')
            return 0;
        if (say(liar, "+ go on\r\n") != 0)
            return -1;
        for (n = strtol(brace + 1, 0, 10); n > 0; n--) {
            if (get(liar) < 0)
                return -1;
        }
        if (get_line(liar, line, size) != 0)
            return -1;
    }
}

static int answer(struct liar *liar, char *line, size_t size)
{
    char text[256];
    if (strcmp(liar->command, "CAPABILITY") == 0) {
        sprintf(text, "* CAPABILITY %.200s\r\n%%t OK done\r\n", liar->caps);
        return say(liar, text);
    }
    if (strcmp(liar->command, "AUTHENTICATE") == 0) {
        /* refused, so that the LOGIN is seen too */
        if (say(liar, "+ PDEuMkB4Pg==\r\n") != 0 || get_line(liar, line, size) != 0)
            return -1;
        return say(liar, "%t NO wrong\r\n");
    }
    if (strcmp(liar->command, "STARTTLS") == 0) {
        if (say(liar, "%t OK go\r\n") != 0)
            return -1;
        handshake(liar);
        return 0;
    }
    if (strcmp(liar->command, "LOGOUT") == 0)
        return say(liar, "* BYE\r\n%t OK\r\n");
    if (strcmp(liar->command, "LOGIN") == 0 && literals(liar, line, size) != 0)
        return -1;
    return say(liar, "%t OK done\r\n");
}

/* Serves until the command `until` has come, which is not answered; "*" is any line. 0 is for ever. */
static int serve(struct liar *liar, const char *until)
{
    char line[2048];
    for (;;) {
        if (get_line(liar, line, sizeof line) != 0)
            return -1;
        if (until && strcmp(until, "*") == 0)
            return 0;
        if (sscanf(line, "%31s %31s", liar->tag, liar->command) != 2)
            continue;
        if (until && strcmp(liar->command, until) == 0)
            return 0;
        if (answer(liar, line, sizeof line) != 0)
            return -1;
    }
}

/* ---- the scenario ---- */

static int repeat(struct liar *liar, const char *text, long times)
{
    size_t size = strlen(text);
    char many[4096];
    size_t fit = sizeof many / size;
    size_t i;
    for (i = 0; i < fit; i++)
        memcpy(many + i * size, text, size);
    while (times > 0) {
        size_t n = (size_t)times < fit ? (size_t)times : fit;
        if (put(liar, many, n * size) != 0)
            return -1;
        drink(liar);
        times -= (long)n;
    }
    return 0;
}

static int drip(struct liar *liar, const char *argument)
{
    char *text;
    long pause = strtol(argument, &text, 10);
    size_t i = 0;
    text++;
    for (;;) {
        if (put(liar, text + i, 1) != 0)
            return -1;
        drink(liar);
        milliseconds(pause);
        i = text[i + 1] ? i + 1 : 0;
    }
}

static int several(struct liar *liar, const char *argument)
{
    char *text;
    long n = strtol(argument, &text, 10);
    return repeat(liar, text + 1, n);
}

static int begin(struct liar *liar, int greet)
{
    if (liar->mode == 1)
        handshake(liar);
    if (greet && say(liar, HI_TEXT) != 0)
        return -1;
    if (liar->mode == 2 && greet) {
        if (serve(liar, "STARTTLS") != 0 || say(liar, GO_TEXT) != 0)
            return -1;
        handshake(liar);
    }
    return 0;
}

/* Waits for the first bytes of a handshake without reading them away from TLS. */
static int until(struct liar *liar, const char *word)
{
    char bytes[2048];
    if (strcmp(word, "ClientHello") == 0)
        return raw_read(liar, bytes, sizeof bytes) > 0 ? 0 : -1;
    return serve(liar, word);
}

static int finish(struct liar *liar, char how)
{
    struct linger hard = {1, 0};
    if (how == 'R') {
        setsockopt(liar->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(liar->fd);
        exit(0);
    }
    if (how == 'N' && liar->ssl)
        wolfSSL_shutdown(liar->ssl);
    shutdown(liar->fd, SHUT_WR);
    return -1;
}

static int special(struct liar *liar, char what, const char *argument)
{
    if (what == 'r')
        raw_flood(liar, argument);
    else if (what == 'K')
        flood_tls13(liar, wolfSSL_update_keys);
    else if (what == 'Y')
        flood_tls13(liar, wolfSSL_send_SessionTicket);
    else if (what == 'H')
        flood_hello_requests(liar);
    return what == 'r' ? 0 : -1;
}

/* Returns -1 when the connection is over. */
static int play(struct liar *liar, const char *step)
{
    switch (*step) {
    case '>':
        return say(liar, step + 1);
    case '<':
        return until(liar, step + 1);
    case 'C':
        liar->caps = step + 1;
        return 0;
    case 'M':
    case 'm':
        return begin(liar, *step == 'M');
    case 'T':
        handshake(liar);
        return 0;
    case '~':
        milliseconds(strtol(step + 1, 0, 10));
        return 0;
    case '.':
        return drip(liar, step + 1);
    case '*':
        return repeat(liar, step + 1, 1000000000L / (long)strlen(step + 1));
    case '#':
        return several(liar, step + 1);
    case 'F':
    case 'N':
    case 'R':
        return finish(liar, *step);
    case 'Q':
        return -1;
    default:
        return special(liar, *step, step + 1);
    }
}

static const struct scenario *find(const char *name)
{
    size_t i;
    for (i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    }
    fprintf(stderr, "liar: no scenario %s\n", name);
    exit(2);
}

/* ---- the start ---- */

static FILE *create(const char *prefix, const char *suffix)
{
    char path[512];
    FILE *file;
    snprintf(path, sizeof path, "%s%s", prefix, suffix);
    file = fopen(path, "wb");
    if (!file)
        die(path);
    return file;
}

static void tls_setup(struct liar *liar, const char *directory, const char *name, const char *whose,
                      const char *suites, int only_12)
{
    char cert[512];
    char key[512];
    snprintf(cert, sizeof cert, "%s/%s.pem", directory, name);
    snprintf(key, sizeof key, "%s/%s.key", directory, whose);
    wolfSSL_Init();
    liar->ctx = wolfSSL_CTX_new(only_12 ? wolfTLSv1_2_server_method() : wolfSSLv23_server_method());
    if (!liar->ctx || wolfSSL_CTX_use_certificate_chain_file(liar->ctx, cert) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_use_PrivateKey_file(liar->ctx, key, WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
        die(cert);
    if (suites && wolfSSL_CTX_set_cipher_list(liar->ctx, suites) != WOLFSSL_SUCCESS)
        die(suites);
    wolfSSL_CTX_SetIORecv(liar->ctx, tls_receive);
    wolfSSL_CTX_SetIOSend(liar->ctx, tls_send);
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    printf("PORT %u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    static struct liar liar;
    const struct scenario *scenario;
    const char *directory = 0;
    const char *name = "good";
    const char *whose = 0;
    const char *suites = 0;
    int only_12 = 0;
    const char *prefix = "liar";
    int listener;
    int one = 1;
    int c;
    size_t i;
    while ((c = getopt(argc, argv, "m:2d:n:k:c:o:")) != -1) {
        if (c == 'm')
            liar.mode = atoi(optarg);
        else if (c == '2')
            only_12 = 1;
        else if (c == 'd')
            directory = optarg;
        else if (c == 'n')
            name = optarg;
        else if (c == 'k')
            whose = optarg;
        else if (c == 'c')
            suites = optarg;
        else if (c == 'o')
            prefix = optarg;
        else
            return 2;
    }
    if (optind + 1 != argc)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    alarm(20); /* whatever happens, it ends */
    scenario = find(argv[optind]);
    liar.caps = CAPS;
    liar.raw = create(prefix, ".raw");
    liar.text = create(prefix, ".text");
    if (directory)
        tls_setup(&liar, directory, name, whose ? whose : name, suites, only_12);
    listener = listen_on_loopback();
    liar.fd = accept(listener, 0, 0);
    if (liar.fd < 0)
        die("accept");
    setsockopt(liar.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (i = 0; scenario->step[i]; i++) {
        if (play(&liar, scenario->step[i]) != 0)
            break;
    }
    if (!scenario->step[i])
        serve(&liar, 0);
    drain(&liar);
    /* close_notify is for an orderly end */
    printf("END %s\n", liar.ssl && (wolfSSL_get_shutdown(liar.ssl) & WOLFSSL_RECEIVED_SHUTDOWN) ? "notify" : "fin");
    return 0;
}
