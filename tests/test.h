/* test.h: what every tests/test_*.c includes.

   Each of them is one cmocka program:

       #define IMAPCONNECT_IMPLEMENTATION
       #include "../imapconnect.h"
       #include "test.h"

       static void counts_what_it_has(void **state) { (void)state; assert_int_equal(...); }

       static const struct CMUnitTest tests[] = {cmocka_unit_test(counts_what_it_has)};
       TEST_MAIN(tests)

   TEST_FILTER=counts_what_it_has in the environment runs that one alone.

   cmocka's own report goes to standard error; the last line on standard output is "N passed, N failed", which
   tests/run.sh adds up. A program that ends without it has failed. */

#ifndef TEST_H
#define TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* `failed` is what cmocka returns: failures and errors; more than `all`, or negative, when the group broke
 * down. */
static int test_report(size_t all, int failed)
{
    size_t bad = failed < 0 || (size_t)failed > all ? all : (size_t)failed;
    printf("%zu passed, %zu failed\n", all - bad, bad);
    return bad != 0 || all == 0;
}

#define TEST_MAIN(tests)                                                                                   \
    int main(void)                                                                                         \
    {                                                                                                      \
        cmocka_set_test_filter(getenv("TEST_FILTER"));                                                     \
        return test_report(sizeof(tests) / sizeof((tests)[0]), cmocka_run_group_tests(tests, NULL, NULL)); \
    }

#endif
