/* Room >>sasl: base64 (RFC 4648), HMAC and the answer to a CRAM-MD5 challenge (RFC 2195), by the vectors of
   SECURITY.md section 4; what the other mechanisms say, and SCRAM by the vectors of RFC 5802, RFC 7677 and RFC 6070.
   What was secret must not be left on the stack. */

#include "test.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/md5.h>
#include <wolfssl/wolfcrypt/sha.h>
#include <wolfssl/wolfcrypt/sha256.h>

/* An MD5 that leaves in its own frame what it was given, once `is_careless` is set: wolfCrypt is not bound to wipe. */
static int is_careless;

__attribute__((noinline, no_sanitize_address)) static int careless_update(wc_Md5 *md5, const unsigned char *bytes,
                                                                          word32 count)
{
    volatile unsigned char left[96];
    word32 i;

    for (i = 0; is_careless && i < count && i < sizeof left; i++)
        left[i] = bytes[i];
    return wc_Md5Update(md5, bytes, count);
}

#define wc_Md5Update careless_update

/* Hashes that were begun and not freed: in a chip each of them takes something. A careless one leaves a piece of a
   password in its object. */
static int hashes, begin_fails, update_fails;

static int update_sha(wc_Sha *hash, const unsigned char *bytes, word32 count)
{
    return update_fails ? -1 : wc_ShaUpdate(hash, bytes, count);
}

static int update_sha256(wc_Sha256 *hash, const unsigned char *bytes, word32 count)
{
    return update_fails ? -1 : wc_Sha256Update(hash, bytes, count);
}

#define COUNTED(name)                            \
    static int begin_##name(wc_##name *hash)     \
    {                                            \
        if (begin_fails)                         \
            return -1;                           \
        hashes++;                                \
        return wc_Init##name(hash);              \
    }                                            \
    static void free_##name(wc_##name *hash)     \
    {                                            \
        hashes--;                                \
        wc_##name##Free(hash);                   \
        if (is_careless)                         \
            memcpy(hash->buffer, "tanstaaf", 8); \
    }
#define COPIED(name)                                                               \
    static int copy_##name(wc_##name *from, wc_##name *to)                         \
    {                                                                              \
        assert_int_equal(begin_fails, 0); /* what could not begin is not copied */ \
        hashes++;                                                                  \
        return wc_##name##Copy(from, to);                                          \
    }
COUNTED(Md5)
COUNTED(Sha)
COUNTED(Sha256)
COPIED(Sha)
COPIED(Sha256)

#define wc_ShaUpdate    update_sha
#define wc_Sha256Update update_sha256
#define wc_InitMd5      begin_Md5
#define wc_InitSha      begin_Sha
#define wc_InitSha256   begin_Sha256
#define wc_Md5Free      free_Md5
#define wc_ShaFree      free_Sha
#define wc_Sha256Free   free_Sha256
#define wc_ShaCopy      copy_Sha
#define wc_Sha256Copy   copy_Sha256

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include <pthread.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char tim_challenge[] = "<1896.697170952@postoffice.reston.mci.net>";

/* RFC 4648 section 10, and the two digits that are not letters. */
static void base64_of_the_rfc(void **state)
{
    static const struct {
        const char *plain;
        size_t count;
        const char *encoded;
    } cases[] = {{"", 0, ""},
                 {"f", 1, "Zg=="},
                 {"fo", 2, "Zm8="},
                 {"foo", 3, "Zm9v"},
                 {"foob", 4, "Zm9vYg=="},
                 {"fooba", 5, "Zm9vYmE="},
                 {"foobar", 6, "Zm9vYmFy"},
                 {"\xff\xff\xff", 3, "////"},
                 {"\xfb\xef\xbe", 3, "++++"},
                 {"\0\0\0\0", 4, "AAAAAA=="},
                 {"\xff", 1, "/w=="},
                 {"\x14\xfb\x9c\x03\xd9\x7e", 6, "FPucA9l+"}}; /* RFC 4648 section 9 */
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        unsigned char *exact = malloc(cases[i].count > 0 ? cases[i].count : 1);
        char out[16];
        size_t used;

        assert_non_null(exact);
        memcpy(exact, cases[i].plain, cases[i].count);
        memset(out, '#', sizeof out);
        used = imc_sasl_base64_encode(out, exact, cases[i].count);
        assert_int_equal(used, strlen(cases[i].encoded));
        assert_memory_equal(out, cases[i].encoded, used);
        assert_int_equal(out[used], '#');
        free(exact);
    }
}

/* RFC 4648 table 1, and nothing else. */
static void base64_digits_have_values(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int c;

    (void)state;
    for (c = -128; c < 256; c++) {
        const char *at = c > 0 ? strchr(alphabet, c) : 0;
        assert_int_equal(imc_sasl_base64_value(c), at ? (int)(at - alphabet) : -1);
    }
}

static void check_hmac(const char *key, size_t key_count, const char *text, const char *expected)
{
    unsigned char digest[16], *exact = malloc(key_count > 0 ? key_count : 1);
    char hex[33];
    size_t i;

    assert_non_null(exact);
    memcpy(exact, key, key_count);
    assert_int_equal(imc_hmac(IMC_MD5, exact, key_count, text, strlen(text), digest), 0);
    for (i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned)digest[i]);
    if (strcmp(hex, expected) != 0)
        fail_msg("key of %zu bytes: %s, want %s", key_count, hex, expected);
    free(exact);
}

/* SECURITY.md section 4; RFC 2202 section 2. The lengths 1 and 128 are openssl's. */
static void hmac_md5_equals_the_vectors(void **state)
{
    static const struct {
        size_t count;
        const char *digest;
    } lengths[] = {{0, "5d5f7ac2e54575c8145c2151a8ea8671"},  {1, "c157851723b368a6b7241dce68dfaae4"},
                   {63, "072b380b4e2645bd2f1b043b13846330"}, {64, "6f6d598c9d8e254b0673941e3bee851b"},
                   {65, "1bf5a3d5f5f0f410f2037d8d80f4939e"}, {128, "1f94f04f832f2daf468c091038e627ef"},
                   {255, "c706e0b4d9c6e6d94a7eb009c65d67ad"}};
    char key[256];
    size_t i;

    (void)state;
    check_hmac("tanstaaftanstaaf", 16, tim_challenge, "b913a602c7eda7a495b4e6e7334d3890");
    memset(key, 0xaa, 80);
    check_hmac(key, 80, "Test Using Larger Than Block-Size Key - Hash Key First", "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    memset(key, 'k', sizeof key);
    for (i = 0; i < COUNT(lengths); i++)
        check_hmac(key, lengths[i].count, "<1.2@x>", lengths[i].digest);
    memset(key, 'p', 65);
    memcpy(key + 65, "22", 2);
    check_hmac(key, 67, tim_challenge, "8ea1b63979a4942b9df2e16295123541");
    check_hmac("Jefe", 4, "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738");
    memset(key, 0x0b, 16);
    check_hmac(key, 16, "Hi There", "9294727a3638bb1c13f48ef8158bfc9d");
}

/* Puts the challenge where the library has it, in a transmit buffer that ends flush with its memory. */
static char *buffer_with(const char *challenge, size_t count)
{
    char *out = malloc(IMAPCONNECT_WRITE_SIZE);

    assert_non_null(out);
    memset(out, '#', IMAPCONNECT_WRITE_SIZE);
    memcpy(out, challenge, count);
    return out;
}

/* RFC 2195 section 2, the whole line. */
static void the_answer_of_the_rfc(void **state)
{
    static const char expected[] = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw";
    char *out = buffer_with(tim_challenge, sizeof tim_challenge - 1);

    (void)state;
    assert_int_equal(imc_sasl_cram_md5(out, sizeof tim_challenge - 1, "tim", "tanstaaftanstaaf"),
                     sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
    free(out);
}

static int value_of(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(alphabet, c);

    assert_true(c != '\0' && at != 0);
    return (int)(at - alphabet);
}

/* A plain decoder of our own, so that the encoder is not its own judge. */
static size_t decode(const char *from, size_t count, char *to)
{
    size_t at, used = 0;

    assert_int_equal(count % 4, 0);
    for (at = 0; at < count; at += 4) {
        int pad = from[at + 3] != '=' ? 0 : from[at + 2] != '=' ? 1 : 2;
        int bits = value_of(from[at]) << 18 | value_of(from[at + 1]) << 12;

        if (pad < 2)
            bits |= value_of(from[at + 2]) << 6;
        if (pad < 1)
            bits |= value_of(from[at + 3]);
        assert_true(pad == 0 || at + 4 == count);
        to[used++] = (char)(bits >> 16);
        if (pad < 2)
            to[used++] = (char)(bits >> 8);
        if (pad < 1)
            to[used++] = (char)bits;
    }
    return used;
}

/* Every length of the user name that is allowed; the text is moved within the buffer that it is encoded into. */
static void users_of_every_length(void **state)
{
    char user[IMAPCONNECT_MAX_ARGUMENT + 1], plain[400];
    size_t count;

    (void)state;
    for (count = 0; count <= IMAPCONNECT_MAX_ARGUMENT; count++) {
        char *out = buffer_with(tim_challenge, sizeof tim_challenge - 1);
        size_t i, used;

        for (i = 0; i < count; i++)
            user[i] = (char)(1 + (i * 7 + count) % 255);
        user[count] = '\0';
        used = imc_sasl_cram_md5(out, sizeof tim_challenge - 1, user, "tanstaaftanstaaf");
        assert_int_equal(used, 4 * ((count + 33 + 2) / 3));
        assert_int_equal(decode(out, used, plain), count + 33);
        assert_memory_equal(plain, user, count);
        assert_memory_equal(plain + count, " b913a602c7eda7a495b4e6e7334d3890", 33);
        free(out);
    }
}

/* The longest challenge fills the buffer; the digest is openssl's. Keys and the hashed key with a NUL, through the
   whole answer. */
static void the_longest_challenge_and_other_keys(void **state)
{
    char challenge[IMAPCONNECT_WRITE_SIZE], key[256], plain[400];
    char *out;
    size_t used;

    (void)state;
    memset(challenge, 'c', sizeof challenge);
    out = buffer_with(challenge, sizeof challenge);
    used = imc_sasl_cram_md5(out, sizeof challenge, "u", "secret");
    assert_int_equal(decode(out, used, plain), 34);
    assert_memory_equal(plain, "u 6b3aca140213dd5095f9678c1458539e", 34);
    free(out);

    memset(key, 'p', 65);
    memcpy(key + 65, "22", 3);
    out = buffer_with(tim_challenge, sizeof tim_challenge - 1);
    used = imc_sasl_cram_md5(out, sizeof tim_challenge - 1, "u", key);
    assert_int_equal(decode(out, used, plain), 34);
    assert_memory_equal(plain, "u 8ea1b63979a4942b9df2e16295123541", 34);
    free(out);

    memset(key, 'k', 255);
    key[255] = '\0';
    out = buffer_with("<1.2@x>", 7);
    used = imc_sasl_cram_md5(out, 7, "", key);
    assert_int_equal(decode(out, used, plain), 33);
    assert_memory_equal(plain, " c706e0b4d9c6e6d94a7eb009c65d67ad", 33);
    free(out);
}

/* ---- what mechanisms say first ---- */

static void check_payload(const char *header, const char *format, const char *const *texts, const char *expected,
                          size_t count)
{
    imapconnect_payload payload;
    size_t i;

    memset(&payload, 0, sizeof payload);
    payload.text = header;
    payload.format = format;
    for (i = 0; i < count; i++)
        assert_int_equal(imc_payload_next(&payload, texts), (unsigned char)expected[i]);
    assert_int_equal(imc_payload_next(&payload, texts), -1);
    assert_int_equal(imc_payload_next(&payload, texts), -1);
}

/* RFC 4616 section 2, RFC 4422 appendix A, RFC 7628 section 3.1, RFC 5802 section 5.1, and Google's XOAUTH2. */
static void the_first_words_of_each_mechanism(void **state)
{
    static const char *const joe[] = {"joe", "Xyzzy-42", "nonce"};
    static const char *const odd[] = {"a,b=c", "p,=%0", ""};
    static const char *const none[] = {"", "", ""};
    static const struct {
        const char *name;
        const char *said;
        size_t count;
    } cases[] = {
        {"EXTERNAL", "joe", 3},
        {"OAUTHBEARER", "n,a=joe,\1auth=Bearer Xyzzy-42\1\1", 31},
        {"XOAUTH2", "user=joe\1auth=Bearer Xyzzy-42\1\1", 31},
        {"SCRAM-SHA-256", "n=joe,r=nonce", 13},
        {"SCRAM-SHA-256-PLUS", "n=joe,r=nonce", 13},
        {"SCRAM-SHA-1", "n=joe,r=nonce", 13},
        {"PLAIN", "\0joe\0Xyzzy-42", 13},
    };
    size_t i, row, seen = 0;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        for (row = 0; row < COUNT(imc_engine_mechanisms); row++)
            if (strcmp(imc_engine_mechanisms[row].name, cases[i].name) == 0) {
                check_payload(0, imc_engine_mechanisms[row].first, joe, cases[i].said, cases[i].count);
                seen++;
            }
    assert_int_equal(seen, COUNT(cases));
    check_payload("n,,", "n=%e,r=%2", odd, "n,,n=a=2Cb=3Dc,r=", 17);
    check_payload(0, "%z%0%z%1", odd, "\0a,b=c\0p,=%0", 12);
    check_payload("", "%0", none, "", 0);
    check_payload(0, "n,%a,", odd, "n,a=a=2Cb=3Dc,", 14);
    check_payload(0, "n,%a,", none, "n,,", 3);
    check_payload(0, "%z%0%z%1", none, "\0\0", 2);
}

/* ---- SCRAM ---- */

static void derive(int hash, const char *password, const char *salt, uint32_t iterations, unsigned char *out)
{
    const char *texts[3];
    imapconnect_scram key;
    imc_scram scram;

    texts[0] = texts[2] = "";
    texts[1] = password;
    memset(&scram, 0, sizeof scram);
    scram.hash = hash;
    scram.texts = texts;
    scram.salt.bytes = (const unsigned char *)salt;
    scram.salt.count = strlen(salt);
    scram.iterations = iterations;
    assert_int_equal(imc_scram_begin(&scram, &key), 0);
    while (key.left > 0)
        assert_int_equal(imc_scram_derive(hash, password, &key), 0);
    memcpy(out, key.sum, imc_hash_size(hash));
}

/* RFC 6070, those of 20 bytes and a short salt; the one for SHA-256 is of RFC 7914 section 11, its first 32 bytes. The
   salts are "salt" and "NaCl". */
static void the_key_equals_the_vectors(void **state)
{
    static const struct {
        int hash;
        const char *password, *salt;
        uint32_t iterations;
        const char *key;
    } cases[] = {
        {IMC_SHA_1, "password", "c2FsdA==", 1,
         "\x0c\x60\xc8\x0f\x96\x1f\x0e\x71\xf3\xa9\xb5\x24\xaf\x60\x12\x06\x2f\xe0\x37\xa6"},
        {IMC_SHA_1, "password", "c2FsdA==", 2,
         "\xea\x6c\x01\x4d\xc7\x2d\x6f\x8c\xcd\x1e\xd9\x2a\xce\x1d\x41\xf0\xd8\xde\x89\x57"},
        {IMC_SHA_1, "password", "c2FsdA==", 4096,
         "\x4b\x00\x79\x01\xb7\x65\x48\x9a\xbe\xad\x49\xd9\x26\xf7\x21\xd0\x65\xa4\x29\xc1"},
    };
    unsigned char key[32];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        derive(cases[i].hash, cases[i].password, cases[i].salt, cases[i].iterations, key);
        assert_memory_equal(key, cases[i].key, imc_hash_size(cases[i].hash));
    }
    derive(IMC_SHA_256, "Password", "TmFDbA==", 80000, key);
    assert_memory_equal(key,
                        "\x4d\xdc\xd8\xf6\x0b\x98\xbe\x21\x83\x0c\xee\x5e\xf2\x27\x01\xf9\x64\x1a\x44\x18\xd0\x4c\x04"
                        "\x14\xae\xff\x08\x87\x6b\x34\xab\x56",
                        32);
}

typedef struct scram_case {
    int hash;
    const char *texts[3];
    const char *first, *salt, *final, *verifier;
} scram_case;

static const scram_case rfc_5802 = {
    IMC_SHA_1,
    {"user", "pencil", "fyko+d2lbbFgONRv9qkxdawL"},
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "QSXCR+Q6sek8bf92",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "rmF9pqV8S7suAoZWja4dJRkFsKQ="};
static const scram_case rfc_7677 = {
    IMC_SHA_256,
    {"user", "pencil", "rOprNGfwEbeRWgbNEkqO"},
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "W22ZaJ0SNY7soEsUEjb6gQ==",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};

static void check_scram(const scram_case *c)
{
    unsigned char proof[32], signature[32];
    imapconnect_scram key;
    char encoded[45], plain[400];
    char *out = buffer_with(c->first, strlen(c->first));
    imc_scram scram;
    size_t used;

    memset(&scram, 0, sizeof scram);
    scram.hash = c->hash;
    scram.texts = c->texts;
    scram.message.bytes = (const unsigned char *)out;
    scram.message.count = strlen(c->first);
    assert_true(imc_scram_parse(&scram));
    assert_int_equal(scram.iterations, 4096);
    derive(c->hash, c->texts[1], c->salt, 4096, key.sum);
    assert_int_equal(imc_scram_prove(&scram, &key, "biws", proof, signature), 0);
    encoded[imc_sasl_base64_encode(encoded, signature, imc_hash_size(c->hash))] = '\0';
    assert_string_equal(encoded, c->verifier);
    used = imc_scram_compose(&scram, "biws", proof, out);
    plain[decode(out, used, plain)] = '\0';
    assert_string_equal(plain, c->final);
    free(out);
}

/* RFC 5802 section 5, RFC 7677 section 3. */
static void scram_equals_the_exchanges_of_the_rfcs(void **state)
{
    (void)state;
    check_scram(&rfc_5802);
    check_scram(&rfc_7677);
}

/* The longest nonce that is taken, and the longest binding: nothing overlaps. */
static void the_longest_final_message(void **state)
{
    static const char *const texts[] = {"joe", "Xyzzy-42", "n"};
    char first[IMAPCONNECT_WRITE_SIZE], binding[65], plain[400], nonce[200 + 1], want[400];
    unsigned char proof[32] = {9};
    imc_scram scram;
    size_t used;
    char *out;

    (void)state;
    memset(nonce, 'n', 200);
    nonce[200] = '\0';
    snprintf(first, sizeof first, "r=%s,s=QSXCR+Q6sek8bf92,i=4096,x=extension", nonce);
    out = buffer_with(first, strlen(first));
    memset(&scram, 0, sizeof scram);
    scram.hash = IMC_SHA_256;
    scram.texts = texts;
    scram.message.bytes = (const unsigned char *)out;
    scram.message.count = strlen(first);
    assert_true(imc_scram_parse(&scram));
    memset(binding, 'b', 64);
    binding[64] = '\0';
    used = imc_scram_compose(&scram, binding, proof, out);
    plain[decode(out, used, plain)] = '\0';
    snprintf(want, sizeof want, "c=%s,r=%s,p=CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", binding, nonce);
    assert_string_equal(plain, want);
    free(out);
}

/* RFC 5802 section 7; section 5.1: the nonce is ours and then something of the server's, "m=" is not understood. */
static void server_messages_that_are_refused(void **state)
{
    static const char *const texts[] = {"joe", "Xyzzy-42", "mine"};
    static const char *const bad[] = {
        "",
        "r",
        "r=",
        "r=mine,s=QSXCR+Q6sek8bf92,i=4096",
        "r=min",
        "r=Mine+,s=QSXCR+Q6sek8bf92,i=4096",
        "r=other,s=QSXCR+Q6sek8bf92,i=4096",
        "r=mine+",
        "r=mine+,s=",
        "r=mine+,s=,i=4096",
        "r=mine+,s=QSXCR+Q6sek8bf92",
        "r=mine+,s=QSXCR+Q6sek8bf92,i=",
        "r=mine+,s=QSXCR+Q6sek8bf92,i=4096x",
        "r=mine+,s=QSXCR+Q6sek8bf92,i=-4096",
        "r=mine+,s=QSXCR+Q6sek8bf92,i=99999999999",
        "r=mine+,s=QSXCR+Q6sek8bf92,i=4294967296",
        "r=mine+,i=4096,s=QSXCR+Q6sek8bf92",
        "m=x,r=mine+,s=QSXCR+Q6sek8bf92,i=4096",
        "s=QSXCR+Q6sek8bf92,r=mine+,i=4096",
        " r=mine+,s=QSXCR+Q6sek8bf92,i=4096",
        "r-mine+,s=QSXCR+Q6sek8bf92,i=4096",
        "e=unknown-user",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        unsigned char *exact = malloc(strlen(bad[i]) + 1);
        imc_scram scram;

        assert_non_null(exact);
        memcpy(exact, bad[i], strlen(bad[i]) + 1);
        memset(&scram, 0, sizeof scram);
        scram.texts = texts;
        scram.message.bytes = exact;
        scram.message.count = strlen(bad[i]);
        if (imc_scram_parse(&scram))
            fail_msg("taken: %s", bad[i]);
        free(exact);
    }
}

/* Nothing is read behind the end of what there is. */
static void attributes_that_are_cut_short(void **state)
{
    static const char message[] = "r=x,";
    size_t count;

    (void)state;
    for (count = 0; count < sizeof message; count++) {
        unsigned char *exact = malloc(sizeof message);
        imc_slice rest, value;

        assert_non_null(exact);
        rest.bytes = exact + sizeof message - count;
        rest.count = count;
        memcpy(exact + sizeof message - count, message, count);
        assert_int_equal(imc_scram_attribute(&rest, 'r', &value), count >= 3);
        free(exact);
    }
}

/* The salt is strict base64, RFC 4648 section 3, and fits. */
static void salts(void **state)
{
    static const struct {
        const char *text;
        size_t count;
    } cases[] = {{"QSXCR+Q6sek8bf92", 12},
                 {"W22ZaJ0SNY7soEsUEjb6gQ==", 16},
                 {"AAA=", 2},
                 {"AA==", 1},
                 {"A===", 0},
                 {"====", 0},
                 {"AB==", 0},
                 {"AAB=", 0},
                 {"AA=A", 0},
                 {"AAA", 0},
                 {"A", 0},
                 {"", 0},
                 {"AA==AAAA", 0},
                 {"A-AA", 0},
                 {"AA A", 0},
                 {"=AAA", 0},
                 {"AAAAAAA=", 5},
                 {"AAAAA===", 0},
                 {"AAAAA", 0},
                 {"AAAAAA", 0},
                 {"AAAAAAA", 0}};
    char longest[64 * 2], last[5];
    unsigned char out[64];
    imc_slice text;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        text.bytes = (const unsigned char *)cases[i].text;
        text.count = strlen(cases[i].text);
        if (imc_scram_decode(&text, out, sizeof out) != cases[i].count)
            fail_msg("%s", cases[i].text);
    }
    for (i = 0; i < 64; i++) { /* the bits behind the last byte are zero: two of them, or four */
        sprintf(last, "AA%c=", imc_sasl_base64_digit((uint32_t)i));
        text.bytes = (const unsigned char *)last;
        text.count = 4;
        assert_int_equal(imc_scram_decode(&text, out, sizeof out), i % 4 == 0 ? 2 : 0);
        sprintf(last, "A%c==", imc_sasl_base64_digit((uint32_t)i));
        assert_int_equal(imc_scram_decode(&text, out, sizeof out), i % 16 == 0 ? 1 : 0);
    }
    memset(longest, 'A', sizeof longest);
    text.bytes = (const unsigned char *)longest;
    text.count = 84; /* 63 bytes */
    assert_int_equal(imc_scram_decode(&text, out, sizeof out), 63);
    text.count = 88;
    assert_int_equal(imc_scram_decode(&text, out, sizeof out), 0);
}

/* Each nonce is another one, of 24 printable characters without a comma: RFC 5802 section 5.1. */
static void nonces_differ(void **state)
{
    char one[32], two[32];
    size_t i;

    (void)state;
    assert_int_equal(imc_scram_nonce(one), 0);
    assert_int_equal(imc_scram_nonce(two), 0);
    assert_int_equal(strlen(one), 24);
    assert_int_equal(strlen(two), 24);
    assert_string_not_equal(one, two);
    for (i = 0; i < 24; i++)
        assert_true(one[i] > 0x20 && one[i] < 0x7f && one[i] != ',');
}

/* ---- what is left on the stack ---- */

#define STACK_SIZE (512u * 1024u)

static const char long_password[] =
    "this-password-is-longer-than-one-block-of-md5-so-that-it-is-hashed-first-1234567";

static char *thread_out;
static const char *thread_password;

static size_t answered;

static void answer(void)
{
    answered = imc_sasl_cram_md5(thread_out, sizeof tim_challenge - 1, "tim", thread_password);
}

/* What the search must be able to find, so that it can be trusted when it finds nothing. */
static void careless(void)
{
    volatile char left[96];
    size_t i;

    for (i = 0; i < sizeof left; i++)
        left[i] = thread_password[i % 16];
}

static void (*thread_run)(void);

/* Far down, where what the thread does at its own end writes nothing any more. */
static void *run_deep(void *unused)
{
    volatile char above[65536];

    (void)unused;
    above[0] = 0;
    thread_run();
    above[1] = above[0];
    return 0;
}

/* Runs it on a stack that was all zero, and stays to be looked at. */
static unsigned char *run_on_own_stack(void (*run)(void))
{
    void *memory = 0;
    unsigned char *stack;
    pthread_attr_t attributes;
    pthread_t thread;

    thread_run = run;
    assert_int_equal(posix_memalign(&memory, 4096, STACK_SIZE), 0);
    stack = memory;
    memset(stack, 0, STACK_SIZE);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run_deep, 0), 0);
    assert_int_equal(pthread_join(thread, 0), 0);
    pthread_attr_destroy(&attributes);
    return stack;
}

/* The stack is not part of the heap or of a frame that lives: nothing is known about its bytes but their values. */
__attribute__((no_sanitize_address)) static int holds(const unsigned char *memory, size_t size, const void *what,
                                                      size_t count)
{
    const unsigned char *bytes = what;
    size_t at, i;

    for (at = 0; at + count <= size; at++) {
        for (i = 0; i < count && memory[at + i] == bytes[i]; i++)
            ;
        if (i == count)
            return 1;
    }
    return 0;
}

/* The same, with each word turned round, as SHA has it in its block on a little-endian machine. */
static int holds_words(const unsigned char *memory, size_t size, const unsigned char *eight)
{
    unsigned char turned[8];
    size_t i;

    for (i = 0; i < 8; i++)
        turned[i] = eight[i ^ 3];
    return holds(memory, size, turned, 8);
}

/* The password, the key as HMAC uses it, the inner digest, and the whole one, each in pieces of eight bytes. */
static void check_stack(const char *password, const char *key, size_t key_count, const char *inner,
                        const char *digest)
{
    unsigned char padded[64];
    unsigned char *stack;
    size_t i, pass;

    thread_password = password;
    thread_out = buffer_with(tim_challenge, sizeof tim_challenge - 1);
    stack = run_on_own_stack(answer);
    assert_int_equal(answered, 48);
    for (i = 0; i + 8 <= strlen(password); i += 8)
        assert_false(holds(stack, STACK_SIZE, password + i, 8));
    for (i = 0; i + 8 <= key_count; i += 8)
        assert_false(holds(stack, STACK_SIZE, key + i, 8));
    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < key_count; i++)
            padded[i] = (unsigned char)(key[i] ^ (pass ? 0x5c : 0x36));
        for (i = 0; i + 8 <= key_count; i += 8)
            assert_false(holds(stack, STACK_SIZE, padded + i, 8));
    }
    assert_false(holds(stack, STACK_SIZE, inner, 8));
    assert_false(holds(stack, STACK_SIZE, inner + 8, 8));
    assert_false(holds(stack, STACK_SIZE, digest, 8));
    assert_false(holds(stack, STACK_SIZE, digest + 8, 8));
    free(stack);
    free(thread_out);
}

static void check_stacks(void)
{
    /* MD5 of the long password, and the digests, are those of other implementations. */
    static const char hashed[] = "\xee\x15\x58\x12\x75\x67\xc2\x11\x4c\x66\x86\xa0\x17\x4f\xae\xf0";

    check_stack("tanstaaftanstaaf", "tanstaaftanstaaf", 16,
                "\x32\x8f\x9b\xd7\x34\x94\xa1\xc0\x4a\x60\xbc\x24\x21\x3a\x8e\x36",
                "\xb9\x13\xa6\x02\xc7\xed\xa7\xa4\x95\xb4\xe6\xe7\x33\x4d\x38\x90");
    check_stack(long_password, hashed, 16, "\x45\x5b\x4d\x27\x8e\xb4\xfc\x04\x89\x41\x12\xf2\xf7\xe6\xfb\x9b",
                "\xec\x30\x9d\xe3\x30\xec\x3b\x30\xcc\x6d\x15\x1a\xbe\x72\xdb\xd8");
}

static void nothing_secret_stays_on_the_stack(void **state)
{
    unsigned char *stack;

    (void)state;
    check_stacks();
    thread_password = "tanstaaftanstaaf";
    stack = run_on_own_stack(careless);
    assert_true(holds(stack, STACK_SIZE, "tanstaaf", 8));
    free(stack);
}

/* All that SCRAM keeps is here, and nothing of it on the stack of who calls. */
static struct {
    imc_scram scram;
    imapconnect_scram key;
    const char *texts[3];
    char first[IMAPCONNECT_WRITE_SIZE];
    unsigned char proof[32], signature[32];
    int failed;
} exchange;

static void answer_scram(void)
{
    exchange.failed = imc_scram_begin(&exchange.scram, &exchange.key);
    while (exchange.key.left > 0)
        exchange.failed |= imc_scram_derive(exchange.scram.hash, exchange.texts[1], &exchange.key);
    exchange.failed |= imc_scram_prove(&exchange.scram, &exchange.key, "biws", exchange.proof, exchange.signature);
}

static void check_scram_stack(const char *password, const char *key, size_t count)
{
    unsigned char salted[32], client[32], padded[64];
    unsigned char *stack;
    size_t i, pass;

    memset(&exchange, 0, sizeof exchange);
    strcpy(exchange.first, rfc_7677.first);
    exchange.texts[0] = "user";
    exchange.texts[1] = password;
    exchange.texts[2] = rfc_7677.texts[2];
    exchange.scram.hash = IMC_SHA_256;
    exchange.scram.texts = exchange.texts;
    exchange.scram.message.bytes = (const unsigned char *)exchange.first;
    exchange.scram.message.count = strlen(exchange.first);
    assert_true(imc_scram_parse(&exchange.scram));
    stack = run_on_own_stack(answer_scram);
    assert_int_equal(exchange.failed, 0);
    memcpy(salted, exchange.key.sum, sizeof salted);
    assert_int_equal(imc_hmac(IMC_SHA_256, salted, sizeof salted, "Client Key", 10, client), 0);
    for (i = 0; i + 8 <= strlen(password); i += 8)
        assert_false(holds(stack, STACK_SIZE, password + i, 8));
    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < count; i++)
            padded[i] = (unsigned char)(key[i] ^ (pass ? 0x5c : 0x36));
        for (i = 0; i + 8 <= count; i += 8)
            assert_false(holds(stack, STACK_SIZE, padded + i, 8));
    }
    for (i = 0; i < 32; i += 8) {
        assert_false(holds(stack, STACK_SIZE, salted + i, 8));
        assert_false(holds(stack, STACK_SIZE, client + i, 8));
        assert_false(holds_words(stack, STACK_SIZE, client + i));
        assert_false(holds_words(stack, STACK_SIZE, salted + i));
        assert_false(holds(stack, STACK_SIZE, exchange.proof + i, 8));
        assert_false(holds(stack, STACK_SIZE, exchange.signature + i, 8));
    }
    free(stack);
}

/* SECURITY.md section 3, 27: password, SaltedPassword, ClientKey, proof, and what the server must prove with. */
static void nothing_of_scram_stays_on_the_stack(void **state)
{
    unsigned char hashed[32];

    (void)state;
    check_scram_stack("tanstaaftanstaaf", "tanstaaftanstaaf", 16);
    assert_int_equal(imc_hash_whole(IMC_SHA_256, long_password, strlen(long_password), hashed), 0);
    check_scram_stack(long_password, (const char *)hashed, sizeof hashed);
}

/* What a hash has worked on stays in its structure, which may be anybody's memory. */
static void a_hash_that_has_ended_is_empty(void **state)
{
    static const int kinds[] = {IMC_MD5, IMC_SHA_1, IMC_SHA_256};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        unsigned char digest[32];
        imc_hash hash;

        imc_hash_begin(&hash, kinds[i]);
        imc_hash_add(&hash, "tanstaaftanstaaf", 16);
        assert_int_equal(imc_hash_end(&hash, digest), 0);
        for (k = 0; k < sizeof hash; k++)
            assert_int_equal(((unsigned char *)&hash)[k], 0);
    }
}

/* SECURITY.md section 3, 32: what was begun or copied is freed once, whatever it was for. */
static void every_hash_is_freed(void **state)
{
    static const char key[] = "a key that is longer than a block of sixty-four bytes, and hashed before it is used";
    static const int kinds[] = {IMC_MD5, IMC_SHA_1, IMC_SHA_256};
    imapconnect_scram derived;
    unsigned char digest[32];
    size_t i;

    (void)state;
    hashes = 0;
    for (i = 0; i < COUNT(kinds); i++) {
        assert_int_equal(imc_hash_whole(kinds[i], key, 10, digest), 0);
        assert_int_equal(hashes, 0);
        assert_int_equal(imc_hmac(kinds[i], key, strlen(key), key, 3, digest), 0);
        assert_int_equal(hashes, 0);
        memset(&derived, 0, sizeof derived);
        derived.left = 3;
        if (kinds[i] != IMC_MD5)
            assert_int_equal(imc_scram_derive(kinds[i], key, &derived), 0);
        assert_int_equal(hashes, 0);
        begin_fails = 1; /* what could not begin is neither copied nor freed */
        assert_int_not_equal(imc_hmac(kinds[i], key, strlen(key), key, 3, digest), 0);
        derived.left = 3;
        if (kinds[i] != IMC_MD5)
            assert_int_not_equal(imc_scram_derive(kinds[i], key, &derived), 0);
        assert_int_equal(hashes, 0);
        begin_fails = 0;
        update_fails = kinds[i] != IMC_MD5; /* what failed once has failed, though the end of it goes well */
        assert_int_equal(imc_hash_whole(kinds[i], key, 10, digest) != 0, update_fails);
        update_fails = 0;
        assert_int_equal(hashes, 0);
    }
}

/* The proof as the engine sends it: the same as that in `exchange`. */
static imapconnect_config no_config;
static imapconnect_engine proving;

static void prove(void)
{
    imc_engine_scram_prove(&proving, "biws");
}

static void the_proof_does_not_stay_on_the_stack(void **state)
{
    imapconnect_writer *writer = &proving.writer;
    unsigned char *stack;
    size_t i;

    (void)state;
    check_scram_stack("tanstaaftanstaaf", "tanstaaftanstaaf", 16);
    memset(&proving, 0, sizeof proving);
    proving.config = &no_config;
    memcpy(writer->text, exchange.texts, sizeof exchange.texts);
    while (strcmp(imc_engine_mechanisms[proving.mechanism++].name, "SCRAM-SHA-256") != 0)
        ;
    strcpy(proving.scram, exchange.texts[2]);
    writer->text[2] = proving.scram;
    memcpy(writer->out.challenge.message, exchange.first, strlen(exchange.first));
    proving.reader.challenge = (uint16_t)strlen(exchange.first);
    writer->out.challenge.scram = exchange.key;
    stack = run_on_own_stack(prove);
    assert_int_equal(proving.error, 0);
    assert_memory_equal(proving.scram, exchange.signature, 32); /* it was the same exchange */
    for (i = 0; i < 32; i += 8)
        assert_false(holds(stack, STACK_SIZE, exchange.proof + i, 8));
    free(stack);
}

/* What a mechanism says first is put together in three bytes, which are a part of the password. */
static void say_first(void)
{
    imc_commands_payload(&proving);
}

static void no_piece_of_a_payload_stays_on_the_stack(void **state)
{
    static const char piece[] = "\xf1\xe7\xd3";
    unsigned char *stack;

    (void)state;
    memset(&proving, 0, sizeof proving);
    proving.config = &no_config;
    proving.writer.payload.format = "%1";
    proving.writer.text[1] = piece;
    stack = run_on_own_stack(say_first);
    assert_memory_equal(proving.writer.out.bytes, "8efT", 4);
    assert_false(holds(stack, STACK_SIZE, piece, 3));
    free(stack);
}

static void hash_once(void)
{
    static unsigned char digest[32];

    answered = (size_t)imc_hash_whole(IMC_SHA_256, "x", 1, digest);
}

/* SECURITY.md section 3, 27: the wipe does not rest on what a later pass happens to overwrite. */
static void what_a_hash_leaves_is_wiped(void **state)
{
    unsigned char *stack;

    (void)state;
    is_careless = 1;
    check_stacks();
    check_scram_stack("tanstaaftanstaaf", "tanstaaftanstaaf", 16);
    stack = run_on_own_stack(hash_once);
    assert_false(holds(stack, STACK_SIZE, "tanstaaf", 8));
    free(stack);
    is_careless = 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(base64_of_the_rfc),
    cmocka_unit_test(base64_digits_have_values),
    cmocka_unit_test(hmac_md5_equals_the_vectors),
    cmocka_unit_test(the_answer_of_the_rfc),
    cmocka_unit_test(users_of_every_length),
    cmocka_unit_test(the_longest_challenge_and_other_keys),
    cmocka_unit_test(the_first_words_of_each_mechanism),
    cmocka_unit_test(the_key_equals_the_vectors),
    cmocka_unit_test(scram_equals_the_exchanges_of_the_rfcs),
    cmocka_unit_test(the_longest_final_message),
    cmocka_unit_test(server_messages_that_are_refused),
    cmocka_unit_test(attributes_that_are_cut_short),
    cmocka_unit_test(salts),
    cmocka_unit_test(nonces_differ),
    cmocka_unit_test(nothing_secret_stays_on_the_stack),
    cmocka_unit_test(nothing_of_scram_stays_on_the_stack),
    cmocka_unit_test(a_hash_that_has_ended_is_empty),
    cmocka_unit_test(every_hash_is_freed),
    cmocka_unit_test(the_proof_does_not_stay_on_the_stack),
    cmocka_unit_test(no_piece_of_a_payload_stays_on_the_stack),
    cmocka_unit_test(what_a_hash_leaves_is_wiped),
};
TEST_MAIN(tests)
