/* Room >>sasl: base64 (RFC 4648), HMAC-MD5 and the answer to a CRAM-MD5 challenge (RFC 2195), by the vectors of
   SECURITY.md section 4. What was secret must not be left on the stack. */

#include "test.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/md5.h>

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
    assert_int_equal(imc_sasl_hmac_md5(exact, key_count, (const unsigned char *)text, strlen(text), digest), 0);
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

/* SECURITY.md section 3, 27: the wipe does not rest on what a later pass happens to overwrite. */
static void what_md5_leaves_in_its_frames_is_wiped(void **state)
{
    (void)state;
    is_careless = 1;
    check_stacks();
    is_careless = 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(base64_of_the_rfc),
    cmocka_unit_test(base64_digits_have_values),
    cmocka_unit_test(hmac_md5_equals_the_vectors),
    cmocka_unit_test(the_answer_of_the_rfc),
    cmocka_unit_test(users_of_every_length),
    cmocka_unit_test(the_longest_challenge_and_other_keys),
    cmocka_unit_test(nothing_secret_stays_on_the_stack),
    cmocka_unit_test(what_md5_leaves_in_its_frames_is_wiped),
};
TEST_MAIN(tests)
