/* Room >>names: the server's text, SPEC.md section 4, into host and port. The library's numeric addresses are
   compared with the system's inet_pton. And mailbox names: strict UTF-8, and modified UTF-7 both ways. */

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

/* ---- mailbox names: UTF-8, RFC 3629 ---- */

/* RFC 3629 section 4, as its ABNF stands: the first two bytes decide, the others are tails. Returns how many bytes the
   character has, 0 when it is none. */
static size_t by_the_abnf(const unsigned char *bytes)
{
    static const struct {
        unsigned char first, first_to, second, second_to;
        size_t count;
    } rows[] = {{0x01, 0x7f, 0, 0xff, 1},    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    size_t i, k;

    for (i = 0; i < COUNT(rows); i++) {
        if (bytes[0] < rows[i].first || bytes[0] > rows[i].first_to)
            continue;
        if (rows[i].count > 1 && (bytes[1] < rows[i].second || bytes[1] > rows[i].second_to))
            return 0;
        for (k = 2; k < rows[i].count; k++)
            if (bytes[k] < 0x80 || bytes[k] > 0xbf)
                return 0;
        return rows[i].count;
    }
    return 0;
}

/* Every first and second byte, and behind them bytes from around the ends of their ranges. */
static void utf8_is_strict(void **state)
{
    static const unsigned char others[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0xbf, 0xc0, 0xff};
    unsigned first, second;
    size_t i, k;

    (void)state;
    for (first = 1; first < 256; first++)
        for (second = 0; second < 256; second++)
            for (i = 0; i < COUNT(others); i++)
                for (k = 0; k < COUNT(others); k++) {
                    unsigned char bytes[5];
                    const char *at = (const char *)bytes;
                    size_t count;

                    bytes[0] = (unsigned char)first;
                    bytes[1] = (unsigned char)second;
                    bytes[2] = others[i];
                    bytes[3] = others[k];
                    bytes[4] = 0;
                    count = by_the_abnf(bytes);
                    if ((imc_names_character(&at) != 0xffffffffu) != (count != 0) ||
                        at != (const char *)bytes + count)
                        fail_msg("%02x %02x %02x %02x: %zu bytes", first, second, bytes[2], bytes[3], count);
                }
}

/* Texts that end where they must not, each with its NUL at the end of its memory. */
static void utf8_texts(void **state)
{
    static const struct {
        const char *text;
        int good;
    } cases[] = {
        {"", 1},
        {"INBOX", 1},
        {"Entw\xc3\xbcrfe", 1},
        {"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 1},
        {"\xf0\x9f\x98\x80", 1},
        {"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 1},
        {"\xc3", 0},
        {"a\xc3", 0},
        {"\xe2\x82", 0},
        {"\xe2", 0},
        {"\xf0\x9f\x98", 0},
        {"\xf0\x9f", 0},
        {"\xf0", 0},
        {"\xfc", 0},         /* "u" with dots in Latin-1 */
        {"\xc0\x80", 0},     /* NUL, overlong */
        {"\xc1\x81", 0},     /* "A" */
        {"\xe0\x80\xaf", 0}, /* "/" */
        {"\xf0\x82\x82\xac", 0},
        {"\xed\xa0\xbd\xed\xb8\x80", 0}, /* surrogates: CESU-8 */
        {"\xed\xa0\x80", 0},
        {"\xed\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0}, /* U+110000 */
        {"\xf5\x80\x80\x80", 0},
        {"\xf8\x88\x80\x80\x80", 0},
        {"\xfe", 0},
        {"\xff", 0},
        {"good\x80", 0},
        {"\xc3\xa4\xa4", 0}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        char *exact = strdup(cases[i].text);

        assert_non_null(exact);
        if (imc_names_is_utf8(exact) != cases[i].good)
            fail_msg("case %zu", i);
        free(exact);
    }
}

/* ---- mailbox names: modified UTF-7, RFC 3501 section 5.1.3 ---- */

/* As the library writes it: character by character, with a state in between and an end. */
static size_t encode(const char *name, char *out)
{
    imapconnect_utf7 state = {0, 0, 0};
    const char *at = name;
    size_t used = 0, more;
    char one[9];
    uint32_t c;

    while ((c = imc_names_character(&at)) != 0) {
        assert_true(c != 0xffffffffu);
        one[8] = '#';
        more = imc_names_encode(&state, c, one);
        assert_in_range(more, 1, 8);
        assert_int_equal(one[8], '#');
        memcpy(out + used, one, more);
        used += more;
    }
    one[2] = '#';
    more = imc_names_unshift(&state, one);
    assert_in_range(more, 0, 2);
    assert_int_equal(one[2], '#');
    memcpy(out + used, one, more);
    used += more;
    out[used] = '\0';
    assert_true(state.open == 0 && state.bits == 0 && state.count == 0);
    return used;
}

/* As >>mailboxes has it: the name lies at the end of its room, one byte in eight and four more, and what it means is
   written from the beginning of the same room. Returns how many bytes, 0 when it is not canonical. */
static size_t decode(const char *wire, size_t count, char *out)
{
    size_t room = count + count / 8 + 4, decoded;
    char *text = malloc(room);

    assert_non_null(text);
    memset(text, '#', room);
    memcpy(text + room - count, wire, count);
    decoded = imc_names_decode(text + room - count, count, text);
    assert_true(decoded < room);
    memcpy(out, text, decoded);
    out[decoded] = '\0';
    free(text);
    return decoded;
}

/* Both ways. */
static void pair(const char *name, const char *wire)
{
    char out[200];

    (void)encode(name, out);
    if (strcmp(out, wire) != 0)
        fail_msg("'%s' is written, want '%s'", out, wire);
    if (decode(wire, strlen(wire), out) != strlen(name) || strcmp(out, name) != 0)
        fail_msg("'%s' is not read back", wire);
}

/* By hand: U+00FC is 00FC, 000000 001111 1100(00), "APw"; U+00E4 U+00F6 is 000000 001110 010000 000000 111101 10(0000),
   "AOQA9g"; U+1F600 is D83D DE00, "2D3eAA"; U+10FFFF is DBFF DFFF, "2,,f,w"; U+FFFF is ",,8". */
static void names_there_and_back(void **state)
{
    (void)state;
    pair("INBOX", "INBOX");
    pair(" !#$%'()*+,-./09:;<=>?@AZ[]^_`az{|}~", " !#$%'()*+,-./09:;<=>?@AZ[]^_`az{|}~");
    pair("\"\\", "\"\\");
    pair("&", "&-");
    pair("&&", "&-&-");
    pair("&-", "&--");
    pair("Tom & Jerry", "Tom &- Jerry");
    pair("Entw\xc3\xbcrfe", "Entw&APw-rfe");
    pair("\xc3\xbc", "&APw-");
    pair("\xc3\xa4\xc3\xb6", "&AOQA9g-");
    pair("\xc3\xa4\xc3\xb6\xc3\xbc", "&AOQA9gD8-");
    pair("\xc3\xa4&\xc3\xb6", "&AOQ-&-&APY-");
    pair("&\xc3\xa4", "&-&AOQ-");
    pair("\xc3\xa4-", "&AOQ--");
    pair("\xc3\xa4 \xc3\xa4", "&AOQ- &AOQ-");
    pair("\xf0\x9f\x98\x80", "&2D3eAA-");
    pair("\xf0\x9f\x98\x80\xf0\x9f\x98\x80", "&2D3eANg93gA-");
    pair("a\xf0\x9f\x98\x80", "a&2D3eAA-");
    pair("\xf4\x8f\xbf\xbf", "&2,,f,w-");
    pair("\xef\xbf\xbf", "&,,8-");
    pair("\x01\x1f\x7f", "&AAEAHwB,-"); /* controls are shifted */
    pair("\t", "&AAk-");
    /* RFC 3501 section 5.1.3, its own examples. */
    pair("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
         "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
    pair("\xe5\x8f\xb0\xe5\x8c\x97\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "&U,BTF2XlZyyKng-");
}

static void raw(const char *wire, size_t count)
{
    char out[200];

    if (decode(wire, count, out) != 0)
        fail_msg("'%.*s' is read as '%s'", (int)count, wire, out);
}

/* What no writer of ours would write: it must not be taken for the name that it seems to be, since that is written in
   another way and would not be found. */
static void names_that_are_not_canonical(void **state)
{
    static const char *const wires[] = {"&",
                                        "a&",
                                        "&a",
                                        "&AOQ",
                                        "a&AOQ",
                                        "&AOQ-&", /* not closed */
                                        "&Jjo!",
                                        "&U,BTFw-&ZeVnLIqe-", /* RFC 3501's own */
                                        "&AOQ-&APY-",
                                        "&AOQ-&AOQ-a", /* shifted out and in again */
                                        "&AGE-",
                                        "&ACY-",
                                        "&ACA-",
                                        "&AH4-",
                                        "&AOQAYQ-",
                                        "&AGEA5A-", /* what stands for itself */
                                        "&AOR-",
                                        "&AOS-",
                                        "&AOT-",
                                        "&AOQA9h-",
                                        "&2D3eAB-", /* bits behind the last character */
                                        "&AOQA-",
                                        "&AOQAA-",
                                        "&A-",
                                        "&AO-",
                                        "&AA-",
                                        "&,-",
                                        "&AOQA9gA-", /* a character that is not whole */
                                        "&2D0-",
                                        "&3gA-",
                                        "&3gDYPQ-",
                                        "&2D3YPd4A-",
                                        "&2D0A5A-",
                                        "&2D0-a",
                                        "&2D0AYQ-", /* half of a pair */
                                        "&AOQ=-",
                                        "&APw==-",
                                        "&U/BTFw-",
                                        "&AO Q-",
                                        "&AO.Q-",
                                        "&A&OQ-",
                                        "&&-",
                                        "&AOQ&-", /* another alphabet */
                                        "&AAA-",
                                        "&AA0-",
                                        "&AAo-",
                                        "&AOQAAA-",
                                        "&AOQADQ-a", /* NUL, CR, LF */
                                        "\x01",
                                        "a\tb",
                                        "\x7f",
                                        "a\x1f",
                                        "Entw\xc3\xbcrfe",
                                        "\xfc",
                                        "&AOQ-\x80",
                                        "&AO\xc3-",
                                        "\r",
                                        "a\n"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(wires); i++)
        raw(wires[i], strlen(wires[i]));
    raw("a\0b", 3);
    raw("\0", 1);
    raw("&AOQ\0-", 6);
}

static size_t put_utf8(char *out, uint32_t c)
{
    size_t used = 0;

    if (c < 0x80) {
        out[used++] = (char)c;
    } else if (c < 0x800) {
        out[used++] = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        out[used++] = (char)(0xe0 | c >> 12);
        out[used++] = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        out[used++] = (char)(0xf0 | c >> 18);
        out[used++] = (char)(0x80 | (c >> 12 & 0x3f));
        out[used++] = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80)
        out[used++] = (char)(0x80 | (c & 0x3f));
    out[used] = '\0';
    return used;
}

static int can_be_sent(uint32_t c)
{
    return c != 0 && c != '\r' && c != '\n' && (c < 0xd800 || c > 0xdfff);
}

/* Each alone, and behind one and two others, so that its sixteen bits begin at each place of a base64 digit. */
static void every_character_there_and_back(void **state)
{
    char name[24], wire[64], back[64];
    uint32_t c;

    (void)state;
    for (c = 1; c <= 0x10ffff; c++) {
        size_t before = c % 11 == 0 ? c / 11 % 3 * 2 : 0, count;
        const char *at = name;

        if (!can_be_sent(c)) {
            count = put_utf8(name, c);
            assert_int_equal(imc_names_is_utf8(name), c == '\r' || c == '\n');
            continue;
        }
        memcpy(name, "\xc3\xa4\xc3\xb6", before);
        count = before + put_utf8(name + before, c);
        assert_true(imc_names_character(&at) == (before != 0 ? 0xe4 : c));
        (void)encode(name, wire);
        if (decode(wire, strlen(wire), back) != count || memcmp(back, name, count) != 0)
            fail_msg("U+%04lX behind %zu bytes: '%s'", (unsigned long)c, before, wire);
    }
}

/* A writer of our own, by another way: all of a shifted part as a row of bits. */
static void encode_slowly(const uint32_t *name, size_t count, char *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
    static char bits[2000];
    size_t at = 0, used = 0;

    while (at < count) {
        size_t row = 0, i;

        if (name[at] >= 0x20 && name[at] <= 0x7e) {
            out[used++] = (char)name[at];
            if (name[at++] == '&')
                out[used++] = '-';
            continue;
        }
        for (; at < count && (name[at] < 0x20 || name[at] > 0x7e); at++) {
            uint32_t c = name[at], pair_of = c - 0x10000;
            unsigned long units = c < 0x10000 ? c : 0xd800dc00ul + ((pair_of >> 10) << 16) + (pair_of & 0x3ff);
            int bit;

            for (bit = c < 0x10000 ? 15 : 31; bit >= 0; bit--)
                bits[row++] = (char)(units >> bit & 1);
        }
        while (row % 6 != 0)
            bits[row++] = 0;
        out[used++] = '&';
        for (i = 0; i < row; i += 6)
            out[used++] = alphabet[bits[i] << 5 | bits[i + 1] << 4 | bits[i + 2] << 3 | bits[i + 3] << 2 |
                                   bits[i + 4] << 1 | bits[i + 5]];
        out[used++] = '-';
    }
    out[used] = '\0';
}

static uint32_t some_character(void)
{
    static const uint32_t kinds[][2] = {{0x20, 0x7e},  {0x26, 0x26},    {0x2d, 0x2d},     {0x01, 0x1f},
                                        {0x7f, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    for (;;) {
        const uint32_t *kind = kinds[pick(COUNT(kinds))];
        uint32_t c = kind[0] + pick(kind[1] - kind[0] + 1);

        if (can_be_sent(c))
            return c;
    }
}

static void names_of_every_kind_there_and_back(void **state)
{
    char name[200], wire[400], slow[400], back[400];
    uint32_t characters[40];
    int i;

    (void)state;
    for (i = 0; i < 40000; i++) {
        size_t count = 1 + pick(40), used = 0, k;

        for (k = 0; k < count; k++) {
            characters[k] = some_character();
            used += put_utf8(name + used, characters[k]);
        }
        encode_slowly(characters, count, slow);
        (void)encode(name, wire);
        assert_string_equal(wire, slow);
        assert_int_equal(decode(wire, strlen(wire), back), used);
        assert_string_equal(back, name);
    }
}

/* Whatever is read, its writer would have written it so: nothing else has that name. All texts of six bytes that mean
   something in it, and longer ones at random. */
static void only_the_canonical_form_is_read(void **state)
{
    static const char bytes[] = "&-AOQ,/a2D3e";
    char wire[20], back[64], again[64];
    unsigned long all = 1, i;
    size_t read = 0, count, k;

    (void)state;
    for (k = 0; k < 5; k++)
        all *= sizeof bytes - 1;
    for (i = 0; i < all + 200000; i++) {
        unsigned long rest = i;

        count = i < all ? 6 : 7 + pick(9);
        wire[0] = '&';
        for (k = 1; k < count; k++, rest /= sizeof bytes - 1)
            wire[k] = bytes[i < all ? rest % (sizeof bytes - 1) : pick(sizeof bytes - 1)];
        wire[count] = '\0';
        if (decode(wire, count, back) == 0)
            continue;
        read++;
        assert_int_equal(imc_names_is_utf8(back), 1);
        assert_null(strpbrk(back, "\r\n"));
        (void)encode(back, again);
        assert_string_equal(again, wire);
    }
    assert_in_range(read, 1000, all);
}

/* The longest growth is one byte in eight: three bytes for sixteen bits. */
static void the_longest_names(void **state)
{
    char name[700], wire[600], back[700];
    size_t count, k;

    (void)state;
    for (count = 1; count < 180; count++) {
        for (k = 0; k < count; k++)
            memcpy(name + 3 * k, "\xe6\x97\xa5", 3);
        name[3 * count] = '\0';
        assert_int_equal(encode(name, wire), 2 + (count * 16 + 5) / 6);
        assert_int_equal(decode(wire, strlen(wire), back), 3 * count);
        assert_string_equal(back, name);
    }
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
    cmocka_unit_test(utf8_is_strict),
    cmocka_unit_test(utf8_texts),
    cmocka_unit_test(names_there_and_back),
    cmocka_unit_test(names_that_are_not_canonical),
    cmocka_unit_test(every_character_there_and_back),
    cmocka_unit_test(names_of_every_kind_there_and_back),
    cmocka_unit_test(only_the_canonical_form_is_read),
    cmocka_unit_test(the_longest_names),
};
TEST_MAIN(tests)
