/* Room >>bytes: counted bytes, ASCII case without a locale, decimal numbers that never overflow. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

static void the_smaller_number(void **state)
{
    (void)state;
    assert_int_equal(imc_bytes_least(0, 0), 0);
    assert_int_equal(imc_bytes_least(1, 2), 1);
    assert_int_equal(imc_bytes_least(2, 1), 1);
    assert_true(imc_bytes_least(SIZE_MAX, 7) == 7);
    assert_true(imc_bytes_least(SIZE_MAX, SIZE_MAX) == SIZE_MAX);
}

/* Only the 26 letters of ASCII change. A byte above 0x7f is no letter, whatever sign a char has. */
static void upper_case_is_ascii_alone(void **state)
{
    int c;

    (void)state;
    for (c = -128; c < 256; c++) {
        int expected = c >= 'a' && c <= 'z' ? c - 32 : c;
        assert_int_equal(imc_bytes_upper(c), expected);
    }
}

static void digits_are_ten(void **state)
{
    int c;

    (void)state;
    for (c = -128; c < 256; c++)
        assert_int_equal(imc_bytes_is_digit(c), c >= 0x30 && c <= 0x39);
}

static void keywords_match_whole_and_in_any_case(void **state)
{
    static const struct {
        const char *text, *word;
        int same;
    } cases[] = {{"", "", 1},
                 {"OK", "OK", 1},
                 {"ok", "OK", 1},
                 {"oK", "Ok", 1},
                 {"O", "OK", 0},
                 {"OKX", "OK", 0},
                 {"", "OK", 0},
                 {"OK", "", 0},
                 {"XOK", "OK", 0},
                 {"0K", "OK", 0},
                 {"@", "`", 0},
                 {"[", "{", 0},
                 {"AUTH=cram-md5", "auth=CRAM-MD5", 1},
                 {"\xe0", "\xc0", 0},
                 {"\xe9t", "\xe9T", 1}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t count = strlen(cases[i].text);
        char *exact = malloc(count + 1); /* without a terminator, so that reading on is seen */

        assert_non_null(exact);
        memcpy(exact, cases[i].text, count);
        exact = realloc(exact, count > 0 ? count : 1);
        assert_non_null(exact);
        if (imc_bytes_same(exact, count, cases[i].word) != cases[i].same)
            fail_msg("'%s' and '%s'", cases[i].text, cases[i].word);
        free(exact);
    }
}

/* A NUL in the counted text is a byte like any other, not its end. */
static void a_nul_does_not_end_a_keyword(void **state)
{
    (void)state;
    assert_int_equal(imc_bytes_same("OK\0", 3, "OK"), 0);
    assert_int_equal(imc_bytes_same("\0", 1, ""), 0);
    assert_int_equal(imc_bytes_same("O\0K", 3, "OK"), 0);
}

static void lengths_stop_at_the_limit(void **state)
{
    char *exact = malloc(5);

    (void)state;
    assert_non_null(exact);
    memcpy(exact, "12345", 5); /* no NUL: the limit alone ends it */
    assert_int_equal(imc_bytes_length(exact, 5), 5);
    assert_int_equal(imc_bytes_length(exact, 0), 0);
    exact[4] = '\0';
    assert_int_equal(imc_bytes_length(exact, 5), 4);
    assert_int_equal(imc_bytes_length(exact, 3), 3);
    exact[0] = '\0';
    assert_int_equal(imc_bytes_length(exact, 5), 0);
    free(exact);
}

static void numbers_in_decimal(void **state)
{
    static const struct {
        uint32_t number;
        const char *digits;
    } cases[] = {{0, "0"},
                 {1, "1"},
                 {9, "9"},
                 {10, "10"},
                 {99, "99"},
                 {100, "100"},
                 {65535, "65535"},
                 {1000000000u, "1000000000"},
                 {999999999u, "999999999"},
                 {4294967295u, "4294967295"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[12];
        size_t count;

        memset(out, '#', sizeof out);
        count = imc_bytes_decimal(out, cases[i].number);
        assert_int_equal(count, strlen(cases[i].digits));
        assert_memory_equal(out, cases[i].digits, count);
        assert_int_equal(out[count], '#');
    }
}

/* RFC 3501 section 9, number: what is one and below 2^32, in memory of its size; anything else changes nothing. */
static void numbers_are_read_strictly(void **state)
{
    static const struct {
        const char *text;
        size_t count;
        int good;
        uint32_t number;
    } cases[] = {{"0", 1, 1, 0},
                 {"7", 1, 1, 7},
                 {"00", 2, 1, 0},
                 {"42", 2, 1, 42},
                 {"0000000005", 10, 1, 5},
                 {"00000000005", 11, 0, 0}, /* eleven digits */
                 {"999999999", 9, 1, 999999999u},
                 {"4294967289", 10, 1, 4294967289u},
                 {"4294967290", 10, 1, 4294967290u},
                 {"4294967295", 10, 1, 4294967295u},
                 {"4294967296", 10, 0, 0},
                 {"4294967299", 10, 0, 0},
                 {"4294967300", 10, 0, 0},
                 {"4300000000", 10, 0, 0},
                 {"5000000000", 10, 0, 0},
                 {"8589934597", 10, 0, 0}, /* 5 in 32 bits */
                 {"9999999999", 10, 0, 0},
                 {"42949672950", 11, 0, 0},
                 {"18446744073709551621", 20, 0, 0}, /* 5 in 64 bits */
                 {"", 0, 0, 0},
                 {"12", 1, 1, 1}, /* what is behind the count is not read */
                 {" 1", 2, 0, 0},
                 {"1 ", 2, 0, 0},
                 {"+1", 2, 0, 0},
                 {"-1", 2, 0, 0},
                 {"1a", 2, 0, 0},
                 {"a1", 2, 0, 0},
                 {"0x1", 3, 0, 0},
                 {"1.0", 3, 0, 0},
                 {"1\0", 2, 0, 0},
                 {"\xb2", 1, 0, 0}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *exact = malloc(cases[i].count > 0 ? cases[i].count : 1);
        uint32_t number = 4711;
        int good;

        assert_non_null(exact);
        memcpy(exact, cases[i].text, cases[i].count);
        good = imc_bytes_number(exact, cases[i].count, &number);
        if (good != cases[i].good || number != (good ? cases[i].number : 4711))
            fail_msg("'%s': %d, %lu", cases[i].text, good, (unsigned long)number);
        free(exact);
    }
}

/* What is written can be read; every byte but the ten digits is none, on its own and behind one. */
static void numbers_there_and_back(void **state)
{
    uint32_t number = 0, back = 0;
    char text[12];
    int c;

    (void)state;
    do {
        assert_int_equal(imc_bytes_number(text, imc_bytes_decimal(text, number), &back), 1);
        assert_true(back == number);
        number += 99991; /* it wraps, and ends near the beginning */
    } while (number >= 99991);
    for (c = 0; c < 256; c++) {
        text[0] = (char)c;
        assert_int_equal(imc_bytes_number(text, 1, &back), c >= 0x30 && c <= 0x39);
        text[0] = '1';
        text[1] = (char)c;
        assert_int_equal(imc_bytes_number(text, 2, &back), c >= 0x30 && c <= 0x39);
    }
}

static void hex_digits_are_lower_case(void **state)
{
    static const char expected[] = "0123456789abcdef";
    unsigned i;

    (void)state;
    for (i = 0; i < 256; i++)
        assert_int_equal(imc_bytes_hex(i), expected[i % 16]);
}

static void wiping_leaves_zeros_and_no_more(void **state)
{
    unsigned char memory[9];
    size_t i;

    (void)state;
    memset(memory, 0xa5, sizeof memory);
    imc_wipe(memory + 1, 7);
    assert_int_equal(memory[0], 0xa5);
    assert_int_equal(memory[8], 0xa5);
    for (i = 1; i < 8; i++)
        assert_int_equal(memory[i], 0);
    imc_wipe(memory, 0);
    assert_int_equal(memory[0], 0xa5);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_smaller_number),
    cmocka_unit_test(upper_case_is_ascii_alone),
    cmocka_unit_test(digits_are_ten),
    cmocka_unit_test(keywords_match_whole_and_in_any_case),
    cmocka_unit_test(a_nul_does_not_end_a_keyword),
    cmocka_unit_test(lengths_stop_at_the_limit),
    cmocka_unit_test(numbers_in_decimal),
    cmocka_unit_test(numbers_are_read_strictly),
    cmocka_unit_test(numbers_there_and_back),
    cmocka_unit_test(hex_digits_are_lower_case),
    cmocka_unit_test(wiping_leaves_zeros_and_no_more),
};
TEST_MAIN(tests)
