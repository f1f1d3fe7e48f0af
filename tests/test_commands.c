/* Room >>commands: a command into the transmit buffer in as many fillings as it takes, into the log with *** for
   what is secret, and out of memory once sent. What leaves is collected here, however little leaves at a time. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct wire {
    imapconnect_config config;
    imapconnect_engine engine;
    char *sent; /* what left; "(+)" stands where a literal waited */
    size_t used, room;
    char log[4096];
    size_t log_used;
} wire;

static int on_log(void *user, int direction, const char *bytes, size_t count)
{
    wire *w = user;

    assert_int_equal(direction & ~IMAPCONNECT_LOG_MORE, IMAPCONNECT_LOG_SENT);
    assert_true(w->log_used + count + 2 < sizeof w->log);
    memcpy(w->log + w->log_used, bytes, count);
    w->log_used += count;
    if (!(direction & IMAPCONNECT_LOG_MORE))
        w->log[w->log_used++] = '|';
    w->log[w->log_used] = '\0';
    return 0;
}

static wire *new_wire(size_t room)
{
    wire *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->room = room;
    w->sent = malloc(room);
    assert_non_null(w->sent);
    w->config.user = w;
    w->engine.config = &w->config;
    w->engine.on_log = on_log;
    return w;
}

static void free_wire(wire *w)
{
    free(w->sent);
    free(w);
}

static void set_texts(wire *w, const char *first, const char *second, const char *third)
{
    w->engine.writer.text[0] = first;
    w->engine.writer.text[1] = second;
    w->engine.writer.text[2] = third;
}

static void leaves(wire *w, const char *bytes, size_t count)
{
    assert_true(w->used + count <= w->room);
    memcpy(w->sent + w->used, bytes, count);
    w->used += count;
}

/* 1 when the transmit buffer holds nothing but zeros. */
static int is_wiped(const imapconnect_writer *writer)
{
    size_t i;

    for (i = 0; i < IMAPCONNECT_WRITE_SIZE; i++)
        if (writer->out.bytes[i] != 0)
            return 0;
    return 1;
}

/* Sends at most `step` bytes at a time, to the end of the command or to where a literal waits. */
static void drain(wire *w, size_t step)
{
    imapconnect_writer *writer = &w->engine.writer;

    while (!imc_commands_are_sent(writer)) {
        size_t count = (size_t)(writer->used - writer->sent);

        assert_in_range(count, 1, IMAPCONNECT_WRITE_SIZE);
        count = count < step ? count : step;
        leaves(w, writer->out.bytes + writer->sent, count);
        imc_commands_sent(&w->engine, count);
    }
    assert_int_equal(writer->used, 0);
}

/* Sends a command, and answers each literal with "+". */
static void send_all(wire *w, const char *format, size_t step)
{
    imapconnect_writer *writer = &w->engine.writer;

    imc_commands_begin(&w->engine, format);
    drain(w, step);
    while (writer->waiting) {
        leaves(w, "(+)", 3);
        writer->waiting = 0;
        imc_commands_fill(&w->engine);
        drain(w, step);
    }
}

/* A login with these two, at every size of a write. */
static void check_login(const char *user, const char *password, const char *sent, const char *log)
{
    size_t step;

    for (step = 1; step <= 600; step = step < 20 ? step + 1 : step + 97) {
        wire *w = new_wire(4096);

        set_texts(w, user, password, 0);
        send_all(w, "LOGIN %s %p", step);
        if (w->used != strlen(sent) || memcmp(w->sent, sent, w->used) != 0)
            fail_msg("sent '%.*s', want '%s'", (int)w->used, w->sent, sent);
        if (strcmp(w->log, log) != 0)
            fail_msg("log '%s', want '%s'", w->log, log);
        assert_true(password[0] == 0 || is_wiped(&w->engine.writer));
        free_wire(w);
    }
}

/* RFC 3501 section 9, quoted: only '"' and '\' are escaped. */
static void strings_are_quoted(void **state)
{
    (void)state;
    check_login("joe", "secret", "a1 LOGIN \"joe\" \"secret\"\r\n", "a1 LOGIN \"joe\" ***|");
    check_login("", "", "a1 LOGIN \"\" \"\"\r\n", "a1 LOGIN \"\" ***|");
    check_login("a\"b", "c\\d", "a1 LOGIN \"a\\\"b\" \"c\\\\d\"\r\n", "a1 LOGIN \"a\\\"b\" ***|");
    check_login("\\", "\"", "a1 LOGIN \"\\\\\" \"\\\"\"\r\n", "a1 LOGIN \"\\\\\" ***|");
    check_login("a b{3}(%*]", "x y", "a1 LOGIN \"a b{3}(%*]\" \"x y\"\r\n", "a1 LOGIN \"a b{3}(%*]\" ***|");
    check_login("\x01\t\x7f", "\x1f", "a1 LOGIN \"\x01\t\x7f\" \"\x1f\"\r\n", "a1 LOGIN \"\\x01\\x09\\x7f\" ***|");
}

/* RFC 3501 section 4.3: no byte of a literal leaves before "+". The log does not even say how long the secret is. */
static void eight_bit_strings_are_literals(void **state)
{
    (void)state;
    check_login("j\xc3\xb6", "secret", "a1 LOGIN {3}\r\n(+)j\xc3\xb6 \"secret\"\r\n",
                "a1 LOGIN {3}|j\\xc3\\xb6 ***|");
    check_login("joe", "p\xc3\xa4ss", "a1 LOGIN \"joe\" {5}\r\n(+)p\xc3\xa4ss\r\n", "a1 LOGIN \"joe\" ***|***|");
    check_login("\xff", "\x80", "a1 LOGIN {1}\r\n(+)\xff {1}\r\n(+)\x80\r\n", "a1 LOGIN {1}|\\xff ***|***|");
    check_login("\"\\\xff", "\"\\\xff", "a1 LOGIN {3}\r\n(+)\"\\\xff {3}\r\n(+)\"\\\xff\r\n",
                "a1 LOGIN {3}|\"\\\\xff ***|***|");
}

/* 255 quotes are 510 bytes and more than one filling of the buffer; 255 bytes are a literal of three digits. */
static void the_longest_arguments(void **state)
{
    static const char fill[] = {'"', '\\', 'x', '\xe4'};
    char argument[IMAPCONNECT_MAX_ARGUMENT + 1], sent[3000], log[3000];
    size_t kind, i;

    (void)state;
    for (kind = 0; kind < COUNT(fill); kind++) {
        size_t pair = 0, shown = 0;
        char one[1200], masked[1200];

        memset(argument, fill[kind], 255);
        argument[255] = '\0';
        for (i = 0; i < 255; i++) {
            if (kind < 2)
                one[pair++] = '\\';
            one[pair++] = fill[kind];
            shown += (size_t)sprintf(masked + shown,
                                     kind == 3   ? "\\x%02x"
                                     : kind == 2 ? "%c"
                                                 : "\\%c",
                                     (unsigned char)fill[kind]);
        }
        one[pair] = '\0';
        if (kind == 3) {
            sprintf(sent, "a1 LOGIN {255}\r\n(+)%s {255}\r\n(+)%s\r\n", one, one);
            sprintf(log, "a1 LOGIN {255}|%s ***|***|", masked);
        } else {
            sprintf(sent, "a1 LOGIN \"%s\" \"%s\"\r\n", one, one);
            sprintf(log, "a1 LOGIN \"%s\" ***|", masked);
        }
        check_login(argument, argument, sent, log);
    }
}

/* As long as a literal waits nothing of it is in the buffer, whatever has room there. */
static void nothing_of_a_literal_before_its_plus(void **state)
{
    wire *w = new_wire(100);
    imapconnect_writer *writer = &w->engine.writer;
    size_t i;

    (void)state;
    set_texts(w, "joe", "Q\xc3\xa4Q", 0);
    imc_commands_begin(&w->engine, "LOGIN %s %p");
    assert_int_equal(writer->used, 20);
    assert_memory_equal(writer->out.bytes, "a1 LOGIN \"joe\" {4}\r\n", 20);
    for (i = 0; i < IMAPCONNECT_WRITE_SIZE; i++)
        assert_int_not_equal(writer->out.bytes[i], 'Q');
    assert_false(imc_commands_are_sent(writer)); /* the header is still there */
    drain(w, 7);
    assert_true(imc_commands_are_sent(writer));
    assert_int_equal(writer->waiting, 1);
    for (i = 0; i < IMAPCONNECT_WRITE_SIZE; i++)
        assert_int_not_equal(writer->out.bytes[i], 'Q');
    free_wire(w);
}

/* Once all of the buffer has left, and not only at the end of the command. */
static void secrets_are_wiped_once_sent(void **state)
{
    wire *w = new_wire(1200);
    imapconnect_writer *writer = &w->engine.writer;
    char password[IMAPCONNECT_WRITE_SIZE / 2 + 1]; /* each byte of it leaves as two */

    (void)state;
    memset(password, '"', sizeof password - 1);
    password[sizeof password - 1] = '\0';
    set_texts(w, "joe", password, 0);
    imc_commands_begin(&w->engine, "LOGIN %s %p");
    assert_int_equal(writer->secret, 1);
    assert_false(imc_commands_are_sent(writer)); /* the second filling is to come */
    imc_commands_sent(&w->engine, (size_t)writer->used - 1);
    assert_false(is_wiped(writer));
    assert_int_equal(writer->secret, 1);
    imc_commands_sent(&w->engine, 1);
    assert_false(imc_commands_are_sent(writer));
    assert_true(writer->used < 100); /* the rest of it; nothing of the first filling behind it */
    {
        size_t i;

        for (i = writer->used; i < IMAPCONNECT_WRITE_SIZE; i++)
            assert_int_equal(writer->out.bytes[i], 0);
    }
    imc_commands_sent(&w->engine, writer->used);
    assert_true(imc_commands_are_sent(writer));
    assert_true(is_wiped(writer));
    assert_int_equal(writer->secret, 0);
    free_wire(w);
}

/* A raw command is not copied as a whole: a million bytes go through the one buffer, byte for byte. */
static void a_raw_command_of_a_million_bytes(void **state)
{
    static const size_t steps[] = {1, 511, 512};
    char *text = malloc(1000001);
    size_t i;

    (void)state;
    assert_non_null(text);
    for (i = 0; i < 1000000; i++)
        text[i] = (char)(' ' + (i * 7 + i / 251) % 95); /* "%" among them, which means nothing here */
    text[1000000] = '\0';
    for (i = 0; i < COUNT(steps); i++) {
        wire *w = new_wire(1000005);

        w->engine.on_log = 0;
        set_texts(w, text, 0, 0);
        send_all(w, "%R", steps[i]);
        assert_int_equal(w->used, 3 + 1000000 + 2);
        assert_memory_equal(w->sent, "a1 ", 3);
        assert_true(memcmp(w->sent + 3, text, 1000000) == 0);
        assert_memory_equal(w->sent + 3 + 1000000, "\r\n", 2);
        free_wire(w);
    }
    free(text);
}

/* Every length around the size of the buffer, with what ends the line on either side of its end. */
static void commands_around_the_size_of_the_buffer(void **state)
{
    char text[1200];
    size_t count;

    (void)state;
    memset(text, 'x', sizeof text);
    for (count = 1; count < 1100; count += count < 480 || count > 1050 ? 57 : 1) {
        wire *w = new_wire(1300);

        text[count] = '\0';
        set_texts(w, text, 0, 0);
        send_all(w, "%R", 512);
        text[count] = 'x';
        assert_int_equal(w->used, count + 5);
        assert_memory_equal(w->sent, "a1 ", 3);
        assert_memory_equal(w->sent + 3, text, count);
        assert_memory_equal(w->sent + 3 + count, "\r\n", 2);
        free_wire(w);
    }
}

/* The same with quoted strings, whose escapes must not be cut, and with the end of a literal. */
static void strings_around_the_size_of_the_buffer(void **state)
{
    static const char *const want[] = {" {3}\r\n(+)\"\x80\" \"s\\\"\\\\\"\r\n",
                                       " \"\\\"\\\\\\\"\\\\\" \"s\\\"\\\\\"\r\n"};
    size_t count, kind;

    (void)state;
    for (kind = 0; kind < 2; kind++) {
        for (count = 430; count < 520; count++) {
            char raw[600];
            wire *w = new_wire(1300);
            size_t at;

            memset(raw, 'r', count);
            raw[count] = '\0';
            set_texts(w, raw, kind ? "\"\\\"\\" : "\"\x80\"", "s\"\\");
            send_all(w, "%R %s %p", 512);
            at = 3 + count;
            assert_int_equal(w->used - at, strlen(want[kind]));
            assert_memory_equal(w->sent + at, want[kind], w->used - at);
            free_wire(w);
        }
    }
}

/* A letter and a counter (SECURITY.md section 2): some servers refuse digits alone. */
static void tags_count(void **state)
{
    wire *w = new_wire(20000);
    int i;

    (void)state;
    for (i = 1; i < 1100; i++) {
        char expected[32];

        w->used = w->log_used = 0;
        send_all(w, "NOOP", 512);
        sprintf(expected, "a%d NOOP\r\n", i);
        assert_int_equal(w->used, strlen(expected));
        assert_memory_equal(w->sent, expected, w->used);
        expected[strlen(expected) - 7] = '\0';
        assert_string_equal(w->engine.reader.tag, expected);
    }
    w->engine.writer.counter = 4294967294u; /* the longest tag fits, with its NUL */
    w->used = w->log_used = 0;
    send_all(w, "NOOP", 512);
    assert_string_equal(w->engine.reader.tag, "a4294967295");
    assert_int_equal(w->used, 18);
    assert_memory_equal(w->sent, "a4294967295 NOOP\r\n", 18);
    free_wire(w);
}

/* The log has the command once and whole, in pieces of the log's size. */
static void the_log_shows_what_is_no_secret(void **state)
{
    wire *w = new_wire(4096);
    char text[700], expected[720];

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    set_texts(w, text, 0, 0);
    send_all(w, "%R", 3);
    sprintf(expected, "a1 %s|", text);
    assert_string_equal(w->log, expected);
    free_wire(w);
}

/* ---- the placeholders ---- */

/* A command with its arguments, and what of it must be seen. */
typedef struct request {
    const char *format;
    const char *text[2];
    uint32_t number[3];
    int utf8;         /* the server takes names as UTF-8 */
    const char *can;  /* capabilities, or 0; once logged in */
    const char *sent; /* behind the tag and its space */
} request;

static imapconnect_capabilities bit_of(const char *atom)
{
    size_t i;

    for (i = 0; i < COUNT(imc_responses_capabilities); i++)
        if (strcmp(imc_responses_capabilities[i].atom, atom) == 0)
            return imc_responses_capabilities[i].bit;
    fail_msg("%s is not in the table", atom);
    return 0;
}

static const struct imc_command some_command;

/* The server is known to be able to do this, and the login is over. */
static void can(wire *w, const char *atom)
{
    w->engine.command = &some_command;
    w->engine.capabilities = atom != 0 ? bit_of(atom) : 0;
}

/* What a mechanism says first is a secret, with the command and alone in its line. RFC 4616: NUL, user, NUL, password. */
static void what_is_said_first_is_wiped(void **state)
{
    static const char *const formats[] = {"AUTHENTICATE PLAIN%I", "%b"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(formats); i++) {
        wire *w = new_wire(200);

        can(w, "SASL-IR");
        set_texts(w, "joe", "secret", 0);
        w->engine.writer.payload.format = "%z%0%z%1";
        imc_commands_begin(&w->engine, formats[i]);
        drain(w, 512);
        assert_memory_equal(w->sent + w->used - 18, "AGpvZQBzZWNyZXQ=\r\n", 18);
        assert_true(is_wiped(&w->engine.writer));
        assert_int_equal(w->engine.writer.secret, 0);
        free_wire(w);
    }
}

static void set_request(wire *w, const request *r, const char *prefix)
{
    size_t at = prefix != 0;

    set_texts(w, prefix, 0, 0);
    w->engine.writer.text[at] = r->text[0];
    w->engine.writer.text[at + 1] = r->text[1];
    memcpy(w->engine.writer.number, r->number, sizeof r->number);
    w->engine.utf8 = (uint8_t)r->utf8;
    can(w, r->can);
}

/* What did not leave as it should, in ASCII for whoever reads it. */
static void differs(const char *got, size_t count, const char *expected, size_t before)
{
    static char texts[2][800];
    size_t i, k, used;

    for (k = 0; k < 2; k++) {
        const char *bytes = k == 0 ? got : expected;
        size_t all = k == 0 ? count : strlen(expected);

        for (i = used = 0; i < all && used + 5 < sizeof texts[k]; i++)
            used += (size_t)sprintf(texts[k] + used, bytes[i] >= 0x20 && bytes[i] < 0x7f ? "%c" : "\\x%02x",
                                    (unsigned char)bytes[i]);
        texts[k][used] = '\0';
    }
    fail_msg("behind %zu bytes '%s' left, want '%s'", before, texts[0], texts[1]);
}

/* What left behind the first `from` bytes is this. The wire is gone then. */
static void compare_sent(wire *w, size_t from, const char *sent)
{
    static char got[8192];
    size_t count = w->used - from;

    assert_true(w->used >= from && count < sizeof got);
    memcpy(got, w->sent + from, count);
    free_wire(w);
    if (count != strlen(sent) || memcmp(got, sent, count) != 0)
        differs(got, count, sent, from);
}

/* At every size of a write; and behind so many other bytes that each part of it once stands where the buffer ends. */
static void check_request(const request *r)
{
    char format[80], prefix[600];
    size_t step, before;

    for (step = 1; step <= 600; step = step < 20 ? step + 1 : step + 97) {
        wire *w = new_wire(4096);

        set_request(w, r, 0);
        send_all(w, r->format, step);
        assert_memory_equal(w->sent, "a1 ", 3);
        compare_sent(w, 3, r->sent);
    }
    sprintf(format, "%%R %s", r->format);
    for (before = 400; before < 530; before++) {
        wire *w = new_wire(4096);

        memset(prefix, 'x', before);
        prefix[before] = '\0';
        set_request(w, r, prefix);
        send_all(w, format, 512);
        assert_memory_equal(w->sent + 3, prefix, before);
        compare_sent(w, before + 4, r->sent);
    }
}

static void numbers_are_decimal(void **state)
{
    static const request cases[] = {
        {"%n", {0, 0}, {0, 0, 0}, 0, 0, "0\r\n"},
        {"UID FETCH %n (UID)", {0, 0}, {4294967295u, 0, 0}, 0, 0, "UID FETCH 4294967295 (UID)\r\n"},
        {"FETCH %n:%n X", {0, 0}, {1, 4294967294u, 0}, 0, 0, "FETCH 1:4294967294 X\r\n"},
        {"X %n %R<%n.%n>", {"BODY[]", 0}, {7, 0, 4096}, 0, 0, "X 7 BODY[]<0.4096>\r\n"}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        check_request(&cases[i]);
}

/* Texts as they are and as strings, in the order of the format; an empty one is nothing, or two quotes. */
static void texts_and_strings(void **state)
{
    static const request cases[] = {
        {"%R", {"x\"\\%n{5", 0}, {0}, 0, 0, "x\"\\%n{5\r\n"},
        {"A%RB", {"", 0}, {0}, 0, 0, "AB\r\n"},
        {"%s", {"", 0}, {0}, 0, 0, "\"\"\r\n"},
        {"ID (\"name\" %s \"version\" %s)",
         {"a\"b", "\\"},
         {0},
         0,
         0,
         "ID (\"name\" \"a\\\"b\" \"version\" \"\\\\\")\r\n"},
        {"X CHARSET %R SUBJECT %s",
         {"UTF-8", "\xc3\xbc"},
         {0},
         0,
         0,
         "X CHARSET UTF-8 SUBJECT {2}\r\n(+)\xc3\xbc\r\n"},
        {"X %s Y %s Z", {"\x80", "\xff\xfe"}, {0}, 0, 0, "X {1}\r\n(+)\x80 Y {2}\r\n(+)\xff\xfe Z\r\n"}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        check_request(&cases[i]);
}

/* The size of the largest, with a plus, is all of the room that there is for it: RFC 7888 section 3. */
static void the_largest_literal(void **state)
{
    wire *w = new_wire(100);

    (void)state;
    can(w, "LITERAL+");
    imc_commands_open_literal(&w->engine, 4294967295u);
    assert_int_equal(w->engine.writer.used, 15);
    assert_memory_equal(w->engine.writer.out.bytes, "{4294967295+}\r\n", 15);
    free_wire(w);
}

/* RFC 7888: with LITERAL+ no literal waits, with LITERAL- none of up to 4096 bytes; and none at all before the login,
   when it may be a secret. */
static void literals_that_do_not_wait(void **state)
{
    static const request cases[] = {
        {"X %s", {"\xe4", 0}, {0}, 0, "LITERAL+", "X {1+}\r\n\xe4\r\n"},
        {"X %s", {"\xe4", 0}, {0}, 0, "LITERAL-", "X {1+}\r\n\xe4\r\n"},
        {"X %s %s", {"\xe4", "\xe4\xe4"}, {0}, 0, "LITERAL+", "X {1+}\r\n\xe4 {2+}\r\n\xe4\xe4\r\n"},
        {"X %s", {"abc", 0}, {0}, 0, "LITERAL+", "X \"abc\"\r\n"},
        {"X %s", {"\xe4", 0}, {0}, 0, "IDLE", "X {1}\r\n(+)\xe4\r\n"}};
    static const char login[] = "a1 LOGIN {1}\r\n(+)\xe4 {1}\r\n(+)\xe4\r\n";
    char text[4098], sent[4200];
    size_t i, k, count;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        check_request(&cases[i]);
    memset(text, '\xe4', sizeof text);
    for (k = 0; k < 2; k++) {
        for (count = 4095; count < 4098; count++) {
            wire *w = new_wire(5000);
            int waits = k == 1 && count > 4096;

            text[count] = '\0';
            sprintf(sent, "a1 X {%zu%s}\r\n%s%s\r\n", count, waits ? "" : "+", waits ? "(+)" : "", text);
            w->engine.on_log = 0;
            can(w, k == 0 ? "LITERAL+" : "LITERAL-");
            set_texts(w, text, 0, 0);
            send_all(w, "X %s", 512);
            text[count] = '\xe4';
            assert_int_equal(w->used, strlen(sent));
            assert_memory_equal(w->sent, sent, w->used);
            free_wire(w);
        }
    }
    for (k = 0; k < 2; k++) { /* the login, with what the greeting said */
        wire *w = new_wire(200);

        w->engine.capabilities = bit_of(k == 0 ? "LITERAL+" : "LITERAL-");
        set_texts(w, "\xe4", "\xe4", 0);
        send_all(w, "LOGIN %s %p", 512);
        assert_int_equal(w->used, sizeof login - 1);
        assert_memory_equal(w->sent, login, w->used);
        free_wire(w);
    }
}

/* RFC 3501 section 2.3.2. Bit 0 is \Answered, and so on in the order of imapconnect_flags. */
static void flags_in_every_set(void **state)
{
    static const char *const names[] = {"\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Recent", "\\Seen"};
    char sent[120];
    uint32_t bits;
    size_t i;

    (void)state;
    for (bits = 1; bits < 64; bits++) {
        request r = {"UID STORE %n +FLAGS.SILENT %f", {0, 0}, {9, 0, 0}, 0, 0, 0};
        int first = 1;

        strcpy(sent, "UID STORE 9 +FLAGS.SILENT (");
        for (i = 0; i < COUNT(names); i++) {
            if ((bits >> i & 1) == 0)
                continue;
            strcat(sent, first ? "" : " ");
            strcat(sent, names[i]);
            first = 0;
        }
        strcat(sent, ")\r\n");
        r.number[1] = bits;
        r.sent = sent;
        check_request(&r);
    }
    {
        static const request two = {
            "%f x %f %n", {0, 0}, {32, 3, 5}, 0, 0, "(\\Seen) x (\\Answered \\Deleted) 5\r\n"};

        check_request(&two);
    }
}

/* RFC 3501 section 5.1.3. The base64 was worked out by hand: U+00FC is 00 FC, so 000000 001111 1100(00) is "APw";
   U+1F600 is D83D DE00 in UTF-16, so 110110 000011 110111 011110 000000 00(0000) is "2D3eAA". */
static void names_of_mailboxes(void **state)
{
    static const request cases[] = {
        {"SELECT %m", {"INBOX", 0}, {0}, 0, 0, "SELECT \"INBOX\"\r\n"},
        {"%m", {"", 0}, {0}, 0, 0, "\"\"\r\n"},
        {"%m", {" a b/c.d%*(){}[]~", 0}, {0}, 0, 0, "\" a b/c.d%*(){}[]~\"\r\n"},
        {"%m", {"a\"b", 0}, {0}, 0, 0, "\"a\\\"b\"\r\n"},
        {"%m", {"a\\b\\", 0}, {0}, 0, 0, "\"a\\\\b\\\\\"\r\n"},
        {"%m", {"&", 0}, {0}, 0, 0, "\"&-\"\r\n"},
        {"%m", {"Tom & Jerry &&-", 0}, {0}, 0, 0, "\"Tom &- Jerry &-&--\"\r\n"},
        {"%m", {"Entw\xc3\xbcrfe", 0}, {0}, 0, 0, "\"Entw&APw-rfe\"\r\n"},
        {"%m", {"\xc3\xbc", 0}, {0}, 0, 0, "\"&APw-\"\r\n"},
        {"%m", {"\xc3\xbc&\xc3\xbc", 0}, {0}, 0, 0, "\"&APw-&-&APw-\"\r\n"},
        {"%m", {"\xc3\xbc-", 0}, {0}, 0, 0, "\"&APw--\"\r\n"},
        {"%m", {"\xc3\xbc\"\\", 0}, {0}, 0, 0, "\"&APw-\\\"\\\\\"\r\n"},
        {"%m", {"\xf0\x9f\x98\x80", 0}, {0}, 0, 0, "\"&2D3eAA-\"\r\n"},
        {"%m", {"a\xf0\x9f\x98\x80z", 0}, {0}, 0, 0, "\"a&2D3eAA-z\"\r\n"},
        {"%m",
         {"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 0},
         {0},
         0,
         0,
         "\"~peter/mail/&U,BTFw-/&ZeVnLIqe-\"\r\n"},
        {"%m", {"\t\x7f", 0}, {0}, 0, 0, "\"&AAkAfw-\"\r\n"}, /* controls do not stand for themselves */
        {"RENAME %m %m", {"\xc3\xbc", "b"}, {0}, 0, 0, "RENAME \"&APw-\" \"b\"\r\n"},
        {"RENAME %m %m", {"a", "\xc3\xbc"}, {0}, 0, 0, "RENAME \"a\" \"&APw-\"\r\n"},
        {"LIST %m %m", {"", "%"}, {0}, 0, 0, "LIST \"\" \"%\"\r\n"},
        {"UID COPY %n %m", {"\xc3\xa4\xc3\xb6", 0}, {77, 0, 0}, 0, 0, "UID COPY 77 \"&AOQA9g-\"\r\n"}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        check_request(&cases[i]);
}

/* Behind 0xFF a name goes as it came: a quoted string when that can hold it, and otherwise a literal. */
static void raw_names(void **state)
{
    static const request cases[] = {
        {"SELECT %m", {"\xff&Bad-", 0}, {0}, 0, 0, "SELECT \"&Bad-\"\r\n"},
        {"%m", {"\xff", 0}, {0}, 0, 0, "\"\"\r\n"},
        {"%m", {"\xff&\"\\&", 0}, {0}, 0, 0, "\"&\\\"\\\\&\"\r\n"},
        {"%m",
         {"\xff"
          "Entw\xfcrfe",
          0},
         {0},
         0,
         0,
         "{8}\r\n(+)Entw\xfcrfe\r\n"},
        {"%m",
         {"\xff"
          "Entw\xfcrfe",
          0},
         {0},
         0,
         "LITERAL+",
         "{8+}\r\nEntw\xfcrfe\r\n"},
        {"%m", {"\xff\xff", 0}, {0}, 0, 0, "{1}\r\n(+)\xff\r\n"},
        {"RENAME %m %m", {"\xff\xe4", "\xc3\xa4"}, {0}, 0, 0, "RENAME {1}\r\n(+)\xe4 \"&AOQ-\"\r\n"},
        {"RENAME %m %m", {"\xc3\xa4", "\xff\xe4"}, {0}, 0, 0, "RENAME \"&AOQ-\" {1}\r\n(+)\xe4\r\n"},
        {"RENAME %m %m",
         {"\xff"
          "a",
          "\xff"
          "b"},
         {0},
         0,
         0,
         "RENAME \"a\" \"b\"\r\n"}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        check_request(&cases[i]);
}

/* With UTF8=ACCEPT names and strings are UTF-8 in quotes: RFC 6855 section 3. */
static void names_in_utf8(void **state)
{
    static const request cases[] = {
        {"%m", {"Entw\xc3\xbcrfe", 0}, {0}, 1, 0, "\"Entw\xc3\xbcrfe\"\r\n"},
        {"%m", {"Tom & \xf0\x9f\x98\x80", 0}, {0}, 1, 0, "\"Tom & \xf0\x9f\x98\x80\"\r\n"},
        {"%m", {"\xe6\x97\xa5\"\\", 0}, {0}, 1, 0, "\"\xe6\x97\xa5\\\"\\\\\"\r\n"},
        {"%m", {"", 0}, {0}, 1, 0, "\"\"\r\n"},
        {"%m", {"\xff&AOQ-", 0}, {0}, 1, 0, "\"&AOQ-\"\r\n"},
        {"X %s", {"\xc3\xbc", 0}, {0}, 1, 0, "X \"\xc3\xbc\"\r\n"},
        {"RENAME %m %m", {"\xc3\xa4", "b"}, {0}, 1, 0, "RENAME \"\xc3\xa4\" \"b\"\r\n"}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        check_request(&cases[i]);
}

/* A quoted string holds UTF-8 then and nothing else (RFC 6855 section 3: uQUOTED-CHAR); what is none goes as a
   literal, that may hold any byte. */
static void what_is_not_utf8_is_not_quoted(void **state)
{
    static const request cases[] = {{"%m",
                                     {"\xff"
                                      "Entw\xfcrfe",
                                      0},
                                     {0},
                                     1,
                                     0,
                                     "{8}\r\n(+)Entw\xfcrfe\r\n"},
                                    {"X %s", {"\xe4", 0}, {0}, 1, 0, "X {1}\r\n(+)\xe4\r\n"}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        check_request(&cases[i]);
}

/* A name of any length goes through the one buffer: 6,000 umlauts are one shifted part of 32,000 bits. */
static void a_name_without_end(void **state)
{
    static const char group[] = "APwA,AD8"; /* three of U+00FC: 48 bits */
    char *name = malloc(12001), *sent = malloc(16100);
    wire *w = new_wire(16100);
    size_t used, i;

    (void)state;
    assert_non_null(name);
    assert_non_null(sent);
    for (i = 0; i < 6000; i++)
        memcpy(name + 2 * i, "\xc3\xbc", 2);
    name[12000] = '\0';
    used = (size_t)sprintf(sent, "a1 \"&");
    for (i = 0; i < 2000; i++)
        used += (size_t)sprintf(sent + used, "%s", group);
    used += (size_t)sprintf(sent + used, "-\"\r\n");
    w->engine.on_log = 0;
    set_texts(w, name, 0, 0);
    send_all(w, "%m", 512);
    assert_int_equal(w->used, used);
    assert_true(memcmp(w->sent, sent, used) == 0);
    free_wire(w);
    free(sent);
    free(name);
}

/* The log shows what leaves: names, numbers, flags, and the head of a message's literal; its bytes it leaves out. */
static void the_log_of_the_placeholders(void **state)
{
    wire *w = new_wire(400);

    (void)state;
    set_texts(w, "\xc3\xbc", "\xff\xe4", 0);
    w->engine.writer.number[0] = 12;
    w->engine.writer.number[1] = 33;
    can(w, 0);
    send_all(w, "X %n %m %f %m", 512);
    assert_string_equal(w->log, "a1 X 12 \"&APw-\" (\\Answered \\Seen) {1}|\\xe4|");
    free_wire(w);
}

/* ---- the source ---- */

/* Gives `count` bytes that can be told apart, at most `most` at a time, and looks at what it is asked for. */
typedef struct giver {
    wire *w;
    size_t given, most, fails_at;
    int calls, failure;
    size_t used; /* of the buffer, at the last call */
} giver;

static char byte_at(size_t i)
{
    return (char)((i * 131 + i / 256) & 0xff); /* NUL, CR and LF among them: whoever announced them sends them */
}

static int source(void *user, void *bytes, size_t count)
{
    giver *g = user;
    const imapconnect_writer *writer = &g->w->engine.writer;
    size_t i;

    g->calls++;
    g->used = writer->used;
    assert_in_range(count, 1, IMAPCONNECT_WRITE_SIZE);
    assert_true((char *)bytes >= writer->out.bytes);
    assert_true((char *)bytes + count <= writer->out.bytes + IMAPCONNECT_WRITE_SIZE);
    assert_int_equal(writer->waiting, 0); /* the server has agreed, or need not be asked */
    if (g->calls == (int)g->fails_at)
        return g->failure == INT32_MAX ? (int)count + 1 : g->failure;
    count = count < g->most ? count : g->most;
    for (i = 0; i < count; i++)
        ((char *)bytes)[i] = byte_at(g->given++);
    return (int)count;
}

static void upload(size_t size, size_t most, size_t step, const char *atom, int waits)
{
    wire *w = new_wire(size + 100);
    giver g;
    char head[64];
    size_t used, i;

    memset(&g, 0, sizeof g);
    g.w = w;
    g.most = most;
    can(w, atom);
    w->engine.taker.source = source;
    w->engine.user = &g;
    set_texts(w, "x", 0, 0);
    w->engine.writer.number[0] = (uint32_t)size;
    send_all(w, "APPEND %m %l", step);
    used = (size_t)sprintf(head, "a1 APPEND \"x\" {%zu%s}\r\n%s", size, waits ? "" : "+", waits ? "(+)" : "");
    assert_int_equal(w->used, used + size + 2);
    assert_memory_equal(w->sent, head, used);
    for (i = 0; i < size; i++)
        if (w->sent[used + i] != byte_at(i))
            fail_msg("byte %zu of %zu", i, size);
    assert_memory_equal(w->sent + used + size, "\r\n", 2);
    assert_int_equal(g.given, size); /* never asked for more */
    assert_true(size != 0 || g.calls == 0);
    sprintf(strstr(head, "\r\n"), "|");
    assert_string_equal(w->log, head);
    assert_int_equal(w->engine.error, 0);
    free_wire(w);
}

static void a_message_from_the_source(void **state)
{
    static const size_t sizes[] = {0,   1,   2,   400, 484, 485,  486,  487,  488,
                                   489, 490, 511, 512, 513, 1024, 4096, 4097, 5000};
    static const size_t most[] = {1, 7, 16, 511, 600};
    static const size_t steps[] = {1, 100, 512};
    size_t i, k, m;

    (void)state;
    for (i = 0; i < COUNT(sizes); i++)
        for (k = 0; k < COUNT(most); k++)
            for (m = 0; m < COUNT(steps); m++) {
                upload(sizes[i], most[k], steps[m], 0, 1);
                upload(sizes[i], most[k], steps[m], "LITERAL+", 0);
                upload(sizes[i], most[k], steps[m], "LITERAL-", sizes[i] > 4096);
            }
}

/* Before the server has agreed the source is not asked. */
static void the_source_waits_for_the_plus(void **state)
{
    wire *w = new_wire(100);
    giver g;

    (void)state;
    memset(&g, 0, sizeof g);
    g.w = w;
    g.most = 512;
    can(w, 0);
    w->engine.taker.source = source;
    w->engine.user = &g;
    w->engine.writer.number[0] = 10;
    imc_commands_begin(&w->engine, "APPEND x %l");
    drain(w, 3);
    imc_commands_fill(&w->engine);
    assert_int_equal(g.calls, 0);
    assert_int_equal(w->engine.writer.used, 0);
    assert_memory_equal(w->sent, "a1 APPEND x {10}\r\n", w->used);
    free_wire(w);
}

/* None, a failure, or more than there is room for: the session is cancelled, and nothing of it is sent. */
static void a_source_that_fails(void **state)
{
    static const int failures[] = {0, -1, INT32_MIN, IMAPCONNECT_WANT_READ, INT32_MAX};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(failures); i++) {
        for (k = 1; k < 4; k++) {
            wire *w = new_wire(2000);
            imapconnect_writer *writer = &w->engine.writer;
            giver g;
            size_t before;

            memset(&g, 0, sizeof g);
            g.w = w;
            g.most = 200;
            g.fails_at = k;
            g.failure = failures[i];
            can(w, "LITERAL+");
            w->engine.taker.source = source;
            w->engine.user = &g;
            writer->number[0] = 1500;
            imc_commands_begin(&w->engine, "APPEND x %l");
            while (w->engine.error == 0) {
                assert_true(writer->used > writer->sent);
                imc_commands_sent(&w->engine, (size_t)(writer->used - writer->sent));
            }
            assert_int_equal(w->engine.error, IMAPCONNECT_E_CANCELLED);
            assert_int_equal(g.calls, (int)k); /* and is not asked again */
            assert_int_equal(writer->used, g.used);
            before = writer->used;
            imc_commands_fill(&w->engine);
            assert_int_equal(g.calls, (int)k);
            assert_int_equal(writer->used, before);
            assert_false(imc_commands_are_sent(writer) && writer->format == 0);
            free_wire(w);
        }
    }
}

/* A new command begins with nothing left of one that was refused in its middle. */
static void a_refused_literal_leaves_nothing(void **state)
{
    static const char sent[] = "a1 RENAME {1}\r\na2 CREATE \"&APw-\"\r\n";
    wire *w = new_wire(200);

    (void)state;
    can(w, 0);
    set_texts(w, "\xff\xe4", "\xc3\xbc", 0);
    imc_commands_begin(&w->engine, "RENAME %m %m");
    drain(w, 512);
    assert_int_equal(w->engine.writer.waiting, 1); /* and now the server says NO */
    set_texts(w, "\xc3\xbc", 0, 0);
    imc_commands_begin(&w->engine, "CREATE %m");
    drain(w, 512);
    assert_int_equal(w->used, sizeof sent - 1);
    assert_memory_equal(w->sent, sent, w->used);
    free_wire(w);
}

/* ---- a command's text ---- */

static void judge(const char *text, int expected)
{
    size_t count = strlen(text);
    char *exact = malloc(count > 0 ? count : 1);
    int code;

    assert_non_null(exact);
    memcpy(exact, text, count);
    code = imc_commands_check(exact, count);
    if (code != expected)
        fail_msg("'%s': %d, want %d", text, code, expected);
    free(exact);
}

/* DESIGN.md section 1: what would change the state of the session has a function of its own. */
static void commands_that_change_the_session_are_refused(void **state)
{
    static const char *const own[] = {"LOGIN",    "AUTHENTICATE", "UNAUTHENTICATE", "STARTTLS",
                                      "COMPRESS", "LOGOUT",       "IDLE",           "ENABLE"};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(own); i++) {
        char text[64];

        judge(own[i], IMAPCONNECT_E_USE_FUNCTION);
        sprintf(text, "%s x", own[i]);
        judge(text, IMAPCONNECT_E_USE_FUNCTION);
        sprintf(text, "%s ", own[i]);
        judge(text, IMAPCONNECT_E_USE_FUNCTION);
        for (k = 0; k < strlen(own[i]); k += 2)
            text[k] = (char)(text[k] | 0x20);
        judge(text, IMAPCONNECT_E_USE_FUNCTION);
        sprintf(text, "%sX", own[i]);
        judge(text, 0);
        sprintf(text, "X%s", own[i]);
        judge(text, 0);
        sprintf(text, "UID %s", own[i]);
        judge(text, 0);
        sprintf(text, "%s", own[i]);
        text[strlen(text) - 1] = '\0';
        judge(text, 0);
    }
    judge("login x y", IMAPCONNECT_E_USE_FUNCTION);
    judge("LOGIN a {3}", IMAPCONNECT_E_USE_FUNCTION);
    judge("NOOP", 0);
    judge("SEARCH UNSEEN", 0);
    judge("SEARCH SUBJECT LOGIN", 0);
}

static void texts_that_end_in_a_size_are_refused(void **state)
{
    (void)state;
    judge("{5}", IMAPCONNECT_E_LITERAL);
    judge("{5+}", IMAPCONNECT_E_LITERAL);
    judge("~{5}", IMAPCONNECT_E_LITERAL);
    judge("~{5+}", IMAPCONNECT_E_LITERAL);
    judge("APPEND x {5}", IMAPCONNECT_E_LITERAL);
    judge("APPEND x {0}", IMAPCONNECT_E_LITERAL);
    judge("APPEND x {99999999999999999999}", IMAPCONNECT_E_LITERAL);
    judge("APPEND x{5}", IMAPCONNECT_E_LITERAL);
    judge("x {5}{6}", IMAPCONNECT_E_LITERAL);
    judge("{}", 0);
    judge("x {}", 0);
    judge("x{5} ", 0);
    judge("\"{5}\"", 0);
    judge("x {a}", 0);
    judge("x {5a}", 0);
    judge("x 5}", 0);
    judge("x {5", 0);
    judge("}", 0);
    judge("5}", 0);
    judge("x {5}y", 0);
}

static void what_is_no_line_is_refused(void **state)
{
    (void)state;
    judge("", IMAPCONNECT_E_VALUE);
    judge(" ", IMAPCONNECT_E_VALUE);
    judge(" NOOP", IMAPCONNECT_E_VALUE);
    judge("NOOP\r\na9 LOGOUT", IMAPCONNECT_E_VALUE);
    judge("NOOP\r", IMAPCONNECT_E_VALUE);
    judge("NOOP\n", IMAPCONNECT_E_VALUE);
    judge("\n", IMAPCONNECT_E_VALUE);
    judge("LOGIN x\r\n", IMAPCONNECT_E_VALUE);
    judge("SEARCH CHARSET UTF-8 TEXT \"\xc3\xa4\"", 0);
}

/* The quotes of a SEARCH in memory of its size: what ends in a backslash is not read beyond its end. RFC 3501 section 9:
   a backslash escapes inside quotes alone. */
static void quotes_of_a_search(void **state)
{
    static const struct {
        const char *criteria;
        int good;
    } cases[] = {{"", 0},
                 {"ALL", 1},
                 {"SUBJECT \"a b\"", 1},
                 {"SUBJECT \"a", 0},
                 {"SUBJECT \"a\\\"b\"", 1},
                 {"SUBJECT \"a\\\"", 0},
                 {"SUBJECT \"a\\\\\"", 1},
                 {"SUBJECT \"a\\", 0},
                 {"KEYWORD \\\"a\"", 1},
                 {"KEYWORD \\", 1}};
    wire *w = new_wire(1);
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        char *exact = strdup(cases[i].criteria);

        assert_non_null(exact);
        if (imc_commands_check_text(&w->engine, 'Q', exact) != (cases[i].good ? 0 : IMAPCONNECT_E_VALUE))
            fail_msg("%s", cases[i].criteria);
        free(exact);
    }
    free_wire(w);
}

/* Texts that go as they are hold printable ASCII: from the space to "~". */
static void plain_is_printable(void **state)
{
    wire *w = new_wire(1);
    int c;

    (void)state;
    for (c = 1; c < 256; c++) {
        char text[4] = "a";

        text[1] = (char)c;
        text[2] = 'b';
        assert_int_equal(imc_commands_check_text(&w->engine, 'R', text) == 0, c >= 0x20 && c < 0x7f && c != '{');
    }
    free_wire(w);
}

static void lines_and_ascii(void **state)
{
    int c;

    (void)state;
    for (c = 1; c < 256; c++) {
        char text[3] = "x";

        text[1] = (char)c;
        assert_int_equal(imc_commands_is_line(text, 2), c != '\r' && c != '\n');
        assert_int_equal(imc_commands_is_ascii(text), c < 0x80);
    }
    assert_true(imc_commands_is_line("", 0) && imc_commands_is_ascii(""));
}

/* No format of ours is so long. One that is fills the buffer, and the rest waits. */
static void a_format_longer_than_the_buffer(void **state)
{
    wire *w = new_wire(1);
    imapconnect_writer *writer = &w->engine.writer;
    char format[IMAPCONNECT_WRITE_SIZE + 10];

    (void)state;
    memset(format, 'x', sizeof format - 1);
    format[sizeof format - 1] = '\0';
    w->engine.on_log = 0;
    writer->format = format;
    writer->used = 100;
    imc_commands_format(&w->engine);
    assert_int_equal(writer->used, IMAPCONNECT_WRITE_SIZE);
    assert_ptr_equal(writer->format, format + IMAPCONNECT_WRITE_SIZE - 100);
    free_wire(w);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(strings_are_quoted),
    cmocka_unit_test(eight_bit_strings_are_literals),
    cmocka_unit_test(the_longest_arguments),
    cmocka_unit_test(nothing_of_a_literal_before_its_plus),
    cmocka_unit_test(secrets_are_wiped_once_sent),
    cmocka_unit_test(what_is_said_first_is_wiped),
    cmocka_unit_test(a_raw_command_of_a_million_bytes),
    cmocka_unit_test(commands_around_the_size_of_the_buffer),
    cmocka_unit_test(strings_around_the_size_of_the_buffer),
    cmocka_unit_test(tags_count),
    cmocka_unit_test(the_log_shows_what_is_no_secret),
    cmocka_unit_test(numbers_are_decimal),
    cmocka_unit_test(texts_and_strings),
    cmocka_unit_test(literals_that_do_not_wait),
    cmocka_unit_test(the_largest_literal),
    cmocka_unit_test(flags_in_every_set),
    cmocka_unit_test(names_of_mailboxes),
    cmocka_unit_test(raw_names),
    cmocka_unit_test(names_in_utf8),
    cmocka_unit_test(what_is_not_utf8_is_not_quoted),
    cmocka_unit_test(a_name_without_end),
    cmocka_unit_test(the_log_of_the_placeholders),
    cmocka_unit_test(a_message_from_the_source),
    cmocka_unit_test(the_source_waits_for_the_plus),
    cmocka_unit_test(a_source_that_fails),
    cmocka_unit_test(a_refused_literal_leaves_nothing),
    cmocka_unit_test(commands_that_change_the_session_are_refused),
    cmocka_unit_test(texts_that_end_in_a_size_are_refused),
    cmocka_unit_test(what_is_no_line_is_refused),
    cmocka_unit_test(quotes_of_a_search),
    cmocka_unit_test(plain_is_printable),
    cmocka_unit_test(lines_and_ascii),
    cmocka_unit_test(a_format_longer_than_the_buffer),
};
TEST_MAIN(tests)
