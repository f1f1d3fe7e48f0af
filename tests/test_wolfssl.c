/* Rooms >>x509 and >>wolfssl: certificates that are made here byte by byte, names, signatures, the verify callback, and
   the transport below TLS. Live certificates and handshakes are in tls.sh. */

#include "test.h"

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/wc_port.h>

#include <unistd.h>

static int trusts_all;   /* the second look at the leaf finds nothing */
static time_t pretended; /* 0: as it is */

static int verify_buffer(WOLFSSL_CERT_MANAGER *manager, const unsigned char *bytes, long count, int format)
{
    return trusts_all ? WOLFSSL_SUCCESS : wolfSSL_CertManagerVerifyBuffer(manager, bytes, count, format);
}

static int get_time(void *time, word32 size)
{
    if (pretended == 0)
        return wc_GetTime(time, size);
    memcpy(time, &pretended, size);
    return 0;
}

#define wolfSSL_CertManagerVerifyBuffer verify_buffer
#define wc_GetTime                      get_time

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#undef wolfSSL_CertManagerVerifyBuffer
#undef wc_GetTime

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- making DER, X.690 section 8.1 ---- */

typedef struct der {
    unsigned char bytes[2000];
    size_t count;
} der;

static void add(der *to, const void *bytes, size_t count)
{
    assert_true(to->count + count <= sizeof to->bytes);
    memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
}

static void add_element(der *to, int tag, const void *content, size_t count)
{
    unsigned char head[4];
    size_t used = 0;

    head[used++] = (unsigned char)tag;
    if (count > 255) {
        head[used++] = 0x82;
        head[used++] = (unsigned char)(count >> 8);
    } else if (count > 127) {
        head[used++] = 0x81;
    }
    head[used++] = (unsigned char)count;
    add(to, head, used);
    add(to, content, count);
}

static void add_in(der *to, int tag, const der *content)
{
    add_element(to, tag, content->bytes, content->count);
}

/* Object identifiers, X.690 section 8.19: 1.2.840.113549.1.1.n, 1.2.840.10045.4.3.n, 2.16.840.1.101.3.4.2.n. */
#define PKCS1(n) "\x2a\x86\x48\x86\xf7\x0d\x01\x01" n
#define ECDSA(n) "\x2a\x86\x48\xce\x3d\x04\x03" n
#define NIST(n)  "\x60\x86\x48\x01\x65\x03\x04\x02" n
#define ALT_NAME "\x55\x1d\x11"

/* What is inside of an AlgorithmIdentifier: the OID, and NULL for RSA. */
static void make_algorithm(der *to, const char *oid)
{
    to->count = 0;
    add_element(to, 0x06, oid, strlen(oid));
    add_element(to, 0x05, "", 0);
}

static void make_name(der *to, const char *common_name)
{
    der type = {{0}, 0}, set = {{0}, 0};

    add_element(&type, 0x06, "\x55\x04\x03", 3); /* commonName */
    add_element(&type, 0x0c, common_name, strlen(common_name));
    add_in(&set, 0x30, &type);
    to->count = 0;
    add_in(to, 0x31, &set);
}

/* The parts of a certificate that the walk looks at. */
typedef struct parts {
    const char *issuer, *subject;
    der algorithm;
    der names;    /* the GeneralNames, without their SEQUENCE */
    int critical; /* subjectAltName is */
    int no_names, no_extensions, version_1;
} parts;

static void begin_parts(parts *p)
{
    memset(p, 0, sizeof *p);
    p->issuer = "CA";
    p->subject = "imap.example.org"; /* the common name, which must never count */
    make_algorithm(&p->algorithm, PKCS1("\x0b"));
}

static void add_name(parts *p, int tag, const char *bytes, size_t count)
{
    add_element(&p->names, tag, bytes, count);
}

static void make_extensions(der *out, const parts *p)
{
    der one = {{0}, 0}, list = {{0}, 0}, names = {{0}, 0};

    add_element(&one, 0x06, "\x55\x1d\x0f", 3); /* keyUsage, critical, and something that looks like a name */
    add_element(&one, 0x01, "\xff", 1);
    add_element(&one, 0x04, "\x30\x12\x82\x10imap.example.org", 20);
    add_in(&list, 0x30, &one);
    if (!p->no_names) {
        one.count = 0;
        add_in(&names, 0x30, &p->names);
        add_element(&one, 0x06, ALT_NAME, 3);
        if (p->critical)
            add_element(&one, 0x01, "\xff", 1);
        add_in(&one, 0x04, &names);
        add_in(&list, 0x30, &one);
    }
    out->count = 0;
    add_in(out, 0x30, &list);
}

/* RFC 5280 section 4.1. */
static void make_certificate(der *out, const parts *p)
{
    der body = {{0}, 0}, part = {{0}, 0}, whole = {{0}, 0};

    if (!p->version_1)
        add_element(&body, 0xa0, "\x02\x01\x02", 3);
    add_element(&body, 0x02, "\x01\x23\x45", 3);
    add_in(&body, 0x30, &p->algorithm);
    make_name(&part, p->issuer);
    add_in(&body, 0x30, &part);
    add_element(&body, 0x30,
                "\x17\x0d"
                "250101000000Z"
                "\x17\x0d"
                "350101000000Z",
                30);
    make_name(&part, p->subject);
    add_in(&body, 0x30, &part);
    add_element(&body, 0x30, "\x30\x03\x06\x01\x2a\x03\x02\x00\x01", 9);
    if (!p->no_extensions) {
        make_extensions(&part, p);
        add_in(&body, 0xa3, &part);
    }
    add_in(&whole, 0x30, &body);
    add_in(&whole, 0x30, &p->algorithm);
    add_element(&whole, 0x03, "\x00\x12\x34", 3);
    out->count = 0;
    add_in(out, 0x30, &whole);
}

/* The first place where `text` stands in it. */
static unsigned char *find(der *in, const char *text)
{
    size_t i, count = strlen(text);

    for (i = 0; i + count <= in->count; i++)
        if (memcmp(in->bytes + i, text, count) == 0)
            return in->bytes + i;
    fail_msg("no '%s'", text);
    return 0;
}

/* ---- the walk ---- */

/* Bytes in memory of exactly their size. */
static unsigned char *exactly(const void *bytes, size_t count)
{
    unsigned char *exact = malloc(count > 0 ? count : 1);

    assert_non_null(exact);
    memcpy(exact, bytes, count);
    return exact;
}

static void expect_next(const char *bytes, size_t count, int tag, size_t content, size_t rest)
{
    unsigned char *exact = exactly(bytes, count);
    imc_slice left, inside = {0, 0};

    left.bytes = exact;
    left.count = count;
    assert_int_equal(imc_der_next(&left, &inside), tag);
    if (tag != 0) {
        assert_int_equal(inside.count, content);
        assert_int_equal(left.count, rest);
        assert_ptr_equal(left.bytes, exact + count - rest);
        assert_ptr_equal(inside.bytes, left.bytes - content);
    }
    free(exact);
}

static void elements_and_their_lengths(void **state)
{
    char longer[400];

    (void)state;
    expect_next("\x30\x00", 2, 0x30, 0, 0);
    expect_next("\x04\x02\x61\x62", 4, 0x04, 2, 0);
    expect_next("\x04\x02\x61\x62\x05\x00", 6, 0x04, 2, 2);
    expect_next("\x04\x81\x02\x61\x62", 5, 0x04, 2, 0);
    expect_next("\x04\x82\x00\x02\x61\x62\xff", 7, 0x04, 2, 1);
    expect_next("\x04\x84\x00\x00\x00\x01\x61", 7, 0x04, 1, 0);
    memset(longer, 0, sizeof longer);
    memcpy(longer, "\x04\x80", 2); /* BER's indefinite length, and no 128 */
    expect_next(longer, sizeof longer, 0, 0, 0);
    memcpy(longer, "\x04\x81\xff", 3);
    expect_next(longer, 3 + 255 + 4, 0x04, 255, 4);
    memcpy(longer, "\x04\x82\x01\x00", 4);
    expect_next(longer, 4 + 256, 0x04, 256, 0);
    longer[1] = 0x7f;
    expect_next(longer, 2 + 127, 0x04, 127, 0);
}

static void elements_that_are_none(void **state)
{
    char indefinite[2 + 0x88] = {0x04, (char)0x80}; /* longer than its second byte, whatever that is taken for */

    (void)state;
    expect_next(indefinite, sizeof indefinite, 0, 0, 0);
    indefinite[1] = (char)0x85;
    expect_next(indefinite, sizeof indefinite, 0, 0, 0);
    expect_next("", 0, 0, 0, 0);
    expect_next("\x30", 1, 0, 0, 0);
    expect_next("\x04\x01", 2, 0, 0, 0);
    expect_next("\x04\x03\x61\x62", 4, 0, 0, 0);
    expect_next("\x04\x80\x61\x00\x00", 5, 0, 0, 0);
    expect_next("\x04\x81", 2, 0, 0, 0);
    expect_next("\x04\x82\x00", 3, 0, 0, 0);
    expect_next("\x04\x84\x00\x00\x00", 5, 0, 0, 0);
    expect_next("\x04\x85\x00\x00\x00\x00\x01\x61", 8, 0, 0, 0);
    expect_next("\x04\x84\xff\xff\xff\xff\x61", 7, 0, 0, 0);
    expect_next("\x04\x88\xff\xff\xff\xff\xff\xff\xff\xff\x61", 11, 0, 0, 0);
    expect_next("\x04\xff\x61", 3, 0, 0, 0);
}

/* One that is not there is not taken, and leaves nothing behind. */
static void only_the_tag_that_is_wanted_is_taken(void **state)
{
    imc_slice rest, content = {0, 7};

    (void)state;
    rest.bytes = (const unsigned char *)"\x04\x01\x61";
    rest.count = 3;
    assert_int_equal(imc_der_take(&rest, 0x30, &content), 0);
    assert_int_equal(rest.count, 3);
    assert_int_equal(content.count, 0);
    assert_int_equal(imc_der_take(&rest, 0x04, &content), 1);
    assert_int_equal(rest.count, 0);
    assert_int_equal(content.count, 1);
    assert_int_equal(imc_der_take(&rest, 0x04, &content), 0);
    assert_int_equal(content.count, 0);
}

static void a_certificate_is_taken_apart(void **state)
{
    parts p;
    der certificate;
    imc_certificate found;

    (void)state;
    begin_parts(&p);
    add_name(&p, 0x82, "a.example", 9);
    make_certificate(&certificate, &p);
    assert_int_equal(imc_der_certificate(certificate.bytes, certificate.count, &found), 1);
    assert_int_equal(found.algorithm.count, p.algorithm.count);
    assert_memory_equal(found.algorithm.bytes, p.algorithm.bytes, p.algorithm.count);
    assert_true(found.extensions.count > 0);

    p.version_1 = p.no_extensions = 1; /* both parts may be missing */
    make_certificate(&certificate, &p);
    assert_int_equal(imc_der_certificate(certificate.bytes, certificate.count, &found), 1);
    assert_int_equal(found.extensions.count, 0);
}

static int is_named(const unsigned char *bytes, size_t count, const imapconnect_server *server)
{
    imc_certificate certificate;

    return imc_der_certificate(bytes, count, &certificate) && imc_x509_signature_is_strong(&certificate) &&
           imc_x509_is_named(&certificate, server);
}

static void parse_server(imapconnect_server *server, const char *text)
{
    assert_int_equal(imc_names_parse(server, text, 993), 0);
}

/* Cut anywhere, it is none: its outermost length says so. Inside it, too: what is cut there with the lengths put right
   names nobody. */
static void every_truncation_is_refused(void **state)
{
    parts p;
    der certificate;
    imapconnect_server server;
    imc_certificate found;
    char padding[200];
    size_t count;

    (void)state;
    begin_parts(&p);
    memset(padding, 'x', sizeof padding); /* a length of two bytes, so that it can be put right */
    add_name(&p, 0x82, padding, sizeof padding);
    add_name(&p, 0x82, "imap.example.org", 16);
    make_certificate(&certificate, &p);
    parse_server(&server, "imap.example.org");
    assert_int_equal(is_named(certificate.bytes, certificate.count, &server), 1);
    for (count = 0; count < certificate.count; count++) {
        unsigned char *exact = exactly(certificate.bytes, count);

        assert_int_equal(imc_der_certificate(exact, count, &found), 0);
        free(exact);
    }
    for (count = 4; count < certificate.count; count++) { /* the outer length is that of what is left */
        unsigned char *exact = exactly(certificate.bytes, count);

        assert_int_equal(exact[1], 0x82);
        exact[2] = (unsigned char)((count - 4) >> 8);
        exact[3] = (unsigned char)(count - 4);
        if (count + 5 < certificate.count) /* the signature itself is not looked at */
            assert_int_equal(is_named(exact, count, &server), 0);
        free(exact);
    }
}

/* Every byte in turn becomes every other: nothing is read outside, and no other name comes out of it. */
static void every_mutation_is_survived(void **state)
{
    parts p;
    der certificate;
    imapconnect_server server;
    size_t at, named = 0;
    int value;

    (void)state;
    begin_parts(&p);
    add_name(&p, 0x82, "a.example", 9);
    add_name(&p, 0x87, "\x7f\x00\x00\x01", 4);
    make_certificate(&certificate, &p);
    parse_server(&server, "evil.example");
    for (at = 0; at < certificate.count; at++) {
        unsigned char *exact = exactly(certificate.bytes, certificate.count);

        for (value = 0; value < 256; value++) {
            exact[at] = (unsigned char)value;
            named += (size_t)is_named(exact, certificate.count, &server);
        }
        free(exact);
    }
    assert_int_equal(named, 0);
}

/* ---- names ---- */

static void expect_match(const char *pattern, const char *host, int expected)
{
    unsigned char *exact = exactly(pattern, strlen(pattern));
    char *exact_host = (char *)exactly(host, strlen(host));
    imc_slice name;

    name.bytes = exact;
    name.count = strlen(pattern);
    if (imc_x509_name_matches(&name, exact_host, strlen(host)) != expected)
        fail_msg("'%s' and '%s'", pattern, host);
    free(exact);
    free(exact_host);
}

/* RFC 9525 section 6.3; SECURITY.md section 1. */
static void names_and_wildcards(void **state)
{
    (void)state;
    expect_match("imap.example.org", "imap.example.org", 1);
    expect_match("IMAP.Example.ORG", "imap.example.org", 1);
    expect_match("imap.example.org", "IMAP.EXAMPLE.ORG", 1);
    expect_match("localhost", "localhost", 1);
    expect_match("xn--bcher-kva.example", "xn--bcher-kva.example", 1);
    expect_match("imap.example.org", "imap.example.com", 0);
    expect_match("imap.example.org", "ximap.example.org", 0);
    expect_match("ximap.example.org", "imap.example.org", 0);
    expect_match("imap.example.org", "imap.example.orgx", 0);
    expect_match("example.org", "imap.example.org", 0);
    expect_match("", "imap.example.org", 0);
    expect_match("imap.example.org.", "imap.example.org", 0);
    expect_match("imap_example.org", "imap.example.org", 0);
    expect_match("imap.example.orG", "imap.example.or'", 0); /* differ in bit 5 alone, and are no letters */
    expect_match("i@ap.example.org", "i`ap.example.org", 0);

    expect_match("*.example.org", "imap.example.org", 1);
    expect_match("*.EXAMPLE.org", "a.example.ORG", 1);
    expect_match("*.a.b.example.org", "x.a.b.example.org", 1);
    expect_match("*.example.org", "example.org", 0);
    expect_match("*.example.org", ".example.org", 0);
    expect_match("*.example.org", "localhost", 0);
    expect_match("*.example.org", "a.b.example.org", 0); /* one label alone */
    expect_match("*.example.org", "imapexample.org", 0);
    expect_match("*.example.org", "imap.example.com", 0);
    expect_match("*.example.org", "imap.example.org.", 0);
    expect_match("*.example.org.", "imap.example.org", 0);
    expect_match("*.org", "example.org", 0); /* two labels behind it */
    expect_match("*.org.", "example.org", 0);
    expect_match("*.org.", "example.org.", 0);
    expect_match("*.", "a.", 0);
    expect_match("*", "localhost", 0);
    expect_match("*", "a", 0);
    expect_match("i*.example.org", "imap.example.org", 0); /* the whole label alone */
    expect_match("*p.example.org", "imap.example.org", 0);
    expect_match("im*p.example.org", "imap.example.org", 0);
    expect_match("**.example.org", "imap.example.org", 0);
    expect_match("imap.*.org", "imap.example.org", 0);
    expect_match("*.*.org", "imap.example.org", 0);
    expect_match("*.*", "example.org", 0);
    expect_match("xn--*.example.org", "xn--a.example.org", 0);
}

/* The classic: a NUL in the certificate's name. */
static void a_nul_ends_no_name(void **state)
{
    static const char pattern[] = "imap.example.org\0.evil.example";
    imc_slice name;

    (void)state;
    name.bytes = (const unsigned char *)pattern;
    name.count = sizeof pattern - 1;
    assert_int_equal(imc_x509_name_matches(&name, "imap.example.org", 16), 0);
}

/* A certificate with one general name, and the server that was asked for. */
static void expect_named(int tag, const char *bytes, size_t count, const char *server_text, int expected)
{
    parts p;
    der certificate;
    imapconnect_server server;
    unsigned char *exact;

    begin_parts(&p);
    add_name(&p, tag, bytes, count);
    make_certificate(&certificate, &p);
    parse_server(&server, server_text);
    exact = exactly(certificate.bytes, certificate.count);
    if (is_named(exact, certificate.count, &server) != expected)
        fail_msg("tag %02x, '%.*s', server %s", (unsigned)tag, (int)count, bytes, server_text);
    free(exact);
}

enum { MAIL = 0x81, DNS = 0x82, DIRECTORY = 0xa4, URI = 0x86, ADDRESS = 0x87, OTHER = 0xa0 };

/* dNSName for names, iPAddress for addresses, nothing else; the subject's common name is that of the server. */
static void names_count_by_their_type(void **state)
{
    static const char six[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
    static const char mapped[] = "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1";

    (void)state;
    expect_named(DNS, "imap.example.org", 16, "imap.example.org", 1);
    expect_named(DNS, "*.example.org", 13, "imap.example.org", 1);
    expect_named(DNS, "imap.example.org", 16, "imap.example.org.", 1); /* one dot is stripped */
    expect_named(DNS, "imap.example.org", 16, "imap.example.org:1143", 1);
    expect_named(DNS, "other.example.org", 17, "imap.example.org", 0);
    expect_named(URI, "imap.example.org", 16, "imap.example.org", 0);
    expect_named(URI, "imaps://imap.example.org", 24, "imap.example.org", 0);
    expect_named(MAIL, "imap.example.org", 16, "imap.example.org", 0);
    expect_named(OTHER, "imap.example.org", 16, "imap.example.org", 0);
    expect_named(DIRECTORY, "imap.example.org", 16, "imap.example.org", 0);
    expect_named(0x02, "imap.example.org", 16, "imap.example.org", 0);
    expect_named(0xa2, "imap.example.org", 16, "imap.example.org", 0);

    expect_named(ADDRESS, "\x7f\0\0\1", 4, "127.0.0.1", 1);
    expect_named(ADDRESS, "\x7f\0\0\2", 4, "127.0.0.1", 0);
    expect_named(ADDRESS, "\x7f\0\0\1\xff\xff\xff\xff", 8, "127.0.0.1", 0); /* a range is for name constraints */
    expect_named(ADDRESS, "\x7f\0\0", 3, "127.0.0.1", 0);
    expect_named(ADDRESS, "", 0, "127.0.0.1", 0);
    expect_named(ADDRESS, mapped, 16, "127.0.0.1", 0);
    expect_named(ADDRESS, six, 16, "::1", 1);
    expect_named(ADDRESS, six, 16, "[0:0:0:0:0:0:0:1]:993", 1);
    expect_named(ADDRESS, six, 16, "::2", 0);
    expect_named(ADDRESS, "\x7f\0\0\1", 4, "::1", 0);
    expect_named(DNS, "127.0.0.1", 9, "127.0.0.1", 0); /* as a text it does not count */
    expect_named(DNS, "*.0.0.1", 7, "127.0.0.1", 0);
    expect_named(DNS, "::1", 3, "::1", 0);
    expect_named(ADDRESS, "imap", 4, "imap", 0);
    expect_named(ADDRESS, "", 0, "imap.example.org", 0);
}

static void which_names_are_looked_at(void **state)
{
    parts p;
    der certificate;
    imapconnect_server server;

    (void)state;
    parse_server(&server, "imap.example.org");
    begin_parts(&p);
    add_name(&p, MAIL, "joe@example.org", 15); /* the last of many */
    add_name(&p, DNS, "other.example.org", 17);
    add_name(&p, ADDRESS, "\x7f\0\0\1", 4);
    add_name(&p, DNS, "imap.example.org", 16);
    make_certificate(&certificate, &p);
    assert_int_equal(is_named(certificate.bytes, certificate.count, &server), 1);
    p.critical = 1;
    make_certificate(&certificate, &p);
    assert_int_equal(is_named(certificate.bytes, certificate.count, &server), 1);
    p.no_names = 1; /* without subjectAltName the common name does not count, nor what stands elsewhere */
    make_certificate(&certificate, &p);
    assert_int_equal(is_named(certificate.bytes, certificate.count, &server), 0);
    p.no_extensions = 1;
    make_certificate(&certificate, &p);
    assert_int_equal(is_named(certificate.bytes, certificate.count, &server), 0);

    begin_parts(&p); /* an empty list, and one that ends in the middle of a name */
    make_certificate(&certificate, &p);
    assert_int_equal(is_named(certificate.bytes, certificate.count, &server), 0);
    add(&p.names, "\x82\x20imap.example.org", 18);
    make_certificate(&certificate, &p);
    assert_int_equal(is_named(certificate.bytes, certificate.count, &server), 0);
}

/* ---- signatures ---- */

static int strong(const der *algorithm)
{
    parts p;
    der certificate;
    imc_certificate found;

    begin_parts(&p);
    p.algorithm = *algorithm;
    make_certificate(&certificate, &p);
    assert_int_equal(imc_der_certificate(certificate.bytes, certificate.count, &found), 1);
    return imc_x509_signature_is_strong(&found);
}

/* RFC 4055, RFC 5758, RFC 8410: SHA-256 or better. */
static void signature_algorithms(void **state)
{
    static const struct {
        const char *oid;
        int strong;
    } cases[] = {{PKCS1("\x0b"), 1},                  /* sha256WithRSAEncryption */
                 {PKCS1("\x0c"), 1},                  /* sha384 */
                 {PKCS1("\x0d"), 1},                  /* sha512 */
                 {PKCS1("\x0e"), 0},                  /* sha224 */
                 {PKCS1("\x05"), 0},                  /* sha1 */
                 {PKCS1("\x04"), 0},                  /* md5 */
                 {PKCS1("\x02"), 0},                  /* md2 */
                 {PKCS1("\x01"), 0},                  /* rsaEncryption is no signature */
                 {PKCS1("\x0b\x01"), 0},              /* longer than it should be */
                 {ECDSA("\x02"), 1},                  /* ecdsa-with-SHA256 */
                 {ECDSA("\x03"), 1},                  /* SHA384 */
                 {ECDSA("\x04"), 1},                  /* SHA512 */
                 {ECDSA("\x01"), 0},                  /* SHA224 */
                 {"\x2a\x86\x48\xce\x3d\x04\x01", 0}, /* ecdsa-with-SHA1 */
                 {"\x2b\x65\x70", 1},                 /* Ed25519 */
                 {"\x2b\x65\x71", 1},                 /* Ed448 */
                 {"\x2b\x65\x6e", 0},                 /* X25519 is no signature */
                 {"\x2b\x65\x70\x01", 0},
                 {"\x2a\x86\x48\xce\x38\x04\x03", 0}, /* DSA with SHA-1 */
                 {"\x2b\x0e\x03\x02\x1d", 0},         /* sha1WithRSA of OIW */
                 {NIST("\x01"), 0},                   /* a hash alone */
                 {"", 0}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        der algorithm;

        make_algorithm(&algorithm, cases[i].oid);
        if (strong(&algorithm) != cases[i].strong)
            fail_msg("algorithm %zu", i);
    }
}

/* RSASSA-PSS with this hash; RFC 4055 section 3.1. */
static void make_pss(der *to, const char *hash, int tag)
{
    der identifier = {{0}, 0}, sequence = {{0}, 0}, parameters = {{0}, 0};

    add_element(&identifier, 0x06, hash, strlen(hash));
    add_in(&sequence, 0x30, &identifier);
    add_in(&parameters, tag, &sequence);
    to->count = 0;
    add_element(to, 0x06, PKCS1("\x0a"), 9);
    add_in(to, 0x30, &parameters);
}

static void the_hash_of_pss(void **state)
{
    der algorithm;

    (void)state;
    make_pss(&algorithm, NIST("\x01"), 0xa0);
    assert_int_equal(strong(&algorithm), 1);
    make_pss(&algorithm, NIST("\x02"), 0xa0);
    assert_int_equal(strong(&algorithm), 1);
    make_pss(&algorithm, NIST("\x03"), 0xa0);
    assert_int_equal(strong(&algorithm), 1);
    make_pss(&algorithm, NIST("\x04"), 0xa0); /* SHA-224 */
    assert_int_equal(strong(&algorithm), 0);
    make_pss(&algorithm, NIST("\x01\x01"), 0xa0);
    assert_int_equal(strong(&algorithm), 0);
    make_pss(&algorithm, "\x2b\x0e\x03\x02\x1a", 0xa0); /* SHA-1 */
    assert_int_equal(strong(&algorithm), 0);
    make_pss(&algorithm, NIST("\x01"), 0xa1); /* of the mask, not of the message: that has SHA-1 then */
    assert_int_equal(strong(&algorithm), 0);
    make_algorithm(&algorithm, PKCS1("\x0a")); /* NULL for parameters: the defaults, SHA-1 */
    assert_int_equal(strong(&algorithm), 0);
    algorithm.count = 11; /* none at all */
    assert_int_equal(strong(&algorithm), 0);
    add_element(&algorithm, 0x30, "", 0); /* empty ones */
    assert_int_equal(strong(&algorithm), 0);
    algorithm.count = 11; /* the hash is no AlgorithmIdentifier, or one without an OID */
    add_element(&algorithm, 0x30, "\xa0\x02\x05\x00", 4);
    assert_int_equal(strong(&algorithm), 0);
    algorithm.count = 11;
    add_element(&algorithm, 0x30, "\xa0\x04\x30\x02\x05\x00", 6);
    assert_int_equal(strong(&algorithm), 0);
    make_pss(&algorithm, NIST("\x04"), 0xa0);
    algorithm.bytes[algorithm.count - 1] = 0; /* 2.16.840.1.101.3.4.2.0 is nothing */
    assert_int_equal(strong(&algorithm), 0);
    make_pss(&algorithm, PKCS1("\x0b"), 0xa0); /* as long, and of another family */
    assert_int_equal(strong(&algorithm), 0);
}

/* ---- the verify callback ---- */

typedef struct chain {
    imapconnect_tls tls;
    imapconnect_server server;
    imapconnect_config config;
    WOLFSSL_X509_STORE_CTX store;
    WOLFSSL_BUFFER_INFO certs[3];
    der certificates[3];
} chain;

/* One certificate of the chain: a leaf, an intermediate, or a root. */
static void make_link(chain *c, int at, const char *subject, const char *issuer, const char *oid)
{
    parts p;

    begin_parts(&p);
    p.subject = subject;
    p.issuer = issuer;
    make_algorithm(&p.algorithm, oid);
    add_name(&p, DNS, "imap.example.org", 16);
    make_certificate(&c->certificates[at], &p);
    c->certs[at].buffer = c->certificates[at].bytes;
    c->certs[at].length = (unsigned)c->certificates[at].count;
}

static void begin_chain(chain *c, const char *server)
{
    memset(c, 0, sizeof *c);
    parse_server(&c->server, server);
    c->tls.verify = 1;
    c->tls.server = &c->server;
    c->tls.config = &c->config;
    c->tls.self = &c->tls;
    c->store.userCtx = &c->tls;
    c->store.certs = c->certs;
    c->store.totalCerts = 3;
    make_link(c, 0, "leaf", "CA 2", PKCS1("\x0b"));
    make_link(c, 1, "CA 2", "CA 1", PKCS1("\x0b"));
    make_link(c, 2, "CA 1", "CA 1", PKCS1("\x0b"));
}

static void expect_verdict(chain *c, int trusted, int depth, int verdict, int refused)
{
    c->store.error_depth = depth;
    assert_int_equal(imc_tls_verify(trusted, &c->store), verdict);
    assert_int_equal(c->tls.refused, refused);
}

/* What is looked at in each certificate; that its signature is true is wolfSSL's to say. */
static void what_is_checked_in_a_chain(void **state)
{
    chain *c = malloc(sizeof *c);
    int depth;

    (void)state;
    assert_non_null(c);
    begin_chain(c, "imap.example.org");
    for (depth = 0; depth < 3; depth++)
        assert_int_equal(imc_tls_check(&c->tls, &c->store, depth), 0);
    begin_chain(c, "other.example.org");
    assert_int_equal(imc_tls_check(&c->tls, &c->store, 0), IMAPCONNECT_E_NAME);
    assert_int_equal(imc_tls_check(&c->tls, &c->store, 1), 0); /* of the leaf alone */
    for (depth = 0; depth < 3; depth++) {
        begin_chain(c, "imap.example.org");
        make_link(c, depth, "X", "Y", PKCS1("\x05"));
        assert_int_equal(imc_tls_check(&c->tls, &c->store, depth), IMAPCONNECT_E_WEAK);
        make_link(c, depth, "X", "X", PKCS1("\x05")); /* its name says that it is a root, its signature does not */
        assert_int_equal(imc_tls_check(&c->tls, &c->store, depth), IMAPCONNECT_E_WEAK);
        begin_chain(c, "imap.example.org");
        c->certificates[depth].bytes[0] = 0x31;
        assert_int_equal(imc_tls_check(&c->tls, &c->store, depth), IMAPCONNECT_E_TLS);
        begin_chain(c, "imap.example.org");
        c->certs[depth].length--;
        assert_int_equal(imc_tls_check(&c->tls, &c->store, depth), IMAPCONNECT_E_TLS);
    }
    free(c);
}

/* It never turns a refusal into an acceptance, and what was refused once stays so. */
static void what_the_callback_refuses(void **state)
{
    chain *c = malloc(sizeof *c);
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfSSLv23_client_method());
    int depth;

    (void)state;
    assert_non_null(c);
    assert_non_null(context);
    begin_chain(c, "imap.example.org");
    expect_verdict(c, 1, 2, 1, 0);
    expect_verdict(c, 1, 1, 1, 0);
    assert_int_equal(c->tls.leaf_seen, 0);
    c->tls.context = context;
    c->store.error_depth = 0; /* these certificates are signed by nobody: whoever calls them trusted is wrong */
    assert_int_equal(imc_tls_verify(1, &c->store), 0);
    assert_int_equal(c->tls.leaf_seen, 1);
    assert_true(c->tls.refused < 0);
    c->store.error_depth = 1;
    assert_int_equal(imc_tls_verify(1, &c->store), 0);

    for (depth = 0; depth < 3; depth++) {
        begin_chain(c, "imap.example.org");
        expect_verdict(c, 0, depth, 0, 0);
    }
    begin_chain(c, "imap.example.org");
    c->store.error = ASN_NO_SIGNER_E; /* of something else: what is trusted has no error */
    expect_verdict(c, 1, 1, 1, 0);
    assert_int_equal(c->tls.chain_error, 0);
    begin_chain(c, "imap.example.org");
    make_link(c, 1, "CA 2", "CA 1", PKCS1("\x05"));
    expect_verdict(c, 1, 1, 0, IMAPCONNECT_E_WEAK);
    expect_verdict(c, 1, 2, 0, IMAPCONNECT_E_WEAK);
    begin_chain(c, "imap.example.org");
    c->store.certs = 0;
    expect_verdict(c, 1, 1, 0, 0);
    begin_chain(c, "imap.example.org");
    expect_verdict(c, 1, 3, 0, 0);
    expect_verdict(c, 1, -1, 0, 0);
    begin_chain(c, "imap.example.org");
    c->tls.server = 0; /* no second handshake is wanted */
    expect_verdict(c, 1, 1, 0, 0);
    begin_chain(c, "imap.example.org");
    c->tls.self = 0; /* wolfSSL may hand over something that is not ours */
    expect_verdict(c, 1, 1, 0, 0);
    c->store.userCtx = 0;
    expect_verdict(c, 1, 1, 0, 0);
    wolfSSL_CTX_free(context);
    free(c);
}

/* There are builds of wolfSSL that call for the leaf alone: then all are looked at, and none where it calls for each. */
static void a_call_for_the_leaf_is_one_for_all(void **state)
{
    chain *c = malloc(sizeof *c);
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfSSLv23_client_method());
    int at;

    (void)state;
    assert_non_null(c);
    trusts_all = 1;
    begin_chain(c, "imap.example.org");
    c->tls.context = context;
    expect_verdict(c, 1, 0, 1, 0);
    for (at = 0; at < 3; at++) {
        begin_chain(c, "imap.example.org");
        c->tls.context = context;
        make_link(c, at, "X", "Y", PKCS1("\x05"));
        expect_verdict(c, 1, 0, 0, IMAPCONNECT_E_WEAK);
    }
    begin_chain(c, "imap.example.org");
    make_link(c, 2, "X", "Y", PKCS1("\x05"));
    expect_verdict(c, 1, 1, 1, 0);
    trusts_all = 0;
    wolfSSL_CTX_free(context);
    free(c);
}

/* Without verification all is accepted, and that there was a certificate is still noted. */
static void without_verification_a_certificate_must_still_be_there(void **state)
{
    chain *c = malloc(sizeof *c);

    (void)state;
    assert_non_null(c);
    begin_chain(c, "other.example.org");
    c->tls.verify = 0;
    make_link(c, 0, "leaf", "CA 2", PKCS1("\x04"));
    expect_verdict(c, 0, 1, 1, 0);
    assert_int_equal(c->tls.leaf_seen, 0);
    expect_verdict(c, 0, 0, 1, 0);
    assert_int_equal(c->tls.leaf_seen, 1);
    free(c);
}

/* ---- config.tls ---- */

/* The envelope of a ticket: what it begins with, how many bytes say what it is bound to, and where the session begins. */
enum { FORMAT = 1, BOUND = 16, HEAD = 19 };

/* RFC 5280 section 4.1.2.5. Days of `date -d ... +%s`, divided by 86,400; the last whole one is the day before. */
static void the_last_day_of_a_certificate(void **state)
{
    static const struct {
        int tag;
        const char *not_after;
        size_t last;
    } cases[] = {{0x17, "700102000000Z", 0},
                 {0x17, "991231235959Z", 10955},
                 {0x17, "000229120000Z", 11015},
                 {0x17, "000301000000Z", 11016},
                 {0x17, "260101000000Z", 20453},
                 {0x17, "491231235959Z", 29218},
                 {0x18, "20260101000000Z", 20453},
                 {0x18, "21000228000000Z", 47539},
                 {0x18, "21000301000000Z", 47540}, /* no leap year */
                 {0x18, "99991231235959Z", 2932895},
                 {0x18, "2026010", 0}, /* none of both */
                 {0x17, "26010", 0},
                 {0x04, "260101000000Z", 0}};
    imc_certificate certificate;
    size_t i, count;

    (void)state;
    memset(&certificate, 0, sizeof certificate);
    assert_int_equal(imc_x509_last_day(&certificate), 0);
    for (i = 0; i < COUNT(cases); i++) {
        der validity = {{0}, 0};
        unsigned char *exact;

        add_element(&validity, 0x17, "250101000000Z", 13);
        add_element(&validity, cases[i].tag, cases[i].not_after, strlen(cases[i].not_after));
        exact = exactly(validity.bytes, validity.count);
        certificate.field[IMC_DER_VALIDITY].bytes = exact;
        certificate.field[IMC_DER_VALIDITY].count = validity.count;
        assert_int_equal(imc_x509_last_day(&certificate), cases[i].last);
        free(exact);
        for (count = 0; count < validity.count; count++) {
            exact = exactly(validity.bytes, count);
            certificate.field[IMC_DER_VALIDITY].bytes = exact;
            certificate.field[IMC_DER_VALIDITY].count = count;
            assert_int_equal(imc_x509_last_day(&certificate), 0);
            free(exact);
        }
    }
}

/* `openssl dgst -sha256` of the key in make_certificate(), 30 09 30 03 06 01 2a 03 02 00 01: with its tag and its
   length, RFC 7469 section 2.4. */
static const unsigned char made_pin[IMAPCONNECT_PIN_SIZE] = {
    0x71, 0xc6, 0x40, 0xba, 0x8e, 0xdb, 0x65, 0x1a, 0x91, 0x5c, 0xe0, 0xfe, 0x0e, 0xce, 0x9c, 0x25,
    0x8e, 0xcd, 0x8b, 0x6d, 0xa1, 0xf9, 0x4f, 0xd2, 0x22, 0x3a, 0x21, 0x32, 0x02, 0xb3, 0x3a, 0x25};

static void expect_pinned(chain *c, const unsigned char *pins, size_t count, int code)
{
    imapconnect_tls_options options;

    memset(&options, 0, sizeof options);
    options.pins = pins;
    options.pin_count = count;
    c->config.tls = &options;
    c->tls.verify = 1;
    assert_int_equal(imc_tls_check_options(&c->tls, &c->store), code);
    c->tls.verify = 0; /* then the callback asks for nothing else */
    c->tls.refused = 0;
    expect_verdict(c, 0, 1, 1, 0); /* of the leaf alone */
    expect_verdict(c, 0, 0, code == 0, code);
    expect_verdict(c, 1, 0, code == 0, code); /* what was refused once stays so */
    c->config.tls = 0;
}

static void a_pin_is_the_hash_of_the_key(void **state)
{
    unsigned char pins[3 * IMAPCONNECT_PIN_SIZE];
    chain *c = malloc(sizeof *c);
    size_t i;

    (void)state;
    assert_non_null(c);
    begin_chain(c, "imap.example.org");
    expect_pinned(c, 0, 0, 0);
    expect_pinned(c, made_pin, 1, 0);
    for (i = 0; i < sizeof made_pin * 8; i++) { /* each bit counts */
        memcpy(pins, made_pin, sizeof made_pin);
        pins[i / 8] = (unsigned char)(pins[i / 8] ^ 1u << i % 8);
        expect_pinned(c, pins, 1, IMAPCONNECT_E_PIN);
    }
    memset(pins, 0, sizeof pins); /* any of them will do */
    for (i = 0; i < 3; i++) {
        memcpy(pins + i * sizeof made_pin, made_pin, sizeof made_pin);
        expect_pinned(c, pins, i, i == 0 ? 0 : IMAPCONNECT_E_PIN); /* without pins there is nothing to check */
        expect_pinned(c, pins, i + 1, 0);
        memset(pins, 0, sizeof pins);
    }
    c->certs[0].length--; /* what cannot be read has no key */
    expect_pinned(c, made_pin, 1, IMAPCONNECT_E_PIN);
    c->certs[0].length++;
    c->store.totalCerts = 0;
    expect_pinned(c, made_pin, 1, IMAPCONNECT_E_NO_CERTIFICATE);
    c->store.totalCerts = 3;
    c->store.certs = 0;
    expect_pinned(c, made_pin, 1, IMAPCONNECT_E_NO_CERTIFICATE);
    free(c);
}

/* The certificates of make_certificate() end in 2035, on day 23,741. */
static void a_ticket_is_good_for_a_day(void **state)
{
    imapconnect_tls_options options;
    chain *c = malloc(sizeof *c);
    unsigned char *last;

    (void)state;
    assert_non_null(c);
    memset(&options, 0, sizeof options);
    begin_chain(c, "imap.example.org");
    c->config.tls = &options;
    assert_int_equal(imc_tls_check_options(&c->tls, &c->store), 0);
    assert_int_equal(c->tls.until, imc_tls_today() + 1);
    last = find(&c->certificates[1], "350101");
    memcpy(last, "250101", 6); /* the intermediate's */
    assert_int_equal(imc_tls_check_options(&c->tls, &c->store), 0);
    assert_int_equal(c->tls.until, 20088);
    last = find(&c->certificates[0], "350101");
    memcpy(last, "240101", 6); /* the leaf's, which is earlier */
    assert_int_equal(imc_tls_check_options(&c->tls, &c->store), 0);
    assert_int_equal(c->tls.until, 19722);
    c->tls.verify = 0; /* nobody looks at the date, so it does not count here */
    assert_int_equal(imc_tls_check_options(&c->tls, &c->store), 0);
    assert_int_equal(c->tls.until, imc_tls_today() + 1);
    free(c);
}

/* A day has 86,400 seconds, and begins at midnight. */
static void days_are_counted_from_1970(void **state)
{
    (void)state;
    pretended = 20453 * (time_t)86400;
    assert_int_equal(imc_tls_today(), 20453);
    pretended--;
    assert_int_equal(imc_tls_today(), 20452);
    pretended = 86399;
    assert_int_equal(imc_tls_today(), 0);
    pretended = 65535 * (time_t)86400;
    assert_int_equal(imc_tls_today(), 65535);
    pretended = 0;
}

/* What it is bound to, by these. */
static void bind_this(const char *host, int secure, int verify, const imapconnect_config *config, uint8_t *binding)
{
    imapconnect_server server;
    imapconnect_tls tls;

    memset(&tls, 0, sizeof tls);
    assert_int_equal(imc_names_parse(&server, host, secure == IMAPCONNECT_TLS ? 993 : 143), 0);
    tls.server = &server;
    tls.config = config;
    tls.secure = (uint8_t)secure;
    tls.verify = (uint8_t)verify;
    assert_int_equal(imc_tls_bind(&tls, binding), 0);
}

static void expect_bound_like(const uint8_t *to, const char *host)
{
    imapconnect_tls_options options;
    imapconnect_config config;
    uint8_t binding[BOUND];

    memset(&options, 0, sizeof options);
    imapconnect_config_init(&config);
    config.tls = &options;
    bind_this(host, IMAPCONNECT_TLS, 1, &config, binding);
    assert_memory_equal(binding, to, sizeof binding);
}

static void what_does_not_change_the_binding(void **state)
{
    imapconnect_tls_options options;
    imapconnect_config config;
    uint8_t binding[BOUND], other[BOUND], pins[IMAPCONNECT_PIN_SIZE + 1] = {1};

    (void)state;
    memset(&options, 0, sizeof options);
    imapconnect_config_init(&config);
    config.tls = &options;
    bind_this("imap.example.org", IMAPCONNECT_TLS, 1, &config, binding);
    expect_bound_like(binding, "IMAP.Example.ORG");
    expect_bound_like(binding, "imap.example.org.");
    expect_bound_like(binding, "imap.example.org:993");
    bind_this("[::1]", IMAPCONNECT_TLS, 1, &config, binding);
    expect_bound_like(binding, "0:0:0:0:0:0:0:1");
    config.timeout = 5;
    options.resume = 1;
    options.ticket = "x";
    options.ticket_size = 1;
    bind_this("::1", IMAPCONNECT_TLS, 1, &config, binding);
    expect_bound_like(binding, "::1");
    options.pins = pins;
    options.pin_count = 1;
    bind_this("::1", IMAPCONNECT_TLS, 1, &config, binding);
    pins[IMAPCONNECT_PIN_SIZE] = 1; /* what stands behind the pins is none of them */
    bind_this("::1", IMAPCONNECT_TLS, 1, &config, other);
    assert_memory_equal(binding, other, sizeof other);
}

/* All of these differ from each other. */
static void what_changes_the_binding(void **state)
{
    static const struct {
        const char *host;
        int secure, verify;
        const char *pins, *cert, *cert_path, *ca, *ca_path;
    } cases[] = {
        {"imap.example.org", 1, 1, 0, 0, 0, 0, 0},
        {"imap.example.or", 1, 1, 0, 0, 0, 0, 0},
        {"imap.example.com", 1, 1, 0, 0, 0, 0, 0},
        {"jmap.example.org", 1, 1, 0, 0, 0, 0, 0},
        {"imap.example.org:994", 1, 1, 0, 0, 0, 0, 0},
        {"imap.example.org:1249", 1, 1, 0, 0, 0, 0, 0}, /* the same low byte as 993 */
        {"imap.example.org:737", 1, 1, 0, 0, 0, 0, 0},
        {"imap.example.org:33761", 1, 1, 0, 0, 0, 0, 0},
        {"imap.example.org:993", 2, 1, 0, 0, 0, 0, 0},
        {"imap.example.org", 2, 1, 0, 0, 0, 0, 0},
        {"imap.example.org", 1, 0, 0, 0, 0, 0, 0},
        {"imap.example.org", 1, 1, "0123456789abcdef0123456789abcdef", 0, 0, 0, 0},
        {"imap.example.org", 1, 1, "0123456789abcdef0123456789abcdeg", 0, 0, 0, 0},
        {"imap.example.org", 1, 1, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 0, 0, 0, 0},
        {"imap.example.org", 1, 1, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg", 0, 0, 0, 0},
        {"imap.example.org", 1, 1, 0, "cert", 0, 0, 0},
        {"imap.example.org", 1, 1, 0, "cerT", 0, 0, 0},
        {"imap.example.org", 1, 1, 0, 0, "cert.pem", 0, 0},
        {"imap.example.org", 1, 1, 0, 0, 0, "cert", 0},
        {"imap.example.org", 1, 1, 0, 0, 0, 0, "cert.pem"},
        {"imap.example.org", 1, 1, 0, 0, 0, 0, "certs"},
        {"127.0.0.1", 1, 1, 0, 0, 0, 0, 0},
        {"127.0.0.2", 1, 1, 0, 0, 0, 0, 0},
        {"::1", 1, 1, 0, 0, 0, 0, 0}};
    uint8_t bindings[COUNT(cases)][BOUND];
    size_t i, j;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        imapconnect_tls_options options;
        imapconnect_config config;

        memset(&options, 0, sizeof options);
        imapconnect_config_init(&config);
        config.tls = &options;
        if (cases[i].pins != 0) {
            options.pin_count = strlen(cases[i].pins) / IMAPCONNECT_PIN_SIZE;
            options.pins = exactly((const unsigned char *)cases[i].pins, options.pin_count * IMAPCONNECT_PIN_SIZE);
        }
        options.cert_data = cases[i].cert;
        options.cert_size = cases[i].cert != 0 ? 4 : 0;
        options.cert_path = cases[i].cert_path;
        config.ca_data = cases[i].ca;
        config.ca_size = cases[i].ca != 0 ? 4 : 0;
        config.ca_path = cases[i].ca_path;
        bind_this(cases[i].host, cases[i].secure, cases[i].verify, &config, bindings[i]);
        free((void *)(uintptr_t)options.pins);
        for (j = 0; j < i; j++)
            if (memcmp(bindings[i], bindings[j], sizeof bindings[i]) == 0)
                fail_msg("%zu and %zu are bound to the same", i, j);
    }
}

/* One part of what is bound: its length as wolfSSL has numbers, and its bytes. */
static void add_part(wc_Sha256 *hash, const void *bytes, word32 count)
{
    assert_int_equal(wc_Sha256Update(hash, (const byte *)&count, (word32)sizeof count), 0);
    if (count != 0)
        assert_int_equal(wc_Sha256Update(hash, bytes, count), 0);
}

/* Another build of wolfSSL writes sessions in another way. */
static void the_build_is_part_of_the_binding(void **state)
{
    static const byte version[] = {LIBWOLFSSL_VERSION_HEX >> 24, LIBWOLFSSL_VERSION_HEX >> 16 & 0xff,
                                   LIBWOLFSSL_VERSION_HEX >> 8 & 0xff, LIBWOLFSSL_VERSION_HEX & 0xff};
    static const byte how[] = {IMAPCONNECT_TLS, 1, 993 >> 8, 993 & 0xff, 0};
    imapconnect_tls_options options;
    imapconnect_config config;
    uint8_t binding[BOUND];
    byte digest[WC_SHA256_DIGEST_SIZE];
    wc_Sha256 hash;
    int i;

    (void)state;
    assert_true(sizeof imc_tls_build >= sizeof version);
    assert_memory_equal(imc_tls_build + sizeof imc_tls_build - sizeof version, version, sizeof version);
    memset(&options, 0, sizeof options);
    imapconnect_config_init(&config);
    config.tls = &options;
    bind_this("h", IMAPCONNECT_TLS, 1, &config, binding);
    assert_int_equal(wc_InitSha256(&hash), 0);
    add_part(&hash, imc_tls_build, (word32)sizeof imc_tls_build);
    add_part(&hash, how, (word32)sizeof how);
    add_part(&hash, "", 0); /* no address */
    add_part(&hash, "H", 1);
    for (i = 0; i < 3; i++)
        add_part(&hash, "", 0); /* no pins, no certificate, no CAs */
    assert_int_equal(wc_Sha256Final(&hash, digest), 0);
    assert_memory_equal(binding, digest, sizeof binding);
}

/* What a context of the caller's trusts nobody can say, so that its tickets are no others'. */
static void the_context_of_the_caller_changes_the_binding(void **state)
{
    imapconnect_tls_options options;
    imapconnect_config config;
    uint8_t with[BOUND], without[BOUND];

    (void)state;
    memset(&options, 0, sizeof options);
    imapconnect_config_init(&config);
    config.tls = &options;
    bind_this("imap.example.org", IMAPCONNECT_TLS, 1, &config, without);
    config.wolfssl_ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
    bind_this("imap.example.org", IMAPCONNECT_TLS, 1, &config, with);
    assert_memory_not_equal(with, without, sizeof with);
    wolfSSL_CTX_free(config.wolfssl_ctx);
}

/* A handshake that fails may have failed because of the ticket: one was offered, there was no certificate, and there is
   no other reason. */
static void when_it_may_be_the_ticket(void **state)
{
    static const struct {
        int ticket, leaf_seen, code, detail, told;
    } cases[] = {{1, 0, IMAPCONNECT_E_TLS, -1, IMAPCONNECT_E_TICKET},
                 {3, 0, IMAPCONNECT_E_TLS, -1, IMAPCONNECT_E_TICKET},
                 {1, 0, IMAPCONNECT_E_WEAK, VERSION_ERROR, IMAPCONNECT_E_TICKET},
                 {1, 0, IMAPCONNECT_E_WEAK, -1, IMAPCONNECT_E_WEAK},
                 {1, 0, IMAPCONNECT_E_RESET, -1, IMAPCONNECT_E_RESET},
                 {1, 1, IMAPCONNECT_E_TLS, -1, IMAPCONNECT_E_TLS},
                 {0, 0, IMAPCONNECT_E_TLS, -1, IMAPCONNECT_E_TLS},
                 {2, 0, IMAPCONNECT_E_TLS, VERSION_ERROR, IMAPCONNECT_E_TLS}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        imapconnect_tls tls;

        memset(&tls, 0, sizeof tls);
        tls.ticket = (uint8_t)cases[i].ticket;
        tls.leaf_seen = (uint8_t)cases[i].leaf_seen;
        tls.detail = (int16_t)cases[i].detail;
        assert_int_equal(imc_tls_without_ticket(&tls, cases[i].code), cases[i].told);
    }
}

/* An envelope round something: every changed bit, every other length, every other binding is noticed. */
static void a_changed_ticket_is_none(void **state)
{
    byte binding[BOUND], ticket[HEAD + 20 + WC_SHA256_DIGEST_SIZE];
    size_t i, sealed = sizeof ticket - WC_SHA256_DIGEST_SIZE;

    (void)state;
    memset(binding, 7, sizeof binding);
    memset(ticket, 9, sizeof ticket);
    ticket[0] = FORMAT;
    memcpy(ticket + 3, binding, sizeof binding);
    assert_int_equal(wc_Sha256Hash(ticket, (word32)sealed, ticket + sealed), 0);
    assert_int_equal(imc_tls_is_ours(ticket, sizeof ticket, binding), 1);
    for (i = 0; i < sizeof ticket * 8; i++) {
        ticket[i / 8] = (byte)(ticket[i / 8] ^ 1u << i % 8);
        assert_int_equal(imc_tls_is_ours(ticket, sizeof ticket, binding), 0);
        ticket[i / 8] = (byte)(ticket[i / 8] ^ 1u << i % 8);
    }
    for (i = 0; i < sizeof ticket; i++) {
        byte *exact = exactly(ticket, i);

        assert_int_equal(imc_tls_is_ours(exact, i, binding), 0);
        free(exact);
    }
    for (i = 0; i < sizeof binding; i++) {
        binding[i]++;
        assert_int_equal(imc_tls_is_ours(ticket, sizeof ticket, binding), 0);
        binding[i]--;
    }
    assert_int_equal(imc_tls_is_ours(ticket, 0x80000000u, binding), 0); /* wolfSSL counts in int; not read at all */
    ticket[0]++;                                                        /* sealed again, but of another format */
    assert_int_equal(wc_Sha256Hash(ticket, (word32)sealed, ticket + sealed), 0);
    assert_int_equal(imc_tls_is_ours(ticket, sizeof ticket, binding), 0);
}

/* One that is ours is used on its last day and on the day before; what wolfSSL cannot read in it is refused. */
static void days_on_which_a_ticket_is_used(void **state)
{
    static const struct {
        int day, code;
    } cases[] = {{-2, 0}, {-1, 0}, {0, IMAPCONNECT_E_TICKET}, {1, IMAPCONNECT_E_TICKET}, {2, 0}, {3, 0}};
    byte ticket[HEAD + 8 + WC_SHA256_DIGEST_SIZE];
    imapconnect_tls_options options;
    imapconnect_config config;
    imapconnect_server server;
    imapconnect_tls tls;
    size_t i, sealed = sizeof ticket - WC_SHA256_DIGEST_SIZE;

    (void)state;
    memset(&options, 0, sizeof options);
    imapconnect_config_init(&config);
    config.tls = &options;
    parse_server(&server, "imap.example.org");
    bind_this("imap.example.org", IMAPCONNECT_TLS, 0, &config, ticket + 3);
    memset(ticket + HEAD, 0xff, 8);
    options.ticket = ticket;
    options.ticket_size = sizeof ticket;
    for (i = 0; i < COUNT(cases); i++) {
        int day = imc_tls_today() + cases[i].day;

        ticket[0] = FORMAT;
        ticket[1] = (byte)(day >> 8);
        ticket[2] = (byte)day;
        assert_int_equal(wc_Sha256Hash(ticket, (word32)sealed, ticket + sealed), 0);
        assert_int_equal(imc_tls_prepare(&tls, &config, &server, IMAPCONNECT_TLS, 0), cases[i].code);
        assert_int_equal(tls.ticket, 0); /* not offered */
        imc_tls_free(&tls);
    }
}

/* What is wrong with config.tls is told before anything is sent. */
static void options_are_looked_at_first(void **state)
{
    imapconnect_tls_options options;
    imapconnect_config config;
    imapconnect_server server;
    imapconnect_tls tls;
    size_t i;

    (void)state;
    imapconnect_config_init(&config);
    config.tls = &options;
    parse_server(&server, "imap.example.org");
    for (i = 0; i < 8; i++) {
        static const int codes[] = {0,
                                    IMAPCONNECT_E_PARAMETER,
                                    IMAPCONNECT_E_OWN_CERTIFICATE,
                                    IMAPCONNECT_E_OWN_CERTIFICATE,
                                    IMAPCONNECT_E_OWN_CERTIFICATE,
                                    IMAPCONNECT_E_OWN_CERTIFICATE,
                                    IMAPCONNECT_E_TICKET,
                                    IMAPCONNECT_E_PARAMETER}; /* without verification none would be accepted as any */

        memset(&options, 0, sizeof options);
        options.pin_count = i == 1;
        options.pins = i == 7 ? made_pin : 0;
        options.cert_path = i == 2 ? "/nonexistent" : 0;
        options.key_path = i == 3 ? "/nonexistent" : 0;
        options.cert_data = i == 4 ? "x" : 0;
        options.cert_size = i == 4;
        options.key_data = i == 5 ? "x" : 0;
        options.ticket = i == 6 ? "x" : 0;
        options.ticket_size = i == 6;
        assert_int_equal(imc_tls_prepare(&tls, &config, &server, IMAPCONNECT_TLS, 0), codes[i]);
        assert_int_equal(imc_tls_ticket(&tls, server.address, 0, 0), 0);
        imc_tls_free(&tls);
    }
}

/* ---- suites ---- */

static void suites_are_aead_with_ephemeral_keys(void **state)
{
    static const int good[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8};
    size_t allowed = 0, i;
    int suite;

    (void)state;
    for (i = 0; i < COUNT(good); i++)
        assert_int_equal(imc_tls_allows_suite(good[i]), 1);
    for (suite = -1; suite <= 0x10000; suite++)
        allowed += (size_t)imc_tls_allows_suite(suite);
    assert_int_equal(allowed, COUNT(good));
    assert_null(strstr(imc_tls_suites, "ADH"));
    assert_null(strstr(imc_tls_suites, "NULL"));
    assert_null(strstr(imc_tls_suites, "CBC"));
    assert_null(strstr(imc_tls_suites, "::"));
    for (allowed = 0, i = 0; imc_tls_suites[i] != '\0'; i++)
        allowed += imc_tls_suites[i] == ':';
    assert_int_equal(allowed, COUNT(good));
}

/* ---- the transport below ---- */

static int lower_answer;
static size_t lower_asked, lower_calls;

static int lower_read(void *context, void *bytes, size_t count)
{
    (void)context;
    lower_calls++;
    lower_asked = count;
    memset(bytes, 0, lower_answer > 0 && (size_t)lower_answer < count ? (size_t)lower_answer : count);
    return lower_answer;
}

static int lower_write(void *context, const void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    lower_calls++;
    lower_asked = count;
    return lower_answer;
}

/* wolfSSL loops for ever on 0, and takes -4 for an interruption: neither may ever reach it. */
static void what_comes_from_below(void **state)
{
    static const struct {
        int answer, for_wolfssl, code;
    } cases[] = {{1, 1, 0},
                 {99, 99, 0},
                 {100, 100, 0},
                 {101, 100, 0}, /* more than was asked for is cut */
                 {INT32_MAX, 100, 0},
                 {0, -1, IMAPCONNECT_E_TRANSPORT},
                 {-1, -1, IMAPCONNECT_E_TRANSPORT},
                 {-2, -1, IMAPCONNECT_E_TRANSPORT}, /* wolfSSL's own would-block is not ours */
                 {-4, -1, IMAPCONNECT_E_TRANSPORT},
                 {-5, -1, IMAPCONNECT_E_TRANSPORT},
                 {INT32_MIN, -1, IMAPCONNECT_E_TRANSPORT},
                 {IMAPCONNECT_WANT_READ, -2, IMAPCONNECT_WANT_READ},
                 {IMAPCONNECT_WANT_WRITE, -2, IMAPCONNECT_WANT_WRITE},
                 {IMAPCONNECT_CLOSED, -5, IMAPCONNECT_CLOSED},
                 {IMAPCONNECT_E_RESET, -1, IMAPCONNECT_E_RESET}};
    imapconnect_transport lower;
    size_t i;

    (void)state;
    memset(&lower, 0, sizeof lower);
    lower.read = lower_read;
    lower.write = lower_write;
    for (i = 0; i < COUNT(cases); i++) {
        imapconnect_tls tls;
        char bytes[100];

        memset(&tls, 0, sizeof tls);
        tls.lower = &lower;
        lower_answer = cases[i].answer;
        assert_int_equal(imc_tls_receive(0, bytes, sizeof bytes, &tls), cases[i].for_wolfssl);
        assert_int_equal(lower_asked, sizeof bytes);
        assert_int_equal(tls.lower_code, cases[i].code);
        assert_int_equal(tls.silence, cases[i].for_wolfssl > 0 ? cases[i].for_wolfssl : 0);
        memset(&tls, 0, sizeof tls);
        tls.lower = &lower;
        assert_int_equal(imc_tls_send(0, bytes, sizeof bytes, &tls), cases[i].for_wolfssl);
        assert_int_equal(tls.lower_code, cases[i].code);
    }
}

/* SECURITY.md section 1: HelloRequest without end. So many raw bytes without one of data, and no more. */
static void silence_is_bounded(void **state)
{
    imapconnect_transport lower;
    imapconnect_tls tls;
    char bytes[1000];
    int i, code = 1;

    (void)state;
    memset(&lower, 0, sizeof lower);
    memset(&tls, 0, sizeof tls);
    lower.read = lower_read;
    lower_answer = sizeof bytes;
    tls.lower = &lower;
    for (i = 0; i < 1000 && code > 0; i++)
        code = imc_tls_receive(0, bytes, sizeof bytes, &tls);
    assert_in_range(i, 20, 500);
    assert_int_equal(code, -1);
    assert_int_equal(tls.lower_code, IMAPCONNECT_E_LIMIT);

    memset(&tls, 0, sizeof tls);
    tls.lower = &lower;
    lower_answer = 512;
    for (i = 0; i < 256; i++) /* 128 KB */
        assert_int_equal(imc_tls_receive(0, bytes, sizeof bytes, &tls), 512);
    lower_answer = 1;
    assert_int_equal(imc_tls_receive(0, bytes, sizeof bytes, &tls), 1);
    assert_int_equal(imc_tls_receive(0, bytes, sizeof bytes, &tls), -1);
}

/* With its AUTO_RETRY wolfSSL asks again and again: below nobody is asked twice in one call. */
static void a_wait_is_one_look(void **state)
{
    imapconnect_transport lower;
    imapconnect_tls tls;
    char bytes[100];

    (void)state;
    memset(&lower, 0, sizeof lower);
    memset(&tls, 0, sizeof tls);
    lower.read = lower_read;
    lower_answer = IMAPCONNECT_WANT_READ;
    lower_calls = 0;
    tls.lower = &lower;
    assert_int_equal(imc_tls_receive(0, bytes, sizeof bytes, &tls), -2);
    assert_int_equal(imc_tls_receive(0, bytes, sizeof bytes, &tls), -2);
    assert_int_equal(lower_calls, 1);
    imc_tls_begin(&tls);
    assert_int_equal(tls.lower_code, 0); /* of the call before */
    lower_answer = 5;
    assert_int_equal(imc_tls_receive(0, bytes, sizeof bytes, &tls), 5);
    assert_int_equal(lower_calls, 2);
}

/* wolfSSL says that nothing is wrong, and so does the transport: an error all the same, since something has failed. */
static void an_error_that_nobody_knows(void **state)
{
    imapconnect_config config;
    imapconnect_server server;
    imapconnect_tls tls;

    (void)state;
    imapconnect_config_init(&config);
    parse_server(&server, "imap.example.org");
    assert_int_equal(imc_tls_prepare(&tls, &config, &server, IMAPCONNECT_TLS, 0), 0);
    assert_int_equal(wolfSSL_get_error(tls.ssl, 1), 0);
    assert_int_equal(imc_tls_code(&tls, 1), IMAPCONNECT_E_TLS);
    imc_tls_free(&tls);
}

/* A handshake over such a transport ends with the transport's own code. */
static void a_handshake_with_nobody(void **state)
{
    static const struct {
        int answer, code;
    } cases[] = {{0, IMAPCONNECT_E_TRANSPORT},
                 {-1, IMAPCONNECT_E_TRANSPORT},
                 {-4, IMAPCONNECT_E_TRANSPORT},
                 {IMAPCONNECT_WANT_WRITE, IMAPCONNECT_WANT_WRITE},
                 {IMAPCONNECT_CLOSED, IMAPCONNECT_CLOSED},
                 {IMAPCONNECT_E_RESET, IMAPCONNECT_E_RESET}};
    imapconnect_transport lower;
    imapconnect_config config;
    imapconnect_server server;
    size_t i;

    (void)state;
    memset(&lower, 0, sizeof lower);
    lower.read = lower_read;
    lower.write = lower_write;
    imapconnect_config_init(&config);
    parse_server(&server, "imap.example.org");
    for (i = 0; i < COUNT(cases); i++) {
        imapconnect_tls tls;

        assert_int_equal(imc_tls_prepare(&tls, &config, &server, IMAPCONNECT_TLS, 0), 0);
        lower_answer = cases[i].answer;
        lower_calls = 0;
        assert_int_equal(imc_tls_handshake(&tls, &lower), cases[i].code);
        assert_in_range(lower_calls, 1, 20);
        imc_tls_free(&tls);
        imc_tls_free(&tls); /* twice is harmless */
        assert_true(tls.ssl == 0 && tls.context == 0);
    }
}

/* A CA in PEM, that is valid now. */
static int make_authority(unsigned char *pem, word32 room)
{
    byte bytes[1000];
    WC_RNG random;
    ecc_key key;
    Cert made;
    int count;

    assert_int_equal(wc_InitRng(&random), 0);
    assert_int_equal(wc_ecc_init(&key), 0);
    assert_int_equal(wc_ecc_make_key(&random, 32, &key), 0);
    assert_int_equal(wc_InitCert(&made), 0);
    strcpy(made.subject.commonName, "CA");
    made.isCA = made.selfSigned = 1;
    made.sigType = CTC_SHA256wECDSA;
    assert_true(wc_MakeCert(&made, bytes, sizeof bytes, 0, &key, &random) > 0);
    count = wc_SignCert(made.bodySz, made.sigType, bytes, sizeof bytes, 0, &key, &random);
    assert_true(count > 0);
    count = wc_DerToPem(bytes, (word32)count, pem, room, CERT_TYPE);
    wc_ecc_free(&key);
    wc_FreeRng(&random);
    return count;
}

static char folder[400];

static const char *in_folder(const char *name)
{
    static char path[500];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *bytes, int count)
{
    FILE *file = fopen(in_folder(name), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, (size_t)count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void expect_loaded(const char *path, int code, unsigned skipped)
{
    imapconnect_config config;
    imapconnect_server server;
    imapconnect_tls tls;

    imapconnect_config_init(&config);
    parse_server(&server, "imap.example.org");
    config.ca_path = path;
    assert_int_equal(imc_tls_prepare(&tls, &config, &server, IMAPCONNECT_TLS, 1), code);
    assert_int_equal(tls.skipped, skipped);
    imc_tls_free(&tls);
}

/* SECURITY.md section 1: what counts is that a CA was loaded, whatever else is in the folder. */
static void files_and_folders_of_cas(void **state)
{
    static const char *const names[] = {"a.pem", "b.pem", "README"};
    const char *build = getenv("BUILD_DIR");
    unsigned char pem[2000];
    int count = make_authority(pem, sizeof pem);
    size_t i;

    (void)state;
    assert_true(count > 0);
    snprintf(folder, sizeof folder, "%s/cas.XXXXXX", build != 0 ? build : "/tmp");
    assert_non_null(mkdtemp(folder));
    expect_loaded(folder, IMAPCONNECT_E_NO_CA, 0);
    write_file("README", "none\n", 5);
    expect_loaded(folder, IMAPCONNECT_E_NO_CA, 1);
    expect_loaded(in_folder("README"), IMAPCONNECT_E_CA_FILE, 0);
    expect_loaded(in_folder("README/x"), IMAPCONNECT_E_NO_CA, 0);
    expect_loaded(in_folder("nothing"), IMAPCONNECT_E_NO_CA, 0);
    write_file("a.pem", pem, count);
    expect_loaded(folder, 0, 1);
    write_file("b.pem", pem, count);
    expect_loaded(folder, 0, 1);
    expect_loaded(in_folder("b.pem"), 0, 0);
    for (i = 0; i < COUNT(names); i++)
        assert_int_equal(remove(in_folder(names[i])), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* With verification there must be a CA; without, none is needed. */
static void preparing(void **state)
{
    imapconnect_config config;
    imapconnect_server server;
    imapconnect_tls tls;

    (void)state;
    imapconnect_config_init(&config);
    parse_server(&server, "imap.example.org");
    config.ca_path = "/nonexistent/folder";
    assert_int_equal(imc_tls_prepare(&tls, &config, &server, IMAPCONNECT_TLS, 1), IMAPCONNECT_E_NO_CA);
    imc_tls_free(&tls);
    assert_int_equal(imc_tls_prepare(&tls, &config, &server, IMAPCONNECT_TLS, 0), 0);
    imc_tls_free(&tls);
    config.ca_data = "x";
    config.ca_size = 1;
    assert_int_equal(imc_tls_prepare(&tls, &config, &server, IMAPCONNECT_TLS, 1), IMAPCONNECT_E_CA_FILE);
    imc_tls_free(&tls);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(elements_and_their_lengths),
    cmocka_unit_test(elements_that_are_none),
    cmocka_unit_test(only_the_tag_that_is_wanted_is_taken),
    cmocka_unit_test(a_certificate_is_taken_apart),
    cmocka_unit_test(every_truncation_is_refused),
    cmocka_unit_test(every_mutation_is_survived),
    cmocka_unit_test(names_and_wildcards),
    cmocka_unit_test(a_nul_ends_no_name),
    cmocka_unit_test(names_count_by_their_type),
    cmocka_unit_test(which_names_are_looked_at),
    cmocka_unit_test(signature_algorithms),
    cmocka_unit_test(the_hash_of_pss),
    cmocka_unit_test(what_is_checked_in_a_chain),
    cmocka_unit_test(what_the_callback_refuses),
    cmocka_unit_test(a_call_for_the_leaf_is_one_for_all),
    cmocka_unit_test(without_verification_a_certificate_must_still_be_there),
    cmocka_unit_test(the_last_day_of_a_certificate),
    cmocka_unit_test(a_pin_is_the_hash_of_the_key),
    cmocka_unit_test(a_ticket_is_good_for_a_day),
    cmocka_unit_test(days_are_counted_from_1970),
    cmocka_unit_test(what_does_not_change_the_binding),
    cmocka_unit_test(what_changes_the_binding),
    cmocka_unit_test(the_build_is_part_of_the_binding),
    cmocka_unit_test(the_context_of_the_caller_changes_the_binding),
    cmocka_unit_test(when_it_may_be_the_ticket),
    cmocka_unit_test(a_changed_ticket_is_none),
    cmocka_unit_test(days_on_which_a_ticket_is_used),
    cmocka_unit_test(options_are_looked_at_first),
    cmocka_unit_test(suites_are_aead_with_ephemeral_keys),
    cmocka_unit_test(what_comes_from_below),
    cmocka_unit_test(silence_is_bounded),
    cmocka_unit_test(a_wait_is_one_look),
    cmocka_unit_test(an_error_that_nobody_knows),
    cmocka_unit_test(a_handshake_with_nobody),
    cmocka_unit_test(files_and_folders_of_cas),
    cmocka_unit_test(preparing),
};
TEST_MAIN(tests)
