/* Room >>names: the server's text, SPEC.md section 4, into host and port. The library's numeric addresses are
   compared with the system's inet_pton. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#include <arpa/inet.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The text stands at the end of its memory, with its NUL as the last byte. */
static int parse(imapconnect_server *server, const char *text)
{
    memset(server, 0xa5, sizeof *server);
    return imc_names_parse(server, text, 143);
}

static void expect(const char *text, const char *host, int port, size_t address_length)
{
    char *exact = strdup(text);
    imapconnect_server server;
    int code;

    assert_non_null(exact);
    code = parse(&server, exact);
    if (code != 0 || server.port != port || server.length != strlen(host) ||
        memcmp(server.host, host, strlen(host)) != 0 || server.address_length != address_length)
        fail_msg("'%s': %d, port %d, host of %d bytes, address of %d", text, code, server.port, server.length,
                 server.address_length);
    free(exact);
}

static void refuse(const char *text)
{
    char *exact = strdup(text);
    imapconnect_server server;

    assert_non_null(exact);
    if (parse(&server, exact) != IMAPCONNECT_E_VALUE)
        fail_msg("'%s' is accepted", text);
    free(exact);
}

static void names_with_and_without_port(void **state)
{
    (void)state;
    expect("imap.example.org", "imap.example.org", 143, 0);
    expect("imap.example.org:1143", "imap.example.org", 1143, 0);
    expect("localhost", "localhost", 143, 0);
    expect("a", "a", 143, 0);
    expect("A-b_C.9x", "A-b_C.9x", 143, 0);
    expect("_imap._tcp", "_imap._tcp", 143, 0);
    expect("imap.example.org.", "imap.example.org.", 143, 0);
    expect("imap.example.org.:993", "imap.example.org.", 993, 0);
    expect("9to5.example", "9to5.example", 143, 0);
    expect("1.2.3.4.example", "1.2.3.4.example", 143, 0);
}

static void ports_from_1_to_65535(void **state)
{
    (void)state;
    expect("h:1", "h", 1, 0);
    expect("h:9", "h", 9, 0);
    expect("h:65535", "h", 65535, 0);
    expect("h:00143", "h", 143, 0);
    expect("h:00001", "h", 1, 0);
    refuse("h:");
    refuse("h:0");
    refuse("h:00000");
    refuse("h:65536");
    refuse("h:99999");
    refuse("h:000143"); /* six digits */
    refuse("h:100000");
    refuse("h:4294967439"); /* 143 in 32 bits */
    refuse("h:+143");
    refuse("h:-1");
    refuse("h: 143");
    refuse("h:143 ");
    refuse("h:143a");
    refuse("h:0x8f");
    refuse("h:imap");
    refuse("h:143/");
}

/* The port that is taken when none is given is the caller's to choose. */
static void the_default_port(void **state)
{
    imapconnect_server server;

    (void)state;
    assert_int_equal(imc_names_parse(&server, "h", 993), 0);
    assert_int_equal(server.port, 993);
    assert_int_equal(imc_names_parse(&server, "h:143", 993), 0);
    assert_int_equal(server.port, 143);
    assert_int_equal(imc_names_parse(&server, "::1", 993), 0);
    assert_int_equal(server.port, 993);
}

static void what_is_no_name(void **state)
{
    int c;

    (void)state;
    refuse("");
    refuse(":");
    refuse(":143");
    refuse("-h");
    refuse("-h:143");
    refuse("-");
    refuse(".");
    refuse(".example.org");
    refuse("[");
    refuse("]");
    refuse("[]");
    refuse("[]:143");
    refuse("[h]");
    refuse("[h]:143");
    refuse("h]");
    refuse("a:b");
    refuse("a:1:2"); /* two colons, so an IPv6 address: without eight groups it is none */
    refuse("imaps://h");
    refuse("user@h");
    refuse("h/path");
    refuse("h\r\nx");
    for (c = 1; c < 256; c++) { /* letters, digits, '.', '-', '_', and no other byte */
        char text[8] = "ab";
        int good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
                   c == '-' || c == '_';

        text[1] = (char)c;
        text[2] = 'c';
        if (good)
            expect(text, text, 143, 0);
        else if (c != ':')
            refuse(text);
    }
}

static void names_up_to_253_bytes(void **state)
{
    char name[400];
    size_t count;

    (void)state;
    for (count = 250; count < 320; count++) {
        memset(name, 'a', count);
        name[count] = '\0';
        if (count <= 253)
            expect(name, name, 143, 0);
        else
            refuse(name);
        memcpy(name + count, ":65535", 7);
        if (count > 253)
            refuse(name);
    }
    memset(name, 'a', 253);
    memcpy(name + 253, ":65535", 7);
    {
        imapconnect_server server;

        assert_int_equal(parse(&server, name), 0);
        assert_int_equal(server.length, 253);
        assert_int_equal(server.port, 65535);
    }
    memcpy(name + 253, ":65535555", 10); /* a good port is not to be read out of a long one */
    refuse(name);
}

static void ipv4_is_four_decimal_numbers(void **state)
{
    static const uint8_t address[] = {192, 0, 2, 255};
    imapconnect_server server;

    (void)state;
    assert_int_equal(parse(&server, "192.0.2.255"), 0);
    assert_memory_equal(server.address, address, 4);
    expect("127.0.0.1", "127.0.0.1", 143, 4);
    expect("127.0.0.1:1143", "127.0.0.1", 1143, 4);
    expect("0.0.0.0", "0.0.0.0", 143, 4);
    expect("255.255.255.255", "255.255.255.255", 143, 4);
    /* What a resolver may read as some other address is neither an address nor a name. */
    refuse("127.1");
    refuse("127.0.1");
    refuse("0x7f000001");
    refuse("0x7f.1");
    refuse("127.0x1");
    refuse("127.0.0.0X1");
    refuse("127.0.0.0x1.");
    refuse("017700000001");
    expect("0x7g", "0x7g", 143, 0);
    expect("x7f", "x7f", 143, 0);
    expect("0x7f.example", "0x7f.example", 143, 0);
    refuse("1");
    refuse("2130706433");
    refuse("1.2.3");
    refuse("1.2.3.4.5");
    refuse("1.2.3.256");
    refuse("1.2.3.04");
    refuse("01.2.3.4");
    refuse("0300.0.0.1");
    refuse("1.2.3.");
    refuse("1..3.4");
    refuse("1.2.3.4.");
    refuse("[1.2.3.4]"); /* brackets are for IPv6, RFC 3986 section 3.2.2 */
    refuse("1.2.3.1000");
}

static void ipv6_in_brackets_and_bare(void **state)
{
    (void)state;
    expect("::1", "::1", 143, 16);
    expect("[::1]", "::1", 143, 16);
    expect("[::1]:1143", "::1", 1143, 16);
    expect("::", "::", 143, 16);
    expect("[::]:1", "::", 1, 16);
    expect("2001:db8::8:800:200c:417a", "2001:db8::8:800:200c:417a", 143, 16);
    expect("[FE80::AbCd]:65535", "FE80::AbCd", 65535, 16);
    expect("::ffff:192.0.2.1", "::ffff:192.0.2.1", 143, 16);
    expect("::1:1143", "::1:1143", 143, 16); /* an address, and no port */
    refuse("[::1");
    refuse("::1]");
    refuse("[::1]:");
    refuse("[::1]:0");
    refuse("[::1]:65536");
    refuse("[::1]143");
    refuse("[::1]]");
    refuse("[::1] ");
    refuse("[[::1]]");
    refuse("[::1]:143:1");
    refuse("[fe80::1%eth0]");
    refuse("fe80::1%1");
    refuse("[v1.x]");
    refuse("[:]");
    refuse("[::1:143");
}

static void check_ipv6(const char *text, const char *expected)
{
    uint8_t address[16];
    size_t count = strlen(text), i;
    char *exact = malloc(count > 0 ? count : 1);
    char hex[33] = "";

    assert_non_null(exact);
    memcpy(exact, text, count);
    memset(address, 0xa5, sizeof address);
    if (imc_names_ipv6(exact, count, address) != (expected ? 16u : 0u))
        fail_msg("'%s' is%s accepted", text, expected ? " not" : "");
    for (i = 0; i < sizeof address; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned)address[i]);
    if (expected)
        assert_string_equal(hex, expected);
    free(exact);
}

/* RFC 4291 section 2.2, RFC 5952 section 1 and 2: "::" at every place, and the tail in dots. */
static void ipv6_as_bytes(void **state)
{
    (void)state;
    check_ipv6("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcdef0123456789abcdef0123456789");
    check_ipv6("2001:DB8:0:0:8:800:200C:417A", "20010db80000000000080800200c417a");
    check_ipv6("FF01::101", "ff010000000000000000000000000101");
    check_ipv6("::1", "00000000000000000000000000000001");
    check_ipv6("::", "00000000000000000000000000000000");
    check_ipv6("0:0:0:0:0:0:13.1.68.3", "0000000000000000000000000d014403");
    check_ipv6("0:0:0:0:0:FFFF:129.144.52.38", "00000000000000000000ffff81903426");
    check_ipv6("::13.1.68.3", "0000000000000000000000000d014403");
    check_ipv6("::FFFF:129.144.52.38", "00000000000000000000ffff81903426");
    check_ipv6("64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221");
    check_ipv6("1:2:3:4:5::1.2.3.4", "00010002000300040005000001020304");
    check_ipv6("::2:3:4:5:6:7:8", "00000002000300040005000600070008");
    check_ipv6("1::3:4:5:6:7:8", "00010000000300040005000600070008");
    check_ipv6("1:2::4:5:6:7:8", "00010002000000040005000600070008");
    check_ipv6("1:2:3::5:6:7:8", "00010002000300000005000600070008");
    check_ipv6("1:2:3:4::6:7:8", "00010002000300040000000600070008");
    check_ipv6("1:2:3:4:5::7:8", "00010002000300040005000000070008");
    check_ipv6("1:2:3:4:5:6::8", "00010002000300040005000600000008");
    check_ipv6("1:2:3:4:5:6:7::", "00010002000300040005000600070000");
    check_ipv6("1::", "00010000000000000000000000000000");
    check_ipv6("1::8", "00010000000000000000000000000008");
    check_ipv6("00a1::000B", "00a1000000000000000000000000000b");

    check_ipv6("", 0);
    check_ipv6(":", 0);
    check_ipv6(":::", 0);
    check_ipv6("1", 0);
    check_ipv6("1:2:3:4:5:6:7", 0);
    check_ipv6("1:2:3:4:5:6:7:8:9", 0);
    check_ipv6("1:2:3:4:5:6:7:8::", 0);
    check_ipv6("::1:2:3:4:5:6:7:8", 0);
    check_ipv6("1:2:3:4::5:6:7:8", 0); /* "::" stands for one group at least */
    check_ipv6("1::2::3", 0);
    check_ipv6("1:::2", 0);
    check_ipv6("::1:", 0);
    check_ipv6(":1::", 0);
    check_ipv6(":1:2:3:4:5:6:7:8", 0);
    check_ipv6("1:2:3:4:5:6:7:", 0);
    check_ipv6("12345::", 0);
    check_ipv6("::00001", 0);
    check_ipv6("::g", 0);
    check_ipv6("1.2.3.4", 0);
    check_ipv6("::1.2.3", 0);
    check_ipv6("::1.2.3.4.5", 0);
    check_ipv6("::1.2.3.256", 0);
    check_ipv6("::1.2.3.04", 0);
    check_ipv6("::1.2.3.4:5", 0);
    check_ipv6("1.2.3.4::", 0);
    check_ipv6("1:2:3:4:5:6:7:1.2.3.4", 0);
    check_ipv6("1:2:3:4:5:6::1.2.3.4", 0);
    check_ipv6("::1 ", 0);
}

/* A small generator, the same in every run. */
static uint32_t seed = 20260101;

static uint32_t pick(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* Texts that are nearly addresses: groups and colons by the grammar, with something wrong in some of them. */
static size_t make_text(char *out)
{
    static const char wrong[] = ":.0gf1-";
    size_t count = 0, groups = pick(10), i;

    if (pick(3) == 0)
        count += (size_t)sprintf(out + count, "::");
    for (i = 0; i < groups; i++) {
        if (pick(9) == 0)
            count += (size_t)sprintf(out + count, "%u.%u.%u.%u", pick(300), pick(10), pick(300), pick(60));
        else
            count += (size_t)sprintf(out + count, pick(2) ? "%x" : "%04X", pick(0x10000u >> 4 * pick(4)));
        if (i + 1 < groups || pick(4) == 0)
            count += (size_t)sprintf(out + count, pick(5) == 0 ? "::" : ":");
    }
    if (count > 0 && pick(4) == 0)
        out[pick((uint32_t)count)] = wrong[pick(7)];
    out[count] = '\0';
    return count;
}

static void addresses_are_those_of_the_system(void **state)
{
    int i, good = 0;

    (void)state;
    for (i = 0; i < 200000; i++) {
        char text[200];
        uint8_t ours[16], theirs[16];
        size_t count = make_text(text);
        int expected = inet_pton(AF_INET6, text, theirs);

        if ((imc_names_ipv6(text, count, ours) == 16) != (expected == 1))
            fail_msg("'%s': inet_pton says %d", text, expected);
        if (expected == 1)
            assert_memory_equal(ours, theirs, 16);
        good += expected == 1;
    }
    assert_in_range(good, 20000, 180000); /* both kinds were among them */
}

static void ipv4_addresses_are_those_of_the_system(void **state)
{
    int i, good = 0;

    (void)state;
    for (i = 0; i < 100000; i++) {
        static const char bytes[] = "0011222559..a";
        char text[32];
        uint8_t ours[4], theirs[4];
        size_t count;
        int expected;

        count = (size_t)sprintf(text, "%u.%u.%u.%u", pick(260), pick(260), pick(12), pick(260));
        if (pick(2) == 0)
            text[pick((uint32_t)count)] = bytes[pick(13)];
        expected = inet_pton(AF_INET, text, theirs);
        if ((imc_names_ipv4(text, count, ours) == 4) != (expected == 1))
            fail_msg("'%s': inet_pton says %d", text, expected);
        if (expected == 1)
            assert_memory_equal(ours, theirs, 4);
        good += expected == 1;
    }
    assert_in_range(good, 10000, 95000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(names_with_and_without_port),
    cmocka_unit_test(ports_from_1_to_65535),
    cmocka_unit_test(the_default_port),
    cmocka_unit_test(what_is_no_name),
    cmocka_unit_test(names_up_to_253_bytes),
    cmocka_unit_test(ipv4_is_four_decimal_numbers),
    cmocka_unit_test(ipv6_in_brackets_and_bare),
    cmocka_unit_test(ipv6_as_bytes),
    cmocka_unit_test(addresses_are_those_of_the_system),
    cmocka_unit_test(ipv4_addresses_are_those_of_the_system),
};
TEST_MAIN(tests)
