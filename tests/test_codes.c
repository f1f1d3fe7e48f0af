/* Room >>codes: the numbers of SPEC.md section 3, each with its name, its text, and whether it ends the session.
   The two lists here are written from that page. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

/* After these the session goes on: something was refused before a byte was sent, or the server answered NO or BAD
   (SPEC.md section 4), or OK and yet not all that was asked for (-1297, -1424), or nothing went wrong at all. */
static const int harmless[] = {-501,  -503,  -509,  -1269, -1276, -1277, -1278, -1279, -1280, -1281, -1282,
                               -1283, -1284, -1285, -1286, -1288, -1297, -1298, -1301, -1302, -1400, -1401,
                               -1402, -1403, -1404, -1414, -1415, -1420, -1421, -1423, -1424, -1425};

/* These end it. */
static const int fatal[] = {
    -516,   -522,   -523,   -1010, -1027, -1029, -1031, -1032, -1033, -1034,  -1260,  -1261,  -1262,  -1263,
    -1264,  -1265,  -1266,  -1267, -1268, -1270, -1271, -1272, -1273, -1274,  -1275,  -1287,  -1289,  -1290,
    -1291,  -1292,  -1293,  -1294, -1295, -1296, -1299, -1300, -1304, -10054, -10060, -10061, -10065, -11001,
    -11002, -11003, -11004, -1405, -1406, -1407, -1408, -1409, -1410, -1411,  -1412,  -1413,  -1416,  -1417,
    -1418,  -1419,  -1422,  -1426, -1427, -1428, -1430, -1431, -1432, -1433,  -1434,  -1435};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_number(int number, int is_fatal)
{
    const char *name = imapconnect_code_name(number);

    if (imapconnect_code_is_fatal(number) != is_fatal)
        fail_msg("%d is%s fatal", number, is_fatal ? "" : " not");
    if (strncmp(name, "IMAPCONNECT_", 12) != 0 || strlen(imapconnect_strerror(number)) < 8)
        fail_msg("%d has no name or text", number);
    assert_string_not_equal(imapconnect_strerror(number), "unknown code");
}

static void every_number_of_the_document(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(harmless); i++)
        check_number(harmless[i], 0);
    for (i = 0; i < COUNT(fatal); i++)
        check_number(fatal[i], 1);
}

static void there_are_no_others(void **state)
{
    size_t found = 0;
    int number;

    (void)state;
    for (number = -20000; number < 0; number++)
        found += imapconnect_code_name(number)[0] != '\0';
    assert_int_equal(found, COUNT(harmless) + COUNT(fatal));
}

/* A name that stands for the wrong number passes the lists above: here some are compared with the document. */
static void names_stand_for_their_numbers(void **state)
{
    (void)state;
    assert_int_equal(IMAPCONNECT_E_PARAMETER, -501);
    assert_int_equal(IMAPCONNECT_E_VALUE, -503);
    assert_int_equal(IMAPCONNECT_E_NOT_OPEN, -509);
    assert_int_equal(IMAPCONNECT_E_CANCELLED, -516);
    assert_int_equal(IMAPCONNECT_E_TIMEOUT, -522);
    assert_int_equal(IMAPCONNECT_E_MEMORY, -1010);
    assert_int_equal(IMAPCONNECT_E_NO_CA, -1027);
    assert_int_equal(IMAPCONNECT_E_CA_FILE, -1029);
    assert_int_equal(IMAPCONNECT_E_TLS, -1031);
    assert_int_equal(IMAPCONNECT_CLOSED, -1033);
    assert_int_equal(IMAPCONNECT_E_CONNECT_TIMEOUT, -1034);
    assert_int_equal(IMAPCONNECT_E_RESPONSE, -1260);
    assert_int_equal(IMAPCONNECT_E_TAG, -1261);
    assert_int_equal(IMAPCONNECT_E_GREETING, -1262);
    assert_int_equal(IMAPCONNECT_E_GREETING_BYE, -1263);
    assert_int_equal(IMAPCONNECT_E_NO_LOGIN, -1264);
    assert_int_equal(IMAPCONNECT_E_NO_STARTTLS, -1265);
    assert_int_equal(IMAPCONNECT_E_CAPABILITY, -1266);
    assert_int_equal(IMAPCONNECT_E_NOT_IMAP4REV1, -1267);
    assert_int_equal(IMAPCONNECT_E_STARTTLS, -1268);
    assert_int_equal(IMAPCONNECT_E_TOO_LONG, -1269);
    assert_int_equal(IMAPCONNECT_E_LOGIN_REJECTED, -1270);
    assert_int_equal(IMAPCONNECT_E_LOGIN, -1271);
    assert_int_equal(IMAPCONNECT_E_LOGOUT, -1272);
    assert_int_equal(IMAPCONNECT_E_SECURE, -1273);
    assert_int_equal(IMAPCONNECT_E_CRAM_MD5, -1274);
    assert_int_equal(IMAPCONNECT_E_CHALLENGE, -1275);
    assert_int_equal(IMAPCONNECT_E_LIST, -1276);
    assert_int_equal(IMAPCONNECT_E_SELECT, -1277);
    assert_int_equal(IMAPCONNECT_E_NO_LIST, -1278);
    assert_int_equal(IMAPCONNECT_E_SUBSCRIBE, -1279);
    assert_int_equal(IMAPCONNECT_E_UNSUBSCRIBE, -1280);
    assert_int_equal(IMAPCONNECT_E_STORE, -1281);
    assert_int_equal(IMAPCONNECT_E_RENAME, -1282);
    assert_int_equal(IMAPCONNECT_E_EXPUNGE, -1283);
    assert_int_equal(IMAPCONNECT_E_DELETE, -1284);
    assert_int_equal(IMAPCONNECT_E_CREATE, -1285);
    assert_int_equal(IMAPCONNECT_E_COPY, -1286);
    assert_int_equal(IMAPCONNECT_E_FETCH_SEQUENCE, -1287);
    assert_int_equal(IMAPCONNECT_E_FETCH_REPLY, -1288);
    assert_int_equal(IMAPCONNECT_E_FETCH_NO_FLAGS, -1289);
    assert_int_equal(IMAPCONNECT_E_FETCH_NO_SIZE, -1290);
    assert_int_equal(IMAPCONNECT_E_FETCH_NO_UID, -1291);
    assert_int_equal(IMAPCONNECT_E_FETCH_NO_DATE, -1295);
    assert_int_equal(IMAPCONNECT_E_FETCH_INCOMPLETE, -1297);
    assert_int_equal(IMAPCONNECT_E_RECEIVE, -1298);
    assert_int_equal(IMAPCONNECT_E_RECEIVE_LENGTH, -1299);
    assert_int_equal(IMAPCONNECT_E_RECEIVE_ITEM, -1300);
    assert_int_equal(IMAPCONNECT_E_NOOP, -1301);
    assert_int_equal(IMAPCONNECT_E_CHECK, -1302);
    assert_int_equal(IMAPCONNECT_E_RESET, -10054);
    assert_int_equal(IMAPCONNECT_E_TIMED_OUT, -10060);
    assert_int_equal(IMAPCONNECT_E_REFUSED, -10061);
    assert_int_equal(IMAPCONNECT_E_NO_ROUTE, -10065);
    assert_int_equal(IMAPCONNECT_E_HOST_NOT_FOUND, -11001);
    assert_int_equal(IMAPCONNECT_E_LOOKUP_AGAIN, -11002);
    assert_int_equal(IMAPCONNECT_E_LOOKUP_FAILED, -11003);
    assert_int_equal(IMAPCONNECT_E_NO_ADDRESS, -11004);
    assert_string_equal(imapconnect_code_name(-522), "IMAPCONNECT_E_TIMEOUT");
    assert_string_equal(imapconnect_code_name(-1270), "IMAPCONNECT_E_LOGIN_REJECTED");
    assert_string_equal(imapconnect_code_name(-1400), "IMAPCONNECT_PENDING");
}

/* Two codes with the same text would be one to whoever reads it. Texts are ASCII, for any terminal. */
static void texts_differ(void **state)
{
    const char *texts[COUNT(harmless) + COUNT(fatal)];
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(texts); i++) {
        texts[i] = imapconnect_strerror(i < COUNT(harmless) ? harmless[i] : fatal[i - COUNT(harmless)]);
        for (k = 0; texts[i][k] != '\0'; k++)
            assert_in_range(texts[i][k], 0x20, 0x7e);
        for (k = 0; k < i; k++)
            assert_string_not_equal(texts[i], texts[k]);
    }
}

static void other_numbers_are_unknown(void **state)
{
    static const int others[] = {1, 7, -1, -500, -1303, -1399, -1429, INT32_MAX, INT32_MIN};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(others); i++) {
        assert_string_equal(imapconnect_strerror(others[i]), "unknown code");
        assert_string_equal(imapconnect_code_name(others[i]), "");
        assert_int_equal(imapconnect_code_is_fatal(others[i]), 0);
    }
    assert_string_equal(imapconnect_code_name(0), "IMAPCONNECT_OK");
    assert_int_equal(imapconnect_code_is_fatal(0), 0);
}

/* What a transport says in place of a number of bytes: would-block and errors of the table pass, all else, 0 above
   all, is a broken contract. What is not fatal cannot be what ended a connection. */
static void a_transport_is_not_believed(void **state)
{
    static const int passes[] = {IMAPCONNECT_WANT_READ, IMAPCONNECT_WANT_WRITE, IMAPCONNECT_CLOSED,
                                 IMAPCONNECT_E_RESET,   IMAPCONNECT_E_REFUSED,  IMAPCONNECT_E_MEMORY};
    static const int breaks[] = {
        0, -1, -2, -7777, INT32_MIN, IMAPCONNECT_PENDING, IMAPCONNECT_E_NO, IMAPCONNECT_E_OPEN};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(passes); i++)
        assert_int_equal(imc_codes_of_transport(passes[i]), passes[i]);
    for (i = 0; i < COUNT(breaks); i++)
        assert_int_equal(imc_codes_of_transport(breaks[i]), IMAPCONNECT_E_TRANSPORT);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_number_of_the_document),  cmocka_unit_test(there_are_no_others),
    cmocka_unit_test(names_stand_for_their_numbers), cmocka_unit_test(texts_differ),
    cmocka_unit_test(other_numbers_are_unknown),     cmocka_unit_test(a_transport_is_not_believed),
};
TEST_MAIN(tests)
