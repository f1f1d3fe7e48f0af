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
    cmocka_unit_test(hex_digits_are_lower_case),
    cmocka_unit_test(wiping_leaves_zeros_and_no_more),
};
TEST_MAIN(tests)
